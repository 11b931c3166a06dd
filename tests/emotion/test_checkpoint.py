import pytest

pytest.importorskip("torch")

import torch

from allophone.emotion.checkpoint import Epoch, Progress, read_checkpoint, write_checkpoint
from allophone.errors import LedgerError

EPOCHS = [Epoch(1, 0.7, 0.5, 3, 1.0, ((10, 4),)), Epoch(2, 0.6, 0.8, 3, 1.0, ((10, 4), (12, 2)))]


def test_there_and_back(tmp_path):
    progress = Progress(EPOCHS, 2, {"head.bias": torch.ones(2)}, "done", True)
    write_checkpoint(tmp_path / "a/c.pt", "key", progress, {"head.bias": torch.zeros(2)}, {"state": {}})
    found, last, optimizer = read_checkpoint(tmp_path / "a/c.pt", "key")
    assert (found.epochs, found.best_epoch, found.stopped, found.failed) == (EPOCHS, 2, "done", True)
    assert found.best_uar == 0.8
    assert torch.equal(found.best["head.bias"], torch.ones(2))
    assert torch.equal(last["head.bias"], torch.zeros(2))
    assert optimizer == {"state": {}}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["c.pt"]


def test_before_the_first_epoch(tmp_path):
    assert read_checkpoint(tmp_path / "none.pt", "key") is None
    assert Progress([], 0, {}).best_uar < 0


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be written"):
        write_checkpoint(tmp_path / "file/c.pt", "key", Progress([], 0, {}), {}, {})
