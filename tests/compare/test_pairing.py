import numpy as np
import pytest

from allophone.compare.pairing import pair_runs
from allophone.errors import LedgerError, UsageError
from allophone.records.point import EmotionSetting
from builders import write_run
from compare_runs import N_UTTERANCES, STRIDE, TINY, utterances, write_timed
from emotion_builders import write_emotion_run

SHORT = EmotionSetting(model="tiny.en", duration_s=1.0)


@pytest.fixture
def before(tmp_path):
    return write_timed(tmp_path / "before", {TINY: utterances(1), STRIDE: utterances(2)})


def test_points_before_come_first_and_utterances_are_matched_by_id(before, tmp_path):
    turned = [{**row, "utterance_id": f"u{59 - index}"} for index, row in enumerate(utterances(0))]
    for index, row in enumerate(turned):
        row.update(substitutions=(59 - index) % 5, hits=10 - (59 - index) % 5)
    after = write_run(tmp_path / "after", {TINY: turned})
    found = pair_runs(before, after)
    assert [(point.before, point.after) for point in found.points] == [(TINY.name, TINY.name)]
    assert found.samples.errors.shape == (2, N_UTTERANCES)
    assert found.samples.errors[0].tolist() == [1] * N_UTTERANCES
    assert found.samples.errors[1].tolist() == [index % 5 for index in range(N_UTTERANCES)]  # in the order before
    assert found.samples.utterances[:2] == ("u0", "u1")
    assert found.in_progress == ()
    assert found.other_machine is None


def test_another_reference_or_length_is_another_utterance(before, tmp_path):
    rows = utterances(1)
    rows[0]["reference"] = "something else was said here by the same person today friend"
    rows[1]["duration_s"] = 11.0
    rows[2]["utterance_id"] = "new"
    found = pair_runs(before, write_run(tmp_path / "after", {TINY: rows}))
    assert found.samples.utterances == tuple(f"u{index}" for index in range(3, N_UTTERANCES))
    told = " ".join(found.notices)
    assert "Compared on the 57 utterances that both have, 4 of 61 left out." in told
    assert "2 ids stand for another reference or another recording" in told


def test_two_points_of_one_run_are_compared(before):
    found = pair_runs(before, before, [TINY.name, "tiny.en, full context, stride 2"])
    assert found.points[0].title == f"{TINY.title} → {STRIDE.title}"
    assert found.samples.errors.sum(axis=1).tolist() == [60, 120]


def test_the_greater_noise_counts_and_one_unknown_makes_it_unknown(before, tmp_path):
    again = write_timed(tmp_path / "again", {TINY: utterances(1), STRIDE: utterances(2)})
    noises = [pair_runs(before, again).samples.noise["rtf"], pair_runs(again, before).samples.noise["rtf"]]
    assert noises[0] == noises[1]
    silent = write_run(tmp_path / "silent", {TINY: utterances(1)})
    assert pair_runs(before, silent).samples.noise == {}


def test_throughput_keeps_the_rounds_that_both_have(before, tmp_path):
    from allophone.compare.pairing import _joint_rounds

    one, other = np.arange(6.0).reshape(2, 3), np.arange(4.0).reshape(2, 2)
    rows = (np.array([1]), np.array([0]))
    assert _joint_rounds(one, other, rows).tolist() == [[3.0, 4.0], [0.0, 1.0]]
    assert _joint_rounds(None, other, rows) is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"normalizer": "basic"}, "field 'normalizer'"),
        ({"relative_to": "base"}, "field 'relative_to'"),
    ],
)
def test_runs_of_different_things_are_refused(before, tmp_path, changes, problem):
    after = write_run(tmp_path / "after", {TINY: utterances(1)}, **changes)
    with pytest.raises(UsageError, match=problem):
        pair_runs(before, after)


def test_tasks_that_differ_are_refused(before, tmp_path):
    emotion = write_emotion_run(tmp_path / "emotion", {SHORT: [{}] * 8})
    with pytest.raises(UsageError, match="field 'task'"):
        pair_runs(before, emotion)
    others = write_emotion_run(tmp_path / "others", {SHORT: [{}] * 8}, labels=("high", "low", "none"))
    with pytest.raises(UsageError, match="field 'labels'"):
        pair_runs(emotion, others)


def test_runs_of_emotion_recognition_are_paired(tmp_path):
    one = write_emotion_run(tmp_path / "one", {SHORT: [{}] * 8})
    other = write_emotion_run(tmp_path / "other", {SHORT: [{"correct": index > 1} for index in range(8)]})
    found = pair_runs(one, other)
    assert found.samples.hits.tolist() == [[1.0] * 8, [0.0, 0.0, *[1.0] * 6]]
    assert found.samples.confusion.tolist() == [[[4, 0], [0, 4]], [[3, 1], [1, 3]]]
    assert len(found.samples.training) == 2


def test_no_shared_utterance_and_no_shared_point_are_refused(before, tmp_path):
    strangers = [{**row, "utterance_id": f"x{index}"} for index, row in enumerate(utterances(1))]
    with pytest.raises(UsageError, match="share no utterance"):
        pair_runs(before, write_run(tmp_path / "strangers", {TINY: strangers}))
    other = write_run(tmp_path / "other", {TINY.model_copy(update={"beam_size": 5}): utterances(1)})
    with pytest.raises(UsageError, match=r"share no operating point.*--point BEFORE --point AFTER"):
        pair_runs(before, other)


def test_what_is_asked_of_points_is_checked(before):
    with pytest.raises(UsageError, match="compared with itself"):
        pair_runs(before, before)
    with pytest.raises(UsageError, match="compared with itself"):
        pair_runs(before, before, [TINY.name])
    with pytest.raises(UsageError, match="is no point of this run"):
        pair_runs(before, before, [TINY.name, "large"])
    with pytest.raises(UsageError, match="given 3 times"):
        pair_runs(before, before, [TINY.name] * 3)


def test_a_run_in_progress_is_told(before, tmp_path):
    after = write_run(tmp_path / "after", {TINY: utterances(1)[:30]}, n_utterances=N_UTTERANCES)
    found = pair_runs(before, after)
    assert found.in_progress == (str(after),)
    assert f"{after} is in progress" in found.notices[0]


def test_other_machines_are_told(before, tmp_path):
    after = write_run(tmp_path / "after", {TINY: utterances(1)}, threads=4)
    assert pair_runs(before, after).other_machine == "threads 1 and 4"


def test_what_is_no_run_is_an_error(before, tmp_path):
    with pytest.raises(LedgerError, match="no such run"):
        pair_runs(before, tmp_path / "nothing")
