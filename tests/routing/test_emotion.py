import json

import numpy as np
import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import InfeasibleError, UsageError
from allophone.records.point import EmotionSetting
from allophone.routing.emotion import SIGNALS, ProbabilityRouter, read_candidates, route_emotion, uncertainty
from allophone.routing.thresholds import CalibrationTarget
from emotion_builders import write_cascade_run, write_emotion_run

SHORT = EmotionSetting(model="tiny.en", duration_s=1.0)
LONG = EmotionSetting(model="tiny.en", duration_s=2.0)
DEEP = EmotionSetting(model="tiny.en", duration_s=2.0, unfrozen_layers=1)
DEAR = {"executed_flops": 4_000_000_000, "latency_s": 0.3}


def test_doubt_is_nothing_where_one_class_is_certain_and_greatest_where_all_are_alike():
    sure, alike, torn = [1.0, 0.0, 0.0], [1 / 3] * 3, [0.5, 0.5, 0.0]
    for signal in SIGNALS:
        least, most, between = uncertainty(np.array([sure, alike, torn]), signal)
        assert least == pytest.approx(0, abs=1e-12)
        assert least < between <= most <= 1 + 1e-12
    assert uncertainty(np.array(alike), "entropy") == pytest.approx(1)
    assert uncertainty(np.array(torn), "margin") == pytest.approx(1)
    assert uncertainty(np.array(torn), "max_probability") == 0.5


def test_errors_weigh_so_that_their_rate_is_one_minus_the_uar(tmp_path):
    # six of high, two of low, of which three and one are missed: UAR (3/6 + 1/2) / 2
    rows = [{"label": "high", "predicted": "high" if n < 3 else "low", "correct": n < 3} for n in range(6)]
    rows += [{"label": "low", "predicted": "low" if n else "high", "correct": bool(n)} for n in range(2)]
    run = write_emotion_run(tmp_path / "r", {SHORT: rows, LONG: [{**row, **DEAR} for row in rows]})
    found = read_candidates(run, [SHORT.name, LONG.name])
    assert found.samples.errors[0].sum() / found.samples.weights.sum() == pytest.approx(0.5)
    assert found.samples.flops.mean(axis=1).tolist() == [2e9, 4e9]
    assert found.hits.sum(axis=1).tolist() == [4, 4]


def test_rows_that_a_point_lacks_are_left_out(tmp_path):
    run = write_emotion_run(tmp_path / "r", {SHORT: [{}] * 8, LONG: [DEAR] * 4 + [{"error": "silent"}] + [DEAR] * 3})
    found = read_candidates(run, [SHORT.name, LONG.name])
    assert len(found.samples) == 7
    assert found.probabilities.shape == (2, 7, 2)
    part = found.take(np.array([0, 3], np.intp))
    assert part.samples.utterances == ("u0", "u3")
    assert ProbabilityRouter("margin", part.probabilities).scores(part.samples).shape == (1, 2)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([SHORT.name], "takes two or more different points"),
        ([SHORT.name, SHORT.name], "takes two or more different points"),
        ([SHORT.name, "x"], "'x' is no point of this run"),
        ([LONG.name, SHORT.name], "name points from cheap to dear"),
        ([LONG.name, DEEP.name], "adaptation costs nothing at inference"),
    ],
)
def test_mistakes(tmp_path, names, message):
    run = write_emotion_run(tmp_path / "r", {SHORT: [{}] * 4, LONG: [DEAR] * 4, DEEP: [DEAR] * 4})
    with pytest.raises(UsageError, match=message):
        read_candidates(run, names)


SMALL = EmotionSetting(model="tiny.en", duration_s=2.0)
BIG = EmotionSetting(model="base", duration_s=2.0)
N = 400


def write(folder, telling, n=N):
    return write_cascade_run(folder / "r", SMALL, BIG, telling=telling, n=n)


def routed(folder, telling, goal):
    return route_emotion(read_candidates(write(folder, telling), [SMALL.name, BIG.name]), goal, n_replicates=500)


def test_a_posterior_that_tells_saves_the_errors_it_pays_for(tmp_path):
    found = routed(tmp_path, True, CalibrationTarget("big_share", 0.3))
    assert found.uar.estimate == 1
    assert found.climbed == 0.25
    assert found.gflops == pytest.approx(2 + 0.25 * 20)  # the small point always ran
    assert found.seconds == pytest.approx(0.1 + 0.25 * 0.5)
    assert found.saved_over_first == N / 4
    # Chance at 7 GFLOPs sends 5/18 of the rows up and saves that share of the misses.
    assert found.saved_over_chance == pytest.approx(N / 4 * (1 - 5 / 18))
    assert found.over_chance.estimate == pytest.approx(0.25 * (1 - 5 / 18))
    assert found.p_above == 1
    assert found.oracle_uar == 1
    assert sum(found.signals.values()) == 5
    by_name = {item.name: item for item in found.recoveries}
    assert by_name["cascade on entropy"].share > 0.7
    assert by_name["random"].share < 0.2


def test_a_posterior_that_tells_nothing_is_worse_than_chance(tmp_path):
    found = routed(tmp_path, False, CalibrationTarget("big_share", 0.3))
    assert found.climbed == pytest.approx(0.3, abs=0.06)
    assert found.over_chance.estimate < 0.02  # what it ran to decide is charged
    assert found.uar.low < found.uar.estimate < found.uar.high


def test_a_budget_is_kept(tmp_path):
    found = routed(tmp_path, True, CalibrationTarget("gflops", 5.0))
    assert 2 <= found.gflops <= 5.5
    with pytest.raises(InfeasibleError, match="out of reach"):
        routed(tmp_path, True, CalibrationTarget("gflops", 1.0))


def test_few_speakers_are_judged_and_promised_nothing(tmp_path):
    run = write(tmp_path, True, n=24)  # four rows per speaker
    found = route_emotion(
        read_candidates(run, [SMALL.name, BIG.name]), CalibrationTarget("big_share", 0.5), n_replicates=200
    )
    assert (found.n_speakers, found.promised) == (6, False)
    many = routed(tmp_path / "many", True, CalibrationTarget("big_share", 0.3))
    assert (many.promised, many.folds_unmet) == (True, 0)


def test_a_fold_out_of_whose_reach_the_wish_is_takes_the_nearest(tmp_path):
    # None of 400 climbed says a share below -ln(0.1) / 400 = 0.0058, none of 320 only 0.0072.
    found = routed(tmp_path, False, CalibrationTarget("big_share", 0.0065))
    assert found.folds_unmet == 5
    assert found.climbed < 0.01


def test_one_speaker_is_not_enough(tmp_path):
    run = write(tmp_path, True, n=4)
    with pytest.raises(UsageError, match="this run has one"):
        route_emotion(read_candidates(run, [SMALL.name, BIG.name]), CalibrationTarget("big_share", 0.3))


def test_the_verb(tmp_path):
    runner, run = CliRunner(), str(write(tmp_path, True))
    command = ["route", "emotion", run, "--points", f"{SMALL.name},{BIG.name}"]
    shown = runner.invoke(app, command, env={"COLUMNS": "240"})
    assert shown.exit_code == 0, shown.output
    for part in ("A cascade over", "chance at its GFLOPs", "oracle at its GFLOPs", "over always the first point +100"):
        assert part in shown.stdout
    fields = json.loads(runner.invoke(app, [*command, "--json", "--budget-gflops", "7.5"]).stdout)
    assert fields["fixed"][1] == {"name": BIG.name, "uar": 1.0, "gflops": 20.0, "seconds": 0.5, "recognised": N}
    both = runner.invoke(app, [*command, "--big-share", "0.2", "--budget-gflops", "9"])
    assert "give one of --big-share and --budget-gflops" in str(both.exception)
    half = runner.invoke(app, [*command, "--out", str(tmp_path / "p")])
    assert "--out writes a cascade of --models: give both" in str(half.exception)
    wrong = runner.invoke(app, [*command, "--big-share", "2"])
    assert "a share of 2: give a number above 0 and at most 1" in str(wrong.exception)
