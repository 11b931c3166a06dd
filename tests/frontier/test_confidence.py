from math import inf, nan, sqrt

import numpy as np
import pytest

from allophone.errors import InfeasibleError, SpaceError
from allophone.frontier.confidence import draw_replicates, find_ties, judge_limits, more_speakers, sample_size_factor
from allophone.frontier.summarise import summarise_run
from allophone.records.point import OperatingPoint
from builders import write_run

POINTS = [OperatingPoint(model="tiny.en", token_stride=stride) for stride in (1, 2, 4)]


def run_of(folder, errors, *, n_speakers=30, latency=None):
    """A run whose point k makes errors[k][i] substitutions in ten words of utterance i."""
    rows = {}
    for k, counts in enumerate(errors):
        rows[POINTS[k]] = [
            {
                "hits": 10 - int(count),
                "substitutions": int(count),
                "speaker": f"s{i % n_speakers}",
                "latency_s": 1.0 if latency is None else float(latency[k][i]),
            }
            for i, count in enumerate(counts)
        ]
    return summarise_run(write_run(folder, rows))


def test_the_needed_number_is_the_textbook_one():
    # (1.959964 + 0.841621)^2 = 7.8489: Lachin's n for a paired mean with d = sigma; at n = 1, se = sigma
    assert sample_size_factor(1.0, 1.0, 0.95) == pytest.approx(7.8489, abs=1e-4)
    # at the needed number the standard error is d / 2.8016, and then the factor is 1
    assert sample_size_factor(1.0, 1 / sqrt(7.8489), 0.95) == pytest.approx(1, abs=1e-4)
    assert sample_size_factor(-0.5, 1.0, 0.95) == pytest.approx(4 * 7.8489, abs=1e-3)
    assert sample_size_factor(0.0, 1.0, 0.95) == inf
    assert sample_size_factor(1.0, nan, 0.95) == inf


def test_the_needed_number_has_the_stated_power():
    rng = np.random.default_rng(5)
    n = round(50 * sample_size_factor(0.3, 2 / sqrt(50), 0.9))
    means = rng.normal(0.3, 2, size=(4000, n)).mean(axis=1)
    found = np.abs(means) * sqrt(n) / 2 > 1.644854
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_probabilities_follow_the_distance_to_the_limit(tmp_path):
    rng = np.random.default_rng(1)
    run = run_of(tmp_path / "r", rng.binomial(10, 0.2, size=(1, 90)))
    wer = run.points[0].wer
    resample = draw_replicates(run.samples.speakers, 0.9)
    near, below, above = (
        judge_limits(run.samples, {"wer": limit}, resample, 0.9).probability[0] for limit in (wer, wer - 0.1, wer + 0.1)
    )
    assert near < 0.5
    assert below == 0
    assert above > 0.99


def test_a_cost_that_never_varies_is_met_exactly_and_for_certain(tmp_path):
    run = run_of(tmp_path / "r", np.random.default_rng(2).binomial(10, 0.2, size=(1, 90)))
    resample = draw_replicates(run.samples.speakers, 0.9)
    assert judge_limits(run.samples, {"executed_gflops": 40.0}, resample, 0.9).kept.all()
    assert not judge_limits(run.samples, {"executed_gflops": 39.9}, resample, 0.9).kept.any()


def test_fewer_than_eight_speakers_are_refused_a_promise(tmp_path):
    run = run_of(tmp_path / "r", np.full((1, 90), 1), n_speakers=7)
    with pytest.raises(InfeasibleError, match=r"7 speakers are too few .* takes 8 at least"):
        judge_limits(run.samples, {"wer": 0.5}, draw_replicates(run.samples.speakers, 0.9), 0.9)


def test_unequal_speakers_count_for_as_many_as_they_tell(tmp_path):
    # One speaker has 40 of 60 utterances, ten have two each: 60² / (40² + 10 · 2²) = 2.2.
    rows = [{"speaker": f"s{max(0, i - 39) // 2}"} for i in range(60)]
    run = summarise_run(write_run(tmp_path / "r", {POINTS[0]: rows}))
    resample = draw_replicates(run.samples.speakers, 0.9)
    assert resample.effective_blocks == pytest.approx(60**2 / sum(n * n for n in np.bincount(resample.blocks)))
    with pytest.raises(
        InfeasibleError, match=r"11 speakers, as unequal as they are worth 2\.\d equal ones, are too few"
    ):
        judge_limits(run.samples, {"wer": 0.9}, resample, 0.9)


def test_so_many_more_speakers_would_do(tmp_path):
    rng = np.random.default_rng(3)
    errors = rng.binomial(10, 0.2, size=(1, 90))
    run = run_of(tmp_path / "few", errors)
    limits = {"wer": run.points[0].wer + 0.02}
    resample = draw_replicates(run.samples.speakers, 0.95)
    assert not judge_limits(run.samples, limits, resample, 0.95).kept[0]
    more = more_speakers(run.samples, limits, resample, 0.95, 0)
    assert 5 < more < 300
    # As many and a tenth more of the same kind: the point passes.
    copies = -(-int(30 + 1.1 * more) // 30)
    again = run_of(tmp_path / "many", np.tile(errors.reshape(3, 30), copies).reshape(1, -1), n_speakers=30 * copies)
    assert judge_limits(again.samples, limits, draw_replicates(again.samples.speakers, 0.95), 0.95).kept[0]
    assert more_speakers(run.samples, {"wer": run.points[0].wer - 0.02}, resample, 0.95, 0) == inf


def test_ties_are_those_whose_paired_difference_includes_zero(tmp_path):
    rng = np.random.default_rng(3)
    first = rng.binomial(5, 0.3, size=90)
    flip = rng.integers(0, 2, size=90)
    errors = [first, first + flip - flip[::-1] * (np.arange(90) % 2), first + 2]
    errors[1] = np.clip(errors[1], 0, 10)
    run = run_of(tmp_path / "r", errors)
    resample = draw_replicates(run.samples.speakers, 0.9)
    ties = find_ties(run.samples, resample, run.points, 0, (0, 1, 2), "wer", 0.9)
    names = [tie.point.name for tie in ties]
    # the third is two words of ten worse in every utterance: no doubt; the second differs by chance
    assert run.points[2].name not in names
    found = find_ties(run.samples, resample, run.points, 1, (0, 1), "wer", 0.9)
    assert (run.points[1].name in names) == (run.points[0].name in [tie.point.name for tie in found])


def test_equal_points_are_tied_for_ever(tmp_path):
    rng = np.random.default_rng(4)
    errors = rng.binomial(10, 0.2, size=90)
    run = run_of(tmp_path / "r", [errors, errors])
    resample = draw_replicates(run.samples.speakers, 0.9)
    for name in ("wer", "rtf", "latency_p95_s", "peak_memory_bytes"):
        (tie,) = find_ties(run.samples, resample, run.points, 0, (0, 1), name, 0.9)
        assert tie.more_utterances == inf
        assert tie.more_speakers == inf


@pytest.mark.parametrize("confidence", [0.5, 1, 0, 1.5, nan])
def test_an_impossible_confidence_is_refused(confidence):
    with pytest.raises(SpaceError, match=r"between 0\.5 and 1"):
        draw_replicates(["a", "b"], confidence)


def test_one_utterance_is_refused():
    with pytest.raises(SpaceError, match="single utterance"):
        draw_replicates(["a"], 0.9)
