import pytest

from allophone.adapt.checkpoint import Checkpoint, Validation, load_checkpoint, save_checkpoint
from allophone.errors import LedgerError

torch = pytest.importorskip("torch")


def fresh(seed=0):
    torch.manual_seed(seed)
    layer = torch.nn.Linear(3, 2)
    return layer, torch.optim.AdamW(layer.parameters(), lr=0.1)


def step(layer, optimizer):
    optimizer.zero_grad()
    layer(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()


def test_a_state_comes_back_and_goes_on_alike(tmp_path):
    path = tmp_path / "training" / "checkpoint.pt"
    layer, optimizer = fresh()
    step(layer, optimizer)
    state = Checkpoint(step=1, seconds=2.5, validations=[Validation(0, 0.5, 0.25)], train_kl=[0.75])
    save_checkpoint(path, state, layer, optimizer)
    step(layer, optimizer)
    other, its_optimizer = fresh(seed=1)
    assert load_checkpoint(path, other, its_optimizer) == state
    step(other, its_optimizer)
    assert torch.equal(layer.weight, other.weight)
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def test_no_checkpoint_is_a_fresh_start(tmp_path):
    assert load_checkpoint(tmp_path / "checkpoint.pt", *fresh()) == Checkpoint()


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_damaged_checkpoint_is_named(tmp_path, keep):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, Checkpoint(), *fresh())
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(LedgerError, match=r"checkpoint\.pt: cannot be read .* Remove it to begin again"):
        load_checkpoint(path, *fresh())


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_checkpoint(tmp_path / "checkpoint.pt", Checkpoint(), *fresh())
    layer = torch.nn.Linear(4, 2)
    with pytest.raises(LedgerError, match="cannot be read"):
        load_checkpoint(tmp_path / "checkpoint.pt", layer, torch.optim.AdamW(layer.parameters()))
