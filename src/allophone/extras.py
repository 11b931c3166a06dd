"""Optional dependencies: what their import raises becomes one error that says how to install them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from allophone.errors import MissingExtraError

__all__ = ["importing"]


@contextmanager
def importing(package: str, extra: str) -> Iterator[None]:
    """Import within this block what an extra brings.

    A broken installation raises anything: a shared library that is missing is an OSError or an ImportError, one built
    for other versions a RuntimeError, half a package an AttributeError.

    Args:
        package: What is named where the error does not name it.
        extra: The extra of allophone that brings it.

    Raises:
        MissingExtraError: It is not installed, or cannot be loaded.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError((error.name or package).partition(".")[0], extra) from None
    except (ImportError, OSError, RuntimeError, AttributeError, SyntaxError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MissingExtraError(package, extra, reason or type(error).__name__) from None
