"""What Ctrl-C does to a verb whose work is kept: it says what is kept, and ends as a shell expects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from allophone.cli.say import say

__all__ = ["interruptible"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@contextmanager
def interruptible(out: Path, kept: str) -> Iterator[None]:
    """Let a user stop what runs within: say on stderr what is kept and that the same command continues.

    Args:
        out: Where it is kept.
        kept: What is, as ``finished epochs are kept``.

    Raises:
        typer.Exit: With code 130, where it was stopped.
    """
    try:
        yield
    except KeyboardInterrupt:
        say(f"allophone: stopped; {kept} in {out}. The same command continues.", err=True)
        raise typer.Exit(_INTERRUPTED) from None
