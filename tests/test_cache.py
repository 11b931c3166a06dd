from pathlib import Path

import pytest

from allophone.cache import cache_folder
from allophone.errors import UsageError


@pytest.mark.parametrize(
    ("own", "shared", "folder"),
    [
        ("/own", "/shared", "/own"),
        (None, "/shared", "/shared/allophone"),
        ("", "/shared", "/shared/allophone"),
        (None, None, "/home/someone/.cache/allophone"),
        ("~/own", None, "/home/someone/own"),
    ],
)
def test_the_environment_names_the_folder(monkeypatch, own, shared, folder):
    monkeypatch.setenv("HOME", "/home/someone")
    for name, value in (("ALLOPHONE_CACHE", own), ("XDG_CACHE_HOME", shared)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_nothing_is_created(monkeypatch, tmp_path):
    monkeypatch.setenv("ALLOPHONE_CACHE", str(tmp_path / "cache"))
    cache_folder()
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "ALLOPHONE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what it returns of a user without an entry
    with pytest.raises(UsageError, match=r"no home folder for the cache\. Set ALLOPHONE_CACHE"):
        cache_folder()
