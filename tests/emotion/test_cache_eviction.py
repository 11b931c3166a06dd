"""What makes way for new states, and what does not."""

import os
import shutil
from collections import namedtuple
from time import time

import pytest

from allophone.emotion.cache_eviction import LIMIT_VARIABLE, evict, mark_used
from allophone.errors import UsageError

MEGABYTE = 1_000_000


def states(root, name, *, age_s, megabytes=2):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "state-00.f16").write_bytes(bytes(megabytes * MEGABYTE))
    (folder / "index.json").write_text("{}")
    os.utime(folder / "index.json", (time() - age_s,) * 2)
    return folder


def names(root):
    return sorted(path.name for path in root.iterdir())


@pytest.fixture
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "0.0075")
    return {age: states(tmp_path, f"{age}", age_s=age) for age in (9000, 8000, 100)}


def test_the_least_recently_used_makes_way(caches, tmp_path):
    new = states(tmp_path, "new", age_s=0, megabytes=0)
    evict(new, MEGABYTE)
    assert names(tmp_path) == ["100", "8000", "9000", "new"]
    evict(new, 2 * MEGABYTE)
    assert names(tmp_path) == ["100", "8000", "new"]


def test_what_was_used_just_now_stays_whatever_the_limit(caches, tmp_path):
    mark_used(caches[9000])
    evict(states(tmp_path, "new", age_s=0), 50 * MEGABYTE)
    assert names(tmp_path) == ["100", "9000", "new"]


def test_the_own_folder_stays(caches, tmp_path):
    evict(caches[9000], 50 * MEGABYTE)
    assert names(tmp_path) == ["100", "9000"]


def test_a_full_disk_makes_others_go_and_is_said_if_that_is_not_enough(caches, tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "1")
    usage = namedtuple("usage", "total used free")
    room = iter([1, 5, 5])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 9, next(room) * MEGABYTE))
    evict(caches[100], 4 * MEGABYTE)
    assert names(tmp_path) == ["100", "8000"]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 9, 10))
    with pytest.raises(UsageError, match=r"need 0\.0 GB and 0\.0 GB are free\. Set ALLOPHONE_CACHE"):
        evict(caches[100], MEGABYTE)


def test_what_a_killed_process_left_is_removed(caches):
    left, written = caches[100] / "state-01.f16.4711", caches[8000] / "means.f16.4712"
    for path, age_s in ((left, 4000), (written, 10)):
        path.write_bytes(b"1")
        os.utime(path, (time() - age_s,) * 2)
    evict(caches[100], 10)
    assert not left.exists()
    assert written.exists()
    assert (caches[100] / "state-00.f16").exists()


@pytest.mark.parametrize("text", ["0", "much", "nan"])
def test_a_limit_that_means_nothing(text, tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    with pytest.raises(UsageError, match=f"ALLOPHONE_STATES_GB={text}: give"):
        evict(states(tmp_path, "new", age_s=0), 1)


def test_a_cache_that_may_only_be_read_is_not_marked(tmp_path):
    mark_used(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
