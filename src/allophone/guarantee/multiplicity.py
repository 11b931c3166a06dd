"""Multiple testing over dependent points: step-down minP and simultaneous comparison of all pairs, from the bootstrap.

Whoever looks at many points and picks the one that looks best is wrong more often than the test of one point says. Two
corrections serve every statement of the package; both use how the points depend on each other, which is strongly, since
all of them heard the same speakers:

- :func:`step_down_p` adjusts the p values of one-sided tests, one per point, by the distribution of the least p over
  all points in the replicates (Westfall and Young, "Resampling-based multiple testing", 1993, algorithm 2.8).
- :func:`assured_differences` compares every pair of points in every objective and finds the probability with which all
  claims "this one is no worse than that one" hold together: single-step max-t over all pairs (Hothorn, Bretz and
  Westfall, "Simultaneous inference in general parametric models", 2008) with the replicates' own distribution of the
  greatest deviation. Each pair's standard error is itself estimated, from as many blocks as there are, and of many
  such estimates some are far too small; so every t statistic is first turned into the normal one of equal tail
  probability (Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", 1959).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray
from allophone.measure.blocks import Resample

__all__ = ["AssuredDifferences", "assured_differences", "step_down_p", "tail_ranks"]

_ROUNDING = 1e-9  # relative; what is smaller is taken for rounding of an exact zero
_OWN_SHARE = 2.0  # over the number of blocks; chosen on simulated corpora of 8 to 28 speakers and 2 to 48 points
_CHUNK_CELLS = 2**22  # pairs times replicates held at once: 32 MB
_LEAST_REPLICATES = 1000
_MOST_CELLS = 2**28  # pairs times replicates compared in all; more pairs get fewer replicates, 1,000 at least


def tail_ranks(statistics: FloatArray) -> FloatArray:
    """Upper-tail p value of every replicate within its own column: the share of replicates at least as great.

    Args:
        statistics: Shape (n_replicates, n_points), greater is more extreme; a column that never varies has p of 1.

    Returns:
        Shape (n_replicates, n_points), between 1 / n_replicates and 1; NaN counts as 1.
    """
    n_replicates = len(statistics)
    found = np.where(np.isnan(statistics), -np.inf, statistics)
    ranks = np.empty(found.shape)
    for column in range(found.shape[1]):
        rising = np.sort(found[:, column])
        ranks[:, column] = (n_replicates - np.searchsorted(rising, found[:, column], side="left")) / n_replicates
    return ranks


def step_down_p(p: FloatArray, ranks: FloatArray) -> FloatArray:
    """Adjust one-sided p values for the number of points: step-down minP of Westfall and Young.

    Args:
        p: Unadjusted p values, shape (n_points,).
        ranks: p values of the replicates from :func:`tail_ranks`, shape (n_replicates, n_points).

    Returns:
        Adjusted p values, shape (n_points,), never below the unadjusted ones. Rejecting what is at most ``alpha`` is
        wrong anywhere with probability ``alpha`` at most.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    least = np.ones(len(ranks))
    for index in order[::-1]:  # from the greatest p on: the least p of this point and all with greater ones
        least = np.minimum(least, ranks[:, index])
        adjusted[index] = max(float(p[index]), (1 + np.count_nonzero(least <= p[index])) / (1 + len(ranks)))
    adjusted[order] = np.maximum.accumulate(adjusted[order])
    return np.minimum(adjusted, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class AssuredDifferences:
    """How surely one point is better or no worse than another; arrays of shape (n_points, n_points).

    Args:
        no_worse: Entry ``[i, j]``: statistic of the claim that ``i`` is no worse than ``j`` in any objective, the least
            over the objectives; infinity where that is certain, NaN where not measured.
        better: Entry ``[i, j]``: statistic of the claim that ``i`` is better than ``j`` in some objective, the greatest
            over the objectives.
        greatest: Most standard errors by which a replicate overrates any rival of each point, shape
            (n_replicates, n_points).
    """

    no_worse: FloatArray
    better: FloatArray
    greatest: FloatArray

    def probability(self, statistics: FloatArray) -> FloatArray:
        """Probability that the claims with such statistics about a point hold together with all others about it.

        Args:
            statistics: Shape (n_points, n_points); columns are the points that the claims are about.
        """
        return _below(self.greatest, statistics)

    def probability_of_all(self, statistics: FloatArray) -> FloatArray:
        """Probability that claims with such statistics hold together with those about all points."""
        return _below(self.greatest.max(axis=1, keepdims=True, initial=0.0), statistics)


def assured_differences(
    replicates: npt.ArrayLike, estimates: npt.ArrayLike, floors: npt.ArrayLike, resample: Resample | None = None
) -> AssuredDifferences:
    """Compare all pairs of points in all objectives, lower is better.

    Args:
        replicates: Shape (n_replicates, n_points, n_objectives), paired over points.
        estimates: As measured, shape (n_points, n_objectives); NaN where not measured.
        floors: Relative difference of each objective below which two values count as equal, shape (n_objectives,).
        resample: Of which blocks the replicates are, where they were widened for few of them; None: they are as drawn
            and of so many blocks that standard errors are known.
    """
    replicates, estimates = np.asarray(replicates, dtype=np.float64), np.asarray(estimates, dtype=np.float64)
    n_replicates, n_points, n_objectives = replicates.shape
    n_used = min(n_replicates, max(_LEAST_REPLICATES, _MOST_CELLS // max(1, n_objectives * n_points**2)))
    no_worse = np.full((n_points, n_points), np.inf)
    better = np.full((n_points, n_points), -np.inf)
    greatest = np.zeros((n_used, n_points))
    for k, floor in enumerate(np.broadcast_to(np.asarray(floors, np.float64), (n_objectives,))):
        never = np.isnan(replicates[:, :, k]).all(axis=0)
        measured = np.where(never, np.nan, estimates[:, k])
        with np.errstate(invalid="ignore"):  # an infinite estimate has no deviations
            deviations = replicates[:, :, k] - measured
        deviations = np.where(np.isfinite(deviations), deviations, 0.0)
        if resample is not None:
            deviations /= resample.small_sample_factor()[:, None]
        errors = _standard_errors(deviations)
        scale = np.fmax(np.abs(measured)[:, None], np.abs(measured))
        errors[errors <= _ROUNDING * scale] = 0.0
        with np.errstate(invalid="ignore"):  # of two infinities neither is lower
            gains = measured - measured[:, None]  # entry [i, j]: by how much i is lower than j
        gains[(np.abs(gains) <= _ROUNDING * scale) | (measured == measured[:, None])] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = floor * np.abs(measured)[None, :]
            tolerant, strict = gains + reach, gains - reach
            t_no_worse = np.where(errors > 0, tolerant / errors, np.where(tolerant >= 0, np.inf, -np.inf))
            t_better = np.where(errors > 0, strict / errors, np.where(strict > 0, np.inf, -np.inf))
        unknown = np.isnan(gains)
        t_no_worse[unknown], t_better[unknown] = np.nan, np.nan
        if resample is not None:
            t_no_worse, t_better = (_as_normal(t, resample.n_blocks) for t in (t_no_worse, t_better))
        no_worse, better = np.minimum(no_worse, t_no_worse), np.maximum(better, t_better)
        _raise_greatest(greatest, *_roughened(deviations[:n_used], errors, k, resample))
    np.fill_diagonal(no_worse, -np.inf)
    np.fill_diagonal(better, -np.inf)
    return AssuredDifferences(no_worse, better, greatest)


def _standard_errors(deviations: FloatArray) -> FloatArray:
    """Root mean square of every pair's difference over the replicates, shape (n_points, n_points)."""
    products = deviations.T @ deviations / len(deviations)
    squares = np.diag(products)
    errors: FloatArray = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
    return errors


def _roughened(
    deviations: FloatArray, errors: FloatArray, objective: int, resample: Resample | None
) -> tuple[FloatArray, FloatArray]:
    """Deviations and pairs' standard errors, with what few blocks cannot show: that points vary each on its own.

    Replicates of n blocks lie in n - 1 dimensions, so more points than that seem to depend on each other entirely, and
    the greatest of their deviations seems smaller than it is. A share ``2 / n`` of each point's variance is therefore
    replaced by noise of its own.
    """
    if resample is None:
        return deviations, errors
    share = min(1.0, _OWN_SHARE / resample.n_blocks)
    spread = np.sqrt(np.mean(deviations**2, axis=0))
    own = np.random.default_rng((resample.seed, 3, objective)).standard_normal(deviations.shape) * spread
    rough = np.sqrt(1 - share) * deviations + np.sqrt(share) * own
    return rough, np.where(errors > 0, _standard_errors(rough), 0.0)


def _as_normal(t: FloatArray, n_blocks: int) -> FloatArray:
    """Turn t statistics of ``n_blocks - 1`` degrees of freedom into normal ones of equal tail probability.

    Replicates vary by ``(n - 1) / n`` too little, so ``t`` is first shrunk by the root of that.
    """
    degrees = n_blocks - 1
    shrunk = t * np.sqrt(degrees / n_blocks)
    with np.errstate(over="ignore"):
        normal = np.sqrt(degrees * np.log1p(shrunk**2 / degrees)) * (8 * degrees + 1) / (8 * degrees + 3)
    return np.asarray(np.where(np.isinf(t), t, np.copysign(normal, t)))


def _raise_greatest(greatest: FloatArray, deviations: FloatArray, errors: FloatArray) -> None:
    """Raise, in place, every point's greatest t in every replicate by those of one objective."""
    with np.errstate(divide="ignore"):
        scale = np.where(errors > 0, 1 / errors, 0.0)
    rows = max(1, _CHUNK_CELLS // max(1, len(errors)))
    for start in range(0, len(deviations), rows):
        part = deviations[start : start + rows]
        for j in range(len(errors)):
            t = (part[:, [j]] - part) * scale[j]  # how far the replicate overrates a rival's lead over j
            greatest[start : start + rows, j] = np.maximum(greatest[start : start + rows, j], t.max(axis=1))


def _below(greatest: FloatArray, statistics: FloatArray) -> FloatArray:
    """Share of replicates whose greatest t lies below each statistic, per column or for all alike."""
    shares = np.empty(statistics.shape)
    for j in range(statistics.shape[1]):
        rising = np.sort(greatest[:, j if greatest.shape[1] > 1 else 0])
        shares[:, j] = np.searchsorted(rising, np.nan_to_num(statistics[:, j], nan=-np.inf), side="left") / len(rising)
    return shares
