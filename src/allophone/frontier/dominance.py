"""Pareto dominance, frontier and hypervolume; lower is better in every objective.

``a`` dominates ``b`` when ``a`` is no worse in every objective and better in at least one (Pareto dominance; Zitzler
et al., "Performance assessment of multiobjective optimizers", 2003, table I). What that leaves open is decided here:

- equal points do not dominate each other, so both are on the frontier or neither is;
- infinities are values like others: ``inf`` is the worst, ``-inf`` the best, and equal infinities tie;
- NaN means "not measured": a point with a NaN objective neither dominates nor is dominated, and is not on the frontier;
- no points: an empty mask, an empty matrix and a hypervolume of 0.
"""

import numpy as np
import numpy.typing as npt

from allophone.arrays import BoolArray, FloatArray

__all__ = ["dominance_matrix", "dominates", "frontier_mask", "hypervolume"]


_BLOCK = 512  # points compared at once with those before them; bounds memory at _BLOCK bytes per point kept


def dominates(a: npt.ArrayLike, b: npt.ArrayLike) -> bool:
    """Whether ``a`` is no worse than ``b`` in every objective and better in at least one.

    Args:
        a: Objectives of one point, shape (n_objectives,).
        b: Objectives of the other, same shape.

    Raises:
        ValueError: The two differ in shape, or are not one row of at least one objective.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise ValueError(f"two points need the same objectives, at least one: got shapes {a.shape} and {b.shape}")
    return bool((a <= b).all() and (a < b).any())


def dominance_matrix(values: npt.ArrayLike) -> BoolArray:
    """Every pair at once: entry ``[i, j]`` says whether point ``i`` dominates point ``j``.

    Args:
        values: Objectives, shape (n_points, n_objectives).

    Returns:
        Shape (n_points, n_points); the diagonal is False. Takes two bytes per entry while it is built.

    Raises:
        ValueError: ``values`` is not two-dimensional or has no objective.
    """
    no_worse = _no_worse(_checked(values))
    # Where each is no worse than the other the two are equal; NaN is no worse than nothing, itself included.
    matrix: BoolArray = no_worse & ~no_worse.T
    return matrix


def frontier_mask(values: npt.ArrayLike) -> BoolArray:
    """Which points no other point dominates.

    Points are sorted by their first objective, ties by the next, and so on: a dominator then always stands before what
    it dominates, and whoever is dominated at all is dominated by a frontier point before it. With two objectives one
    sweep over the sorted points suffices, O(n log n) in all (Kung, Luccio and Preparata, "On finding the maxima of a
    set of vectors", 1975); otherwise blocks of sorted points are compared with the frontier so far.

    Args:
        values: Objectives, shape (n_points, n_objectives).

    Returns:
        Shape (n_points,).

    Raises:
        ValueError: ``values`` is not two-dimensional or has no objective.
    """
    values = _checked(values)
    mask = np.zeros(len(values), dtype=np.bool_)
    measured = np.flatnonzero(~np.isnan(values).any(axis=1))
    if not measured.size:
        return mask
    order = measured[np.lexsort(values[measured].T[::-1])]
    ranked = values[order]
    first_of_equals = np.ones(len(ranked), dtype=np.bool_)
    first_of_equals[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    distinct = ranked[first_of_equals]
    kept = _sweep(distinct) if values.shape[1] == 2 else _in_blocks(distinct)
    mask[order] = kept[np.cumsum(first_of_equals) - 1]
    return mask


def hypervolume(values: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Area or volume between the frontier and a reference point: the larger, the better the frontier.

    Exact, by slicing along the last objective (Zitzler and Thiele, "Multiobjective optimization using evolutionary
    algorithms", 1998). A point counts only where it is better than the reference in every objective. The unit is the
    product of the objectives' units, so compare only values of equal references.

    Args:
        values: Objectives, shape (n_points, 2) or (n_points, 3).
        reference: A finite point that bounds the volume from above, shape (n_objectives,).

    Raises:
        ValueError: There are neither two nor three objectives, the reference has another number of objectives or is
            not finite, or an objective is ``-inf`` (the volume would be infinite).
    """
    values = _checked(values)
    bound = np.asarray(reference, dtype=np.float64)
    if values.shape[1] not in {2, 3}:
        raise ValueError(f"hypervolume is defined here for 2 or 3 objectives, not {values.shape[1]}")
    if bound.shape != (values.shape[1],) or not np.isfinite(bound).all():
        raise ValueError(f"the reference must be {values.shape[1]} finite numbers, got {bound.tolist()}")
    if np.isneginf(values).any():
        raise ValueError("an objective is -inf: the hypervolume would be infinite")
    front = values[(values < bound).all(axis=1)]
    front = front[frontier_mask(front)]
    if values.shape[1] == 2:
        return _area(front, bound)
    front = front[np.argsort(front[:, 2], kind="stable")]
    thickness = np.diff(np.append(front[:, 2], bound[2]))
    # The slice between one point and the next is covered by every point up to the first of the two.
    return float(sum(_area(front[: i + 1, :2], bound[:2]) * thickness[i] for i in np.flatnonzero(thickness)))


def _checked(values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"objectives must have shape (n_points, n_objectives), at least one: got {array.shape}")
    return array


def _no_worse(values: FloatArray) -> BoolArray:
    """Entry [i, j]: point i is no worse than point j in every objective. Shape (n_points, n_points)."""
    result = np.ones((len(values), len(values)), dtype=np.bool_)
    for column in values.T:
        result &= column[:, None] <= column
    return result


def _sweep(distinct: FloatArray) -> BoolArray:
    """Frontier of sorted, distinct points of two objectives: each must beat the best second objective before it."""
    kept = np.ones(len(distinct), dtype=np.bool_)
    kept[1:] = distinct[1:, 1] < np.minimum.accumulate(distinct[:, 1])[:-1]
    return kept


def _in_blocks(distinct: FloatArray) -> BoolArray:
    """Frontier of sorted, distinct points of any number of objectives, ``_BLOCK`` points at a time."""
    kept = np.zeros(len(distinct), dtype=np.bool_)
    for start in range(0, len(distinct), _BLOCK):
        block = distinct[start : start + _BLOCK]
        alive = np.flatnonzero(~_covers(distinct[:start][kept[:start]], block).any(axis=0))
        earlier = np.tri(len(alive), k=-1, dtype=np.bool_).T
        alive = alive[~(_covers(block[alive], block[alive]) & earlier).any(axis=0)]
        kept[start + alive] = True
    return kept


def _covers(earlier: FloatArray, later: FloatArray) -> BoolArray:
    """Entry [i, j]: ``earlier[i]`` is no worse than ``later[j]``; sorting has settled the first objective."""
    result = np.ones((len(earlier), len(later)), dtype=np.bool_)
    for column in range(1, later.shape[1]):
        result &= earlier[:, None, column] <= later[:, column]
    return result


def _area(values: FloatArray, reference: FloatArray) -> float:
    """Hypervolume of points of two objectives, all better than the reference; the dominated add nothing."""
    front = values[frontier_mask(values)]
    front = front[np.argsort(front[:, 0], kind="stable")]
    width = np.diff(np.append(front[:, 0], reference[0]))
    return float(width @ (reference[1] - front[:, 1]))
