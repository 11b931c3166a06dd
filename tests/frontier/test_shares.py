import numpy as np
import pytest

from allophone.errors import SpaceError
from allophone.frontier.pareto import Frontier
from allophone.frontier.recommend import recommend
from allophone.frontier.shares import have_errors, have_more_errors, reference_index
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from star_runs import BASE, write_star

BEAM = BASE.model_copy(update={"beam_size": 5})
ERRORS = np.array([[0.0, 2, 1, 0], [0, 1, 1, 3]])


def test_shares_are_counted_utterance_by_utterance():
    assert have_errors(ERRORS).tolist() == [[0, 1, 1, 0], [0, 1, 1, 1]]
    assert have_more_errors(ERRORS, 1).tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]
    assert have_more_errors(ERRORS, 0).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]


def test_the_dearest_point_is_the_reference_and_of_equal_ones_the_first():
    assert reference_index(np.array([[1.0, 2], [2, 3], [3, 2]])) == 1


def test_points_of_a_run_have_shares_and_the_99th_percentile(tmp_path):
    cheap = [3 if index < 10 else 0 for index in range(40)]
    dear = [1 if index < 12 else 0 for index in range(40)]
    summary = summarise_run(write_star(tmp_path / "r", {BASE: (cheap, 10), BEAM: (dear, 20)}))
    first, second = summary.points
    assert (first.error_share, second.error_share) == (0.25, 0.3)
    assert (first.p_worse, second.p_worse) == (0.25, 0.0)  # against the dearer one
    assert first.latency_p99_s == 1.0
    resample = draw_blocks(summary.samples.speakers, n_replicates=200)
    with pytest.raises(SpaceError, match="cannot be said of 40 utterances"):
        summary.samples.resample("latency_p99_s", resample)
    for name in ("error_share", "p_worse"):
        estimates = summary.samples.resample(name, resample).estimates
        assert estimates.tolist() == pytest.approx([getattr(point, name) for point in summary.points])


def test_shares_are_limits_and_perfect_is_what_people_read(tmp_path):
    run = write_star(tmp_path / "r", {BASE: ([1] * 10 + [0] * 30, 10), BEAM: (0, 20)})
    answer = recommend(run, {"perfect_share": 0.1}, "executed_gflops")
    assert answer.chosen.name == BEAM.name
    assert "share of utterances without an error at least 90.0 %" in answer.question
    assert recommend(run, {"p_worse": 0.3}, "executed_gflops").chosen.name == BASE.name
    fields = Frontier.from_run(run).to_dict()["points"]
    assert {point["error_share"] for point in fields} == {0.0, 0.25}


def test_estimated_error_rates_have_no_shares(tmp_path):
    from dataclasses import replace

    summary = summarise_run(write_star(tmp_path / "r", {BASE: (1, 10)}))
    samples = replace(summary.samples, transcribed=object())
    with pytest.raises(SpaceError, match="a reference for every utterance"):
        samples.resample("error_share", draw_blocks(samples.speakers, n_replicates=10))
