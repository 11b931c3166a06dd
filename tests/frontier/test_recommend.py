from dataclasses import fields
from itertools import product
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allophone.errors import InfeasibleError, SpaceError
from allophone.frontier.confidence import judge_limits
from allophone.frontier.pareto import Frontier
from allophone.frontier.recognition import RecognitionPointSummary, RecognitionSamples
from allophone.frontier.recommend import recommend
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from allophone.records.point import OperatingPoint
from builders import write_run

GIVEN = {"transcribed", "points", "utterances", "speakers", "words", "duration_s", "errors"}


def point(stride: int, wer: float, rtf: float, memory: float = 1e9, gflops: float = 10.0) -> RecognitionPointSummary:
    return RecognitionPointSummary(
        point=OperatingPoint(model="tiny.en", token_stride=stride),
        n_utterances=10,
        audio_s=100.0,
        hits=90,
        substitutions=5,
        insertions=0,
        deletions=5,
        text_tokens=200,
        truncated_windows=0,
        wer=wer,
        rtf=rtf,
        latency_mean_s=rtf,
        latency_p50_s=rtf,
        latency_p95_s=2 * rtf,
        encode_s=1.0,
        decode_s=1.0,
        executed_gflops=gflops,
        published_gflops=1.5 * gflops,
        roofline_share=0.25,
        peak_memory_bytes=memory,
    )


CHEAP, MIDDLE, GOOD = point(4, 0.15, 0.02), point(2, 0.11, 0.05), point(1, 0.10, 0.20)
POINTS = [CHEAP, MIDDLE, GOOD]


def test_without_constraints_the_lowest_error_rate_wins():
    answer = recommend(POINTS)
    assert (answer.chosen, answer.minimised, answer.binding, answer.feasible) == (GOOD, "wer", None, 3)


def test_a_speed_limit_binds_and_what_it_costs_is_said():
    answer = recommend(POINTS, {"rtf": 0.1})
    assert (answer.chosen, answer.binding, answer.without_binding) == (MIDDLE, "rtf", GOOD)
    assert (
        answer.question == "Which operating point has the lowest word error rate with real-time factor at most 0.100?"
    )
    assert "would give 10.00 %" in answer.explain()[1]


def test_with_a_quality_limit_the_fastest_wins():
    answer = recommend(POINTS, {"wer": 0.12, "rtf": 0.1})
    assert (answer.chosen, answer.minimised, answer.binding, answer.without_binding) == (MIDDLE, "rtf", "wer", CHEAP)


def test_a_limit_that_changes_nothing_does_not_bind():
    answer = recommend(POINTS, {"rtf": 1.0})
    assert answer.binding is None
    assert "No constraint binds" in answer.explain()[1]


def test_a_limit_may_be_met_exactly():
    assert recommend(POINTS, {"rtf": 0.05}).chosen == MIDDLE


def test_the_nearest_miss_is_named_with_its_distance():
    # CHEAP misses rtf 0.01 by 100 %; MIDDLE by 400 %
    with pytest.raises(
        InfeasibleError,
        match=r"tiny\.en, full context, stride 4 comes nearest; its real-time factor 0\.020 .* by 100 %",
    ):
        recommend(POINTS, {"rtf": 0.01})


def test_ties_go_to_the_lower_error_rate_then_the_faster():
    assert recommend([GOOD, point(3, 0.10, 0.15)]).chosen.rtf == 0.15
    assert recommend([point(1, 0.2, 0.1), point(2, 0.1, 0.1)], minimise="rtf").chosen.wer == 0.1


def test_what_was_not_measured_meets_no_limit_and_wins_nothing():
    unmeasured = point(1, 0.05, 0.01, memory=nan)
    assert recommend([unmeasured, CHEAP], {"peak_memory_bytes": 2e9}).chosen == CHEAP
    assert recommend([unmeasured, CHEAP], minimise="peak_memory_bytes").chosen == CHEAP
    with pytest.raises(InfeasibleError):
        recommend([unmeasured], {"peak_memory_bytes": 2e9})


@pytest.mark.parametrize("limit", [0, -1, nan, inf])
def test_an_impossible_limit_is_refused(limit):
    with pytest.raises(SpaceError, match="must be a positive number"):
        recommend(POINTS, {"rtf": limit})


def test_unknown_objectives_name_the_known_ones():
    for arguments in ({"constraints": {"speed": 1.0}}, {"minimise": "speed"}):
        with pytest.raises(SpaceError, match="unknown objective 'speed'; known: wer, cer, rtf"):
            recommend(POINTS, **arguments)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from([0.1, 0.2, 0.3])), min_size=1, max_size=6),
    st.sampled_from([None, 0.1, 0.2, 0.25]),
    st.sampled_from([None, 0.1, 0.2, 0.25]),
)
def test_the_answer_is_that_of_a_brute_force_search(values, max_wer, max_rtf):
    points = [point(index + 1, wer, rtf) for index, (wer, rtf) in enumerate(values)]
    limits = {name: limit for name, limit in (("wer", max_wer), ("rtf", max_rtf)) if limit is not None}
    allowed = [p for p in points if p.wer <= (max_wer or 1) and p.rtf <= (max_rtf or 1)]
    if not allowed:
        with pytest.raises(InfeasibleError):
            recommend(points, limits)
        return
    answer = recommend(points, limits)
    objective = "rtf" if max_wer is not None else "wer"
    assert getattr(answer.chosen, objective) == min(getattr(p, objective) for p in allowed)
    gains = {
        name: min(
            getattr(p, objective)
            for p in points
            if all(getattr(p, other) <= limit for other, limit in limits.items() if other != name)
        )
        for name in limits
    }
    improves = any(gain < getattr(answer.chosen, objective) for gain in gains.values())
    assert (answer.binding is not None) == improves
    if improves:
        assert gains[answer.binding] == min(gains.values())


def test_every_pair_of_limits_on_a_grid_is_met_by_the_choice():
    for max_wer, max_rtf in product([0.1, 0.11, 0.15], [0.02, 0.05, 0.2]):
        try:
            chosen = recommend(POINTS, {"wer": max_wer, "rtf": max_rtf}).chosen
        except InfeasibleError:
            assert not [p for p in POINTS if p.wer <= max_wer and p.rtf <= max_rtf]
            continue
        assert chosen.wer <= max_wer
        assert chosen.rtf <= max_rtf


def uncertain_run(folder, *, n=90, n_speakers=30, seed=0):
    """Three points: cheap, dear and slightly better (by 0.1 word of ten), dear and clearly better but slow."""
    rng = np.random.default_rng(seed)
    hard = rng.binomial(4, 0.35, size=n)  # shared by all points
    rows = {}
    for point_, errors, latency in (
        (CHEAP.point, hard + rng.binomial(1, 0.5, size=n) + 1, 0.2),
        (MIDDLE.point, hard + rng.binomial(1, 0.4, size=n) + 1, 0.5),
        (GOOD.point, hard, 2.0),
    ):
        rows[point_] = [
            {"hits": 10 - int(e), "substitutions": int(e), "latency_s": latency, "speaker": f"s{i % n_speakers}"}
            for i, e in enumerate(errors)
        ]
    return summarise_run(write_run(folder, rows))


def test_with_confidence_the_choice_meets_the_limit_that_surely(tmp_path):
    run = uncertain_run(tmp_path / "r")
    wers = {p.name: p.wer for p in run.points}
    tight = wers[MIDDLE.name] + 1e-6  # met as measured, but no more than a coin's throw
    assert recommend(run, {"wer": tight}).chosen.name == MIDDLE.name
    sure = recommend(run, {"wer": tight}, confidence=0.9)
    assert sure.chosen.name == GOOD.name
    assert sure.probability >= 0.9
    assert sure.confidence == 0.9
    assert sure.warnings == ()
    assert sure.feasible == 1
    assert (sure.binding, sure.without_binding.name) == ("wer", CHEAP.name)
    assert any("probability" in line for line in sure.explain())


def test_without_constraints_confidence_names_the_ties_and_what_would_decide(tmp_path):
    run = uncertain_run(tmp_path / "r", seed=1)
    answer = recommend(run, {"rtf": 0.1}, confidence=0.9)
    assert answer.chosen.name == MIDDLE.name
    assert answer.probability > 0.98
    (tie,) = answer.ties
    assert tie.point.name == CHEAP.name
    assert tie.difference.low <= 0 <= tie.difference.high
    # 90 utterances of 30 speakers: three utterances come with every speaker
    assert tie.more_utterances == pytest.approx(3 * tie.more_speakers, abs=3)
    lines = answer.explain()
    assert any(f"takes about {tie.more_utterances:.0f} more utterances" in line for line in lines)


def test_a_folder_a_frontier_and_a_summary_give_one_answer(tmp_path):
    run = uncertain_run(tmp_path / "r")
    chosen = recommend(run, {"rtf": 0.1}).chosen
    assert recommend(str(tmp_path / "r"), {"rtf": 0.1}).chosen == chosen
    assert recommend(tmp_path / "r", {"rtf": 0.1}).chosen == chosen
    assert recommend(Frontier.from_summary(run), {"rtf": 0.1}).chosen == chosen


def test_enough_utterances_decide_the_tie(tmp_path):
    run = uncertain_run(tmp_path / "r", n=6000, n_speakers=600)
    answer = recommend(run, {"rtf": 0.1}, confidence=0.9)
    assert (answer.chosen.name, answer.ties) == (MIDDLE.name, ())
    assert any("No other point" in line for line in answer.explain())


def test_met_as_measured_but_not_surely_is_said(tmp_path):
    run = uncertain_run(tmp_path / "r")
    least = min(p.wer for p in run.points)
    said = r"1 of 3 points .* none with that probability\. tiny\.en, full context .*"
    with pytest.raises(InfeasibleError, match=rf"{said}\(about \d+ more would"):
        recommend(run, {"wer": least + 0.003}, confidence=0.9)
    with pytest.raises(InfeasibleError, match=rf"{said}\(more than 100,000 would be needed"):
        recommend(run, {"wer": least + 1e-6}, confidence=0.9)
    with pytest.raises(InfeasibleError, match="comes nearest; its word error rate"):
        recommend(run, {"wer": 0.001}, confidence=0.9)


def test_few_speakers_are_warned_of_and_refused_a_promise(tmp_path):
    with pytest.raises(InfeasibleError, match="3 speakers are too few"):
        recommend(uncertain_run(tmp_path / "limit", n_speakers=3), {"wer": 0.9}, confidence=0.9)
    few = recommend(uncertain_run(tmp_path / "few", n_speakers=3), confidence=0.9)
    assert "Only 3 speakers" in few.warnings[0]
    one = recommend(uncertain_run(tmp_path / "one", n_speakers=1), confidence=0.9)
    assert "say nothing about other speakers" in one.warnings[0]
    assert one.explain()[-1] == one.warnings[0]


def test_confidence_needs_measurements_and_a_possible_value(tmp_path):
    with pytest.raises(SpaceError, match="points alone"):
        recommend(POINTS, confidence=0.9)
    with pytest.raises(SpaceError, match=r"between 0\.5 and 1"):
        recommend(uncertain_run(tmp_path / "r"), confidence=0.3)


def test_a_stated_probability_is_about_right():
    """Over corpora drawn afresh, a point whose true rate is the limit is accepted at 0.9 in about a tenth of them."""
    rng = np.random.default_rng(7)
    accepted = []
    for _ in range(200):
        speaker = rng.normal(0, 0.05, size=40)
        errors = rng.binomial(10, np.clip(0.25 + np.repeat(speaker, 5), 0, 1))
        samples = RecognitionSamples(
            points=("p",),
            utterances=tuple(map(str, range(200))),
            speakers=tuple(f"s{i // 5}" for i in range(200)),
            words=np.full(200, 10.0),
            duration_s=np.ones(200),
            errors=errors[None].astype(float),
            **{
                name: np.ones((1, 200))
                for name in (item.name for item in fields(RecognitionSamples))
                if name not in GIVEN
            },
        )
        resample = draw_blocks(samples.speakers, n_replicates=1000)
        accepted.append(judge_limits(samples, {"wer": 0.25}, resample, 0.9).kept[0])
    assert 0.02 <= np.mean(accepted) <= 0.12  # the allowance for speakers not heard makes it rarer than a tenth


def counted(index, characters):
    """A row of ten words and fifty characters, so many of the latter wrong."""
    wrong = {"character_hits": 50 - characters, "character_substitutions": characters}
    return {**wrong, "character_insertions": 0, "character_deletions": 0, "speaker": f"s{index % 12}"}


def test_character_errors_are_a_quality_of_their_own(tmp_path):
    fast, slow = OperatingPoint(model="tiny.en", token_stride=2), OperatingPoint(model="tiny.en")
    rows = {
        fast: [counted(i, 5) | {"latency_s": 0.5} for i in range(60)],
        slow: [counted(i, i % 2) | {"latency_s": 1.0} for i in range(60)],
    }
    run = summarise_run(write_run(tmp_path / "r", rows))
    assert [point.cer for point in run.points] == [0.1, 0.01]
    assert recommend(run, {"cer": 0.2}, "rtf").chosen.point == fast
    answer = recommend(run, {"cer": 0.05}, "rtf")
    assert answer.chosen.point == slow
    assert "character error rate at most 5.00 %" in answer.question
    assert "character error rate 1.00 % (limit 5.00 %)" in answer.explain()[0]
    assert recommend(run, {}, "cer").chosen.point == slow
    sure = recommend(run, {"cer": 0.05}, "rtf", 0.9)
    assert (sure.chosen.point, sure.probability > 0.9) == (slow, True)


def test_a_run_of_before_characters_were_counted_meets_no_limit_on_them(tmp_path):
    run = summarise_run(write_run(tmp_path / "r", {OperatingPoint(model="tiny.en"): [{}] * 4}))
    assert isnan(run.points[0].cer)
    with pytest.raises(InfeasibleError, match="character error rate"):
        recommend(run, {"cer": 0.5})


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "word error rate"),
        ({"normalizer": "characters", "language": "zh"}, "character error rate"),
        ({"relative_to": "base-full-s1-int8-b5"}, "error rate relative to base, full context, beam 5"),
        (
            {"relative_to": "base-full-s1-int8-b5", "normalizer": "characters"},
            "character error rate relative to base, full context, beam 5",
        ),
    ],
)
def test_every_sentence_calls_the_error_rate_by_what_is_counted(tmp_path, changes, title):
    rows = [{"hits": 9, "substitutions": 1, "speaker": f"s{i % 12}", "latency_s": 1 + i % 3} for i in range(60)]
    run = summarise_run(write_run(tmp_path / "r", {OperatingPoint(model="tiny.en"): rows}, **changes))
    answer = recommend(run, {"wer": 0.5, "rtf": 1.0}, confidence=0.9)
    told = [answer.question, *answer.explain(), *recommend(run).explain(), recommend(run).question]
    with pytest.raises(InfeasibleError) as error:
        recommend(run, {"wer": 0.01})
    told.append(str(error.value))
    assert all(title in line for line in (told[0], told[1], told[-1], told[-2]))
    if title != "word error rate":
        assert not [line for line in told if "word error rate" in line or "WER" in line]
