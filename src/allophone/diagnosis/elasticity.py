"""Elasticity of one axis: the change of the error rate per doubling of cost, all else equal.

Points that differ in one axis only form an arm. A pair of an arm has a change of the error rate, lower is better, and
a distance in doublings of cost, ``log2`` of the cost ratio. Over one pair the elasticity is their quotient; over
several it is the least-squares slope through the origin, ``sum(change · doublings) / sum(doublings²)``. All of it is
computed in every replicate of the paired, speaker-blocked bootstrap, widened for few speakers, and the intervals and
probabilities are shares of replicates. They are not corrected for the number of pairs looked at.

What that leaves open is decided here:

- costs within one percent of each other, or whose order is less sure than the confidence, count as equal: the pair
  then has a change but no elasticity, and a sure improvement is free;
- in a replicate that turns the order of two costs round, the distance is 0 and the quotient infinite: where costs can
  hardly be told apart the interval is unbounded;
- where two points make equally many errors in every utterance no replicate shows a spread. How sure it then is that
  they differ by less than a margin is the probability that a difference so frequent would have shown in one of the
  words, ``1 - (1 - margin)^words`` (Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?", 1983);
- fewer than 20 utterances, or a single block, are too little evidence for any verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log2, nan
from typing import Literal

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray
from allophone.diagnosis.axes import Axis
from allophone.frontier.samples import Samples
from allophone.measure.blocks import Resample
from allophone.measure.intervals import Interval
from allophone.records.point import Setting

__all__ = ["AxisChange", "CostOrder", "Elasticity", "PairedChanges"]

CostOrder = Literal["dearer", "cheaper", "equal", "unknown"]
_EQUAL_DOUBLINGS = log2(1.01)
_PRICED: tuple[CostOrder, ...] = ("dearer", "cheaper")


@dataclass(frozen=True, slots=True)
class Elasticity:
    """Change of the error rate for one doubling of cost.

    Args:
        per_doubling: As a fraction of the reference words (0.01 is one point); negative is better.
        relative: The estimate over the base point's error rate; NaN where that is 0.
        pairs: How many pairs of points it rests on.
    """

    per_doubling: Interval
    relative: float
    pairs: int


@dataclass(frozen=True, slots=True)
class AxisChange:
    """Turning one axis of the base point to another measured setting.

    Args:
        axis: Name of the axis.
        target: Name of the point that results.
        setting: Its setting on the axis, in words.
        change: Change of the error rate, as a fraction of the reference words; negative is better.
        cost_ratio: The target's cost over the base point's.
        order: Whether the target costs more; ``equal`` where that is not sure, ``unknown`` where it was not measured.
        elasticity: Change per doubling of cost; None where costs are equal or unknown.
        p_better: Probability that the target makes fewer errors; NaN where there is no spread to tell from.
        p_worse: Probability that it makes more.
        p_no_gain: Probability that it is better by less than the margin, or not at all.
        p_no_loss: Probability that it is worse by less than the margin, or not at all.
    """

    axis: str
    target: str
    setting: str
    change: Interval
    cost_ratio: float
    order: CostOrder
    elasticity: Elasticity | None
    p_better: float
    p_worse: float
    p_no_gain: float
    p_no_loss: float


class PairedChanges:
    """Error rates and costs of all points of a run in every replicate, widened, to take pairs from.

    Args:
        samples: The measurements.
        cost: Name of a cost objective.
        resample: From :func:`allophone.measure.blocks.draw_blocks` over the samples' speakers.
        confidence: Probability from which the order of two costs counts as sure, and the level of the intervals.
        margin: What counts as no gain or no loss, as a fraction of the reference words.
    """

    def __init__(self, samples: Samples, cost: str, resample: Resample, confidence: float, margin: float) -> None:
        self.confidence, self.margin = confidence, margin
        self._samples = samples
        quality, price = (samples.resample(name, resample) for name in (samples.quality, cost))
        self._rates, self._rate = quality.inflated(), quality.estimates
        with np.errstate(divide="ignore", invalid="ignore"):  # a cost of 0 has no logarithm: its pairs are unknown
            logs, self._log = np.log2(price.values), np.log2(price.estimates)
            # Widened as a logarithm, so that no replicate has a negative cost.
            self._logs = self._log + resample.small_sample_factor()[:, None] * (logs - self._log)

    def order(self, base: int, target: int) -> CostOrder:
        """How the target's cost compares with the base's."""
        doublings, drawn = self._log[target] - self._log[base], self._logs[:, target] - self._logs[:, base]
        if not np.isfinite(doublings):
            return "unknown"
        same_way = _share(np.sign(drawn) == np.sign(doublings), drawn)  # NaN: no spread, so the costs as measured
        if abs(doublings) < _EQUAL_DOUBLINGS or same_way < self.confidence:
            return "equal"
        return "dearer" if doublings > 0 else "cheaper"

    def move(self, axis: Axis, base: int, target: int, points: Sequence[Setting]) -> AxisChange:
        """Everything about turning one axis of the base point."""
        estimate, drawn = self._rate[target] - self._rate[base], self._rates[:, target] - self._rates[:, base]
        order = self.order(base, target)
        no_gain, no_loss = _share(drawn > -self.margin, drawn), _share(drawn < self.margin, drawn)
        if self._samples.equal(base, target):
            no_gain = no_loss = float(1 - (1 - min(self.margin, 1)) ** self._samples.weight)
        return AxisChange(
            axis=axis.name,
            target=points[target].name,
            setting=axis.show(points[target]),
            change=self._interval(drawn, estimate),
            cost_ratio=float(2 ** (self._log[target] - self._log[base])) if order != "unknown" else nan,
            order=order,
            elasticity=self.elasticity([(base, target)], base) if order in _PRICED else None,
            p_better=_share(drawn < 0, drawn),
            p_worse=_share(drawn > 0, drawn),
            p_no_gain=no_gain,
            p_no_loss=no_loss,
        )

    def elasticity(self, pairs: Sequence[tuple[int, int]], base: int) -> Elasticity | None:
        """The common elasticity of pairs, those of equal or unknown cost left out; None where none is left.

        Args:
            pairs: Indices of two points each, in any order.
            base: Index of the point whose error rate the relative change refers to.
        """
        priced = [(a, b) if order == "dearer" else (b, a) for a, b in pairs if (order := self.order(a, b)) in _PRICED]
        if not priced:
            return None
        estimate, drawn = self._slope(self._rate[None], self._log[None], priced)[0], self.slopes(priced)
        relative = float(estimate / self._rate[base]) if self._rate[base] > 0 else nan
        return Elasticity(self._interval(drawn, estimate), relative, len(priced))

    def slopes(self, pairs: Sequence[tuple[int, int]]) -> FloatArray:
        """The elasticity of pairs, cheaper point first, in every replicate, shape (n_replicates,)."""
        return self._slope(self._rates, self._logs, pairs)

    @staticmethod
    def _slope(rates: FloatArray, logs: FloatArray, pairs: Sequence[tuple[int, int]]) -> FloatArray:
        products, squares, changes = (np.zeros(len(rates)) for _ in range(3))
        for cheap, dear in pairs:
            change, doublings = rates[:, dear] - rates[:, cheap], np.maximum(logs[:, dear] - logs[:, cheap], 0)
            products += change * doublings
            squares += doublings**2
            changes += change
        with np.errstate(divide="ignore", invalid="ignore"):
            free = np.where(changes == 0, 0.0, np.sign(changes) * inf)
            slopes: FloatArray = np.where(squares > 0, products / squares, free)
        return slopes

    def _interval(self, drawn: FloatArray, estimate: float) -> Interval:
        ranked = np.sort(drawn[~np.isnan(drawn)])
        if not ranked.size:
            return Interval(nan, nan, self.confidence, float(estimate))
        last, tail = len(ranked) - 1, (1 - self.confidence) / 2
        low, high = ranked[int(np.floor(tail * last))], ranked[int(np.ceil((1 - tail) * last))]
        return Interval(float(low), float(high), self.confidence, float(estimate))


def _share(holds: npt.NDArray[np.bool_], drawn: FloatArray) -> float:
    known = ~np.isnan(drawn)
    return float(holds[known].mean()) if known.any() else nan
