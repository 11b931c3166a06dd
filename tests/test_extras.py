import sys

import pytest

from allophone.errors import MissingExtraError
from allophone.extras import importing

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
    remedy = r"pip install --force-reinstall 'allophone\[torch\]'"
    with (
        pytest.raises(MissingExtraError, match=rf"broken_package is installed and cannot be loaded: .+{remedy}"),
        importing("broken_package", "torch"),
    ):
        __import__("broken_package")


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.deeper"])
def test_a_missing_package_is_named(name):
    with (
        pytest.raises(MissingExtraError, match=r"no_such_package is not installed.*pip install 'allophone\[demo\]'"),
        importing("another", "demo"),
    ):
        __import__(name)
