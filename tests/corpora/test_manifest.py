import json
from pathlib import Path

import pytest

from allophone.corpora.manifest import read_manifest, write_manifest_line
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance

GOOD = '{"audio_filepath": "a.wav"}'


def write(tmp_path, *lines, encoding="utf-8"):
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def test_every_field_is_read(tmp_path):
    line = '{"id": "u1", "audio_filepath": "x/a.wav", "duration": 1.5, "text": "hi", "label": "joy", "speaker": "s"}'
    assert list(read_manifest(write(tmp_path, line))) == [
        Utterance("u1", tmp_path / "x/a.wav", duration_s=1.5, text="hi", label="joy", speaker="s")
    ]


def test_the_recording_alone_is_enough(tmp_path):
    line = '{"audio_filepath": "/data/x.flac", "lang": "en", "offset": 0}'
    assert list(read_manifest(write(tmp_path, line))) == [Utterance("x", Path("/data/x.flac"))]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('"offset": 12.5, "duration": 4.75', Utterance("x-12.5-17.25", Path("/x.wav"), 4.75, offset_s=12.5)),
        ('"offset": 12.5', Utterance("x-12.5", Path("/x.wav"), offset_s=12.5)),
        ('"offset": 0.0, "duration": 4', Utterance("x", Path("/x.wav"), 4.0, offset_s=0.0)),
        ('"offset": 0, "duration": null', Utterance("x", Path("/x.wav"))),
        ('"offset": null, "duration": 4', Utterance("x", Path("/x.wav"), 4.0)),
        ('"offset": 1, "duration": 2, "id": "u"', Utterance("u", Path("/x.wav"), 2.0, offset_s=1.0)),
        ('"offset": 0.1, "duration": 0.2', Utterance("x-0.1-0.3", Path("/x.wav"), 0.2, offset_s=0.1)),
    ],
)
def test_parts_of_a_recording(tmp_path, fields, expected):
    (utterance,) = read_manifest(write(tmp_path, f'{{"audio_filepath": "/x.wav", {fields}}}'))
    assert utterance == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"audio": "/x.wav", "sentence": "a"}', Utterance("x", Path("/x.wav"), text="a")),
        ('{"file_name": "/x.wav", "transcription": "a"}', Utterance("x", Path("/x.wav"), text="a")),
        ('{"audio": {"path": "/x.wav", "bytes": null}, "text": "a"}', Utterance("x", Path("/x.wav"), text="a")),
        ('{"audio_filepath": "/x.wav", "audio": "/y.wav"}', Utterance("x", Path("/x.wav"))),
        ('{"audio_filepath": "/x.wav", "text": "a", "sentence": "b"}', Utterance("x", Path("/x.wav"), text="a")),
        ('{"audio_filepath": "/x.wav", "text": null, "sentence": "b"}', Utterance("x", Path("/x.wav"), text="b")),
        ('{"audio_filepath": "/x.wav", "text": "", "sentence": "b"}', Utterance("x", Path("/x.wav"), text="")),
        ('{"audio_filepath": "/x.wav", "speaker_id": 3}', Utterance("x", Path("/x.wav"), speaker="3")),
        ('{"audio_filepath": "/x.wav", "client_id": "c"}', Utterance("x", Path("/x.wav"), speaker="c")),
    ],
)
def test_fields_under_the_names_of_data_sets(tmp_path, line, expected):
    assert list(read_manifest(write(tmp_path, line))) == [expected]


def test_numbers_serve_as_names(tmp_path):
    (utterance,) = read_manifest(write(tmp_path, '{"id": 7, "audio_filepath": "a.wav", "speaker": 0, "duration": 2}'))
    assert (utterance.id, utterance.speaker, utterance.duration_s) == ("7", "0", 2.0)


def test_an_empty_text_is_a_text(tmp_path):
    nothing, silence = read_manifest(write(tmp_path, GOOD, '{"audio_filepath": "b.wav", "text": ""}'))
    assert (nothing.text, silence.text) == (None, "")


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path):
    path = write(tmp_path, GOOD, "", "  ", '{"audio_filepath": "b.wav"}', encoding="utf-8-sig")
    assert [utterance.id for utterance in read_manifest(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"not valid JSON \(.*column 2\)\. Mend or delete the line"),
        ("audio.wav", "not valid JSON.*Mend or delete"),
        ('["a.wav"]', "not a JSON object. Write"),
        ("{}", "field 'audio_filepath' is missing. Name the recording"),
        ('{"audio_filepath": ""}', "field 'audio_filepath' is missing"),
        ('{"audio_filepath": null}', "field 'audio_filepath' is missing"),
        ('{"audio_filepath": ["a"]}', r"field 'audio_filepath' is \['a'\]. Give a string"),
        ('{"audio_filepath": "a\\u0000b"}', "field 'audio_filepath'.*Mend or delete"),
        ('{"audio_filepath": "a", "text": 1.5}', "field 'text' is 1.5. Give a string"),
        ('{"audio_filepath": "a", "text": true}', "field 'text' is True. Give a string"),
        ('{"audio_filepath": "a", "text": "\\ud800"}', "field 'text'.*Mend or delete"),
        ('{"audio_filepath": "a", "speaker": {}}', "field 'speaker' is {}. Give a string"),
        ('{"audio_filepath": "a", "duration": "3"}', "field 'duration' is '3'. Give seconds"),
        ('{"audio_filepath": "a", "duration": -1}', "field 'duration' is -1. Give seconds"),
        ('{"audio_filepath": "a", "duration": true}', "field 'duration' is True. Give seconds"),
        ('{"audio_filepath": "a", "duration": NaN}', "field 'duration' is nan. Give seconds"),
        ('{"audio_filepath": "a", "duration": Infinity}', "field 'duration' is inf. Give seconds"),
        ('{"audio_filepath": "a", "duration": 1' + "0" * 400 + "}", "field 'duration' is 10+. Give seconds"),
        ('{"audio_filepath": "a", "offset": -0.5, "duration": 1}', "field 'offset' is -0.5. Give seconds"),
        ('{"audio_filepath": "a", "offset": "1", "duration": 1}', "field 'offset' is '1'. Give seconds"),
        ('{"audio_filepath": "a", "offset": NaN}', "field 'offset' is nan. Give seconds"),
        ('{"audio_filepath": "a", "offset": 1, "duration": 0}', "field 'duration' is 0, and a part of no length"),
        ('{"audio_filepath": "a", "offset": 0, "duration": 0.0}', "field 'duration' is 0, and a part of no length"),
        ('{"audio": {"bytes": "x"}}', "field 'audio_filepath' is missing. Name the recording"),
        ('{"file_name": 1.5}', "field 'file_name' is 1.5. Give a string"),
        ('{"audio_filepath": "a", "duration": 1' + "0" * 5000 + "}", "not usable JSON.*Mend or delete"),
        ("[" * 100_000, "not (usable|valid) JSON.*Mend or delete"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_the_remedy(tmp_path, line, message):
    path = write(tmp_path, GOOD, "", line)
    lines = read_manifest(path)
    assert next(lines).id == "a"
    with pytest.raises(CorpusError, match=rf"manifest\.jsonl:3: {message}"):
        next(lines)


def test_a_manifest_in_another_encoding(tmp_path):
    path = write(tmp_path, '{"audio_filepath": "é.wav"}', encoding="latin-1")
    with pytest.raises(CorpusError, match=r"not UTF-8.*Save the manifest"):
        list(read_manifest(path))


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(CorpusError, match=r"gone\.jsonl: cannot be read"):
        list(read_manifest(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize(
    "utterance",
    [
        Utterance("u", Path("/corpus/a/b.wav"), 2.5, "Größe", "joy", "s"),
        Utterance("u", Path("/corpus/a.wav"), text=""),
        Utterance("u", Path("/elsewhere/a.wav")),
        Utterance("u", Path("/corpus/a.wav"), 2.5, "text", offset_s=0.25),
        Utterance("u", Path("/corpus") / b"caf\xe9.wav".decode("utf-8", "surrogateescape")),
    ],
)
def test_what_is_written_reads_back(tmp_path, utterance):
    line = write_manifest_line(utterance, Path("/corpus"))
    (read,) = read_manifest(write(tmp_path, line))
    root = tmp_path if utterance.audio_filepath.is_relative_to("/corpus") else Path("/elsewhere")
    below = utterance.audio_filepath.relative_to(utterance.audio_filepath.parents[-2])
    assert read == Utterance("u", root / below, *(getattr(utterance, name) for name in Utterance.__slots__[2:]))


def test_paths_are_written_relative_to_the_manifest():
    fields = json.loads(write_manifest_line(Utterance("u", Path("/corpus/a/b.wav")), Path("/corpus")))
    assert fields == {"id": "u", "audio_filepath": "a/b.wav"}
