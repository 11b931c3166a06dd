"""Optional dependencies: what their import raises becomes one error that says how to install them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from allophone.errors import MissingExtraError

__all__ = ["importing", "install_command"]

_ROOT = Path(__file__).resolve().parents[2]  # of a checkout, where the package lies in src
_EXTRA = re.compile(r";.*\bextra\s*==\s*['\"]([\w-]+)['\"]")


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
        raise MissingExtraError((error.name or package).partition(".")[0], extra, install_command(extra)) from None
    except (ImportError, OSError, RuntimeError, AttributeError, SyntaxError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MissingExtraError(package, extra, install_command(extra), reason or type(error).__name__) from None


def install_command(extra: str, root: Path = _ROOT) -> str:
    """Return what installs an extra's packages: from the checkout that runs, or else what the installed wheel requires.

    The package's own name is never asked for, since no index is known to hold it.

    Args:
        extra: The extra.
        root: Where the checkout would lie.
    """
    if (root / "pyproject.toml").is_file() and (root / "src" / "allophone").is_dir():
        return f"pip install {shlex.quote(f'{root}[{extra}]')}"
    try:
        listed = requires("allophone") or []
    except PackageNotFoundError:
        listed = []
    wanted = [line.partition(";")[0].strip() for line in listed if (found := _EXTRA.search(line)) and found[1] == extra]
    return f"pip install {shlex.join(wanted)}" if wanted else f"pip install '.[{extra}]' in a checkout of allophone"
