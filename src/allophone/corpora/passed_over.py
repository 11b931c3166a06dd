"""Skipped files: what lies in a folder of recordings and is no part of the corpus, counted and named."""

from __future__ import annotations

from pathlib import Path

from allophone.unicode_text import as_unicode

__all__ = ["PassedOver"]

_NAMED = 5  # of each kind


class PassedOver:
    """Counts files by the reason why they were passed over.

    Args:
        root: The folder; names are told from there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, path: Path, line: int | None = None) -> None:
        """Note one.

        Args:
            reason: What the files are, to follow their number: ``transcripts that are not UTF-8``.
            path: The file.
            line: In it, where that alone was passed over.
        """
        self._counts[reason] = self._counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        if len(names) < _NAMED:
            below = path.relative_to(self._root) if path.is_relative_to(self._root) else path
            names.append(as_unicode(below.as_posix()) + ("" if line is None else f":{line}"))

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each reason."""
        return tuple(
            f"{count} {reason} passed over: {', '.join(self._names[reason])}{', ...' if count > _NAMED else ''}."
            for reason, count in self._counts.items()
        )
