import numpy as np
import pytest

from allophone.errors import SpaceError
from allophone.frontier.pareto import Frontier
from allophone.frontier.recommend import recommend
from allophone.frontier.summarise import summarise_run
from allophone.frontier.throughput import read_rounds, resample_throughput, throughput_notice
from allophone.ledger.throughput_record import ThroughputPass, ThroughputRecord, write_throughput
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import intervals
from allophone.records.point import OperatingPoint
from builders import write_run

TINY, BASE = OperatingPoint(model="tiny.en"), OperatingPoint(model="base")


def passes(point, walls, workers=2):
    return [
        ThroughputPass(point=point.name, round=turn, workers=workers, batch_size=1, wall_s=wall)
        for turn, wall in enumerate(walls)
    ]


@pytest.fixture
def run(tmp_path):
    """tiny.en makes an error in ten words, base none; 30 speakers."""
    right = [{"speaker": f"s{index}"} for index in range(30)]
    wrong = [{"hits": 9, "substitutions": 1, **speaker} for speaker in right]
    return write_run(tmp_path / "r", {TINY: wrong, BASE: right})


def measured(run, *each):
    record = ThroughputRecord(jobs=0, batch_size=0, minutes=3, utterances=(0, 1, 2), audio_s=60)
    for one in each:
        record = record.model_copy(update={"passes": (*record.passes, *one)})
    write_throughput(run, record)
    return run


def test_a_point_has_the_median_of_the_rounds_that_all_points_have(run):
    # 60 s of audio: medians of 3 and 4 (the third round lacks base) and of 12 and 24 s.
    measured(run, passes(TINY, [3, 4, 100]), passes(BASE, [12, 24], workers=1))
    assert read_rounds(run, [TINY.name, BASE.name]).tolist() == [[3 / 60, 4 / 60], [12 / 60, 24 / 60]]
    tiny, base = summarise_run(run).points
    assert tiny.rtf_throughput == pytest.approx(3.5 / 60)
    assert base.rtf_throughput == pytest.approx(18 / 60)
    assert base.rtfx_throughput == pytest.approx(60 / 18)
    assert throughput_notice(run).startswith("Throughput: 3 recordings, 1.0 min, from files to texts; 1 to 2 at once")
    assert throughput_notice(run) in summarise_run(run).notices


def test_a_point_that_was_not_measured_has_none_and_meets_no_limit(run):
    measured(run, passes(TINY, [3, 4]))
    summary = summarise_run(run)
    assert np.isnan(summary.points[1].rtf_throughput)
    assert recommend(summary, {"rtf_throughput": 0.1}).chosen.name == TINY.name
    found = Frontier.from_summary(summary, "rtf_throughput")
    assert {point.name: point.status for point in found.points} == {TINY.name: "on", BASE.name: "unmeasured"}


def test_it_is_a_cost_of_the_frontier(run):
    measured(run, passes(TINY, [3, 3.1, 3.2]), passes(BASE, [12, 12.2, 12.1]))
    found = Frontier.from_run(run, "rtf_throughput")
    assert [(point.name, point.status) for point in found.points] == [(TINY.name, "on"), (BASE.name, "on")]
    # Slower at the same errors: dominated for sure. Rounds that disagree: tied.
    measured(run, passes(TINY, [13, 13.1, 13.2]), passes(BASE, [12, 12.2, 12.1]))
    assert {p.name: p.status for p in Frontier.from_run(run, "rtf_throughput").points}[TINY.name] == "dominated"
    measured(run, passes(TINY, [11, 13, 14]), passes(BASE, [12, 12.2, 12.1]))
    assert {p.name: p.status for p in Frontier.from_run(run, "rtf_throughput").points}[TINY.name] == "tied"


def test_a_wish_for_throughput_binds(run):
    measured(run, passes(TINY, [3, 3.1, 3.2]), passes(BASE, [12, 12.2, 12.1]))
    answer = recommend(summarise_run(run), {"rtf_throughput": 1 / 10}, confidence=0.9)
    assert (answer.chosen.name, answer.binding, answer.without_binding.name) == (TINY.name, "rtf_throughput", BASE.name)


def test_replicates_draw_the_same_rounds_for_all_points():
    # Twice as slow in every round: the ratio is 2 in every replicate. Medians of three lie among the three.
    rounds = np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]])
    replicates = resample_throughput(rounds, draw_blocks(["a", "b"] * 20, n_replicates=500))
    np.testing.assert_array_equal(replicates.values[:, 1], 2 * replicates.values[:, 0])
    assert set(replicates.values[:, 0].tolist()) == {1.0, 2.0, 4.0}
    # A median of three is the least where at least two of three draws are: 3 · (1/3)² · 2/3 + (1/3)³ = 7/27.
    assert np.mean(replicates.values[:, 0] == 1.0) == pytest.approx(7 / 27, abs=0.06)
    assert replicates.estimates.tolist() == [2.0, 4.0]


def test_one_round_shows_no_spread():
    replicates = resample_throughput(np.array([[2.0]]), draw_blocks([str(i) for i in range(30)], n_replicates=50))
    assert (intervals(replicates)[0].low, intervals(replicates)[0].high) == (2.0, 2.0)


def test_a_run_without_it_says_what_to_do(run):
    assert read_rounds(run, [TINY.name]) is None
    assert throughput_notice(run) is None
    assert np.isnan(summarise_run(run).points[0].rtf_throughput)
    with pytest.raises(SpaceError, match=r"throughput is not measured\. Run its sweep again with --throughput"):
        Frontier.from_run(run, "rtf_throughput")
