import json
import shutil

import pytest

from allophone.errors import LedgerError, UsageError, WeightsError
from allophone.routing.policy_file import (
    POLICY_FILE,
    check_weights,
    read_policy,
    write_models,
    write_policy,
)
from allophone.routing.scoring import OnnxModel, load_scorer


def change(folder, **fields):
    path = folder / POLICY_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_policy_comes_back_as_written(policy):
    before = read_policy(policy)
    write_policy(policy, before)
    assert read_policy(policy) == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema_version": 9}, r"policy\.json: field 'schema_version' is 9, expected 1"),
        ({"kind": "guess"}, r"policy\.json: field 'kind'"),
        ({"threshold": "high"}, r"policy\.json: field 'threshold'"),
        ({"steps": ["gone.onnx"]}, r"gone\.onnx: missing; the policy is not whole"),
        ({"steps": []}, r"field 'steps': 0, expected 1"),
        ({"steps": ["step-0.onnx", "step-0.onnx"]}, r"field 'steps': 2, expected 1"),
        ({"steps": ["../step-0.onnx"]}, r"field 'steps' or 'choices': '\.\./step-0\.onnx' is no name of a file"),
        ({"steps": ["/etc/passwd"]}, r"'/etc/passwd' is no name of a file"),
        ({"steps": [".."]}, r"'\.\.' is no name of a file"),
        ({"steps": [""]}, r"'' is no name of a file"),
        ({"steps": ["a\\\\b.onnx"]}, r"is no name of a file"),
        ({"points": []}, r"field 'points': 0, expected two or more"),
        ({"reads": "mel"}, r"field 'reads': mel, which no cascade does"),
        ({"kind": "decider"}, r"field 'reads': reading, which no decider does"),
        ({"kind": "faithful"}, r"field 'reads': reading, which no faithful does"),
        ({"choices": ["a", "b", "c"]}, r"field 'choices': 3, expected none or 1"),
        ({"gflops_by_duration": []}, r"field 'gflops_by_duration'"),
        ({"gflops_by_duration": [[1, 2, 3]] * 2}, r"field 'gflops_by_duration'"),
        ({"gflops_by_duration": [[1, 2, float("nan")]] * 3}, r"field 'gflops_by_duration'"),
        ({"threshold": float("nan")}, r"field 'threshold': is no number"),
        ({"weights": {}}, r"field 'weights': a digest of every point's model"),
    ],
)
def test_a_damaged_policy_names_file_field_and_remedy(policy, fields, message):
    change(policy, **fields)
    with pytest.raises(UsageError, match=message + r".*allophone route train"):
        read_policy(policy)


def test_what_is_no_policy(tmp_path):
    with pytest.raises(UsageError, match=r"policy\.json: cannot be read"):
        read_policy(tmp_path)
    (tmp_path / POLICY_FILE).write_text("{")
    with pytest.raises(UsageError, match="not valid JSON"):
        read_policy(tmp_path)


def test_changed_weights_are_refused(policy):
    check_weights(read_policy(policy), policy)
    change(policy, weights={**read_policy(policy).weights, "fake:tiny": "0" * 64})
    with pytest.raises(WeightsError, match=r"field 'weights': fake:tiny has changed since this policy was trained"):
        check_weights(read_policy(policy), policy)


def test_missing_weights_are_refused(policy, tmp_path):
    change(policy, weights={**read_policy(policy).weights, str(tmp_path / "gone"): "0" * 64})
    with pytest.raises(Exception, match="no such folder"):
        check_weights(read_policy(policy), policy)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"steps": ' * 100_000, "null", "[]", "5", "\x00", ""])
def test_a_card_of_anything_is_refused_by_name(policy, text):
    (policy / POLICY_FILE).write_text(text)
    with pytest.raises(UsageError, match=r"policy\.json: .*allophone route train"):
        read_policy(policy)


@pytest.mark.parametrize("damage", ["cut", "empty", "other bytes", "longer"])
def test_a_model_that_is_not_the_card_s_is_refused(policy, damage):
    path = policy / "step-0.onnx"
    content = path.read_bytes()
    changed = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "other bytes": content[:-1] + b"x",
        "longer": content + b"x",
    }
    path.write_bytes(changed[damage])
    with pytest.raises(UsageError, match=r"step-0\.onnx: not the model.*'files_sha256'.*Copy the whole folder again"):
        read_policy(policy)


def test_a_card_of_before_there_were_digests_is_read(policy):
    fields = json.loads((policy / POLICY_FILE).read_text())
    del fields["files_sha256"]
    (policy / POLICY_FILE).write_text(json.dumps(fields))
    before = read_policy(policy)
    assert before.files_sha256 is None
    assert set(write_policy(policy, before).files_sha256) == {"step-0.onnx"}


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x07" * 50])
def test_a_damaged_model_of_a_card_without_digests_is_an_error_that_names_it(policy, content):
    fields = json.loads((policy / POLICY_FILE).read_text())
    del fields["files_sha256"]
    (policy / POLICY_FILE).write_text(json.dumps(fields))
    (policy / "step-0.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"step-0\.onnx: cannot be loaded: .*allophone route train"):
        load_scorer(policy, read_policy(policy))


def test_new_models_do_not_touch_those_of_the_policy_that_is_there(policy):
    old, card = (policy / "step-0.onnx").read_bytes(), read_policy(policy)
    names = write_models(policy, {"step-0.onnx": b"new step", "choice-0.onnx": b"new choice"})
    assert names == {"step-0.onnx": "step-0-2.onnx", "choice-0.onnx": "choice-0-2.onnx"}
    assert (policy / "step-0.onnx").read_bytes() == old
    assert read_policy(policy) == card  # as a kill here leaves it
    new = write_policy(policy, card.model_copy(update={"steps": ["step-0-2.onnx"], "choices": ["choice-0-2.onnx"]}))
    assert read_policy(policy) == new
    assert sorted(path.name for path in policy.glob("*.onnx")) == ["choice-0-2.onnx", "step-0-2.onnx"]
    again = write_models(policy, {"step-0.onnx": b"newer", "choice-0.onnx": b"newer"})
    assert list(again) == list(again.values())  # the first names are free again


def test_a_model_that_cannot_be_written_leaves_the_policy_that_is_there(policy):
    card = read_policy(policy)
    (policy / "step-0-2.onnx").mkdir()  # a folder cannot be replaced by a file: no more can be written
    with pytest.raises(LedgerError, match=r"step-0-2\.onnx: cannot be written"):
        write_models(policy, {"step-0.onnx": b"new"})
    assert read_policy(policy) == card


def test_a_hostile_card_makes_no_other_file_go(policy):
    card, kept = read_policy(policy), policy.parent / "kept.onnx"
    kept.write_bytes(b"kept")
    (policy / "notes.txt").write_text("kept")
    change(policy, steps=["../kept.onnx", str(kept), "notes.txt", POLICY_FILE, "step-0.onnx"])
    write_models(policy, {"step-0.onnx": b"new"})
    shutil.copy(policy / "step-0.onnx", policy / "step-0-2.onnx")
    write_policy(policy, card.model_copy(update={"steps": ["step-0-2.onnx"]}))
    assert kept.read_bytes() == b"kept"
    assert (policy / "notes.txt").read_text() == "kept"
    assert read_policy(policy).steps == ["step-0-2.onnx"]


def test_a_model_of_another_width_is_an_error_that_names_it(policy):
    import numpy as np

    with pytest.raises(WeightsError, match=r"step-0\.onnx: cannot be run: .*allophone route train"):
        OnnxModel(policy / "step-0.onnx").predict(np.zeros((1, 3)))
