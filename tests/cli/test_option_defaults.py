import json

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import UsageError
from allophone.records.point import OperatingPoint
from builders import write_run

POINTS = {OperatingPoint(model=model): [{"speaker": f"s{i % 10}"} for i in range(30)] for model in ("tiny.en", "base")}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a run in it."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "r", POINTS)
    return tmp_path


def invoke(*arguments, **env):
    done = CliRunner().invoke(app, list(arguments), env=env)
    if isinstance(done.exception, UsageError):
        raise done.exception
    return done


def costs(*arguments, **env):
    return json.loads(invoke("frontier", "r", "--json", *arguments, **env).stdout)["costs"]


def test_the_command_line_wins_over_variables_over_the_file(here):
    assert costs() == ["rtf"]
    (here / "allophone.toml").write_text('[frontier]\ncost = ["executed_gflops", "rtf"]\n')
    assert costs() == ["executed_gflops", "rtf"]
    assert costs(ALLOPHONE_FRONTIER_COST="latency_p95_s") == ["latency_p95_s"]
    assert costs("--cost", "latency_p50_s", ALLOPHONE_FRONTIER_COST="latency_p95_s") == ["latency_p50_s"]


def test_the_variable_names_another_file(here):
    (here / "allophone.toml").write_text('[frontier]\ncost = ["executed_gflops"]\n')
    (here / "other.toml").write_text('[frontier]\ncost = ["latency_p95_s"]\n')
    assert costs(ALLOPHONE_CONFIG="other.toml") == ["latency_p95_s"]
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read \(No such file"):
        costs(ALLOPHONE_CONFIG="none.toml")


def test_verbs_within_verbs_and_required_options_have_defaults_too(here):
    (here / "allophone.toml").write_text('[route.train]\nkind = "nonsense"\npoints = "a,b"\nout = "p"\n')
    with pytest.raises(UsageError, match="--kind 'nonsense'"):
        invoke("route", "train", "r")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[frontir]\n", r"allophone\.toml: \[frontir\]: no such verb; did you mean 'frontier'\. It holds a table"),
        ('costs = "rtf"\n', r"\[costs\]: no such verb; did you mean 'cost'"),
        ('frontier = "rtf"\n', r"'frontier' is a verb\. Write a table, \[frontier\]"),
        ("[frontier]\nconfidense = 0.9\n", r"\[frontier\]: no option 'confidense'; did you mean 'confidence'\. Known"),
        ('[frontier]\nconfidence = "0.9"\n', r"\[frontier\]: confidence is '0\.9': give a number\."),
        ('[frontier]\ncost = "rtf"\n', r"cost is 'rtf': give a list\."),
        ("[sweep]\nthreads = 1.5\n", r"threads is 1\.5: give a whole number\."),
        ("[sweep]\nstrict = 1\n", r"strict is 1: give true or false\."),
        ('[sweep]\nmodels = ["base"]\n', r"models is \['base'\]: give text in quotes\."),
        ("[route.trian]\n", r"\[route\.trian\]: no such verb; did you mean 'train'"),
        ("[frontier\n", r"allophone\.toml: not valid TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_remedy(here, text, message):
    (here / "allophone.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        invoke("frontier", "r")


def test_what_is_wrong_in_a_variable_is_named(here):
    with pytest.raises(UsageError, match=r"ALLOPHONE_FRONTIER_CONFIDENSE: no option; did you mean 'confidence'"):
        invoke("frontier", "r", ALLOPHONE_FRONTIER_CONFIDENSE="0.9")
    with pytest.raises(UsageError, match=r"ALLOPHONE_FRONTIER_CONFIDENCE=high: give a number\."):
        invoke("frontier", "r", ALLOPHONE_FRONTIER_CONFIDENCE="high")
    assert invoke("frontier", "r", ALLOPHONE_CACHE="c", ALLOPHONE_SWEEP_NONSENSE="1").exit_code == 0


def test_defaults_of_options_that_are_refused_elsewhere_do_no_harm(here):
    (here / "allophone.toml").write_text("[sweep]\nspend = 0.2\n[cost]\nduration_s = 2\n")
    assert "flops_decoder" in invoke("cost", "tiny.en").stdout
    with pytest.raises(UsageError, match="none"):  # there is no such corpus; not: --spend is for race
        invoke("sweep", "none", "--out", "s", "--models", "fake:tiny")


def test_a_typed_choice_sets_the_default_choice_aside(here):
    (here / "allophone.toml").write_text('[transcribe]\nmodel = "tiny.en"\n')
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        invoke("transcribe", "a.wav", "--point", "none.json")


@pytest.mark.parametrize(
    ("table", "arguments", "message"),
    [
        ("[serve]\nport = 70000\n", ["serve"], r"'--port'.* \(allophone\.toml, \[serve\], sets --port\.\)"),
        (
            "[adapt.tail]\nsteps = 0\n",
            ["adapt", "tail", "c", "--out", "o", "--model", "m"],
            r"allophone\.toml, \[adapt\.tail\], sets --st",
        ),
        (
            "[recommend]\nmax_rtf = -1\n",
            ["recommend", "r"],
            r"--max-rtf -1: .*\(allophone\.toml, \[recommend\], sets --max-rtf\.\)",
        ),
        (
            "[frontier]\nconfidence = 7\n",
            ["frontier", "r"],
            r"confidence is 7.*\(allophone\.toml, \[frontier\], sets --confidence",
        ),
        (
            '[export]\nformat = "docx"\n',
            ["export", "r"],
            r"--format docx: .*\(allophone\.toml, \[export\], sets --format\.\)",
        ),
    ],
)
def test_a_value_out_of_range_names_the_file_that_sets_it(here, table, arguments, message):
    (here / "allophone.toml").write_text(table)
    with pytest.raises(UsageError, match=message):
        invoke(*arguments)


def test_a_value_out_of_range_names_the_variable_that_sets_it(here):
    with pytest.raises(UsageError, match=r"\(ALLOPHONE_SERVE_PORT sets --port\.\)"):
        invoke("serve", ALLOPHONE_SERVE_PORT="70000")
    (here / "allophone.toml").write_text("[frontier]\nconfidence = 7\n")
    with pytest.raises(UsageError, match=r"confidence is 0\.2; it must lie between 0\.5 and 1\.$"):
        invoke("frontier", "r", "--confidence", "0.2")


def test_keys_are_options_as_they_are_typed_or_as_they_were_called(here):
    for key in ("json", "as_json", "as-json"):
        (here / "allophone.toml").write_text(f"[frontier]\n{key} = true\n")
        assert json.loads(invoke("frontier", "r").stdout)["costs"] == ["rtf"]
    (here / "allophone.toml").write_text("[frontier]\njson = true\nas_json = false\n")
    with pytest.raises(UsageError, match="as_json is given twice"):
        invoke("frontier", "r")
