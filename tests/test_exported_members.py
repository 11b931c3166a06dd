import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import allophone

SOURCES = Path(allophone.__file__).parent


def test_public_names_are_sorted_and_there():
    assert list(allophone.__all__) == sorted(allophone.__all__)
    for name in allophone.__all__:
        assert getattr(allophone, name) is not None


def test_names_are_listed_before_they_are_used():
    done = subprocess.run(
        [sys.executable, "-c", "import allophone; print(set(allophone.__all__) <= set(dir(allophone)))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "True"


def test_rooms_do_not_hide_public_names():
    import allophone.sweeps.recognition.run
    import allophone.transcription.transcriber

    assert callable(allophone.sweep)
    assert callable(allophone.recommend)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        allophone.nonsense  # noqa: B018


@pytest.mark.parametrize(
    "module",
    [
        ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts)
        for path in SOURCES.rglob("*.py")
        if path.name not in {"__main__.py", "__init__.py"}
    ],
)
def test_every_module_says_what_it_offers(module):
    loaded = import_module(module)
    assert loaded.__doc__
    if module != "allophone.version":
        assert len(set(loaded.__all__)) == len(loaded.__all__)
        assert all(hasattr(loaded, name) for name in loaded.__all__)


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, allophone; heavy = {'numpy', 'pydantic', 'ctranslate2', 'torch', 'pyarrow', 'duckdb', 'plotly'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
