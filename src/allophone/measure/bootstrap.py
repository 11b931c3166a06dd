"""Paired, speaker-blocked bootstrap: replicates of error rates, means and differences of all points at once.

Counts are summed within blocks once; a replicate is then one row of block weights, and one matrix product gives every
replicate of every point. Intervals and limits
are read off them in :mod:`allophone.measure.intervals`.

Columns with equal block sums are computed once: points with equal counts are equal in every replicate, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from allophone.arrays import BoolArray, FloatArray, IntArray
from allophone.measure.blocks import Resample

__all__ = [
    "Replicates",
    "resample_mean",
    "resample_ratio",
    "resample_ratio_difference",
]


_FEW_BLOCKS = 9.0  # so many effective blocks double the allowance for the worst speaker
_CONCENTRATED = 0.5  # of all errors in one block: the spread of so few says nothing
_ROUNDING = 1e-12  # relative; what is smaller is taken for rounding of an exact zero


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
