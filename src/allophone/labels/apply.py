"""Applying human transcripts of a few utterances to a run that is relative to a big model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import cast

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import UsageError
from allophone.frontier.recognition import RecognitionRunSummary, relative_notice
from allophone.labels.draw import DRAW_FILE, Draw, read_draw, read_hypotheses, require_relative
from allophone.labels.estimate import estimate_error_rates
from allophone.labels.sampling import inclusion_probabilities
from allophone.labels.transcripts import Transcripts, read_transcripts
from allophone.measure.blocks import draw_blocks
from allophone.measure.linearised import Linearised
from allophone.measure.wer import Normalizer, count_word_errors
from allophone.records.names import title_of

__all__ = ["apply_transcripts", "refuse_policies"]


def apply_transcripts(summary: RecognitionRunSummary, folder: Path, csv: Path) -> RecognitionRunSummary:
    """Return a summarised run whose error rates are WER against human transcripts, estimated from a sample of them.

    The run itself is not changed. The run's normaliser is used. What was skipped, and the digest of the file, stand in
    the notices.

    Args:
        summary: The run, summarised; relative to a model.
        folder: Its folder, which holds the draw.
        csv: The filled file.

    Raises:
        UsageError: The run has references of its own, was never drawn from, or the file cannot be used.
        LedgerError: The draw is damaged.
    """
    relative_to = require_relative(summary.run, folder)
    draw = read_draw(folder)
    if draw is None:
        raise UsageError(f"{folder}: holds no {DRAW_FILE}: draw first with 'allophone label {folder} --budget 30'.")
    measured = {name: index for index, name in enumerate(summary.samples.utterances)}
    if draw.fingerprint != summary.run.fingerprint or not measured.keys() <= set(draw.utterances):
        raise UsageError(
            f"{folder}: {len(measured.keys() - set(draw.utterances))} utterances were measured after the draw, so it "
            f"does not stand for them. Delete {DRAW_FILE} and run 'allophone label' again once the sweep is through."
        )
    transcripts = read_transcripts(csv, draw.utterances)
    names, probabilities = _drawn(draw, transcripts)
    kept = np.array([name in measured for name in names])
    names, probabilities = [name for name, keep in zip(names, kept, strict=True) if keep], probabilities[kept]
    if not names:
        raise UsageError(f"{csv}: not one of its transcripts is of an utterance that all points were measured on.")
    transcribed = _estimate(summary, folder, transcripts, names, probabilities)
    points = tuple(
        replace(point, wer=float(rate), cer=nan, error_share=nan, p_worse=nan)
        for point, rate in zip(summary.points, transcribed.estimates, strict=True)
    )
    others = tuple(notice for notice in summary.notices if notice != relative_notice(relative_to))
    return replace(
        summary,
        run=summary.run.model_copy(update={"relative_to": None}),
        points=points,
        notices=(*_notices(draw, transcripts, names, relative_to, len(measured)), *others),
        samples=replace(summary.samples, transcribed=transcribed, characters=None, character_errors=None),
        transcripts_sha256=transcripts.sha256,
    )


def refuse_policies(policies: Sequence[Path]) -> None:
    """Refuse policies beside transcripts: what a policy would have kept is replayed from the run's own errors.

    Raises:
        UsageError: There is a policy.
    """
    if policies:
        raise UsageError("--policy: a policy cannot be judged by --labels yet. Leave out one of the two.")


def _drawn(draw: Draw, transcripts: Transcripts) -> tuple[list[str], FloatArray]:
    """Transcribed utterances by priority, with their inclusion probabilities in a sample that ends at the last."""
    ranked = draw.ranked()
    names = [name for name in ranked if name in transcripts.texts]
    probabilities = inclusion_probabilities(draw.priorities(), np.array(draw.sizes), ranked.index(names[-1]) + 1)
    indices = {name: index for index, name in enumerate(draw.utterances)}
    return names, probabilities[[indices[name] for name in names]]


def _estimate(
    summary: RecognitionRunSummary, folder: Path, transcripts: Transcripts, names: list[str], probabilities: FloatArray
) -> Linearised:
    samples = summary.samples
    indices = {name: index for index, name in enumerate(samples.utterances)}
    normalizer = cast(Normalizer, summary.run.normalizer)
    texts = read_hypotheses(folder, names)
    counts = [
        [count_word_errors(transcripts.texts[name], texts[name].of[point], normalizer) for name in names]
        for point in samples.points
    ]
    return estimate_error_rates(
        samples.errors,
        samples.words,
        np.array([indices[name] for name in names], dtype=np.intp),
        np.array([[count.errors for count in row] for row in counts], dtype=np.float64),
        np.array([count.reference_words for count in counts[0]], dtype=np.float64),
        probabilities,
        draw_blocks(samples.speakers, n_replicates=1).blocks,
    )


def _notices(
    draw: Draw, transcripts: Transcripts, names: list[str], relative_to: str, n_utterances: int
) -> tuple[str, ...]:
    ranked = draw.ranked()
    drawn = set(ranked[: ranked.index(names[-1]) + 1])
    skipped = len(drawn) - len(names)
    later = len([name for name in transcripts.empty if name not in drawn])
    notices = [
        f"WER is estimated from {len(names)} human transcripts ({transcripts.path}, sha256 {transcripts.sha256[:12]}) "
        f"and {title_of(relative_to)}'s of all {n_utterances} utterances, by prediction-powered inference; S/D/I "
        f"are still against {title_of(relative_to)}'s."
    ]
    if skipped:
        notices.append(
            f"{skipped} utterances drawn before the last transcribed one have no transcript: skipped as if at random. "
            "If they were hard to hear, the estimate is too good."
        )
    if later:
        notices.append(f"{later} empty lines behind the last transcript were skipped: the sample ends before them.")
    return tuple(notices)
