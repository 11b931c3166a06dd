import sys

import pytest

from allophone.encoders.device import check_torch_device
from allophone.errors import MissingExtraError, UsageError


@pytest.mark.parametrize(
    "device", ["auto", "tpu", "", "cpu:0", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "cudax", "mps"]
)
def test_odd_words(device):
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match=f"--device '{device}'.* on cpu, or on cuda where torch sees a GPU"):
        check_torch_device(device)


@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_a_gpu_must_be_there(gpus, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    check_torch_device("cpu")
    for device, number in (("cuda", 0), ("cuda:0", 0), ("cuda:1", 1), ("cuda:2", 2)):
        if number < gpus:
            check_torch_device(device)
            continue
        with pytest.raises(UsageError, match=f"--device '{device}'"):
            check_torch_device(device)


def test_without_torch_there_is_only_the_cpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    check_torch_device("cpu")
    with pytest.raises(MissingExtraError, match=r"\[torch\]"):
        check_torch_device("cuda")
