import json

import pytest

from allophone.errors import SpaceError
from allophone.frontier.pareto import Frontier
from allophone.records.point import OperatingPoint
from builders import write_run

TINY = OperatingPoint(model="tiny.en")
STRIDED = OperatingPoint(model="tiny.en", token_stride=2)
BASE = OperatingPoint(model="base")
SLOW = OperatingPoint(model="base", beam_size=5)


N = 40  # utterances, by 20 speakers


def rows(wrong: int, latency_s: float, flops: int = 10**9, noise: int = 0) -> list[dict[str, object]]:
    """Forty utterances with so many wrong words of ten; noise makes every second one that much worse or better."""
    counts = [max(0, min(10, wrong + noise * (1 if index % 4 < 2 else -1))) for index in range(N)]
    return [
        {
            "hits": 10 - count,
            "substitutions": count,
            "latency_s": latency_s,
            "executed_flops": flops,
            "speaker": f"s{index // 2}",
        }
        for index, count in enumerate(counts)
    ]


@pytest.fixture
def run(tmp_path):
    # wer and latency: tiny (0.3, 1), strided (0.4, 1) beaten by tiny, base (0.1, 2), slow (0.1, 3) beaten by base only
    return write_run(
        tmp_path / "r",
        {TINY: rows(3, 1.0, 3), STRIDED: rows(4, 1.0, 2), BASE: rows(1, 2.0, 5), SLOW: rows(1, 3.0, 1)},
    )


def test_clear_differences_give_verdicts_with_names_and_probabilities(run):
    frontier = Frontier.from_run(run)
    found = {point.name: (point.status, point.dominated_by_estimates) for point in frontier.points}
    assert found == {
        TINY.name: ("on", ()),
        STRIDED.name: ("dominated", (TINY.name,)),
        BASE.name: ("on", ()),
        SLOW.name: ("dominated", (BASE.name,)),
    }
    assert [point.name for point in frontier.on] == [TINY.name, BASE.name]
    (slow,) = (point for point in frontier.points if point.name == SLOW.name)
    assert (slow.dominated_by, slow.p_dominated, slow.p_on_frontier) == (BASE.name, 1.0, 0.0)
    assert frontier.tie_groups == ()


def test_a_difference_within_the_noise_is_a_tie(tmp_path):
    # Base is better by half a word in a hundred on average, and worse or better by three words from speaker to speaker.
    slower = rows(3, 2.0, noise=3)
    slower[0] = {**slower[0], "hits": slower[0]["hits"] + 2, "substitutions": slower[0]["substitutions"] - 2}
    frontier = Frontier.from_run(write_run(tmp_path / "r", {TINY: rows(3, 1.0), BASE: slower}))
    found = {point.name: point for point in frontier.points}
    assert found[BASE.name].nondominated
    assert found[BASE.name].status == "tied"
    assert found[BASE.name].tied_with == (TINY.name,)
    assert 0.3 < found[BASE.name].p_on_frontier < 0.95
    assert frontier.tie_groups == ((TINY.name, BASE.name),)
    low, high = found[BASE.name].intervals["wer"].low, found[BASE.name].intervals["wer"].high
    assert low < found[BASE.name].summary.wer < high


def test_pairing_sees_a_small_difference_that_is_always_there(tmp_path):
    # Both vary widely from speaker to speaker, and base has one error less in every utterance.
    frontier = Frontier.from_run(write_run(tmp_path / "r", {TINY: rows(5, 1.0, noise=3), BASE: rows(4, 2.0, noise=3)}))
    assert [point.status for point in frontier.points] == ["on", "on"]
    assert frontier.points[0].intervals["wer"].low < 0.4 + 0.1  # the intervals alone overlap


def test_the_verdict_depends_on_the_cost(run):
    frontier = Frontier.from_run(run, "executed_gflops")
    assert [point.name for point in frontier.on] == [SLOW.name]  # fewest FLOPs and no more errors than any


def test_two_costs_leave_more_points_on_the_frontier(run):
    frontier = Frontier.from_run(run, ["rtf", "executed_gflops"])
    # (wer, latency, flops): tiny (.3, 1, 3), strided (.4, 1, 2), base (.1, 2, 5), slow (.1, 3, 1): none beats another
    assert {point.status for point in frontier.points} == {"on"}


def test_equal_points_are_tied_and_both_on_as_measured(tmp_path):
    frontier = Frontier.from_run(write_run(tmp_path / "r", {TINY: rows(1, 1.0), BASE: rows(1, 1.0)}))
    assert all(point.nondominated for point in frontier.points)
    assert frontier.tie_groups == ((TINY.name, BASE.name),)


def test_one_utterance_decides_nothing(tmp_path):
    run = write_run(tmp_path / "r", {TINY: rows(1, 1.0)[:1], BASE: rows(3, 2.0)[:1]})
    frontier = Frontier.from_run(run)
    assert [point.status for point in frontier.points] == ["too few", "too few"]
    assert frontier.warnings


def test_one_speaker_falls_back_to_utterances_and_says_so(tmp_path):
    one = [{**row, "speaker": "anna"} for row in rows(1, 1.0)]
    frontier = Frontier.from_run(write_run(tmp_path / "r", {TINY: one}))
    assert "speaker" in frontier.warnings[0]


def test_json_is_plain_and_whole(run):
    fields = json.loads(Frontier.from_run(run).to_json())
    assert fields["quality_name"] == "WER"
    assert fields["points"][0]["name"] in (TINY.name, STRIDED.name)
    assert {point["wer"] for point in fields["points"]} == {0.3, 0.4, 0.1}
    assert fields["points"][0]["point"]["model"] == "tiny.en"


def test_what_was_not_measured_is_null_in_json(tmp_path):
    run = write_run(tmp_path / "r", {TINY: [{"peak_memory_bytes": None}]})
    fields = json.loads(Frontier.from_run(run).to_json())
    assert fields["points"][0]["peak_memory_bytes"] is None


def test_impossible_requests_are_refused(run):
    with pytest.raises(SpaceError, match="one or two different costs"):
        Frontier.from_run(run, ["rtf", "rtf"])
    with pytest.raises(SpaceError, match="must lie between"):
        Frontier.from_run(run, confidence=1.5)


def test_quality_is_no_cost(run):
    with pytest.raises(SpaceError, match="unknown cost 'wer'; known costs: rtf"):
        Frontier.from_run(run, "wer")
