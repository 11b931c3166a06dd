import importlib.metadata
import shlex
import sys
from pathlib import Path

import pytest

from allophone.errors import MissingExtraError
from allophone.extras import importing, install_command

BROKEN = {
    "OSError": "raise OSError('libtorch_cpu.so: cannot open shared object file')",
    "ImportError": "raise ImportError('libcudart.so.12: cannot open shared object file')",
    "RuntimeError": "raise RuntimeError('module compiled against another version of NumPy')",
    "AttributeError": "raise AttributeError('no attribute y')",
    "SyntaxError": "x = = 1",
    "circular": "from broken_package import nothing",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_installation_is_told_from_a_missing_one(tmp_path, monkeypatch, content):
    (tmp_path / "broken_package.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_package", raising=False)
    remedy = r"pip install --force-reinstall .*\[torch\]"
    with (
        pytest.raises(MissingExtraError, match=rf"broken_package is installed and cannot be loaded: .+{remedy}"),
        importing("broken_package", "torch"),
    ):
        __import__("broken_package")


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.deeper"])
def test_a_missing_package_is_named(name):
    with (
        pytest.raises(MissingExtraError, match=r"no_such_package is not installed.*pip install .*\[demo\]"),
        importing("another", "demo"),
    ):
        __import__(name)


def test_from_a_checkout_the_command_installs_the_checkout():
    root = Path(__file__).parents[1]
    assert install_command("torch") == f"pip install {shlex.quote(f'{root}[torch]')}"


def test_from_a_wheel_the_command_asks_for_what_the_extra_requires(tmp_path, monkeypatch):
    listed = [
        "numpy>=1.26",
        "torch>=2.4; extra == 'torch'",
        "onnx>=1.16; extra == 'torch'",
        "scipy>=1.11; extra == 'speakers'",
        "torch>=2.4; extra == 'speakers'",
    ]
    monkeypatch.setattr("allophone.extras.requires", lambda name: {"allophone": listed}[name])
    assert shlex.split(install_command("torch", tmp_path)) == ["pip", "install", "torch>=2.4", "onnx>=1.16"]
    assert "allophone" not in install_command("speakers", tmp_path)


def test_every_extra_of_the_package_has_a_command_of_its_requirements(tmp_path):
    try:
        listed = importlib.metadata.metadata("allophone").get_all("Provides-Extra")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("allophone is on the path, not installed")
    for extra in listed:
        assert len(shlex.split(install_command(extra, tmp_path))) > 2
