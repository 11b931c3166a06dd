import sqlite3

import pytest

from allophone.errors import LedgerError, UsageError
from allophone.sweeps.recognition.study import STUDY_FILE, open_study, reaching_storage

CHOICES = {"model": ["a", "b"], "token_stride": [1, 2]}
AXES = {"model": list("abcd"), "context": ["full", "fit+1", "fit+2"], "token_stride": [1, 2, 3], "beam_size": [1, 5]}


def worth(values):
    """Objectives that depend on the parameters alone."""
    number = sum(ord(str(value)[-1]) * (place + 1) for place, value in enumerate(values))
    return [number % 17 / 17, number % 5 / 5]


def search(folder, asked, stop_at=()):
    """Ask a number of times; where stopped, a trial is asked for and nothing is told, as a kill leaves it."""
    seen = []
    study = open_study(folder, None, "id", AXES, 3)
    while len(seen) < asked:
        trial, values = study.suggest()
        if len(seen) in stop_at:
            stop_at = [place for place in stop_at if place != len(seen)]
            study = open_study(folder, None, "id", AXES, 3)
            assert study.take_up_stopped() == [dict(zip(AXES, values, strict=True))]
            continue
        seen.append(values)
        study.tell(trial, worth(values), repeated=False)
    return seen


def test_a_search_that_was_stopped_suggests_what_an_undisturbed_one_does(tmp_path):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = search(tmp_path / "whole", 16)
    assert search(tmp_path / "stopped", 16, stop_at=[0, 4, 12, 15]) == whole
    assert len(set(whole)) > 8


@pytest.mark.parametrize(
    "name", ["plain", "a?b=c", "x%20y", "h#sh", "{braces}", "a@b:c", "exp[1]", "ünï 🎙", "sp ace", "back\\slash", "a@1"]
)
def test_a_folder_s_name_is_no_url(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    study = open_study(folder, None, "id", CHOICES, 0)
    study.enqueue({"model": "b", "token_stride": 2})
    assert [path.name for path in folder.iterdir()] == [STUDY_FILE]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    again = open_study(folder, None, "id", CHOICES, 0)
    assert not again.is_new
    assert again.suggest()[1] == ("b", 2)


def test_a_study_with_more_values_goes_on_with_what_it_knows(tmp_path):
    study = open_study(tmp_path, None, "id", CHOICES, 0)
    for parameters in ({"model": "a", "token_stride": 1}, {"model": "b", "token_stride": 2}):
        study.enqueue(parameters)
        trial, values = study.suggest()
        study.tell(trial, worth(values), repeated=False)
    for repeats, (models, known) in enumerate(((["a", "b"], 2), (["b"], 2), (["b", "c"], 3)), start=1):
        choices = {"model": models, "token_stride": [1, 2, 4]}
        wider = open_study(tmp_path, None, "id", choices, 0)
        assert len(wider._ended()) == known
        wider.enqueue({"model": "b", "token_stride": 4})
        trial, values = wider.suggest()
        assert values == ("b", 4)
        wider.tell(trial, None, repeated=True)
        assert wider.repeats == repeats


def test_two_runs_of_one_name_share_a_storage_and_not_a_study(tmp_path):
    storage = f"sqlite:///{tmp_path}/s.db"
    for identity in ("one", "two"):
        (tmp_path / identity / "exp@2").mkdir(parents=True)
        study = open_study(tmp_path / identity / "exp@2", storage, identity, CHOICES, 0)
        assert study.is_new
        study.enqueue({"model": "a", "token_stride": 1})


def test_a_locked_database_is_said_with_the_remedy(tmp_path):
    study = open_study(tmp_path, None, "id", CHOICES, 0)
    holder = sqlite3.connect(tmp_path / STUDY_FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with (
        pytest.raises(LedgerError, match=r"study\.db: .*database is locked.*the same command continues"),
        reaching_storage(tmp_path, None),
    ):
        study.suggest()
    holder.execute("ROLLBACK")
    holder.close()
    assert study.suggest()[1][0] in CHOICES["model"]


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\x00" + bytes(4000)])
def test_a_damaged_database_is_named(tmp_path, content):
    (tmp_path / STUDY_FILE).write_bytes(content)
    with pytest.raises(LedgerError, match=r"study\.db: cannot be used: .*delete it: points measured are kept"):
        open_study(tmp_path, None, "id", CHOICES, 0)


@pytest.mark.parametrize("storage", ["nonsense://x", "no url", "redis://x", "mysql+absent://x", "sqlite://[", ":///"])
def test_what_is_no_url_of_a_storage_is_a_usage_error(tmp_path, storage):
    with pytest.raises(UsageError, match=r"--storage: cannot be opened.*SQLAlchemy URL"):
        open_study(tmp_path, storage, "id", CHOICES, 0)


def test_a_storage_out_of_reach_is_an_error_that_names_it(tmp_path):
    with pytest.raises(LedgerError, match="--storage: cannot be used"):
        open_study(tmp_path, f"sqlite:///{tmp_path}/no/such/folder/s.db", "id", CHOICES, 0)
