"""A cascade as a folder: chosen on a run, beside the recognisers of its points."""

import json
import os
from pathlib import Path

import pytest

from allophone.errors import LedgerError, UsageError
from allophone.routing.emotion import choose_cascade
from allophone.routing.thresholds import CalibrationTarget
from builders import small_files
from emotion_builders import judged_cascade, save_recogniser

pytest.importorskip("torch")

from allophone.emotion.policy import EMOTION_POLICY_FILE, read_emotion_policy, write_emotion_policy


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return judged_cascade(tmp_path_factory.mktemp("cascade"))


def write(folder, judged, **changes):
    run, candidates, found, models = judged
    return write_emotion_policy(folder, run, candidates, found, changes.get("models", models))


def test_a_policy_comes_back_whole(judged, tmp_path):
    policy = write(tmp_path / "p", judged)
    assert read_emotion_policy(tmp_path / "p") == policy
    assert policy.points == judged[1].samples.points
    choice = choose_cascade(judged[1], CalibrationTarget("big_share", 0.3))
    assert (policy.signal, policy.threshold) == (choice.signal, choice.threshold)
    assert policy.judged.uar[0] == judged[2].uar.estimate
    assert policy.judged.climbed == judged[2].climbed


def test_it_needs_nothing_of_the_folders_it_was_made_from(judged, tmp_path):
    models = [tmp_path / "a", tmp_path / "b"]
    for path, kept in zip(models, judged[3], strict=True):
        kept_files = [file for file in kept.iterdir() if file.is_file()]
        path.mkdir()
        for file in kept_files:
            (path / file.name).write_bytes(file.read_bytes())
        (path / "training.pt").write_bytes(b"a checkpoint is left behind")
    write(tmp_path / "p", judged, models=models)
    for path in models:
        for file in path.iterdir():
            file.unlink()
    assert read_emotion_policy(tmp_path / "p").points == judged[1].samples.points
    assert sorted(path.name for path in (tmp_path / "p/0").iterdir()) == ["emotion.json", "head.safetensors"]


def test_recognisers_of_other_points_are_refused(judged, tmp_path):
    models = judged[3]
    with pytest.raises(UsageError, match=r"field 'setting': it is base@\w+-0\.4s-frozen, not base@\w+-0\.2s-frozen"):
        write(tmp_path / "p", judged, models=models[::-1])
    with pytest.raises(UsageError, match="names 1 for 2 points"):
        write(tmp_path / "p", judged, models=models[:1])
    other = save_recogniser(tmp_path / "other", judged[1].samples.points[0], labels=("a", "b"))
    with pytest.raises(UsageError, match="field 'labels': a, b; not those of the run"):
        write(tmp_path / "p", judged, models=[other, models[1]])
    with pytest.raises(UsageError, match="'allophone adapt emotion' wrote"):
        write(tmp_path / "p", judged, models=[Path("none"), models[1]])
    assert not (tmp_path / "p").exists()


def test_another_policy_is_not_overwritten(judged, tmp_path):
    write(tmp_path / "p", judged)
    with pytest.raises(UsageError, match="holds a policy already"):
        write(tmp_path / "p", judged)


def test_a_damaged_card_is_named(judged, tmp_path):
    write(tmp_path / "p", judged)
    card = tmp_path / "p" / EMOTION_POLICY_FILE
    fields = json.loads(card.read_text())
    card.write_text(json.dumps({**fields, "signal": "mood"}))
    with pytest.raises(UsageError, match=r"emotion_policy\.json: field 'signal'.*route emotion"):
        read_emotion_policy(tmp_path / "p")
    with pytest.raises(UsageError, match=r"cannot be read.*route emotion"):
        read_emotion_policy(tmp_path)


@pytest.mark.parametrize("name", ["emotion.json", "run.json"])
def test_a_recogniser_or_a_run_is_not_spoilt(judged, tmp_path, name):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / name).write_text("kept")
    with pytest.raises(UsageError, match=rf"holds a (recogniser|run) already \({name}\)"):
        write(tmp_path / "p", judged)
    assert [path.name for path in (tmp_path / "p").iterdir()] == [name]


@pytest.mark.parametrize("place", ["0", "1"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_recogniser_that_is_not_whole_is_found_when_the_card_is_read(judged, tmp_path, place, cut):
    write(tmp_path / "p", judged)
    head = tmp_path / "p" / place / "head.safetensors"
    if cut:
        head.write_bytes(head.read_bytes()[:-1])
    else:
        head.unlink()
    with pytest.raises(LedgerError, match=rf"p/{place}/head\.safetensors: "):
        read_emotion_policy(tmp_path / "p")


def test_a_recogniser_that_is_not_whole_makes_no_policy(judged, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/emotion.json").write_bytes((judged[3][0] / "emotion.json").read_bytes())
    with pytest.raises(LedgerError, match=r"m/head\.safetensors: cannot be read"):
        write(tmp_path / "p", judged, models=[tmp_path / "m", judged[3][1]])
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("place", ["0", "1"])
def test_a_recogniser_that_was_exchanged_for_another_is_found(judged, tmp_path, place):
    write(tmp_path / "p", judged)
    card = tmp_path / "p" / place / "emotion.json"
    card.write_text(card.read_text().replace('"temperature": 1.0', '"temperature": 1.25'))
    with pytest.raises(LedgerError, match=rf"p/{place}/emotion\.json: not the card.*'cards_sha256'"):
        read_emotion_policy(tmp_path / "p")
    policy = tmp_path / "p" / EMOTION_POLICY_FILE
    fields = json.loads(policy.read_text())
    del fields["cards_sha256"]  # as a policy of before
    policy.write_text(json.dumps(fields))
    assert read_emotion_policy(tmp_path / "p").cards_sha256 is None


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
@pytest.mark.parametrize("n_bytes", [0, 600])
def test_a_full_disk_leaves_no_half_of_a_policy(judged, tmp_path, n_bytes):
    with small_files(n_bytes), pytest.raises(LedgerError, match="File too large"):
        write(tmp_path / "p", judged)
    assert not list((tmp_path / "p").iterdir())
    assert write(tmp_path / "p", judged) == read_emotion_policy(tmp_path / "p")
