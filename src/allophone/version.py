"""The package version, alone in its file so that importing it costs nothing."""

__version__ = "0.1.0"
