"""Diagnosis of an emotion run at one point: what binds, what is wasted, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import inf, log2
from pathlib import Path
from typing import Literal

import numpy as np

from allophone.arrays import FloatArray
from allophone.diagnosis.advice import answer_emotion_questions
from allophone.diagnosis.axes import EMOTION_AXES
from allophone.diagnosis.point import PointDiagnosis, diagnose_point
from allophone.frontier.emotion import EmotionPointSummary, EmotionRunSummary, EmotionSamples
from allophone.measure.blocks import Resample
from allophone.measure.intervals import Interval
from allophone.records.point import EmotionSetting

__all__ = [
    "DepthPair",
    "DurationAnswer",
    "DurationVerdict",
    "EmotionDiagnosis",
    "ask_depth",
    "ask_duration",
    "diagnose_emotion",
]

DurationVerdict = Literal["longest", "optimum", "plateau", "undecided"]
EQUAL_SIZE = 2.0


@dataclass(frozen=True, slots=True)
class DurationAnswer:
    """What UAR does over the durations of an arm.

    Args:
        durations_s: Measured durations, shortest first.
        uars: UAR at each, with intervals, the mean over arms.
        longer: Share of the recordings that are longer than each.
        arms: How many arms were averaged.
        verdict: See the module.
        at_s: The optimum, where the plateau begins, or the longest; None where undecided.
        over_longest: UAR there minus that of the longest; None where undecided or the longest itself.
        p: Probability that the verdict is read from: of the optimum over the longest, of the longest over the best of
            the others, or of no longer duration being better by the margin. Where undecided: that the longest is not
            the best of all.
    """

    durations_s: tuple[float, ...]
    uars: tuple[Interval, ...]
    longer: tuple[float, ...]
    arms: int
    verdict: DurationVerdict
    at_s: float | None
    over_longest: Interval | None
    p: float


@dataclass(frozen=True, slots=True)
class DepthPair:
    """A setting that only unfreezes layers beside one that only has adapters, of one model and duration.

    Args:
        depth: Name of the first.
        rank: Name of the second.
        size_ratio: Trained parameters of the first over those of the second.
        gain: UAR of the first minus that of the second.
        p_depth: Probability that the first is better.
    """

    depth: str
    rank: str
    size_ratio: float
    gain: Interval
    p_depth: float

    @property
    def equal_size(self) -> bool:
        """Whether both train about as many parameters."""
        return abs(log2(self.size_ratio)) <= log2(EQUAL_SIZE)


def ask_duration(
    samples: EmotionSamples,
    points: Sequence[EmotionSetting],
    base: int,
    resample: Resample,
    confidence: float,
    margin: float,
) -> DurationAnswer | None:
    """Answer whether there is a best duration; None with fewer than three durations beside the base point's others.

    Args:
        samples: The measurements.
        points: All measured points, in the samples' order.
        base: Index of the base point.
        resample: Blocks over the samples' speakers.
        confidence: Probability from which something is sure.
        margin: What counts as no gain, as a fraction.
    """
    arms: dict[tuple[object, ...], dict[float, int]] = {}
    for index, point in enumerate(points):
        arms.setdefault(_arm(point), {})[point.duration_s] = index
    durations = sorted(arms[_arm(points[base])])
    if len(durations) < 3:
        return None
    whole = [axis_slice for axis_slice in arms.values() if set(durations) <= set(axis_slice)]
    found = samples.resample(samples.quality, resample)
    indices = np.array([[axis_slice[duration] for duration in durations] for axis_slice in whole])
    uars, drawn = 1 - found.estimates[indices].mean(axis=0), 1 - found.inflated()[:, indices].mean(axis=1)
    verdict, at, p = _judge(uars, drawn, confidence, margin)
    over = None
    if at is not None and at < len(durations) - 1:
        over = _interval(drawn[:, at] - drawn[:, -1], float(uars[at] - uars[-1]), confidence)
    return DurationAnswer(
        durations_s=tuple(durations),
        uars=tuple(
            _interval(
                np.clip(drawn[:, i], 0, 1), float(uars[i]), confidence
            )  # few speakers widen it beyond what can be
            for i in range(len(durations))
        ),
        longer=tuple(float((samples.duration_s > duration).mean()) for duration in durations),
        arms=len(whole),
        verdict=verdict,
        at_s=None if at is None else durations[at],
        over_longest=over,
        p=p,
    )


def ask_depth(
    samples: EmotionSamples, points: Sequence[EmotionSetting], resample: Resample, confidence: float
) -> tuple[DepthPair, ...]:
    """Compare depth with rank: all pairs of equal size, or where there is none the pair nearest to it.

    Args:
        samples: The measurements.
        points: All measured points, in the samples' order.
        resample: Blocks over the samples' speakers.
        confidence: Level of the intervals.
    """
    found = samples.resample(samples.quality, resample)
    drawn, sizes = found.inflated(), [costs.trainable_params for costs in samples.training]
    pairs = []
    for i, deep in enumerate(points):
        for j, ranked in enumerate(points):
            alone = deep.unfrozen_layers and not deep.lora_rank and ranked.lora_rank and not ranked.unfrozen_layers
            if not alone or (deep.model, deep.duration_s) != (ranked.model, ranked.duration_s):
                continue
            gains = drawn[:, j] - drawn[:, i]  # losses, so the other way round
            gain = _interval(gains, float(found.estimates[j] - found.estimates[i]), confidence)
            pairs.append(DepthPair(deep.name, ranked.name, sizes[i] / sizes[j], gain, _share(gains > 0, gains)))
    pairs.sort(key=lambda pair: abs(log2(pair.size_ratio)))
    equal = [pair for pair in pairs if pair.equal_size]
    return tuple(equal or pairs[:1])


def _judge(
    uars: FloatArray, drawn: FloatArray, confidence: float, margin: float
) -> tuple[DurationVerdict, int | None, float]:
    last = len(uars) - 1
    if np.isnan(drawn).any():  # one block shows no spread
        return "undecided", None, float("nan")
    over_last = [_share(drawn[:, i] > drawn[:, last], drawn[:, i]) for i in range(last)]
    under_last = [_share(drawn[:, i] < drawn[:, last], drawn[:, i]) for i in range(last)]
    if min(under_last) >= confidence:
        return "longest", last, min(under_last)
    sure = [i for i in range(last) if over_last[i] >= 1 - (1 - confidence) / last]
    if sure:
        best = max(sure, key=lambda i: float(uars[i]))
        return "optimum", best, over_last[best]
    for i in range(last):
        no_gain = [_share(drawn[:, j] - drawn[:, i] < margin, drawn[:, i]) for j in range(i + 1, last + 1)]
        if min(no_gain) >= confidence:
            return "plateau", i, min(no_gain)
    return "undecided", None, float((drawn.argmax(axis=1) < last).mean())


def _arm(point: EmotionSetting) -> tuple[object, ...]:
    return (point.model, point.lora_rank, point.unfrozen_layers)


def _share(holds: np.typing.NDArray[np.bool_], drawn: FloatArray) -> float:
    known = ~np.isnan(drawn)
    return float(holds[known].mean()) if known.any() else float("nan")


def _interval(drawn: FloatArray, estimate: float, confidence: float) -> Interval:
    ranked = np.sort(drawn[~np.isnan(drawn)])
    if not ranked.size:
        return Interval(-inf, inf, confidence, estimate)
    last, tail = len(ranked) - 1, (1 - confidence) / 2
    low, high = ranked[int(np.floor(tail * last))], ranked[int(np.ceil((1 - tail) * last))]
    return Interval(float(low), float(high), confidence, estimate)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmotionDiagnosis(PointDiagnosis):
    """Everything about one point of an emotion run; changes are of one minus the UAR, so that lower is better.

    Adapters and unfrozen layers cost nothing at inference, so that under a cost of inference a better one is free;
    ``training_gflops`` and ``trainable_params`` price them.

    Args:
        duration: Whether there is a best duration; None with fewer than three.
        depth: Depth against rank; empty where no pair is measured.
    """

    run: EmotionRunSummary
    base: EmotionPointSummary
    duration: DurationAnswer | None
    depth: tuple[DepthPair, ...]


def diagnose_emotion(
    folder: Path, run: EmotionRunSummary, point: str | None, cost: str, confidence: float, margin: float
) -> EmotionDiagnosis:
    """Diagnose one point of a run of emotion recognition; see :func:`allophone.diagnosis.diagnose.diagnose`.

    Args:
        folder: The run folder.
        run: The same, summarised.
        point: Name of a measured point, or None.
        cost: Name of what is spent.
        confidence: Probability from which something is sure.
        margin: What counts as no gain or no loss, as a fraction.
    """
    found = diagnose_point(folder, run, point, cost, confidence, margin, EMOTION_AXES)
    points = [summary.point for summary in run.points]
    base = [summary.name for summary in run.points].index(found.base.name)
    trains_more = {other.name for other in run.points if other.trainable_params > run.points[base].trainable_params}
    answers = answer_emotion_questions(found.axes, found.status, trains_more, confidence)
    common = {field.name: getattr(found, field.name) for field in fields(found)}
    return EmotionDiagnosis(
        **common | {"answers": answers},
        duration=ask_duration(run.samples, points, base, found.resample, confidence, margin),
        depth=ask_depth(run.samples, points, found.resample, confidence),
    )
