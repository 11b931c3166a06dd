"""Every error that allophone raises on purpose.

The tree::

    AllophoneError                  exit code 1: something failed while doing what was asked
    ├── UsageError                  exit code 2: what was asked cannot be done as written
    │   ├── SpaceError              an axis, knob value, plan or constraint that does not exist or contradicts another
    │   └── UnknownModelError       a model name that is neither in the dimensions table nor a folder
    ├── AudioError                  a file that cannot be decoded to speech samples
    │   └── AudioTooLongError       one that lasts longer than is allowed
    ├── CorpusError                 a manifest or folder that is not a usable corpus
    ├── WeightsError                weights that are missing, damaged or cannot be fetched
    ├── LedgerError                 a run folder that cannot be read, written or continued
    ├── InfeasibleError             exit code 3: no operating point meets the limits
    ├── LawError                    no law can be fitted that is to be believed
    └── MissingExtraError           an optional dependency that is not installed

A message names the file, the field and the remedy; it is the whole of what a user sees.
"""

from allophone.unicode_text import as_unicode

__all__ = [
    "AllophoneError",
    "AudioError",
    "AudioTooLongError",
    "CorpusError",
    "InfeasibleError",
    "LawError",
    "LedgerError",
    "MissingExtraError",
    "SpaceError",
    "UnknownModelError",
    "UsageError",
    "WeightsError",
]


class AllophoneError(Exception):
    r"""Base of all errors raised on purpose; ``exit_code`` is what the command returns.

    Messages are whole Unicode text, so that they can be written anywhere: bytes of a path that are not UTF-8 stand in
    them as ``\xe9``.
    """

    exit_code = 1

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(as_unicode(part) if isinstance(part, str) else part for part in arguments))


class UsageError(AllophoneError):
    """The request itself is wrong: a flag, a name or a value."""

    exit_code = 2


class SpaceError(UsageError):
    """An axis, knob value, plan or constraint is unknown, impossible or contradicts another."""


class UnknownModelError(UsageError):
    """A model is neither a known name nor a folder with weights."""


class AudioError(AllophoneError):
    """A recording cannot be turned into samples."""


class AudioTooLongError(AudioError):
    """A recording lasts longer than the limit that whoever decodes it has set."""


class CorpusError(AllophoneError):
    """A corpus cannot be read as asked."""


class WeightsError(AllophoneError):
    """Model weights are missing, damaged or cannot be fetched."""


class LedgerError(AllophoneError):
    """A run folder cannot be read, written or continued."""


class InfeasibleError(AllophoneError):
    """No operating point meets the constraints."""

    exit_code = 3


class LawError(AllophoneError):
    """No law can be fitted to the points, or not one that is to be believed."""


class MissingExtraError(AllophoneError):
    """An optional dependency is missing, or installed and broken.

    Args:
        package: The import name that failed.
        extra: The extra of allophone that brings it.
        command: What installs it, as :func:`allophone.extras.install_command` says.
        reason: Why it cannot be loaded though it is installed.
    """

    def __init__(self, package: str, extra: str, command: str, reason: str | None = None) -> None:
        if reason is None:
            super().__init__(f"{package} is not installed. Install it with: {command}")
        else:
            again = command.replace("pip install", "pip install --force-reinstall", 1)
            super().__init__(f"{package} is installed and cannot be loaded: {reason}. Install it again with: {again}")
        self.package = package
        self.extra = extra
