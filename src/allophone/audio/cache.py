"""The folder for what is made or joined once: demo corpus, two-part weights, fetched data sets."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return ``$ALLOPHONE_CACHE``, or ``allophone`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; it may not exist yet."""
    if own := os.environ.get("ALLOPHONE_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "allophone"
    return Path.home() / ".cache" / "allophone"
