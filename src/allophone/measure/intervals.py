"""Bootstrap intervals: two-sided ones, and the p value of a limit, from the replicates of every point.

What they are:

- A rate (a ratio of sums that cannot be negative: WER, mean latency, seconds per second of audio) has a standard error
  in closed form and errors that are skewed to the right. Its interval is the equal-tailed studentised one on the
  logarithm: ``log`` of the estimate less the pivots' quantiles times the relative standard error, where a pivot is
  ``log(replicate / estimate) / (relative standard error in the replicate)`` (Davison and Hinkley, "Bootstrap methods
  and their application", 1997, sections 5.2 and 5.4). Its ends are positive and it misses on both sides alike.
- A difference of two rates has the symmetric studentised interval: ``estimate ± q · se``, where ``q`` is the level's
  quantile of ``|replicate - estimate| / se(replicate)`` (Hall, "On symmetric bootstrap confidence intervals", 1988).
- Where few blocks carry nearly all errors, replicates without them have hardly any spread to be measured by, and ``q``
  is without bound (Polansky, "Stabilizing bootstrap-t confidence intervals for small samples", 2000). Blocks of very
  unequal sizes make ``se`` and so the whole too small. Percentiles suffer from neither. So the reach is at least that
  of the replicates widened for few blocks (``Resample.small_sample_factor``), the level's quantile of
  ``|widened replicate - estimate|`` on the same scale, and at most twice that. The two bounds were chosen on simulated
  corpora, for coverage and for width (``benchmarks/statements/interval_coverage.py``). A rate that is zero in
  so many replicates that its logarithm has no such quantile takes twice the widened reach on the plain scale, and 0 as
  its lower end.
- Counted errors of zero leave Poisson's exact upper end (3.7 errors at 95 %), as if errors came one by one.
- Anything else (quantiles, unweighted recall) and everything with fewer than five blocks, whose replicates often hold
  one block alone, takes percentiles of the widened replicates.

A *limit* asks for more than an interval: being wrong about a speaker who was not heard. :func:`p_beyond` therefore adds
``1 + (9 / n)²`` speakers as bad as the worst one heard, ``n`` the effective number of blocks, before the upper end is
compared with the limit. That is the ``n + 1`` of conformal risk control (Angelopoulos et al., 2022), with the worst
speaker heard in the place of a bound; simulations say how well it holds
(``benchmarks/statements/statements_points.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allophone.arrays import BoolArray, FloatArray
from allophone.measure.bootstrap import Replicates

__all__ = ["Interval", "intervals", "p_beyond"]

_BLOCKS_FOR_PIVOTS = 5  # a replicate of n blocks holds one alone with probability n^(1 - n): 1.6 % at 4, 0.2 % at 5
_GREATEST_RISE = 3.0  # of a rate: times the widened reach on the plain scale
_GREATEST_REACH = 2.0  # times that of the widened replicates
_BISECTIONS = 14
_RANK_ROUNDING = 1e-9  # 0.95 · 100 is 95, whatever floating point makes of it


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and where the true value lies at the given level.

    Args:
        low: Lower end, in the statistic's unit; NaN where nothing was measured, as all numbers here.
        high: Upper end. Equal to ``low`` where no block differs from another, as with no error at all: the data
            then say nothing about the spread.
        level: Share of such intervals that hold the true value, e.g. 0.95.
        estimate: The statistic on all utterances.
    """

    low: float
    high: float
    level: float
    estimate: float

    def contains(self, value: float) -> bool:
        """Whether the value lies in the interval, ends included."""
        return self.low <= value <= self.high


def intervals(replicates: Replicates, level: float = 0.95) -> tuple[Interval, ...]:
    """Two-sided interval of every point, by the method that the module's docstring names.

    Args:
        replicates: From any ``resample_*`` function.
        level: Share of intervals meant to hold the true value.

    Raises:
        ValueError: ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"an interval's level must lie between 0 and 1, got {level}")
    low, high = _Ends(replicates).at(np.full(len(replicates.estimates), (1 - level) / 2))
    ends = zip(low.tolist(), high.tolist(), replicates.estimates.tolist(), strict=True)
    return tuple(Interval(low=a, high=b, level=level, estimate=estimate) for a, b, estimate in ends)


def p_beyond(replicates: Replicates, limit: float) -> FloatArray:
    """One-sided p value of every point against the hypothesis that its true value is beyond the limit.

    It is the least tail probability at which the upper end, with the allowance for speakers not heard, keeps the limit.

    Args:
        replicates: From any ``resample_*`` function.
        limit: Largest allowed value, in the statistic's unit.

    Returns:
        Shape (n_points,), between 1 / (n_replicates + 1) and 1; 1 where the estimate itself exceeds the limit or is
        undefined. A value that never varies needs no inference and gives the least p, unless no error was counted yet.
    """
    ends = _Ends(replicates)
    allowance = np.ones(len(replicates.estimates)) if replicates.allowance is None else replicates.allowance
    least = 1 / (replicates.resample.n_replicates + 1)
    low = np.full(len(replicates.estimates), least)
    high = np.full(len(replicates.estimates), 0.5)

    def keeps(tail: FloatArray) -> BoolArray:
        with np.errstate(invalid="ignore"):
            return np.asarray(ends.at(tail)[1] * allowance <= limit)

    surely, possibly = keeps(low), keeps(high)
    for _ in range(_BISECTIONS):  # on the logarithm: small tails matter
        middle = np.sqrt(low * high)
        inside = keeps(middle)
        high, low = np.where(inside, middle, high), np.where(inside, low, middle)
    with np.errstate(invalid="ignore"):
        certain = (replicates.estimates <= limit) & (ends.deviations == 0).all(axis=0)
        certain &= (replicates.estimates > 0) | (replicates.unit == 0)
    p = np.where(surely | certain, least, np.where(possibly, high, 1.0))
    return np.asarray(np.where(np.isnan(replicates.estimates), 1.0, p))


class _Ends:
    """The ends of every point's interval as functions of the tail probability."""

    def __init__(self, replicates: Replicates) -> None:
        self._replicates = replicates
        estimates, n_points = replicates.estimates, len(replicates.estimates)
        self.deviations = replicates.inflated() - estimates
        studentised = replicates.pivots is not None and replicates.resample.n_blocks >= _BLOCKS_FOR_PIVOTS
        none = np.zeros(n_points, np.bool_)
        rates = none if replicates.rates is None else replicates.rates & (estimates > 0)
        self._log = rates if studentised else none
        self._symmetric = ~self._log if studentised else none
        self._widened = _Sorted(estimates + self.deviations)
        if not studentised:
            return
        assert replicates.pivots is not None
        assert replicates.standard_errors is not None
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log(replicates.values / estimates) * replicates.resample.small_sample_factor()[:, None]
            self._reach = _Sorted(np.abs(self.deviations))
            self._reach_log = _Sorted(np.where(self._log, np.abs(logs), np.nan))
            self._pivots = _Sorted(np.where(self._log, replicates.pivots, np.abs(replicates.pivots)))
            self._errors = np.where(self._log, replicates.standard_errors / estimates, replicates.standard_errors)

    def at(self, tail: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper ends, shape (n_points,) each, for one tail probability per point."""
        replicates, estimates = self._replicates, self._replicates.estimates
        low, high = self._widened.at(tail, upper=False), self._widened.at(1 - tail, upper=True)
        if self._symmetric.any() or self._log.any():
            least = self._reach.at(1 - 2 * tail, upper=True)
            with np.errstate(invalid="ignore", over="ignore"):
                # 0 · inf: without spread between blocks there is nothing to scale, and fmax takes the widened one.
                studentised = self._pivots.at(1 - 2 * tail, upper=True) * self._errors
                reach = np.minimum(np.fmax(studentised, least), _GREATEST_REACH * least)
                low = np.where(self._symmetric, estimates - reach, low)
                high = np.where(self._symmetric, estimates + reach, high)
                least_log = self._reach_log.at(1 - 2 * tail, upper=True)
                below = np.fmax(self._pivots.at(1 - tail, upper=True) * self._errors, least_log)
                above = np.fmax(-self._pivots.at(tail, upper=False) * self._errors, least_log)
                bound = _GREATEST_REACH * least_log
                from_log = self._log & np.isfinite(least_log)
                low = np.where(from_log, estimates * np.exp(-np.minimum(below, bound)), low)
                high = np.where(
                    from_log,
                    np.minimum(estimates * np.exp(np.minimum(above, bound)), estimates + _GREATEST_RISE * least),
                    high,
                )
                often_zero = self._log & ~np.isfinite(least_log)
                low = np.where(often_zero, 0.0, low)
                high = np.where(often_zero, estimates + _GREATEST_REACH * least, high)
        if replicates.unit > 0:
            poisson = -np.log(tail) * replicates.unit
            high = np.where(estimates == 0, np.maximum(high, poisson), high)
        return np.maximum(low, replicates.least), np.minimum(high, replicates.most)


class _Sorted:
    """Columns of numbers in rising order, for order statistics at any share; NaN left out."""

    def __init__(self, values: FloatArray) -> None:
        self._columns = np.sort(values.T, axis=1)  # NaN last
        self._n_values = np.count_nonzero(~np.isnan(self._columns), axis=1)

    def at(self, share: FloatArray, *, upper: bool) -> FloatArray:
        """Order statistic number share · (n + 1) of every column's n numbers, rounded outwards; shape (n_columns,)."""
        index = share * (self._n_values + 1) - 1
        index = np.ceil(index - _RANK_ROUNDING) if upper else np.floor(index + _RANK_ROUNDING)
        rank = np.clip(index, 0, np.maximum(self._n_values - 1, 0)).astype(np.intp)
        return np.asarray(self._columns[np.arange(len(self._columns)), rank])
