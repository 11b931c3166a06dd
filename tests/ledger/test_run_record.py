import json

import pytest

from allophone.errors import LedgerError
from allophone.files import write_whole
from allophone.ledger.run_record import RUN_FILE, machine_stamp, read_run
from allophone.records import OperatingPoint
from builders import run_record

POINT = OperatingPoint(model="tiny.en", context="fit", margin_s=2)


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = run_record([POINT], 3)
    write_whole(tmp_path / RUN_FILE, record.model_dump_json())
    assert read_run(tmp_path) == record


def test_another_schema_version_is_named_with_the_remedy(tmp_path):
    fields = json.loads(run_record([POINT], 3).model_dump_json()) | {"schema_version": 99}
    (tmp_path / RUN_FILE).write_text(json.dumps(fields))
    with pytest.raises(LedgerError, match=r"'schema_version' is 99.*Use the version that wrote it"):
        read_run(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"schema_version": 1}', "\x00"])
def test_a_damaged_record_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(LedgerError, match=RUN_FILE):
        read_run(tmp_path)


def test_an_impossible_field_is_named(tmp_path):
    fields = json.loads(run_record([POINT], 3).model_dump_json())
    fields["points"][0]["token_stride"] = 0
    (tmp_path / RUN_FILE).write_text(json.dumps(fields))
    with pytest.raises(LedgerError, match=r"points\.0\.token_stride"):
        read_run(tmp_path)


def test_a_relative_run_never_calls_its_error_rate_wer():
    assert run_record([POINT], 1).quality_name == "WER"
    relative = run_record([POINT], 1, relative_to="base-full-s1-int8-b5").quality_name
    assert "relative to base" in relative
    assert "WER" not in relative


def test_the_stamp_names_processor_cores_and_the_packages_that_measure():
    stamp = machine_stamp()
    assert stamp.processor
    assert stamp.cores >= 1
    assert {"allophone", "ctranslate2", "jiwer"} <= set(stamp.packages)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "x.json"
    write_whole(target, "first")
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be written"):
        write_whole(tmp_path / "file" / "x.json", "second")
    assert target.read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "x.json"]
