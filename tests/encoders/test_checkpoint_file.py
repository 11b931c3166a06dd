import pytest

pytest.importorskip("torch")

import torch

from allophone.encoders.checkpoint_file import load_fields, save_fields
from allophone.errors import LedgerError


def test_tensors_and_plain_values_come_back(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_fields(path, {"weights": torch.arange(3.0), "step": 7})
    save_fields(path, {"weights": torch.arange(4.0), "step": 8})
    found = load_fields(path)
    assert found["step"] == 8
    assert found["weights"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pt"]  # nothing partial is left


def test_no_file_is_no_checkpoint(tmp_path):
    assert load_fields(tmp_path / "checkpoint.pt") is None


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_a_cut_file_is_refused_with_its_remedy(tmp_path, keep):
    path = tmp_path / "checkpoint.pt"
    save_fields(path, {"weights": torch.arange(300.0)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(LedgerError, match=r"checkpoint\.pt: cannot be read \(damaged: .*Remove it to begin again"):
        load_fields(path)


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"made": print}, tmp_path / "checkpoint.pt")
    with pytest.raises(LedgerError, match="damaged"):
        load_fields(tmp_path / "checkpoint.pt")
