"""Opening a corpus by its name: a JSONL manifest, a folder, or a Hugging Face data set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from allophone.corpora.folders import read_folder
from allophone.corpora.hub_dataset import HUB_PREFIX, fetch_dataset
from allophone.corpora.manifest import read_manifest
from allophone.corpora.passed_over import PassedOver
from allophone.errors import CorpusError, UsageError
from allophone.records.utterance import Utterance

__all__ = ["Corpus", "CorpusSummary", "open_corpus"]


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """What one pass over a corpus found.

    Args:
        source: The corpus as the user named it.
        fingerprint: SHA-256 over ids, transcripts, labels, speakers, the sizes of the recordings and the parts of them
            that are meant, in order: equal corpora have equal fingerprints wherever they lie.
        n_utterances: How many.
        n_references: How many have a transcript (an empty transcript is one: it says that nothing was said).
        n_speakers: How many different speakers are named.
        duration_s: Sum of the stated durations, or None where some utterance states none.
        notices: What lies in its folder and is no part of it, one sentence each.
    """

    source: str
    fingerprint: str
    n_utterances: int
    n_references: int
    n_speakers: int
    duration_s: float | None
    notices: tuple[str, ...] = ()


class Corpus:
    """Utterances, read from disk each time they are iterated; memory does not grow with their audio.

    Args:
        source: The corpus as the user named it.
        path: The manifest or the folder.
    """

    def __init__(self, source: str, path: Path) -> None:
        self.source = source
        self.path = path

    def __iter__(self) -> Iterator[Utterance]:
        """Yield the utterances in their fixed order."""
        return self._read(PassedOver(self.path))

    def _read(self, passed_over: PassedOver) -> Iterator[Utterance]:
        return read_folder(self.path, passed_over) if self.path.is_dir() else read_manifest(self.path)

    def scan(self) -> CorpusSummary:
        """Read the whole corpus once, audio left out, and check it.

        Raises:
            CorpusError: It is empty, an id occurs twice, or a line cannot be read.
        """
        digest = sha256()
        seen: set[bytes] = set()
        speakers: set[str] = set()
        n_utterances = n_references = 0
        duration_s: float | None = 0.0
        passed_over = PassedOver(self.path)
        for utterance in self._read(passed_over):
            key = sha256(utterance.id.encode()).digest()[:12]
            if key in seen:
                raise CorpusError(
                    f"{self.path}: id '{utterance.id}' occurs twice. Give every utterance an id of its own."
                )
            seen.add(key)
            try:
                size = utterance.audio_filepath.stat().st_size
            except OSError:
                size = -1  # reported when its turn comes; the fingerprint still notices when it appears
            fields: list[object] = [utterance.id, utterance.text, utterance.label, utterance.speaker, size]
            if utterance.offset_s is not None:
                fields += [utterance.offset_s, utterance.duration_s]
            line = json.dumps(fields)
            digest.update(line.encode() + b"\n")
            n_utterances += 1
            n_references += utterance.text is not None
            if utterance.speaker is not None:
                speakers.add(utterance.speaker)
            if duration_s is not None:
                duration_s = None if utterance.duration_s is None else duration_s + utterance.duration_s
        if n_utterances == 0:
            found = "".join(f" ({sentence.removesuffix('.')})" for sentence in passed_over.sentences())
            raise CorpusError(
                f"{self.path}: holds no utterance{found}. Give a manifest with lines, or a folder with recordings."
            )
        return CorpusSummary(
            source=self.source,
            fingerprint=digest.hexdigest(),
            n_utterances=n_utterances,
            n_references=n_references,
            n_speakers=len(speakers),
            duration_s=duration_s,
            notices=passed_over.sentences(),
        )


def open_corpus(source: str | Path) -> Corpus:
    """Open a corpus: a ``.jsonl`` manifest, a folder (its ``manifest.jsonl`` where it has one), or ``hf:NAME?...``.

    Raises:
        UsageError: There is no such file or folder, or it is neither.
        MissingExtraError: ``hf:`` without the extra ``datasets``.
    """
    if isinstance(source, str) and source.startswith(HUB_PREFIX):
        return Corpus(source, fetch_dataset(source))
    path = Path(source).expanduser()
    if path.is_dir():
        manifest = path / "manifest.jsonl"
        return Corpus(str(source), manifest if manifest.is_file() else path)
    if path.is_file():
        if path.suffix.lower() not in {".jsonl", ".json", ".ndjson"}:
            raise UsageError(
                f"{path}: not a manifest (.jsonl) and not a folder. Give one of these, or hf:NAME?split=..."
            )
        return Corpus(str(source), path)
    raise UsageError(
        f"{path}: no such file or folder. Give a .jsonl manifest, a folder of recordings, or hf:NAME?split=..."
    )
