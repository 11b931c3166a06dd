"""Dominance proved on every pair and every small set of a grid, then against brute force on larger ones."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from allophone.frontier.dominance import dominance_matrix, dominates, frontier_mask, hypervolume

INF, NAN = math.inf, math.nan
GRID = (-INF, 0.0, 1.0, INF, NAN)


def oracle_dominates(a, b):
    """The definition in plain Python, NaN decided first."""
    if any(math.isnan(x) for x in (*a, *b)):
        return False
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def oracle_mask(points):
    return [
        not any(math.isnan(x) for x in point) and not any(oracle_dominates(other, point) for other in points)
        for point in points
    ]


@pytest.mark.parametrize("n_objectives", [1, 2, 3])
def test_every_pair_of_a_small_grid(n_objectives):
    points = list(itertools.product(GRID, repeat=n_objectives))
    matrix = dominance_matrix(points)
    for (i, a), (j, b) in itertools.product(enumerate(points), repeat=2):
        expected = oracle_dominates(a, b)
        assert dominates(a, b) is expected
        assert matrix[i, j] == expected


@pytest.mark.parametrize(
    ("n_objectives", "n_points", "grid"), [(1, 3, GRID), (2, 2, GRID), (2, 4, (0.0, 1.0, INF)), (3, 3, (0.0, 1.0, NAN))]
)
def test_frontier_of_every_small_set(n_objectives, n_points, grid):
    candidates = list(itertools.product(grid, repeat=n_objectives))
    for points in itertools.product(candidates, repeat=n_points):
        assert frontier_mask(points).tolist() == oracle_mask(points), points


coarse = st.sampled_from([-INF, -1.0, -0.0, 0.0, 1.0, 2.0, 3.0, INF, NAN])


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 40), st.integers(1, 4)), elements=coarse))
def test_frontier_equals_the_undominated_of_the_matrix(values):
    measured = ~np.isnan(values).any(axis=1)
    assert frontier_mask(values).tolist() == (measured & ~dominance_matrix(values).any(axis=0)).tolist()


@pytest.mark.parametrize("n_objectives", [2, 3, 4])
def test_frontier_over_several_blocks(n_objectives):
    # 1,500 points span three blocks of 512; rounding to 60 levels brings ties, the shell keeps the frontier large.
    rng = np.random.default_rng(n_objectives)
    shell = np.abs(rng.standard_normal((1500, n_objectives)))
    values = np.round(60 * (1 - shell / np.linalg.norm(shell, axis=1, keepdims=True)))
    mask = frontier_mask(values)
    assert mask.tolist() == (~dominance_matrix(values).any(axis=0)).tolist()
    assert 20 < mask.sum() < 1500


def test_equal_points_share_their_fate():
    assert frontier_mask([[1, 2], [1, 2], [2, 1]]).tolist() == [True, True, True]
    assert frontier_mask([[1, 2], [1, 2], [1, 1]]).tolist() == [False, False, True]
    assert frontier_mask([[0.0, 1.0], [-0.0, 1.0]]).tolist() == [True, True]


def test_a_point_not_measured_is_nowhere():
    values = [[0, NAN], [5, 5]]  # the first would win its measured objective
    assert not dominance_matrix(values).any()
    assert frontier_mask(values).tolist() == [False, True]
    assert frontier_mask([[NAN, NAN]]).tolist() == [False]


def test_no_points():
    empty = np.empty((0, 3))
    assert frontier_mask(empty).shape == (0,)
    assert dominance_matrix(empty).shape == (0, 0)
    assert hypervolume(empty, [1, 1, 1]) == 0.0


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="same objectives"):
        dominates([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="same objectives"):
        dominates([], [])
    with pytest.raises(ValueError, match="n_points, n_objectives"):
        frontier_mask([1, 2, 3])
    with pytest.raises(ValueError, match="n_points, n_objectives"):
        dominance_matrix(np.empty((4, 0)))


@pytest.mark.parametrize("n_objectives", [2, 3])
def test_ten_thousand_points_that_are_all_on_the_frontier_take_under_a_second(n_objectives):
    # The worst case for blocks: nothing is ever thrown away.
    rng = np.random.default_rng(0)
    shell = np.abs(rng.standard_normal((10_000, n_objectives)))
    values = -shell / np.linalg.norm(shell, axis=1, keepdims=True)
    start = time.perf_counter()
    mask = frontier_mask(values)
    assert time.perf_counter() - start < 1.0
    assert mask.all()


def test_area_by_hand():
    # Reference (4, 4). (1, 3) covers 3 x 1 = 3, (2, 1) covers 2 x 3 = 6, both share [2, 4] x [3, 4] = 2: 3 + 6 - 2 = 7.
    assert hypervolume([[1, 3], [2, 1]], [4, 4]) == 7.0
    # (3, 3) is dominated; (5, 0), (0, 4), (0, inf) and (0, NaN) are outside: all add nothing.
    assert hypervolume([[1, 3], [2, 1], [3, 3], [5, 0], [0, 4], [0, INF], [0, NAN], [2, 1]], [4, 4]) == 7.0


def test_volume_by_hand():
    # Reference (2, 2, 2), unit cubes: (0, 1, 1) covers 2 x 1 x 1 = 2, so do its two rotations; all three share the cube
    # at (1, 1, 1), which is also what each two share: 2 + 2 + 2 - 1 - 1 - 1 + 1 = 4.
    assert hypervolume([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [2, 2, 2]) == 4.0
    assert hypervolume([[0, 0, 0]], [2, 3, 4]) == 24.0


@given(hnp.arrays(np.int64, st.tuples(st.integers(0, 7), st.sampled_from([2, 3])), elements=st.integers(0, 6)))
def test_hypervolume_counts_the_covered_cells(values):
    # With integer corners the volume is the number of unit cells below (5, 5, ...) that some point covers.
    n_objectives = values.shape[1]
    cells = itertools.product(range(5), repeat=n_objectives)
    covered = sum(any((point <= cell).all() for point in values) for cell in map(np.array, cells))
    assert hypervolume(values, [5] * n_objectives) == pytest.approx(covered)


def test_hypervolume_refuses_what_has_no_volume():
    with pytest.raises(ValueError, match="2 or 3 objectives"):
        hypervolume([[1.0]], [2.0])
    with pytest.raises(ValueError, match="finite"):
        hypervolume([[1, 1]], [2, INF])
    with pytest.raises(ValueError, match="finite"):
        hypervolume([[1, 1]], [2, 2, 2])
    with pytest.raises(ValueError, match="infinite"):
        hypervolume([[-INF, 1]], [2, 2])
