import json

import pytest

from allophone.errors import UsageError
from allophone.records.point import EmotionSetting, OperatingPoint
from allophone.records.saved_point import POINT_SCHEMA_VERSION, EmotionPointFile, PointFile, read_decision, read_point

SAVED = PointFile(
    point=OperatingPoint(model="base", context="fit", margin_s=2),
    language="de",
    question="least rtf with wer <= 12 %",
    explanation=["one", "two"],
    quality_name="wer",
    measured={"wer": 0.11, "peak_memory_bytes": None},
    corpus="corpus",
    fingerprint="f" * 64,
    processor="a processor",
)


def test_what_is_saved_reads_back(tmp_path):
    path = tmp_path / "point.json"
    path.write_text(SAVED.model_dump_json(indent=1), encoding="utf-8")
    assert read_point(path) == SAVED


def test_a_point_alone_is_enough(tmp_path):
    path = tmp_path / "point.json"
    path.write_text(json.dumps({"schema_version": POINT_SCHEMA_VERSION, "point": {"model": "tiny.en"}}))
    assert read_point(path) == PointFile(point=OperatingPoint(model="tiny.en"))
    assert read_point(path).language == "en"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"caf\xe9", "not valid JSON"),
        (b"[]", "field 'schema_version' is None, expected 1"),
        (b"{}", "field 'schema_version' is None, expected 1"),
        (b'{"schema_version": 2}', "field 'schema_version' is 2, expected 1"),
        (b'{"schema_version": 1}', "field 'point': Field required"),
        (b'{"schema_version": 1, "point": {"model": "m", "beam_size": 0}}', r"field 'point\.beam_size': .*greater"),
        (b'{"schema_version": 1, "point": {"model": "m"}, "extra": 1}', "field 'extra': Extra"),
        (b'{"schema_version": 1, "point": {"model": "m"}, "measured": {"wer": "low"}}', r"field 'measured\.wer'"),
    ],
)
def test_a_bad_file_is_named_with_field_and_remedy(tmp_path, content, message):
    path = tmp_path / "point.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=rf"point\.json: {message}.*'allophone recommend RUN --out point\.json' makes"):
        read_point(path)


def test_a_file_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(UsageError, match=r"cannot be read \(.*makes one"):
            read_point(path)


def test_a_setting_of_emotion_recognition_reads_back_and_does_not_transcribe(tmp_path):
    saved = EmotionPointFile(point=EmotionSetting(model="base", unfrozen_layers="all"), command="allophone adapt x")
    path = tmp_path / "point.json"
    path.write_text(saved.model_dump_json(), encoding="utf-8")
    assert read_decision(path) == saved
    with pytest.raises(UsageError, match=r"point\.json: field 'task': .*does not transcribe.*allophone adapt x"):
        read_point(path)
    path.write_text(SAVED.model_dump_json(), encoding="utf-8")
    assert read_decision(path) == SAVED
