"""The worst group of utterances: by speaker, by signal-to-noise ratio, or by duration.

A mean over all can hide that every short utterance, or one speaker, fails. Durations and signal-to-noise ratios are cut
into thirds of the utterances; a speaker is a group with 30 reference words or more, for of fewer a rate is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from allophone.arrays import BoolArray, FloatArray
from allophone.errors import SpaceError
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates, resample_ratio

if TYPE_CHECKING:
    from allophone.frontier.recognition import RecognitionRunSummary

__all__ = ["GROUPINGS", "Grouping", "Groups", "find_groups", "group_rates", "group_run", "resample_worst"]

Grouping = Literal["speaker", "snr", "duration"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
LEAST_WORDS = 30
_THIRDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Utterances in groups.

    Args:
        by: What tells them apart.
        names: Of the groups.
        members: Which utterances each holds, shape (n_groups, n_utterances).
    """

    by: Grouping
    names: tuple[str, ...]
    members: BoolArray


def find_groups(
    by: Grouping, speakers: Sequence[str | None], words: FloatArray, duration_s: FloatArray, snr_db: FloatArray | None
) -> Groups:
    """Put utterances into groups.

    Args:
        by: What tells them apart.
        speakers: Of every utterance, or None.
        words: Reference words, shape (n_utterances,).
        duration_s: Seconds, likewise.
        snr_db: Estimated signal-to-noise ratio, NaN where there is none; None where the run has none.

    Raises:
        SpaceError: No speaker is named or has 30 words, no signal-to-noise ratio is known, or all are equal.
    """
    if by == "speaker":
        named = dict.fromkeys(speaker for speaker in speakers if speaker is not None)
        masks = {name: np.array([speaker == name for speaker in speakers]) for name in named}
        masks = {name: mask for name, mask in masks.items() if words[mask].sum() >= LEAST_WORDS}
        if not masks:
            raise SpaceError(
                f"--worst-group speaker: no speaker is named and has {LEAST_WORDS} words. Name speakers in the "
                "manifest."
            )
        return Groups(by, tuple(masks), np.array(list(masks.values())))
    values, unit = (snr_db, "dB") if by == "snr" else (duration_s, "s")
    if values is None or not np.isfinite(values).any():
        raise SpaceError("--worst-group snr: this run knows no signal-to-noise ratio. Sweep again into a new folder.")
    known = np.isfinite(values)
    cuts = np.quantile(values[known], np.arange(1, _THIRDS) / _THIRDS)
    third = np.where(known, np.searchsorted(cuts, values, side="left"), -1)
    masks = {}
    for index in range(_THIRDS):
        mask = third == index
        if words[mask].sum() > 0:
            masks[f"{values[mask].min():.1f} to {values[mask].max():.1f} {unit}"] = mask
    if len(masks) < 2:
        raise SpaceError(f"--worst-group {by}: all utterances are alike in it, so there is no worst group.")
    return Groups(by, tuple(masks), np.array(list(masks.values())))


def group_rates(errors: FloatArray, words: FloatArray, groups: Groups) -> FloatArray:
    """Return errors per word of every point and group, shape (n_points, n_groups)."""
    members = groups.members.astype(np.float64)
    return np.asarray(errors @ members.T / (members @ words))


def resample_worst(errors: FloatArray, words: FloatArray, groups: Groups, resample: Resample) -> Replicates:
    """Return the rate of every point's worst group in every replicate.

    The greatest of several rates is overrated by chance, in the measurement and in the replicates once more, so a limit
    that its upper end keeps is kept by all groups (``benchmarks/statements/statements_objectives.py``).

    Args:
        errors: Shape (n_points, n_utterances).
        words: Shape (n_utterances,).
        groups: By duration or signal-to-noise ratio: speakers are the blocks that are drawn.
        resample: Over the speakers.

    Raises:
        SpaceError: The groups are speakers.
    """
    if groups.by == "speaker":
        raise SpaceError(
            "--worst-group speaker is as measured: the worst of the speakers heard says nothing sure of the worst one "
            "not heard. Leave --confidence out, or use --worst-group snr or duration."
        )
    found = [resample_ratio(errors * mask, words * mask, resample) for mask in groups.members]
    values = np.max([one.inflated() if resample.n_blocks > 1 else one.values for one in found], axis=0)
    estimates = group_rates(errors, words, groups)
    allowances = np.array([np.ones(len(errors)) if one.allowance is None else one.allowance for one in found])
    return Replicates(
        resample,
        estimates.max(axis=1),
        values,
        allowance=allowances.max(axis=0),
        unit=max(one.unit for one in found),
        stretched=values,
    )


def group_run(summary: RecognitionRunSummary, by: Grouping) -> RecognitionRunSummary:
    """Return the run with the word error rate of every point's worst group.

    Args:
        summary: The run.
        by: What tells utterances apart.

    Raises:
        SpaceError: The run does not know it, or error rates are estimated from transcripts of a sample.
    """
    samples = summary.samples
    if samples.transcribed is not None:
        raise SpaceError("--worst-group takes a reference for every utterance. Leave --labels out.")
    groups = find_groups(by, samples.speakers, samples.words, samples.duration_s, samples.snr_db)
    rates = group_rates(samples.errors, samples.words, groups)
    points = tuple(
        replace(point, worst_group_wer=float(row.max())) for point, row in zip(summary.points, rates, strict=True)
    )
    counted = np.bincount(rates.argmax(axis=1), minlength=len(groups.names))
    often = groups.names[int(counted.argmax())]
    notice = f"Worst group by {by}, of {len(groups.names)}: {often} at {counted.max()} of {len(points)} points."
    return replace(summary, points=points, samples=replace(samples, groups=groups), notices=(*summary.notices, notice))
