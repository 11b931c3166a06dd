from itertools import combinations, product
from math import inf, isnan, log2

import numpy as np
import pytest

from allophone.diagnosis.axes import AXES, arm_pairs
from allophone.diagnosis.elasticity import PairedChanges
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from allophone.records.point import OperatingPoint
from builders import write_run
from star_runs import BASE, rows, write_star

MODEL = next(axis for axis in AXES if axis.name == "model")
BEAM = next(axis for axis in AXES if axis.name == "beam_size")
CONTEXT = next(axis for axis in AXES if axis.name == "context")
BEAMS = [BASE, BASE.model_copy(update={"beam_size": 2}), BASE.model_copy(update={"beam_size": 5})]
UNEVEN = [3, 1, 0, 2, 4, 2, 1, 3, 1, 1] * 4


def changes(folder, points, cost="executed_gflops", confidence=0.95, margin=0.005, replicates=400, **options):
    summary = summarise_run(write_star(folder, points, **options))
    resample = draw_blocks(summary.samples.speakers, n_replicates=replicates)
    return PairedChanges(summary.samples, cost, resample, confidence, margin), [item.point for item in summary.points]


def test_a_pair_gives_the_change_over_the_doublings(tmp_path):
    # 20 % to 10 % of the words at four times the cost: -0.1 over log2(4) = 2 doublings
    found, points = changes(tmp_path / "r", {BEAMS[0]: (2, 10.0), BEAMS[1]: (1, 40.0)})
    up, down = found.move(BEAM, 0, 1, points), found.move(BEAM, 1, 0, points)
    assert up.elasticity.per_doubling.estimate == pytest.approx(-0.05)
    assert down.elasticity.per_doubling == up.elasticity.per_doubling  # always cheap to dear
    assert (up.elasticity.relative, down.elasticity.relative) == (pytest.approx(-0.25), pytest.approx(-0.5))
    assert (up.order, down.order) == ("dearer", "cheaper")
    assert (up.cost_ratio, down.cost_ratio) == (pytest.approx(4), pytest.approx(0.25))
    assert (up.p_better, up.p_worse, down.p_worse) == (1, 0, 1)
    assert up.change.estimate == pytest.approx(-0.1)


def test_several_pairs_give_the_least_squares_slope(tmp_path):
    # rates 0.3, 0.2, 0.1 at costs 1, 2, 8. From the first: (-0.1 * 1 - 0.2 * 3) / (1 + 9) = -0.07
    # with the third pair, -0.1 over 2 doublings: (-0.7 - 0.2) / (10 + 4) = -0.9 / 14
    found, points = changes(tmp_path / "r", {BEAMS[0]: (3, 1.0), BEAMS[1]: (2, 2.0), BEAMS[2]: (1, 8.0)})
    assert found.elasticity([(0, 1), (0, 2)], 0).per_doubling.estimate == pytest.approx(-0.07)
    every = found.elasticity(arm_pairs(BEAM, points), 0)
    assert (every.per_doubling.estimate, every.pairs) == (pytest.approx(-0.9 / 14), 3)


def test_replicates_are_those_of_speakers_drawn_and_widened(tmp_path):
    # the cost ratio differs by speaker: 3 + 0.1 a speaker's number
    first, second = rows(UNEVEN, 10.0), rows(UNEVEN[::-1], 10.0)
    for index, row in enumerate(second):
        row["executed_flops"] = round(row["executed_flops"] * (3 + 0.1 * (index % 10)))
    summary = summarise_run(write_run(tmp_path / "r", {BEAMS[0]: first, BEAMS[1]: second}))
    resample = draw_blocks(summary.samples.speakers, n_replicates=50)
    weights, errors = np.concatenate(list(resample.weights()))[:, resample.blocks], summary.samples.errors
    costs = summary.samples.executed_flops
    change, doublings = (errors[1] - errors[0]).sum() / 400, log2(costs[1].sum() / costs[0].sum())
    changes_drawn = weights @ (errors[1] - errors[0]) / (10 * weights.sum(axis=1))
    doublings_drawn = np.log2(weights @ costs[1] / (weights @ costs[0]))
    widen = resample.small_sample_factor()
    expected = (change + widen * (changes_drawn - change)) / (doublings + widen * (doublings_drawn - doublings))
    found = PairedChanges(summary.samples, "executed_gflops", resample, 0.95, 0.005)
    assert found.slopes([(0, 1)]) == pytest.approx(expected)


def test_equal_costs_have_a_change_but_no_elasticity(tmp_path):
    found, points = changes(tmp_path / "r", {BEAMS[0]: (2, 100.0), BEAMS[1]: (1, 100.9)})
    move = found.move(BEAM, 0, 1, points)
    assert (move.order, move.elasticity, move.p_better) == ("equal", None, 1)
    assert found.elasticity([(0, 1)], 0) is None


def test_costs_whose_order_is_open_count_as_equal(tmp_path):
    # every other speaker runs slower at the second point, and the mean is 2 % higher
    slower = [1.0 if index % 2 else 1.3 for index in range(10)]
    first = [{"speaker": f"s{index % 10}", "latency_s": 1.13} for index in range(40)]
    second = [{"speaker": f"s{index % 10}", "latency_s": slower[index % 10]} for index in range(40)]
    summary = summarise_run(write_run(tmp_path / "r", {BEAMS[0]: first, BEAMS[1]: second}))
    resample = draw_blocks(summary.samples.speakers, n_replicates=400)
    assert PairedChanges(summary.samples, "rtf", resample, 0.95, 0.005).order(0, 1) == "equal"
    assert PairedChanges(summary.samples, "rtf", resample, 0.51, 0.005).order(0, 1) == "dearer"


def test_a_replicate_that_turns_the_costs_round_is_unbounded(tmp_path):
    rates, logs = np.array([[0.3, 0.2], [0.3, 0.4], [0.3, 0.3]]), np.array([[1.0, 0.9]] * 3)
    assert PairedChanges._slope(rates, logs, [(0, 1)]).tolist() == [-inf, inf, 0.0]


def test_an_unmeasured_cost_is_unknown(tmp_path):
    unknown = {"peak_memory_bytes": None}
    folder = write_run(tmp_path / "r", {BEAMS[0]: [unknown] * 4, BEAMS[1]: [unknown] * 4})
    summary = summarise_run(folder)
    resample = draw_blocks(summary.samples.speakers, n_replicates=50)
    found = PairedChanges(summary.samples, "peak_memory_bytes", resample, 0.95, 0.005)
    move = found.move(BEAM, 0, 1, [item.point for item in summary.points])
    assert (move.order, move.elasticity, isnan(move.cost_ratio)) == ("unknown", None, True)


def test_equal_errors_everywhere_prove_only_what_so_many_words_can(tmp_path):
    # 400 words without a difference: a difference in 1 of 200 would have shown with p = 1 - 0.995^400 = 0.865
    found, points = changes(tmp_path / "r", {BEAMS[0]: (UNEVEN, 1.0), BEAMS[1]: (UNEVEN, 2.0)})
    move = found.move(BEAM, 0, 1, points)
    assert (move.p_better, move.p_worse) == (0, 0)
    assert move.p_no_gain == move.p_no_loss == pytest.approx(1 - 0.995**400)


def test_arms_are_found_as_by_comparing_every_pair_of_fields():
    points = [
        OperatingPoint(model=model, context=context, margin_s=margin, token_stride=stride, beam_size=beam)
        for model, (context, margin), stride, beam in product(
            ["tiny.en", "base"], [("full", 0), ("fit", 1), ("fit", 2)], [1, 2], [1, 5]
        )
    ]
    for axis in AXES:
        expected = {
            (i, j)
            for i, j in combinations(range(len(points)), 2)
            if {name for name, value in points[i] if value != getattr(points[j], name)} <= set(axis.fields)
        }
        assert set(arm_pairs(axis, points)) == expected
    assert len(arm_pairs(CONTEXT, points)) == 8 * 3
    assert len(arm_pairs(MODEL, points)) == 12


def test_every_knob_of_a_point_belongs_to_one_axis():
    fields = [field for axis in AXES for field in axis.fields]
    assert sorted(fields) == sorted(OperatingPoint.model_fields)
