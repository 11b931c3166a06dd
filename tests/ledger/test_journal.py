import dataclasses
import json
import re

import pytest

from allophone.errors import LedgerError
from allophone.frontier.summarise import summarise_run
from allophone.ledger.journal import drop_torn_line, journal_line, read_journal
from allophone.ledger.ledger import Ledger
from allophone.ledger.readers import connect
from allophone.records.point import EmotionSetting, OperatingPoint
from builders import measurement, run_record
from emotion_builders import emotion_record, emotion_row

A = OperatingPoint(model="tiny.en")
N = 8
LINES = [journal_line(measurement(A, index)) for index in range(N)]


def changed(index=N - 1, **fields):
    return json.dumps({**json.loads(LINES[index]), **fields}) + "\n"


DAMAGE = {  # what stands in place of the fourth line; what is said of it
    "garbage": ("garbage{{{\n", "not a line of JSON"),
    "half a line": (LINES[3][:100] + "\n", "not a line of JSON"),
    "two lines glued": (LINES[3][:100] + LINES[3], "not a line of JSON"),
    "zeros, as a power cut leaves": ("\0" * 4096 + "\n", "not a line of JSON"),
    "zeros before the line": ("\0" * 100 + LINES[3], "not a line of JSON"),
    "null": ("null\n", "no object"),
    "a list": ("[1, 2]\n", "no object"),
    "a number": ("5\n", "no object"),
    "brackets": ("[" * 100_000 + "\n", "not a line of JSON"),
    "no UTF-8": (b'{"point": "\xff\xfe"}\n', "not a line of JSON"),
    "a field missing": (json.dumps({"point": A.name, "utterance_index": 3}) + "\n", "field 'utterance_id' is missing"),
    "an index of text": (changed(3, utterance_index="x"), "field 'utterance_index' is x"),
    "an index of nothing": (changed(3, utterance_index=None), "field 'utterance_index' is None"),
    "an index of truth": (changed(3, utterance_index=True), "field 'utterance_index' is True"),
    "an index with a fraction": (changed(3, utterance_index=3.5), "field 'utterance_index' is 3.5"),
    "no text": (changed(3, hypothesis=None), "field 'hypothesis' is None"),
    "a number no column holds": (changed(3, hits=10**23), "field 'hits' is 1000"),
    "a negative count": (changed(3, hits=-5), "field 'hits' is -5"),
    "a list of text": (changed(3, window_frames=["x"]), r"field 'window_frames' is \['x'\]"),
    "the line before again": (LINES[2], "the same row again"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_named_passed_over_and_measured_again(tmp_path, damage, said):
    damage = damage if isinstance(damage, bytes) else damage.encode()
    record = run_record([A], N)
    Ledger(tmp_path / "r", record).close()
    journal = tmp_path / "r/measurements" / f"{A.name}.jsonl"
    journal.write_bytes("".join(LINES[:3]).encode() + damage + "".join(LINES[4:7]).encode())
    named = rf"{A.name}\.jsonl: line 4 is passed over: {said}"
    reading = connect(tmp_path / "r")
    with reading as connection:
        found = connection.execute("SELECT utterance_index FROM measurements ORDER BY 1").fetchall()
    assert [index for (index,) in found] == [0, 1, 2, 4, 5, 6]
    (notice,) = reading.notices
    assert re.search(named, notice)
    assert notice in summarise_run(tmp_path / "r").notices
    with Ledger(tmp_path / "r", record) as ledger:
        assert ledger.notices == [notice]
        assert [index for index in range(N) if not ledger.is_done(A.name, index)] == [3, 7]
        ledger.append([measurement(A, index) for index in (3, 7)])
    reading = connect(tmp_path / "r")
    with reading as connection:
        assert connection.execute("SELECT count(*) FROM measurements").fetchall() == [(N,)]
    assert reading.notices == ()


@pytest.mark.parametrize("end", ["", LINES[3][:-1], LINES[3][:10], "\n", "\n\n", "\r\n"])
def test_an_unfinished_last_line_and_blank_ones_are_no_damage(tmp_path, end):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(LINES[:3]) + end)
    found = read_journal(path, run_record([A], N), A.name)
    assert ([row["utterance_index"] for row in found.rows], found.notices) == ([0, 1, 2], ())


FOREIGN = {
    "an index behind the corpus": ({"utterance_index": N}, rf"'utterance_index': {N}, and the run has {N} utterances"),
    "a negative index": ({"utterance_index": -1}, r"'utterance_index': -1"),
    "another point": ({"point": "base-full-s1-int8-b1"}, r"'point': a row of base-full-s1-int8-b1"),
    "another normaliser": ({"normalizer": "none"}, r"'normalizer': none, and the run's is english"),
    "another reference": ({"relative_to": "base"}, r"'relative_to': base, and the run's is None"),
}


@pytest.mark.parametrize(("fields", "said"), FOREIGN.values(), ids=FOREIGN)
def test_a_row_of_another_run_is_refused_and_nothing_is_changed(tmp_path, fields, said):
    record = run_record([A], N)
    Ledger(tmp_path / "r", record).close()
    journal = tmp_path / "r/measurements" / f"{A.name}.jsonl"
    journal.write_text("".join(LINES[:3]) + changed(4, **fields))
    before = journal.read_bytes()
    for read in (lambda: connect(tmp_path / "r"), lambda: Ledger(tmp_path / "r", record)):
        with pytest.raises(LedgerError, match=rf"\.jsonl: line 4: field {said}.*another run's"):
            read()
    assert journal.read_bytes() == before


def test_an_emotion_row_of_another_seed_is_refused(tmp_path):
    setting = EmotionSetting(model="tiny.en", duration_s=1.0)
    record = emotion_record([setting], 8, seeds=(0, 1), n_tested=2)
    path = tmp_path / "x.jsonl"
    path.write_text(journal_line(emotion_row(setting, 1)) + journal_line(emotion_row(setting, 1, seed=1)))
    assert [row["seed"] for row in read_journal(path, record, setting.name).rows] == [0, 1]
    path.write_text(journal_line(emotion_row(setting, 1, seed=2)))
    with pytest.raises(LedgerError, match=r"field 'seed': 2, and the run has 0, 1"):
        read_journal(path, record, setting.name)


def test_a_row_of_before_there_was_a_column_is_whole(tmp_path):
    path = tmp_path / "x.jsonl"
    row = json.loads(LINES[0])
    del row["snr_db"]
    path.write_text(json.dumps(row) + "\n")
    assert read_journal(path, run_record([A], N), A.name).notices == ()


def test_names_that_are_no_utf8_are_written_with_their_bytes_escaped(tmp_path):
    row = measurement(A, 0, utterance_id="caf\udce9", error="/x/caf\udce9.wav: no audio")
    (tmp_path / "x.jsonl").write_text(journal_line(row), encoding="utf-8")
    (found,) = read_journal(tmp_path / "x.jsonl", run_record([A], N), A.name).rows
    assert found == dataclasses.asdict(row) | {"utterance_id": r"caf\xe9", "error": r"/x/caf\xe9.wav: no audio"}
    with Ledger(tmp_path / "r", run_record([A], 1)) as ledger:
        ledger.append([row])
    with connect(tmp_path / "r") as connection:
        assert connection.execute("SELECT utterance_id FROM measurements").fetchall() == [(r"caf\xe9",)]


@pytest.mark.parametrize(("content", "kept"), [(b"", b""), (b"a", b""), (b"a\nb", b"a\n"), (b"a\n", b"a\n")])
def test_what_follows_the_last_newline_is_cut_off(tmp_path, content, kept):
    (tmp_path / "x").write_bytes(content)
    assert drop_torn_line(tmp_path / "x") == bool(kept)
    assert (tmp_path / "x").read_bytes() == kept
