import pytest

from allophone.errors import LedgerError
from allophone.ledger.throughput_record import (
    THROUGHPUT_FILE,
    ThroughputPass,
    ThroughputRecord,
    read_throughput,
    write_throughput,
    writing,
)

EMPTY = ThroughputRecord(jobs=0, batch_size=0, minutes=3, utterances=(0, 2), audio_s=12.5)


def one(point="p", turn=0, wall_s=1.5):
    return ThroughputPass(point=point, round=turn, workers=2, batch_size=1, wall_s=wall_s)


def test_what_is_written_is_read(tmp_path):
    record = EMPTY.add(one()).add(one(turn=1)).add(one("q"))
    write_throughput(tmp_path, record)
    assert read_throughput(tmp_path) == record
    assert record.done == {(0, "p"), (1, "p"), (0, "q")}


def test_nothing_is_taken_twice():
    record = EMPTY.add(one(wall_s=1.5))
    assert record.add(one(wall_s=9)) == record


def test_a_run_without_throughput(tmp_path):
    assert read_throughput(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"jobs": 0', "JSON"),
        ('{"jobs": -1, "batch_size": 0, "minutes": 3, "utterances": [0], "audio_s": 1}', "field 'jobs'"),
        ('{"jobs": 0, "batch_size": 0, "minutes": 3, "utterances": [], "audio_s": 1}', "field 'utterances'"),
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, text, problem):
    (tmp_path / THROUGHPUT_FILE).write_text(text)
    with pytest.raises(LedgerError, match=rf"throughput\.json.*{problem}.*Delete it; 'allophone sweep --throughput'"):
        read_throughput(tmp_path)


def test_one_process_at_a_time_writes_a_run(tmp_path):
    with (
        writing(tmp_path),
        pytest.raises(LedgerError, match="another sweep is writing this run"),
        writing(tmp_path),
    ):
        pass
    with writing(tmp_path):
        pass
