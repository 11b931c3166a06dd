import numpy as np
import pytest

from allophone.errors import UsageError
from allophone.records.point import EmotionSetting
from allophone.routing.emotion_cascade import SIGNALS, PosteriorRouter, doubt, read_candidates
from emotion_builders import write_emotion_run

SHORT = EmotionSetting(model="tiny.en", duration_s=1.0)
LONG = EmotionSetting(model="tiny.en", duration_s=2.0)
DEEP = EmotionSetting(model="tiny.en", duration_s=2.0, unfrozen_layers=1)
DEAR = {"executed_flops": 4_000_000_000, "latency_s": 0.3}


def test_doubt_is_nothing_where_one_class_is_certain_and_greatest_where_all_are_alike():
    sure, alike, torn = [1.0, 0.0, 0.0], [1 / 3] * 3, [0.5, 0.5, 0.0]
    for signal in SIGNALS:
        least, most, between = doubt(np.array([sure, alike, torn]), signal)
        assert least == pytest.approx(0, abs=1e-12)
        assert least < between <= most <= 1 + 1e-12
    assert doubt(np.array(alike), "entropy") == pytest.approx(1)
    assert doubt(np.array(torn), "margin") == pytest.approx(1)
    assert doubt(np.array(torn), "max_probability") == 0.5


def test_errors_weigh_so_that_their_rate_is_one_minus_the_uar(tmp_path):
    # six of high, two of low, of which three and one are missed: UAR (3/6 + 1/2) / 2
    rows = [{"label": "high", "predicted": "high" if n < 3 else "low", "correct": n < 3} for n in range(6)]
    rows += [{"label": "low", "predicted": "low" if n else "high", "correct": bool(n)} for n in range(2)]
    run = write_emotion_run(tmp_path / "r", {SHORT: rows, LONG: [{**row, **DEAR} for row in rows]})
    found = read_candidates(run, [SHORT.name, LONG.name])
    assert found.samples.errors[0].sum() / found.samples.words.sum() == pytest.approx(0.5)
    assert found.samples.flops.mean(axis=1).tolist() == [2e9, 4e9]
    assert found.hits.sum(axis=1).tolist() == [4, 4]


def test_rows_that_a_point_lacks_are_left_out(tmp_path):
    run = write_emotion_run(tmp_path / "r", {SHORT: [{}] * 8, LONG: [DEAR] * 4 + [{"error": "silent"}] + [DEAR] * 3})
    found = read_candidates(run, [SHORT.name, LONG.name])
    assert len(found.samples) == 7
    assert found.posteriors.shape == (2, 7, 2)
    part = found.take(np.array([0, 3], np.intp))
    assert part.samples.utterances == ("u0", "u3")
    assert PosteriorRouter("margin", part.posteriors).scores(part.samples).shape == (1, 2)


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
