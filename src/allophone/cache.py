"""The cache folder: demo corpus, two-part weights, fetched data sets."""

from __future__ import annotations

import os
from pathlib import Path

from allophone.errors import UsageError

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return ``$ALLOPHONE_CACHE``, or ``allophone`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; it may not exist yet.

    Raises:
        UsageError: None of the two is set, and the user has no home, as in some containers.
    """
    if own := os.environ.get("ALLOPHONE_CACHE"):
        return Path(os.path.expanduser(own))
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(os.path.expanduser(shared)) / "allophone"
    home = os.path.expanduser("~")
    if home == "~":
        raise UsageError("there is no home folder for the cache. Set ALLOPHONE_CACHE to a folder that may be written.")
    return Path(home) / ".cache" / "allophone"
