"""Keys that clients show, kept as digests."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from allophone.errors import UsageError

__all__ = ["ApiKeys", "add_key", "read_keys"]

_LINE = re.compile(r"sha256:([0-9a-f]{64})(?:\s+#.*)?")
_PREFIX = "allo-"


class ApiKeys:
    """The keys that are let in.

    Args:
        digests: SHA-256 of each, as hexadecimal. Keys are random and long, so a slow hash would add nothing.
    """

    def __init__(self, digests: Sequence[str]) -> None:
        self._digests = tuple(digests)

    def knows(self, authorization: str | None) -> bool:
        """Return whether an ``Authorization`` header shows one of the keys; all are compared, each in constant time.

        Args:
            authorization: The header, or None.
        """
        scheme, _, key = (authorization or "").partition(" ")
        shown = sha256(key.strip().encode("utf-8", "surrogateescape")).hexdigest()
        found = [compare_digest(shown, digest) for digest in self._digests]
        return scheme.lower() == "bearer" and any(found)


def read_keys(path: Path) -> ApiKeys:
    """Read a file of keys: a line each, ``sha256:`` and the digest, perhaps a comment behind ``#``.

    Raises:
        UsageError: The file is missing, holds no key, or a line is something else, such as a key itself.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}). --new-api-key makes such a file.") from None
    digests = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise UsageError(
                f"{path}: line {number}: not 'sha256:' and 64 hexadecimal digits. Keys themselves do not belong into "
                "the file: --new-api-key adds the digest of a new one."
            )
        digests.append(found[1])
    if not digests:
        raise UsageError(f"{path}: holds no key. --new-api-key adds one.")
    return ApiKeys(digests)


def add_key(path: Path) -> str:
    """Make a random key, append its digest to a file, and return the key, which is written nowhere."""
    key = _PREFIX + secrets.token_urlsafe(32)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"sha256:{sha256(key.encode()).hexdigest()}\n")
    return key
