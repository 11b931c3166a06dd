"""Probabilities of dominance counted against a replicate-by-replicate oracle, and what is said because of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from allophone.frontier.dominance import dominance_matrix
from allophone.frontier.uncertainty import assess_frontier
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio

INF, NAN = math.inf, math.nan


def oracle(replicates):
    """Share of replicates in which any point dominates each, as the definition puts it: one matrix per replicate."""
    matrices = np.array([dominance_matrix(values) for values in replicates])
    present = ~np.isnan(replicates).any(axis=2)
    with np.errstate(invalid="ignore"):
        return matrices.any(axis=1).sum(axis=0) / present.sum(axis=0)


shapes = st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 3))


@given(hnp.arrays(np.float64, shapes, elements=st.sampled_from([-INF, 0.0, 1.0, 2.0, INF, NAN])), st.integers(0, 7))
def test_counts_equal_the_oracle_with_ties_infinities_and_gaps(replicates, frozen):
    for objective in range(replicates.shape[2]):
        if frozen & 2**objective:  # an objective without uncertainty
            replicates[:, :, objective] = replicates[0, :, objective]
    result = assess_frontier(replicates, np.zeros(replicates.shape[1:]))
    p_dominated = oracle(replicates)
    np.testing.assert_array_equal(result.p_dominated, p_dominated)
    np.testing.assert_array_equal(result.p_on_frontier, 1 - p_dominated)


@pytest.mark.parametrize("n_points", [63, 64, 100, 150])
def test_counts_over_several_chunks_and_many_points(n_points):
    # 600 replicates are three chunks; from 64 points on two ranks need more than a byte; rounding leaves ties.
    rng = np.random.default_rng(0)
    replicates = np.round(500 * rng.random((600, n_points, 2)))
    replicates[rng.random((600, n_points)) < 0.01] = NAN
    result = assess_frontier(replicates, np.zeros((n_points, 2)))
    np.testing.assert_array_equal(result.p_dominated, oracle(replicates))


def replicates_of(rows, counts):
    """Replicates that repeat each row of objectives as often as counted."""
    return np.repeat(np.array(rows, dtype=float), counts, axis=0)


def noisy(estimates, spread, n_replicates=4000, seed=0):
    """Replicates whose first objective varies independently from point to point; the others are certain."""
    estimates = np.asarray(estimates, dtype=float)
    replicates = np.repeat(estimates[None], n_replicates, axis=0)
    replicates[:, :, 0] += spread * np.random.default_rng(seed).standard_normal(replicates.shape[:2])
    return replicates


def test_dominated_needs_one_named_dominator():
    # 2 is beaten by 0 or by 1 in nearly every replicate, but by neither of them surely.
    estimates = [[0.18, 1], [0.18, 1], [0.20, 2]]
    result = assess_frontier(noisy(estimates, 0.016), estimates)
    assert result.p_dominated[2] > 0.9
    assert result.p_dominated_by[0, 2] < 0.9
    assert result.status == ("tied", "tied", "tied")
    assert result.frontier.tolist() == [True, True, False]


@pytest.mark.parametrize(("distance", "status"), [(1.5, "tied"), (2.2, "dominated"), (-1.5, "tied"), (-2.2, "on")])
def test_status_turns_at_the_confidence(distance, status):
    # Two points whose difference has a standard error of 1: one-sided, 5 % lie beyond 1.645 of it.
    estimates = [[10.0, 1], [10.0 + distance, 2]]
    result = assess_frontier(noisy(estimates, 0.5**0.5), estimates)
    assert result.status == ("on", status)
    assert result.tied[0, 1] == result.tied[1, 0] == (status == "tied")
    assert result.tie_groups == (((0, 1),) if status == "tied" else ())
    assert result.dominator[1] == (0 if distance > 0 else -1)


def test_the_same_distance_proves_less_among_many_rivals():
    estimates = np.array([[10.0, 1], [12.2, 2]])
    assert assess_frontier(noisy(estimates, 0.5**0.5), estimates).status[1] == "dominated"
    crowd = np.concatenate([estimates, np.tile([[11.0, 1.5]], (30, 1))])
    assert assess_frontier(noisy(crowd, 0.5**0.5), crowd).status[1] == "tied"


def test_costs_nearer_than_the_noise_floor_are_tied():
    # Twins in all but 2 % of the cost; then one with far fewer errors that costs 2 % more.
    estimates = [[0.1, 1.00], [0.1, 1.02]]
    replicates = np.repeat(np.array([estimates]), 200, axis=0)
    assert assess_frontier(replicates, estimates).status == ("on", "dominated")
    assert not assess_frontier(replicates, estimates, floors=(0, 0.03)).p_dominated_by.any()
    better = [[0.2, 1.00], [0.1, 1.02]]
    result = assess_frontier(noisy(better, 0.001), better, floors=(0, 0.03))
    assert result.p_dominated_by[1, 0] > 0.99


def test_a_trade_off_that_is_sure_is_no_tie():
    result = assess_frontier(replicates_of([[[0.1, 2], [0.2, 1]]], [10]), [[0.1, 2], [0.2, 1]])
    assert result.status == ("on", "on")
    assert not result.tied.any()
    assert result.dominator.tolist() == [-1, -1]


def test_points_equal_in_everything_are_both_on_the_frontier_and_tied():
    rng = np.random.default_rng(0)
    one = rng.random((50, 1, 2))
    result = assess_frontier(np.concatenate([one, one], axis=1), [[0.5, 0.5], [0.5, 0.5]])
    assert not result.p_dominated_by.any()
    assert result.status == ("on", "on")
    assert result.tie_groups == ((0, 1),)


def test_a_tie_group_follows_its_leader_through_a_chain():
    # Falling cost 3, 2, 1 and rising errors, each step within the noise, both together far beyond it: 0 and 2 trade off
    # for sure, yet both are tied with 1.
    estimates = [[10.0, 3], [11.9, 2], [13.8, 1]]
    result = assess_frontier(noisy(estimates, 0.5**0.5), estimates)
    assert result.tied.tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    assert result.tie_groups[0][:2] == (2, 1)
    assert result.status[2] == "on"


def test_dominated_points_are_in_no_group():
    # 0 and 1 are equal, 2 and 3 too, and both of the latter are worse in everything.
    result = assess_frontier(np.full((20, 4, 1), [[1.0], [1.0], [2.0], [2.0]]), [[1.0], [1.0], [2.0], [2.0]])
    assert result.status == ("on", "on", "dominated", "dominated")
    assert result.tied[2, 3]
    assert result.tie_groups == ((0, 1),)


def test_points_not_measured_and_points_without_spread():
    # Point 1 was not measured, though replicates claim it was. Point 2 was, but no replicate has it (one block only).
    replicates = np.full((10, 3, 2), [[1.0, 1.0], [0.0, 0.0], [NAN, 2.0]])
    result = assess_frontier(replicates, [[1.0, 1.0], [NAN, 0.0], [2.0, 2.0]])
    assert result.status == ("on", "unmeasured", "tied")
    np.testing.assert_array_equal(result.p_dominated, [0.0, NAN, NAN])
    assert result.tied.tolist() == [[False, False, True], [False, False, False], [True, False, False]]
    assert result.tie_groups == ((0, 2),)
    assert result.frontier.tolist() == [True, False, False]


def test_no_points():
    result = assess_frontier(np.empty((5, 0, 2)), np.empty((0, 2)))
    assert result.status == ()
    assert result.tie_groups == ()
    assert result.dominator.shape == (0,)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="replicates must have shape"):
        assess_frontier(np.zeros((5, 3, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="replicates must have shape"):
        assess_frontier(np.zeros((0, 3, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="confidence"):
        assess_frontier(np.zeros((5, 3, 2)), np.zeros((3, 2)), confidence=0.5)
    with pytest.raises(ValueError, match="n_objectives"):
        assess_frontier(np.zeros((5, 3, 0)), np.zeros((3, 0)))


def false_verdicts(*, blocked, n_speakers, n_simulations=400):
    """Share of simulated corpora in which one of two equally good points is said to be worse, at 95 %.

    Each speaker finds each point harder or easier (a speaker effect on the difference), 15 utterances a speaker. That
    the cheaper point 0 dominates, or that the dearer point 1 is on the frontier: each has its 5 % at true equality.
    """
    rng = np.random.default_rng(n_speakers)
    speakers = np.repeat(np.arange(n_speakers), 15)
    words = rng.integers(5, 36, len(speakers))
    ease = rng.gamma(4, 1 / 4, (2 * n_simulations, n_speakers))[:, speakers]
    errors = rng.poisson(0.12 * words * ease)
    resample = draw_blocks([str(s) for s in speakers], n_replicates=500, blocked=blocked)
    rates = resample_ratio(errors, words, resample)
    values = rates.inflated().reshape(500, n_simulations, 2)
    said = []
    for i in range(n_simulations):
        pair = np.stack([values[:, i], np.broadcast_to([1.0, 2.0], (500, 2))], axis=-1)
        result = assess_frontier(pair, [[rates.estimates[2 * i], 1.0], [rates.estimates[2 * i + 1], 2.0]])
        said.append(result.status[1] != "tied")
    return np.mean(said)


@pytest.mark.parametrize("n_speakers", [6, 40])
def test_equal_points_are_separated_as_rarely_as_promised(n_speakers):
    # Two one-sided errors of 5 % make 10 %; over 400 corpora its standard error is 1.5 points. Allow three of them.
    assert false_verdicts(blocked=True, n_speakers=n_speakers) < 0.145
    # Utterance by utterance, without regard for speakers, verdicts are far too many.
    assert false_verdicts(blocked=False, n_speakers=n_speakers) > 0.4
