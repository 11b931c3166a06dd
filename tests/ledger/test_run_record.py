import json

import pytest

from allophone.errors import LedgerError, UsageError
from allophone.files import write_whole
from allophone.ledger.run_record import RUN_FILE, EmotionRunRecord, RecognitionRunRecord, machine_stamp, read_run
from allophone.records.point import EmotionSetting, OperatingPoint
from builders import run_record
from emotion_builders import emotion_record

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


def test_runs_of_both_tasks_read_back_and_are_not_mistaken(tmp_path):
    asr, emotion = tmp_path / "asr", tmp_path / "emotion"
    spoken, felt = run_record([POINT], 3), emotion_record([EmotionSetting(model="base", unfrozen_layers="all")], 8)
    write_whole(asr / RUN_FILE, spoken.model_dump_json())
    write_whole(emotion / RUN_FILE, felt.model_dump_json())
    assert read_run(asr) == read_run(asr, RecognitionRunRecord) == spoken
    assert read_run(emotion) == read_run(emotion, EmotionRunRecord) == felt
    with pytest.raises(UsageError, match=r"'task': a run of emotion recognition"):
        read_run(emotion, RecognitionRunRecord)
    with pytest.raises(UsageError, match=r"'task': a run of speech recognition"):
        read_run(asr, EmotionRunRecord)


def test_a_run_that_names_no_task_is_one_of_speech_recognition(tmp_path):
    fields = json.loads(run_record([POINT], 3).model_dump_json())
    del fields["task"]
    (tmp_path / RUN_FILE).write_text(json.dumps(fields))
    assert read_run(tmp_path) == run_record([POINT], 3)


def test_an_unknown_task(tmp_path):
    fields = json.loads(run_record([POINT], 3).model_dump_json()) | {"task": "music"}
    (tmp_path / RUN_FILE).write_text(json.dumps(fields))
    with pytest.raises(LedgerError, match=r"'task' is music; known: asr, emotion"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("corpus", "title"),
    [
        ("/home/me/.cache/demo-corpus/manifest.jsonl", "demo-corpus/manifest.jsonl"),
        ("calls", "calls"),
        ("hf:openslr/librispeech_asr?split=test", "hf:openslr/librispeech_asr?split=test"),
    ],
)
def test_a_title_names_the_corpus_without_the_folders_that_lead_to_it(corpus, title):
    assert run_record([POINT], 3).model_copy(update={"corpus": corpus}).corpus_title == title
