import shlex

import pytest
import typer.main
from typer.testing import CliRunner

from allophone.cli import app
from allophone.cli.help import EXAMPLES, PANELS


def _verbs(group, above=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{above}{name} ")
        else:
            yield above + name, command


VERBS = dict(_verbs(typer.main.get_command(app)))


def test_every_verb_has_examples():
    assert set(EXAMPLES) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_options_of_examples_are_those_of_the_verb(verb):
    known = {option for parameter in VERBS[verb].params for option in parameter.opts}
    for example in EXAMPLES[verb]:
        words = shlex.split(example)
        assert words[: 1 + len(verb.split())] == ["allophone", *verb.split()]
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("verb", PANELS)
def test_groups_hold_options_of_the_verb_once(verb):
    grouped = [option for options in PANELS[verb].values() for option in options]
    assert len(set(grouped)) == len(grouped)
    assert set(grouped) <= {parameter.name for parameter in VERBS[verb].params}


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_plain_text_of_80_columns(verb):
    done = CliRunner().invoke(app, [*verb.split(), "--help"], env={"COLUMNS": "80"}, color=True)
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    for part in ("On every verb:", "--quiet", "--verbose", "Examples:", *PANELS.get(verb, ())):
        assert part in done.output
    for parameter in VERBS[verb].params:
        if parameter.param_type_name == "option":
            assert any(option in done.output for option in parameter.opts)
