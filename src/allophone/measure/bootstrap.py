"""Paired, speaker-blocked bootstrap: intervals for error rates, means and differences of all points at once.

Counts are summed within blocks once; a replicate is then one row of block weights, and one matrix product gives every
replicate of every point. What the intervals are:

- A ratio of sums (WER, mean latency, cost per second of audio) and a difference of two such ratios has a standard error
  in closed form, so its interval is the symmetric studentised one: ``estimate ± q · se``, where ``q`` is the level's
  quantile of ``|replicate - estimate| / se(replicate)`` (Hall, "On symmetric bootstrap confidence intervals", 1988). It
  corrects for few blocks and for skewed errors, for which the percentile interval is too narrow.
- Where few blocks carry nearly all errors, replicates without them have hardly any spread to be measured by, and ``q``
  is without bound (Polansky, "Stabilizing bootstrap-t confidence intervals for small samples", 2000). Blocks of very
  unequal sizes make ``se`` and so the whole too small. Percentiles suffer from neither. So the reach is at least that
  of the replicates widened for few blocks (``Resample.stretch``), the level's quantile of
  ``|widened replicate - estimate|``, and at most twice that. The two bounds were chosen on simulated corpora, for
  coverage and for width (``benchmarks/interval_coverage.py``).
- Anything else (quantiles, unweighted recall) and everything with fewer than five blocks, whose replicates often hold
  one block alone, takes percentiles of the widened replicates.

Columns with equal block sums are computed once: points with equal counts are equal in every replicate, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allophone.measure.blocks import FloatArray, IntArray, Resample

__all__ = [
    "Interval",
    "Replicates",
    "intervals",
    "resample_mean",
    "resample_ratio",
    "resample_ratio_difference",
]

_BLOCKS_FOR_PIVOTS = 5  # a replicate of n blocks holds one alone with probability n^(1 - n): 1.6 % at 4, 0.2 % at 5
_GREATEST_REACH = 2.0  # times that of the widened replicates
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
        pivots: ``|value - estimate| / (standard error in the replicate)``, shape as ``values``; None likewise.
        least: No value can be smaller; 0 for counts, times and rates, ``-inf`` for differences.
        most: No value can be greater; 1 for recalls.
    """

    resample: Resample
    estimates: FloatArray
    values: FloatArray
    standard_errors: FloatArray | None = None
    pivots: FloatArray | None = None
    least: float = 0.0
    most: float = np.inf

    def widened(self) -> FloatArray:
        """The replicates to compare points on: deviations from the estimate widened for few blocks.

        Returns:
            Shape (n_replicates, n_points). One factor per replicate serves all points and all statistics of a
            resample, so what is equal or paired stays so. Values may lie beyond ``least`` and ``most``.
        """
        with np.errstate(invalid="ignore"):  # an infinite estimate has no deviations
            return self.estimates + self.resample.stretch()[:, None] * (self.values - self.estimates)

    def difference(self, reference: int) -> Replicates:
        """Every point minus the reference point, replicate by replicate.

        For ratios :func:`resample_ratio_difference` gives better intervals, since it knows their standard errors.
        """
        return Replicates(
            resample=self.resample,
            estimates=self.estimates - self.estimates[reference],
            values=self.values - self.values[:, [reference]],
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
    tail = (1 - level) / 2
    estimates = replicates.estimates
    widened = replicates.widened()
    if (
        replicates.pivots is not None
        and replicates.standard_errors is not None
        and replicates.resample.n_blocks >= _BLOCKS_FOR_PIVOTS
    ):
        with np.errstate(invalid="ignore"):  # an infinite estimate has no deviations
            least = _quantile(np.abs(widened - estimates), level, upper=True)
            # 0 · inf: without spread between blocks there is nothing to scale, and fmax takes the widened replicates'.
            studentised = _quantile(replicates.pivots, level, upper=True) * replicates.standard_errors
        reach = np.minimum(np.fmax(studentised, least), _GREATEST_REACH * least)
        low, high = estimates - reach, estimates + reach
    else:
        low, high = _quantile(widened, tail, upper=False), _quantile(widened, 1 - tail, upper=True)
    low, high = np.maximum(low, replicates.least), np.minimum(high, replicates.most)
    ends = zip(low.tolist(), high.tolist(), estimates.tolist(), strict=True)
    return tuple(Interval(low=a, high=b, level=level, estimate=estimate) for a, b, estimate in ends)


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
    n_blocks = resample.n_blocks
    above, inverse = _distinct(resample.block_sums(numerators))
    below = resample.block_sums(np.asarray(denominators)[None])
    whole = below.sum() or np.nan
    values = np.empty((resample.n_replicates, above.shape[1]))
    pivots = np.empty_like(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimates = above.sum(axis=0) / whole
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
            pivot = np.abs(deviations) * parts / np.sqrt(small_sample * spread)
            pivots[rows] = np.where(deviations == 0, 0.0, pivot)
    least = 0.0 if not (above < 0).any() else -np.inf
    return Replicates(
        resample, estimates[inverse], values[:, inverse], standard_errors[inverse], pivots[:, inverse], least
    )


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
    ratio = resample_ratio(numerators - numerators[reference], denominators, resample)
    return Replicates(resample, ratio.estimates, ratio.values, ratio.standard_errors, ratio.pivots, -np.inf)


def resample_mean(values: npt.ArrayLike, resample: Resample) -> Replicates:
    """The mean over utterances, e.g. of FLOPs or seconds per utterance.

    Args:
        values: Shape (n_points, n_utterances).
        resample: From :func:`allophone.measure.blocks.draw_blocks`.

    Raises:
        UsageError: The values do not fit the resampled utterances.
    """
    return resample_ratio(values, np.ones(len(resample.blocks)), resample)


def _distinct(columns: FloatArray) -> tuple[FloatArray, IntArray]:
    """The distinct columns, shape (n_rows, n_distinct), and for every column which of them it is."""
    distinct, inverse = np.unique(columns, axis=1, return_inverse=True)
    return distinct, inverse.reshape(-1)


def _quantile(values: FloatArray, share: float, *, upper: bool) -> FloatArray:
    """Order statistic number share · (n + 1) of every column's n numbers, NaN left out, rounded outwards."""
    columns = values.T.copy()  # always: a view of one column would be partitioned in the caller's array
    n_values = np.count_nonzero(~np.isnan(columns), axis=1)
    place = share * (n_values + 1) - 1
    rank = np.clip(np.ceil(place) if upper else np.floor(place), 0, np.maximum(n_values - 1, 0)).astype(np.intp)
    columns.partition(np.unique(rank), axis=1)  # NaN last
    return np.asarray(columns[np.arange(len(columns)), rank])
