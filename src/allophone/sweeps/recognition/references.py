"""Pseudo-references: a model's own transcripts at full context, for corpora without any."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from allophone.corpora.corpus import Corpus
from allophone.errors import CorpusError, LedgerError
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.recognition.executor import LocalExecutor
from allophone.sweeps.recognition.worker import Settings, Task

__all__ = ["reference_point", "require_references", "transcribe_references", "with_references"]

REFERENCES_FILE = "references.jsonl"


def reference_point(model: str) -> OperatingPoint:
    """Return the point whose transcripts stand in for references: full context, every audio token, five beams."""
    return OperatingPoint(model=model, context="full", beam_size=5)


def require_references(corpus: Corpus) -> None:
    """Check that every utterance has a transcript.

    Raises:
        CorpusError: One has none; the message names it and the remedy.
    """
    for utterance in corpus:
        if utterance.text is None:
            raise CorpusError(
                f"{corpus.path}: utterance '{utterance.id}' has no reference (field 'text'). Add it, write \"\" where "
                "nothing is said, or measure relative to a model with --reference-model base."
            )


def transcribe_references(
    corpus: Corpus,
    n_utterances: int,
    point: OperatingPoint,
    folder: Path,
    settings: Settings,
    progress: Callable[[int], None],
) -> None:
    """Transcribe the corpus at ``point`` into ``references.jsonl``; a second call continues where the first stopped.

    Raises:
        LedgerError: The folder cannot be written.
    """
    path = folder / REFERENCES_FILE
    done = sum(1 for _ in _read(path))
    if done >= n_utterances:
        return

    def tasks() -> Iterator[tuple[tuple[str, str], Task]]:
        for index, utterance in enumerate(corpus):
            if index >= done:
                yield point.weights_key, Task(index, replace(utterance, text=""), (point,))

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as lines, LocalExecutor(settings) as executor:
            for result in executor.run(tasks()):
                row = result.rows[0]
                text = row.hypothesis if row.error is None else None
                lines.write(json.dumps({"index": result.index, "text": text}, ensure_ascii=False) + "\n")
                lines.flush()
                progress(result.index + 1)
    except OSError as error:
        raise LedgerError(f"{path}: cannot be written: {error.strerror}. Choose another --out.") from None


def with_references(corpus: Corpus, folder: Path) -> Iterator[Utterance]:
    """Yield the corpus with the transcripts of ``references.jsonl`` in place of its own; None where there is none."""
    for utterance, text in zip(corpus, _read(folder / REFERENCES_FILE), strict=True):
        yield replace(utterance, text=text)


def _read(path: Path) -> Iterator[str | None]:
    if not path.exists():
        return
    keep = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):  # torn by a kill
                break
            keep += len(line)
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError, RecursionError):
                raise LedgerError(
                    f"{path}: line {number} is damaged. Restore the file, or delete it: the same sweep makes it again."
                ) from None
            yield None if text is None else str(text)
    if keep < path.stat().st_size:
        with path.open("rb+") as file:
            file.truncate(keep)
