import json

import pytest

from allophone.errors import LedgerError
from allophone.ledger.race_record import RACE_FILE, Elimination, race_ended, read_race, write_race

GONE = Elimination("a", 20, "b", 0.97, 0.4, 20.0, tied=True)


def test_a_race_reads_back(tmp_path):
    assert read_race(tmp_path) == (0, [])
    write_race(tmp_path, 2, [GONE], ended=True)
    assert read_race(tmp_path) == (2, [GONE])
    assert race_ended(tmp_path)


def test_a_race_of_before_there_were_other_tasks_reads_back(tmp_path):
    write_race(tmp_path, 2, [GONE])
    fields = json.loads((tmp_path / RACE_FILE).read_text())
    fields["eliminated"][0]["wer"] = fields["eliminated"][0].pop("loss")
    (tmp_path / RACE_FILE).write_text(json.dumps(fields))
    assert read_race(tmp_path) == (2, [GONE])


@pytest.mark.parametrize("content", ["{", "{}", '{"looks_done": 1, "eliminated": [{"point": "a"}]}'])
def test_a_damaged_race(tmp_path, content):
    (tmp_path / RACE_FILE).write_text(content)
    with pytest.raises(LedgerError, match=r"race\.json: damaged.*Delete it"):
        read_race(tmp_path)
