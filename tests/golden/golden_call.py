"""How golden tests run allophone: by its command alone, so that no move of a module breaks them."""

from __future__ import annotations

import importlib
import io
import os
import re
import runpy
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Ended", "call", "command_tree", "inside"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """What a command wrote, and its exit code."""

    code: int
    stdout: str
    stderr: str


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder, so that artefacts name only relative paths."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def call(folder: Path, *command: str) -> Ended:
    """Run ``python -m allophone`` in this process, which spares the import of heavy libraries, in a folder."""
    out, err, argv, code = io.StringIO(), io.StringIO(), sys.argv, 0
    sys.argv = ["allophone", *command]
    try:
        with inside(folder), redirect_stdout(out), redirect_stderr(err):
            runpy.run_module("allophone", run_name="__main__", alter_sys=False)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.argv = argv
    return Ended(code, out.getvalue(), err.getvalue())


def command_tree() -> dict[str, dict[str, Any]]:
    """Return every verb's arguments and options, read off the commands that the installed script runs."""
    import typer
    import typer.main

    script = re.search(r'^allophone = "([\w.]+):', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert script, "pyproject.toml names no script 'allophone'"
    module = importlib.import_module(script[1])
    apps = [value for value in vars(module).values() if isinstance(value, typer.Typer)]
    app = next(value for value in apps if value.info.name == "allophone")  # beside those of groups
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(_verbs(typer.main.get_command(app), "allophone"))


def _verbs(command: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield name, {_parameter_name(parameter): _parameter(parameter) for parameter in command.params}
    for verb, below in getattr(command, "commands", {}).items():
        yield from _verbs(below, f"{name} {verb}")


def _parameter_name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return max(parameter.opts, key=len)  # the long form


def _parameter(parameter: Any) -> dict[str, Any]:
    default = parameter.default or (None if parameter.default in ((), []) else parameter.default)
    if not isinstance(default, (type(None), bool, int, float, str)):
        default = str(default)
    marks = {
        "required": parameter.required,
        "repeatable": parameter.multiple or parameter.nargs == -1,
        "flag": getattr(parameter, "is_flag", False),
    }
    fields = {
        "names": sorted([*parameter.opts, *parameter.secondary_opts]),
        "default": default,
        "marks": [name for name, marked in marks.items() if marked],
    }
    return {name: value for name, value in fields.items() if value not in (None, [])}
