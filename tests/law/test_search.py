import numpy as np
import pytest

from allophone.errors import InfeasibleError, LawError, UsageError
from allophone.frontier.dominance import hypervolume
from allophone.law.law import fit_points
from allophone.law.resources import layer_parameters, resource_table
from allophone.law.search import _added, _frontier, best_within, propose
from allophone.records.point import OperatingPoint

DURATIONS = np.full(20, 8.0)


def points_of(models=("tiny", "base", "small"), strides=(1, 2, 4, 8)):
    return [OperatingPoint(model=model, token_stride=stride) for model in models for stride in strides]


def loss(point):
    size, tokens = resource_table([point], ("model", "token_stride"), DURATIONS)[0]
    return 0.05 + 0.08 * (size / 4e7) ** -0.5 + 0.05 * (tokens / 20) ** -0.8


def cost(point):
    return layer_parameters(point.model) / 1e6 * (1 + 1 / point.token_stride)


def fitted(points, noise=0.02, seed=0):
    rng = np.random.default_rng(seed)
    losses = np.array([loss(point) for point in points]) * (1 + noise * rng.normal(size=len(points)))
    return fit_points(points, losses, losses * (1 + noise * rng.normal(size=(200, len(points)))), DURATIONS)


LAW = fitted(points_of())


def test_the_best_point_within_a_budget_is_found_with_an_interval():
    candidates = points_of(strides=(1, 2, 3, 4, 8))
    costs = [cost(point) for point in candidates]
    for budget in (20, 60, 100, 400):
        best = best_within(LAW, budget, candidates, costs)
        truth = min(loss(point) for point, c in zip(candidates, costs, strict=True) if c <= budget)
        assert best.gflops <= budget
        assert loss(best.point) <= 1.03 * truth
        assert best.loss.low <= truth <= best.loss.high
        assert (best.beyond, best.left_out) == ((), 0)


def test_extrapolation_to_a_bigger_model_is_said_and_holds_the_truth():
    big = OperatingPoint(model="medium")
    best = best_within(LAW, 1e9, [*points_of(), big], [*(cost(p) for p in points_of()), cost(big)])
    assert best.point == big
    assert best.beyond == ("model",)
    assert best.loss.low <= loss(big) <= best.loss.high


def test_an_axis_of_two_values_is_not_extrapolated():
    law = fitted(points_of(("tiny", "base"), (1, 2, 4, 8)))
    big = OperatingPoint(model="small")
    both = [*points_of(("tiny",)), big]
    best = best_within(law, 1e9, both, [cost(point) for point in both])
    assert best.point.model == "tiny"
    assert best.left_out == 1
    with pytest.raises(LawError, match="outside the measured range of model"):
        best_within(law, 1e9, [big], [cost(big)])


def test_a_budget_below_everything_is_infeasible():
    with pytest.raises(InfeasibleError, match="no candidate costs 1 GFLOPs"):
        best_within(LAW, 1, points_of(), [cost(point) for point in points_of()])


def test_costs_must_fit_and_be_positive():
    for costs in ([1.0], [0.0] * 12, [float("nan")] * 12):
        with pytest.raises(UsageError, match="12 points need"):
            best_within(LAW, 10, points_of(), costs)


def test_the_added_area_is_that_of_the_hypervolume():
    rng = np.random.default_rng(0)
    spent, new = np.log(rng.uniform(10, 100, 6)), np.log(rng.uniform(5, 120, 4))
    losses = rng.uniform(0.1, 0.3, (1, 6))
    worst = 0.3
    steps, widths, frontier = _frontier(spent, losses, worst, new)
    reference = [worst, steps[-1] + np.log(2)]
    before = np.column_stack([losses[0], spent])
    for log_cost in new:
        for value in (0.05, 0.15, 0.25, 0.35):
            added = _added(frontier, widths, np.array([value]), int(np.searchsorted(steps, log_cost)))
            after = np.vstack([before, [value, log_cost]])
            assert added == pytest.approx(hypervolume(after, reference) - hypervolume(before, reference), abs=1e-12)


def test_proposals_are_new_spread_out_and_useful():
    measured = [p for p in points_of(strides=(1, 2, 4, 8)) if not (p.model == "small" and p.token_stride < 4)]
    law = fitted(measured)
    candidates = points_of(strides=(1, 2, 3, 4, 8))
    chosen = propose(law, candidates, [cost(p) for p in candidates], [cost(p) for p in law.points], k=3)
    assert len(set(chosen)) == 3
    assert not set(chosen) & set(law.points)
    assert chosen[0].model == "small"  # where loss falls furthest below anything measured
    assert propose(law, measured, [cost(p) for p in measured], [cost(p) for p in law.points], k=3) == ()


def test_a_candidate_dearer_and_worse_is_not_proposed():
    bad = OperatingPoint(model="tiny", token_stride=16)
    assert propose(LAW, [bad], [1e6], [cost(p) for p in LAW.points]) == ()
