import pytest

from allophone.errors import UsageError
from allophone.files import file_sha256
from allophone.labels.transcripts import Row, read_cells, read_transcripts, write_transcripts

KNOWN = ("u0", "u1", "u2", "u3")


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_what_is_written_is_read_back_with_quotes_and_umlauts(tmp_path):
    path = tmp_path / "t.csv"
    rows = [
        Row("u0", "a, b.wav", 'sie sagte "schön", dann\nnichts'),
        Row("u1", "c.wav"),
        Row("u2", "d.wav", "[Silence]"),
    ]
    write_transcripts(path, rows)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfutterance_id,audio_path,transcript\r\n")
    found = read_transcripts(path, KNOWN)
    assert found.texts == {"u0": 'sie sagte "schön", dann\nnichts', "u2": ""}
    assert found.empty == ("u1",)
    assert found.sha256 == file_sha256(path)
    assert read_cells(path, KNOWN)["u2"] == "[Silence]"


def test_hypotheses_are_shown_only_when_asked_for(tmp_path):
    row = Row("u0", "a.wav", hypotheses=("one two", "one too"))
    write_transcripts(tmp_path / "with.csv", [row], hypotheses=True)
    write_transcripts(tmp_path / "without.csv", [row])
    assert "one two | one too" in (tmp_path / "with.csv").read_text(encoding="utf-8-sig")
    assert "one two" not in (tmp_path / "without.csv").read_text(encoding="utf-8-sig")
    assert read_cells(tmp_path / "with.csv", KNOWN) == {"u0": ""}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_any_spreadsheet_s_delimiter_more_columns_and_blank_lines(tmp_path, delimiter):
    lines = [
        ["note", "transcript", "utterance_id "],
        ["x", "one two", "u1"],
        ["", "", ""],
        ["y", "", "u2"],
        ["", "three"],
    ]
    lines[-1].append("u0")
    path = write(tmp_path / "t.csv", "\n".join(delimiter.join(line) for line in lines) + "\n\n")
    assert read_cells(path, KNOWN) == {"u1": "one two", "u2": "", "u0": "three"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("utterance_id,transcript\nu9,x\n", r"t\.csv:2: utterance_id 'u9' was not drawn"),
        ("utterance_id,transcript\n,x\n", r"t\.csv:2: utterance_id '' was not drawn"),
        ("utterance_id,transcript\nu1,x\nu1,y\n", r"t\.csv:3: utterance_id 'u1' occurs twice"),
        ("utterance_id,text\nu1,x\n", r"column 'transcript' is missing \(found: utterance_id, text\)"),
        ("", r"column 'utterance_id' is missing \(found: nothing\)"),
        ("utterance_id,transcript\nu1,\nu2, \n", r"holds no transcript \(2 empty lines\)"),
        ("utterance_id,transcript\n", r"holds no transcript \(0 empty lines\)"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_transcripts(write(tmp_path / "t.csv", text), KNOWN)


def test_a_wrong_encoding_or_a_missing_file_is_refused(tmp_path):
    latin = write(tmp_path / "t.csv", "utterance_id,transcript\nu1,schön\n", "latin-1")
    with pytest.raises(UsageError, match=r"not UTF-8 text .* Save it as CSV \(UTF-8\)"):
        read_transcripts(latin, KNOWN)
    utf16 = write(tmp_path / "t16.csv", "utterance_id,transcript\nu1,x\n", "utf-16")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        read_transcripts(utf16, KNOWN)
    with pytest.raises(UsageError, match="cannot be read"):
        read_transcripts(tmp_path / "missing.csv", KNOWN)
    huge = write(tmp_path / "huge.csv", "utterance_id,transcript\nu1," + "x" * 200_000 + "\n")
    with pytest.raises(UsageError, match="not CSV"):
        read_transcripts(huge, KNOWN)
