"""Decoding errors: whatever a library raises on one recording becomes an error of that recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from allophone.errors import AllophoneError, AudioError

__all__ = ["as_audio_error", "reason_of"]


@contextmanager
def as_audio_error(name: str) -> Iterator[None]:
    """Raise an AudioError in place of whatever a library raises in the block; the package's own errors pass.

    A recording must not end the batch or the run that it is part of, and a library's exceptions are its own business:
    MemoryError, RuntimeError, ZeroDivisionError, UnicodeError have all been seen.

    Args:
        name: The recording, as messages call it.

    Raises:
        AudioError: The block raised what is no :class:`allophone.errors.AllophoneError`.
    """
    try:
        yield
    except AllophoneError:
        raise
    except MemoryError:
        raise AudioError(f"{name}: does not fit into memory. Cut it into parts, or free memory.") from None
    except Exception as error:
        raise AudioError(f"{name}: cannot be processed ({type(error).__name__}: {reason_of(error)}).") from error


def reason_of(error: BaseException) -> str:
    """Return an exception's reason for the brackets of a message."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return (text[:1].lower() + text[1:]).rstrip(".") or type(error).__name__
