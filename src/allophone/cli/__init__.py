"""The command: one verb a file. Verbs import what they need when they run, so that ``--help`` is quick."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from allophone.cli.adapt import adapt
from allophone.cli.classify import classify
from allophone.cli.compare import compare
from allophone.cli.cost import cost
from allophone.cli.demo import demo
from allophone.cli.diagnose import diagnose
from allophone.cli.doctor import doctor
from allophone.cli.export import export
from allophone.cli.frontier import frontier
from allophone.cli.label import label
from allophone.cli.law import law
from allophone.cli.models import models
from allophone.cli.option_defaults import read_defaults
from allophone.cli.recommend import recommend
from allophone.cli.report import report
from allophone.cli.route import route
from allophone.cli.say import accept_any_character, is_verbose, say, speak
from allophone.cli.serve import serve
from allophone.cli.sweep import sweep
from allophone.cli.transcribe import transcribe
from allophone.cli.verb import Verb, verb
from allophone.errors import AllophoneError
from allophone.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    name="allophone",
    help="Spend speech compute where it buys accuracy: measure, choose and run operating points.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "ALLOPHONE"},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"allophone {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print results and errors only; also understood behind the verb.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print more; also understood behind the verb.")
    ] = False,
) -> None:
    speak(quiet=quiet, verbose=verbose)
    context.default_map = read_defaults(context.command)


for _verb in (
    sweep,
    frontier,
    recommend,
    compare,
    label,
    diagnose,
    transcribe,
    serve,
    classify,
    report,
    export,
    law,
    cost,
    models,
    doctor,
    demo,
):
    app.command(cls=Verb)(verb(_verb))
app.add_typer(route, name="route")
app.add_typer(adapt, name="adapt")


def main() -> None:
    """Run the command; print an error that was raised on purpose as one message, with its exit code."""
    accept_any_character()
    try:
        app()
    except AllophoneError as error:
        if is_verbose():
            traceback.print_exc()
        say(f"allophone: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe went away, as head does
            sys.stderr.close()
            sys.exit(141)
        if error.filename is None:  # of no file: a defect of ours, or of a library
            raise
        say(
            f"allophone: {error.filename}: {error.strerror}. Check the path, and who may read and write there.",
            err=True,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        say("allophone: stopped.", err=True)
        sys.exit(130)
