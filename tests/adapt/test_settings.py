import pytest

from allophone.adapt.settings import SETTINGS_FILE, claim_folder, parse_settings
from allophone.errors import LedgerError, UsageError

FIELDS = {
    "model": "tiny.en",
    "source_sha256": "a" * 64,
    "corpus_fingerprint": "b" * 64,
    "margin_s": 1.0,
    "tail": "none",
    "steps": 10,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "seed": 0,
    "held_out": 4,
    "language": "en",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [("tail", "some"), ("steps", 0), ("margin_s", 29.5), ("margin_s", -1), ("learning_rate", 0), ("held_out", 0)],
)
def test_impossible_values_are_named(name, value):
    with pytest.raises(UsageError, match=f"{name} '{value}'"):
        parse_settings({**FIELDS, name: value})


def test_a_folder_is_claimed_once_and_again_by_the_same(tmp_path):
    folder = tmp_path / "models" / "x"
    settings = parse_settings(FIELDS)
    claim_folder(folder, settings)
    claim_folder(folder, settings)
    assert (folder / SETTINGS_FILE).is_file()


@pytest.mark.parametrize("name", ["steps", "seed", "batch_size"])
def test_other_settings_are_refused_by_name(tmp_path, name):
    claim_folder(tmp_path, parse_settings(FIELDS))
    with pytest.raises(LedgerError, match=rf"begun with {name} {FIELDS[name]}, now asked with 7\. Continue with"):
        claim_folder(tmp_path, parse_settings({**FIELDS, name: 7}))


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LedgerError, match=r"is not empty and holds no adaptation\.json"):
        claim_folder(tmp_path, parse_settings(FIELDS))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["", "{", '{"steps": 3}'])
def test_damaged_settings_are_named(tmp_path, text):
    (tmp_path / SETTINGS_FILE).write_text(text)
    with pytest.raises(LedgerError, match=r"adaptation\.json: cannot be read"):
        claim_folder(tmp_path, parse_settings(FIELDS))
