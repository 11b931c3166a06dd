"""Paired, speaker-blocked bootstrap: intervals for error rates, means and differences of all points at once.

Counts are summed within blocks once; a replicate is then one row of block weights, and one matrix product gives every
replicate of every point. What the intervals are:

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

Columns with equal block sums are computed once: points with equal counts are equal in every replicate, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from allophone.arrays import BoolArray, FloatArray, IntArray
from allophone.measure.blocks import Resample

__all__ = [
    "Interval",
    "Replicates",
    "intervals",
    "p_beyond",
    "resample_mean",
    "resample_ratio",
    "resample_ratio_difference",
]


_BLOCKS_FOR_PIVOTS = 5  # a replicate of n blocks holds one alone with probability n^(1 - n): 1.6 % at 4, 0.2 % at 5
_GREATEST_RISE = 3.0  # of a rate: times the widened reach on the plain scale
_GREATEST_REACH = 2.0  # times that of the widened replicates
_FEW_BLOCKS = 9.0  # so many effective blocks double the allowance for the worst speaker
_CONCENTRATED = 0.5  # of all errors in one block: the spread of so few says nothing
_BISECTIONS = 14
_RANK_ROUNDING = 1e-9  # 0.95 · 100 is 95, whatever floating point makes of it
_ROUNDING = 1e-12  # relative; what is smaller is taken for rounding of an exact zero


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


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """One statistic of every point in every replicate.

    Args:
        resample: Blocks and seed of the replicates.
        estimates: The statistic on all utterances, shape (n_points,); NaN where undefined.
        values: The statistic in every replicate, shape (n_replicates, n_points); NaN where undefined.
        standard_errors: From the spread between blocks, shape (n_points,); None where there is no closed form.
        pivots: Studentised deviations of the replicates, shape as ``values``; None likewise. On the logarithm for
            rates, see the module's docstring, on the statistic itself for all others.
        rates: Which points' values are rates, shape (n_points,); None: none.
        allowance: Factor by which a rate rises when speakers as bad as the worst one heard join, shape (n_points,).
        largest_share: Share of a rate's numerator that one block alone carries, shape (n_points,).
        unit: What one error more adds to a rate of counted errors; 0 where nothing is counted.
        stretched: What :meth:`inflated` returns, shape as ``values``, where deviations are not widened on the scale of
            the statistic; None: they are.
        least: No value can be smaller; 0 for counts, times and rates, ``-inf`` for differences; one for all points or
            shape (n_points,).
        most: No value can be greater; 1 for recalls. small_sample_factor: Factor that widens each replicate's
        deviation, shape (n_replicates,); None takes the resample's.
    """

    resample: Resample
    estimates: FloatArray
    values: FloatArray
    standard_errors: FloatArray | None = None
    pivots: FloatArray | None = None
    rates: BoolArray | None = None
    allowance: FloatArray | None = None
    largest_share: FloatArray | None = None
    unit: float = 0.0
    stretched: FloatArray | None = None
    least: float | FloatArray = 0.0
    most: float = np.inf
    small_sample_factor: FloatArray | None = None

    @property
    def concentrated(self) -> BoolArray:
        """Points more than half of whose errors one block makes, so that no interval can be trusted: (n_points,)."""
        if self.largest_share is None or self.resample.n_blocks < 2:
            return np.zeros(len(self.estimates), np.bool_)
        with np.errstate(invalid="ignore"):
            return np.asarray(self.largest_share > _CONCENTRATED)

    def inflated(self) -> FloatArray:
        """The replicates to compare points on: deviations from the estimate widened for few blocks.

        Returns:
            Shape (n_replicates, n_points). One factor per replicate serves all points and all statistics of a
            resample, so what is equal or paired stays so. Values may lie beyond ``least`` and ``most``.
        """
        if self.stretched is not None:
            return self.stretched
        small_sample_factor = (
            self.resample.small_sample_factor() if self.small_sample_factor is None else self.small_sample_factor
        )
        with np.errstate(invalid="ignore"):  # an infinite estimate has no deviations
            return self.estimates + small_sample_factor[:, None] * (self.values - self.estimates)

    def scaled(self, factor: float) -> Replicates:
        """Every statistic times a positive number, as from seconds to what they cost."""
        return replace(
            self,
            estimates=factor * self.estimates,
            values=factor * self.values,
            standard_errors=None if self.standard_errors is None else factor * self.standard_errors,
            unit=factor * self.unit,
            stretched=None if self.stretched is None else factor * self.stretched,
            least=factor * self.least,
            most=factor * self.most,
        )

    def difference(self, reference: int) -> Replicates:
        """Every point minus the reference point, for statistics whose difference has no standard error in closed form.

        Rates and means have one: :func:`resample_ratio_difference`.
        """
        return Replicates(
            resample=self.resample,
            estimates=self.estimates - self.estimates[reference],
            values=self.values - self.values[:, [reference]],
            stretched=None if self.stretched is None else self.stretched - self.stretched[:, [reference]],
            least=-np.inf,
        )


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


def resample_ratio(numerators: npt.ArrayLike, denominators: npt.ArrayLike, resample: Resample) -> Replicates:
    """A ratio of two sums over utterances, e.g. errors per reference word.

    With no reference word at all, or none in a replicate, the ratio is NaN there.

    Args:
        numerators: Shape (n_points, n_utterances), e.g. errors; a NaN makes the whole point NaN.
        denominators: The same for all points, since they are paired: shape (n_utterances,), e.g. reference words.
        resample: From :func:`allophone.measure.blocks.draw_blocks`.

    Raises:
        UsageError: The counts do not fit the resampled utterances.
    """
    return _ratio(numerators, denominators, resample)


def _ratio(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    resample: Resample,
    *,
    counted: bool = True,
    differences: bool = False,
) -> Replicates:
    n_blocks = resample.n_blocks
    above, inverse = _distinct(resample.block_sums(numerators))
    below = resample.block_sums(np.asarray(denominators)[None])
    whole = below.sum() or np.nan
    rates: BoolArray = np.logical_and(above.min(axis=0) >= 0, not differences)
    values = np.empty((resample.n_replicates, above.shape[1]))
    pivots = np.empty_like(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimates, largest_share = above.sum(axis=0) / whole, above.max(axis=0) / above.sum(axis=0)
        # Linearised: a block's share in the ratio's deviation is its residual over the total (Davison and Hinkley,
        # section 2.7.2). In a replicate the residual is residual - deviation · below, whence the three sums.
        residuals = above - estimates * below
        small_sample = n_blocks / (n_blocks - 1) if n_blocks > 1 else np.nan
        standard_errors = np.sqrt(small_sample * (residuals**2).sum(axis=0)) / whole
        squares, products, below_squares = residuals**2, residuals * below, below**2
        start = 0
        for weights in resample.weights():
            rows = slice(start, start := start + len(weights))
            parts = weights @ below
            parts[parts == 0] = np.nan
            values[rows] = weights @ above / parts
            deviations = values[rows] - estimates
            spread = weights @ squares
            rounding = _ROUNDING * spread
            spread += deviations * (deviations * (weights @ below_squares) - 2 * (weights @ products))
            spread[spread <= rounding] = 0.0
            errors = np.sqrt(small_sample * spread) / parts
            logs = values[rows] * np.log(values[rows] / estimates)
            logs[values[rows] == 0] = -np.inf  # a rate of 0 is infinitely far below, whatever its spread
            pivots[rows] = np.where(deviations == 0, 0.0, np.where(rates, logs, deviations) / errors)
    return Replicates(
        resample,
        estimates[inverse],
        values[:, inverse],
        standard_errors[inverse],
        pivots[:, inverse],
        rates[inverse],
        _allowance(above, below)[inverse],
        largest_share[inverse],
        unit=float(1 / whole) if counted and not differences and not (above % 1 > 0).any() else 0.0,
        least=np.where(rates, 0.0, -np.inf)[inverse],
    )


def _allowance(above: FloatArray, below: FloatArray) -> FloatArray:
    """Factor on each rate when ``1 + (9 / n)²`` blocks as bad as its worst one join, never below 1.

    A point that was lucky to meet no such speaker takes the factor of its peers: the median over the better half.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        totals, whole = above.sum(axis=0), below.sum()
        effective = whole**2 / (below**2).sum()
        more = 1 + (_FEW_BLOCKS / effective) ** 2
        worst = np.argmax(above - totals / whole * below, axis=0)
        joined = (totals + more * above[worst, np.arange(above.shape[1])]) / (whole + more * below[worst, 0])
        factors = np.fmax(np.nan_to_num(joined / (totals / whole), nan=1.0, posinf=1.0), 1.0)
    better = np.argsort(np.nan_to_num(totals, nan=np.inf), kind="stable")[: (len(totals) + 1) // 2]
    allowed: FloatArray = np.maximum(factors, np.median(factors[better]))
    return allowed


def resample_ratio_difference(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, resample: Resample, reference: int
) -> Replicates:
    """The ratio of every point minus that of the reference point: negative is better than the reference.

    Args:
        numerators: Shape (n_points, n_utterances).
        denominators: Shape (n_utterances,).
        resample: From :func:`allophone.measure.blocks.draw_blocks`.
        reference: Index of the point to compare with; its own difference is 0 in every replicate.

    Raises:
        UsageError: The counts do not fit the resampled utterances.
    """
    numerators = np.asarray(numerators, dtype=np.float64)
    # Denominators are shared, so the difference of ratios is the ratio of differences, standard error included.
    return _ratio(numerators - numerators[reference], denominators, resample, differences=True)


def resample_mean(values: npt.ArrayLike, resample: Resample) -> Replicates:
    """The mean over utterances, e.g. of FLOPs or seconds per utterance.

    Args:
        values: Shape (n_points, n_utterances).
        resample: From :func:`allophone.measure.blocks.draw_blocks`.

    Raises:
        UsageError: The values do not fit the resampled utterances.
    """
    return _ratio(values, np.ones(len(resample.blocks)), resample, counted=False)


def _distinct(columns: FloatArray) -> tuple[FloatArray, IntArray]:
    """The distinct columns, shape (n_rows, n_distinct), and for every column which of them it is."""
    distinct, inverse = np.unique(columns, axis=1, return_inverse=True)
    return distinct, inverse.reshape(-1)


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
