import io
import json
import os
import subprocess
import sys

import pytest

from allophone.cli.say import accept_any_character, printable, say, say_prose

CONTROL = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069"]


@pytest.mark.parametrize("character", [c for c in CONTROL if c not in "\t\n"], ids=lambda c: f"U+{ord(c):04X}")
def test_a_control_character_is_shown_and_does_nothing(character, capsys):
    say(f"a{character}b")
    shown = capsys.readouterr().out
    assert character not in shown
    assert shown.startswith("a\\")
    assert f"{ord(character):x}" in shown


@pytest.mark.parametrize("text", ["a\tb\nc", "Ümläut", "संस्कृतियों", "שלום", "🎙", "[red]x[/b]", "\u200f"])
def test_other_text_stays(text):
    assert printable(text) == text


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "utf-8"])
@pytest.mark.parametrize("text", ["plain", "Ж", "🎙 字", "caf\udce9", "naïve"])
def test_what_an_encoding_lacks_is_escaped_as_in_json(monkeypatch, encoding, text):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    accept_any_character()
    print(json.dumps({"text": text}, ensure_ascii=False), flush=True)
    assert json.loads(raw.getvalue().decode(encoding))["text"] == text


def test_a_name_that_the_console_lacks_ends_no_command(tmp_path):
    folder = tmp_path / "🎙 \x1b[31m"
    done = subprocess.run(
        [sys.executable, "-m", "allophone", "frontier", str(folder)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"\\ud83c\\udf99 \\x1b[31m: no such run" in done.stderr
    assert b"\x1b" not in done.stderr


def test_sentences_are_folded_between_words_on_a_terminal_alone(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    sentence = "  " + "it binds: without --max-rtf " * 4 + "end."
    say_prose(sentence)
    assert capsys.readouterr().out == sentence + "\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say_prose(sentence)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 30
    assert all(line.startswith("  ") and not line.endswith("-") for line in lines)
    assert " ".join(" ".join(lines).split()) == sentence.strip()


@pytest.mark.parametrize("text", ["", "Next: allophone frontier " + "runs/" * 20, "/a/path/" * 20])
def test_commands_paths_and_empty_lines_are_not_folded(monkeypatch, capsys, text):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say_prose(text)
    assert capsys.readouterr().out == text + "\n"
