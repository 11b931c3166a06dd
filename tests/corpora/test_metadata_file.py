import pytest

from allophone.corpora.metadata_file import read_metadata
from allophone.corpora.passed_over import PassedOver
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance


def read(tmp_path, content, name="metadata.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    passed_over = PassedOver(tmp_path)
    return list(read_metadata(path, tmp_path, passed_over)), passed_over.sentences()


@pytest.mark.parametrize("column", ["transcription", "text", "sentence", "transcript", "normalized_text"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_audio_folder(tmp_path, column, mark, newline):
    content = f'{mark}file_name,{column},speaker_id,label\nd/a.wav,"one, two",7,joy\nb.mp3,,,\n'.replace("\n", newline)
    assert read(tmp_path, content) == (
        [
            Utterance("d/a", tmp_path / "d/a.wav", text="one, two", label="joy", speaker="7"),
            Utterance("b", tmp_path / "b.mp3", text=""),
        ],
        (),
    )


def test_audio_folder_without_texts(tmp_path):
    assert read(tmp_path, "file_name,year\na.wav,1999\n")[0] == [Utterance("a", tmp_path / "a.wav")]


def test_lines_without_a_recording(tmp_path):
    utterances, sentences = read(tmp_path, "file_name,text\n,one\na.wav,two\n")
    assert [utterance.text for utterance in utterances] == ["two"]
    assert sentences == ("1 lines without a file_name passed over: metadata.csv:2.",)


def test_audio_folder_as_json_lines(tmp_path):
    content = (
        '{"file_name": "d/a.wav", "transcription": "one"}\n'
        '{"file_name": "d/b.wav", "text": "two", "id": "x", "offset": 1.5, "duration": 2}\n'
    )
    assert read(tmp_path, content, "metadata.jsonl")[0] == [
        Utterance("d/a", tmp_path / "d/a.wav", text="one"),
        Utterance("x", tmp_path / "d/b.wav", 2.0, "two", offset_s=1.5),
    ]


@pytest.mark.parametrize("folder", ["wavs", "."])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_ljspeech(tmp_path, folder, suffix):
    (tmp_path / folder).mkdir(exist_ok=True)
    recording = tmp_path / folder / f"LJ1-1{suffix}"
    recording.touch()
    content = 'LJ1-1|In 1884, "he said|In eighteen eighty-four, "he said\nLJ1-2|two|\nLJ1-3|three\n\n'
    utterances, sentences = read(tmp_path, content)
    assert utterances == [
        Utterance("LJ1-1", recording, text='In eighteen eighty-four, "he said'),
        Utterance("LJ1-2", tmp_path / "wavs/LJ1-2.wav", text="two"),
        Utterance("LJ1-3", tmp_path / "wavs/LJ1-3.wav", text="three"),
    ]
    assert sentences == ()


def test_ljspeech_lines_that_are_none(tmp_path):
    utterances, sentences = read(tmp_path, "a|one|one\nwords\n |two|\nb|three|\n")
    assert [utterance.id for utterance in utterances] == ["a", "b"]
    assert sentences == ("2 lines that are not ID|text passed over: metadata.csv:2, metadata.csv:3.",)


@pytest.mark.parametrize("content", ["name,year\na,1\n", "", "just words\n"])
def test_other_tables_are_passed_over(tmp_path, content):
    assert read(tmp_path, content) == ([], ("1 tables without a column file_name passed over: metadata.csv.",))


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_a_table_in_another_encoding(tmp_path, name):
    with pytest.raises(CorpusError, match=rf"{name}: not UTF-8 text.*Save the (table|manifest)"):
        read(tmp_path, b"file_name,text\na.wav,caf\xe9\n", name)


def test_a_table_that_is_none(tmp_path):
    with pytest.raises(CorpusError, match=r"metadata\.csv: not a table \(.*\)\. Mend or delete"):
        read(tmp_path, "file_name,text\na.wav," + "x" * 200_000 + "\n")


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(CorpusError, match=r"gone\.csv: cannot be read"):
        list(read_metadata(tmp_path / "gone.csv", tmp_path, PassedOver(tmp_path)))
