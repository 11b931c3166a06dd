"""What lies in a folder already decides what may be written there."""

import pytest

from allophone.emotion.folders import check_merged_folder, check_model_folder, check_policy_folder
from allophone.errors import UsageError


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("own", ["checkpoint.pt", "record.json"])
@pytest.mark.parametrize("names", [(), ("split.json",), ("emotion.json", "head.safetensors", "config.json")])
def test_a_training_goes_on_in_its_own_folder(tmp_path, own, names):
    check_model_folder(tmp_path / "new")
    check_model_folder(fill(tmp_path / "m", own, *names))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["run.json"], r"holds a run \(run\.json\)"),
        (["run.json", "checkpoint.pt"], r"holds a run \(run\.json\)"),
        (["emotion_policy.json", "0/emotion.json"], r"holds a policy \(emotion_policy\.json\)"),
        (["emotion.json", "head.safetensors"], r"holds a model \(emotion\.json\) that was not trained"),
        (["head.safetensors"], r"holds a model \(head\.safetensors\)"),
        (["config.json", "model.safetensors"], r"holds a model \(config\.json\)"),
    ],
)
def test_a_training_spoils_no_other_folder(tmp_path, names, message):
    with pytest.raises(UsageError, match=message + r".*Choose another --out\."):
        check_model_folder(fill(tmp_path / "m", *names))


def test_a_merged_encoder_goes_to_a_new_place_or_its_own(tmp_path):
    own = fill(tmp_path / "m", "head.safetensors", "emotion.json")
    check_merged_folder(tmp_path / "new", own)
    (tmp_path / "empty").mkdir()
    check_merged_folder(tmp_path / "empty", tmp_path / "not trained yet")
    check_merged_folder(fill(tmp_path / "again", "head.safetensors", "config.json", "notes.txt"), own)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["emotion.json", "head.safetensors"], r"holds another recogniser \(emotion\.json\)"),  # its head is equal
        (["emotion_policy.json"], r"holds a policy"),
        (["run.json", "split.json"], r"holds a run"),
        (["config.json", "model.bin"], r"holds another model \(config\.json\)"),
        (["thesis.tex"], r"holds other files \(thesis\.tex\)"),
    ],
)
@pytest.mark.parametrize("trained", [True, False])
def test_a_merged_encoder_overwrites_nothing_else(tmp_path, names, message, trained):
    own = fill(tmp_path / "m", "head.safetensors") if trained else tmp_path / "m"
    with pytest.raises(UsageError, match=r"--merged .*other: " + message + ".*Choose a new or an empty folder"):
        check_merged_folder(fill(tmp_path / "other", *names), own)


def test_another_head_is_another_model(tmp_path):
    own, other = (fill(tmp_path / name, "head.safetensors", "config.json") for name in ("m", "other"))
    (other / "head.safetensors").write_text("moved")
    with pytest.raises(UsageError, match="holds another model"):
        check_merged_folder(other, own)


def test_a_merged_encoder_is_no_file_and_not_the_recogniser(tmp_path):
    with pytest.raises(UsageError, match="the folder of the recogniser itself"):
        check_merged_folder(tmp_path / "x/../m", tmp_path / "m")
    with pytest.raises(UsageError, match=r"a file\. Choose a folder"):
        check_merged_folder(fill(tmp_path, "file") / "file", tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("emotion_policy.json", "holds a policy already"),
        ("emotion.json", "holds a recogniser already"),
        ("run.json", "holds a run already"),
        ("1/emotion.json", "p/1: exists already"),
    ],
)
def test_a_policy_overwrites_nothing(tmp_path, name, message):
    check_policy_folder(tmp_path / "p", 2)
    check_policy_folder(fill(tmp_path / "p", "2/notes.txt"), 2)
    with pytest.raises(UsageError, match=message):
        check_policy_folder(fill(tmp_path / "p", name), 2)
