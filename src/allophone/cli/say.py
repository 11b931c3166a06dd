"""The border between the command and the terminal: control characters and encodings."""

from __future__ import annotations

import codecs
import re
import shutil
import sys
from textwrap import fill

import typer

__all__ = ["accept_any_character", "hint", "is_quiet", "is_verbose", "printable", "say", "say_prose", "speak", "tell"]

# C0 and C1 control characters but tab and newline: a file's name must not move the cursor or set the window's title.
# The overrides of the writing direction make text look like other text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_ESCAPED = "allophone.escaped"
_LEVEL = {"quiet": False, "verbose": False}


def say(text: str = "", *, err: bool = False) -> None:
    """Print a line on stdout, or on stderr, with control characters escaped."""
    typer.echo(printable(text), err=err)


def say_prose(text: str) -> None:
    """Print sentences on stdout, folded between words on a terminal, which would fold them within; commands are not."""
    if sys.stdout.isatty() and "allophone " not in text and (said := text.lstrip()):
        margin = text[: len(text) - len(said)]
        width = shutil.get_terminal_size().columns
        text = fill(
            said,
            width,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
    say(text)


def tell(text: str) -> None:
    """Print on stderr what is good to know and no error: a notice, a count, the next step; nothing under --quiet."""
    if not is_quiet():
        say(text, err=True)


def hint(text: str) -> None:
    """Print the next step on stdout; nothing under --quiet."""
    if not is_quiet():
        say(text)


def speak(*, quiet: bool | None = None, verbose: bool | None = None) -> None:
    """Set how much is printed; None leaves that as it is."""
    asked = {"quiet": quiet, "verbose": verbose}
    _LEVEL.update({name: wanted for name, wanted in asked.items() if wanted is not None})


def is_quiet() -> bool:
    """Return whether results and errors alone are printed."""
    return _LEVEL["quiet"] and not _LEVEL["verbose"]


def is_verbose() -> bool:
    """Return whether more than usual is printed."""
    return _LEVEL["verbose"]


def printable(text: str) -> str:
    r"""Return text with control characters as escapes, such as ``\x1b``; tabs and newlines stay."""
    return _CONTROL.sub(lambda found: _escape(found.group()), text)


def accept_any_character() -> None:
    r"""Let stdout and stderr escape what their encoding lacks, where they would raise.

    The escapes are those of JSON, so that JSON stays what it is: a console in cp1252 shows Ж as ``\u0416``.
    """
    codecs.register_error(_ESCAPED, _replace)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ESCAPED)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_unit(character) for character in error.object[error.start : error.end]), error.end


def _unit(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)  # a pair of UTF-16, as JSON has it
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
