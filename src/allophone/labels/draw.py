"""Sampling order of a run: in which order transcripts are wanted, kept in ``labelling.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import BaseModel, ConfigDict

from allophone.arrays import FloatArray
from allophone.errors import LedgerError, UsageError
from allophone.files import read_record, write_whole
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.labels.sampling import disagreement, priorities, sample_sizes
from allophone.ledger.race_record import race_ended
from allophone.ledger.readers import connect
from allophone.ledger.run_record import RecognitionRunRecord
from allophone.measure.wer import Normalizer, load_normalizer
from allophone.records.names import find_named

__all__ = ["DRAW_FILE", "Draw", "Hypotheses", "draw_utterances", "read_draw", "read_hypotheses", "require_relative"]

DRAW_FILE = "labelling.json"
_VERSION = 1
_REMEDY = "Restore it, or delete it and run 'allophone label' again; transcripts then fit only if the draw is the same."


class Draw(BaseModel):
    """What the transcripts of a run were drawn by; it is written once and not changed, so that transcripts stay valid.

    ``sizes`` are what inclusion probabilities are proportional to, one for each of ``utterances``, by the disagreement
    of ``points`` and of the model that the run is relative to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = _VERSION
    fingerprint: str
    seed: int
    points: list[str]
    utterances: list[str]
    sizes: list[float]

    def priorities(self) -> FloatArray:
        """Priority of every utterance, shape (n_utterances,); see :mod:`allophone.labels.sampling`."""
        return priorities(self.utterances, np.array(self.sizes), self.seed)

    def ranked(self) -> list[str]:
        """Ids of all utterances, the first to be transcribed first."""
        return [self.utterances[index] for index in np.argsort(self.priorities(), kind="stable")]


def require_relative(run: RecognitionRunRecord, folder: Path) -> str:
    """Return the point whose transcripts stand in for references.

    Raises:
        UsageError: The run has references of its own.
    """
    if run.relative_to is None:
        raise UsageError(
            f"{folder}: has references of its own, so its error rates are WER already and no transcripts are needed: "
            f"allophone recommend {folder}"
        )
    return run.relative_to


def draw_utterances(
    summary: RecognitionRunSummary, folder: Path, points: Sequence[str] | None = None, seed: int | None = None
) -> Draw:
    """Return the run's draw; the first call makes it and keeps it in the run.

    Args:
        summary: The run, summarised.
        folder: The run folder.
        points: Names of the points to decide between; all that are measured where None.
        seed: Fixes the draw; that of the draw in the folder, or 0, where None.

    Raises:
        UsageError: The run is not relative to a model or not finished, does not hold a named point, or was drawn
            differently before.
        LedgerError: The folder cannot be written, or the draw in it is damaged.
    """
    require_relative(summary.run, folder)
    measured = [point.point for point in summary.points]
    asked = find_named(points, measured, f"--points: {folder}") if points else measured
    named = list(dict.fromkeys(point.name for point in asked))
    found = read_draw(folder)
    if found is not None:
        _check_same(found, folder, named if points else found.points, found.seed if seed is None else seed)
        return found
    utterances = summary.samples.utterances
    if len(utterances) + len(summary.failures) < summary.run.n_utterances and not race_ended(folder):
        raise UsageError(
            f"{folder}: {len(utterances)} of {summary.run.n_utterances} utterances are measured at every point, and a "
            "draw now would stand for these alone. Let the sweep go on to its end first."
        )
    texts = read_hypotheses(folder, utterances)
    normalise = load_normalizer(cast(Normalizer, summary.run.normalizer))
    apart = np.array(
        [
            disagreement([normalise(texts[name].reference), *(normalise(texts[name].of[p]) for p in named)])
            for name in utterances
        ]
    )
    sizes = sample_sizes(apart, summary.samples.words)
    draw = Draw(
        fingerprint=summary.run.fingerprint,
        seed=seed or 0,
        points=named,
        utterances=list(utterances),
        sizes=sizes.tolist(),
    )
    write_whole(folder / DRAW_FILE, draw.model_dump_json() + "\n")
    return draw


def read_draw(folder: Path) -> Draw | None:
    """Return the draw that a run holds, or None.

    Raises:
        LedgerError: It is damaged.
    """
    path = folder / DRAW_FILE
    if not path.exists():
        return None
    draw = read_record(path, Draw, _VERSION, _REMEDY, error=LedgerError, unreadable=LedgerError)
    if len(draw.sizes) != len(draw.utterances) or not all(size > 0 for size in draw.sizes):
        raise LedgerError(f"{path}: field 'sizes' does not hold a positive number for every utterance. {_REMEDY}")
    return draw


def _check_same(found: Draw, folder: Path, points: list[str], seed: int) -> None:
    if seed == found.seed and Counter(points) == Counter(found.points):
        return
    raise UsageError(
        f"{folder / DRAW_FILE}: drawn with seed {found.seed} for {', '.join(found.points)}, and now asked for with "
        f"seed {seed} for {', '.join(points)}. Ask for the same (a larger --budget goes on where the smaller ended), "
        "or delete that file to draw anew: transcripts made for the old draw then no longer count."
    )


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """What was recognised in one utterance.

    Args:
        reference: The big model's transcript.
        of: Hypothesis by name of the point.
    """

    reference: str
    of: dict[str, str]


def read_hypotheses(folder: Path, utterances: Sequence[str]) -> dict[str, Hypotheses]:
    """Read what every point and the big model recognised in some utterances, by id.

    Raises:
        LedgerError: Not a run, or nothing measured.
    """
    found: dict[str, Hypotheses] = {}
    with connect(folder) as connection:
        connection.execute("CREATE TEMP TABLE wanted AS SELECT unnest(?) AS id", [list(utterances)])
        rows = connection.execute(
            "SELECT utterance_id, point, reference, hypothesis FROM measurements "
            "WHERE error IS NULL AND utterance_id IN (SELECT id FROM wanted)"
        ).fetchall()
    for name, point, reference, hypothesis in rows:
        found.setdefault(name, Hypotheses(reference, {})).of[point] = hypothesis
    return found
