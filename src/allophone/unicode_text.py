"""Valid Unicode from any text: file names are bytes, and not all of them are text."""

from __future__ import annotations

__all__ = ["as_unicode"]


def as_unicode(text: str) -> str:
    r"""Return a text or path as whole Unicode text: a byte that is not UTF-8, half of a pair in Python, as ``\xe9``."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a UTF-16 pair that stands for no byte
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
