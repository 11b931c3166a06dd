"""Two questions of emotion recognition: is there a best duration, and does depth beat rank at equal size.

UAR over durations need not rise for ever: the published optimum lies between the shortest and the longest. Choosing the
best of several measured durations and testing it as if it had been named beforehand would find optima in noise, so:

- the *longest is best* when it is surely better than every shorter one;
- there is an *optimum* when some shorter duration is surely better than the longest, each at ``1 - (1 - confidence) /
  (k - 1)`` for ``k`` durations (Bonferroni), and of these the one with the highest UAR is named;
- there is a *plateau* from the shortest duration than which no longer one is better by the margin, each surely;
- otherwise it is *undecided*.

Settings that differ in nothing but duration form an arm; arms that have all durations of the base point's arm are
averaged. Depth (unfrozen layers) and rank (adapters) are compared between settings of one model and duration that have
one of the two only. Equal size means trained parameters within a factor of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log2
from typing import Literal

import numpy as np

from allophone.frontier.emotion_samples import EmotionSamples, FloatArray, resample_emotion
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Interval
from allophone.records.point import EmotionSetting

__all__ = ["DepthPair", "DurationAnswer", "DurationVerdict", "ask_depth", "ask_duration"]

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
    whole = [arm for arm in arms.values() if set(durations) <= set(arm)]
    found = resample_emotion(samples, "uar_loss", resample)
    places = np.array([[arm[duration] for duration in durations] for arm in whole])
    uars, drawn = 1 - found.estimates[places].mean(axis=0), 1 - found.widened()[:, places].mean(axis=1)
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
    found = resample_emotion(samples, "uar_loss", resample)
    drawn, sizes = found.widened(), [costs.trainable_params for costs in samples.training]
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
