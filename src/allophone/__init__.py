"""allophone: spend speech compute where it buys accuracy."""

from allophone.version import __version__

__all__ = ["__version__"]
