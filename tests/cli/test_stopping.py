from pathlib import Path

import typer
from typer.testing import CliRunner

from allophone.cli.stopping import interruptible


def run(failure):
    app = typer.Typer()

    @app.command()
    def verb():
        with interruptible(Path("runs/r"), "finished epochs are kept"):
            typer.echo("at work")
            if failure:
                raise failure
        typer.echo("done")

    return CliRunner().invoke(app)


def test_a_stop_says_what_is_kept_and_ends_the_verb():
    done = run(KeyboardInterrupt())
    assert done.exit_code == 130
    assert done.stdout == "at work\n"
    assert done.stderr == "allophone: stopped; finished epochs are kept in runs/r. The same command continues.\n"


def test_without_a_stop_nothing_is_said():
    done = run(None)
    assert (done.exit_code, done.output) == (0, "at work\ndone\n")


def test_errors_pass():
    done = run(ValueError("broken"))
    assert isinstance(done.exception, ValueError)
    assert "stopped" not in done.output
