import sys

import pytest

from allophone.cli.show import print_csv, print_table
from allophone.report.tables import Table

TABLE = Table(
    title="t",
    columns=("point", "WER %", "latency s", "memory", "verdict"),
    rows=(("tiny.en, full context", "12.00 [10.00, 14.00]", "0.123 [0.1, 0.2]", "266", "tied (p 0.60)"),),
    muted=(True,),
    notes=("a note",),
    side=("memory", "latency s"),
    bracketed=("latency s", "WER %"),
)


@pytest.mark.parametrize(
    ("width", "missing", "row"),
    [
        (100, "", "tiny.en, full context  12.00 [10.00, 14.00]  0.123 [0.1, 0.2]     266  tied (p 0.60)"),
        (80, "memory", "tiny.en, full context  12.00 [10.00, 14.00]  0.123 [0.1, 0.2]  tied (p 0.60)"),
        (60, "memory; latency s", "tiny.en, full context  12.00 [10.00, 14.00]  tied (p 0.60)"),
        (50, "memory; latency s; intervals of WER %", "tiny.en, full context  12.00  tied (p 0.60)"),
    ],
)
def test_a_narrow_terminal_leaves_out_what_the_table_says(monkeypatch, capsys, width, missing, row):
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(TABLE)
    out = capsys.readouterr().out
    assert row in [line.rstrip() for line in out.splitlines()]
    said = f"No room for: {missing}. --wide prints everything."
    assert (said in " ".join(out.split())) == bool(missing)
    assert "a note" in out
    print_table(TABLE, wide=True)
    assert TABLE.rows[0][2] in capsys.readouterr().out


def test_names_are_folded_before_other_columns_are(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "36")
    print_table(TABLE)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    row = lines.index("tiny.en, full  12.00  tied (p 0.60)")
    assert lines[row + 1] == "  context"


def test_rows_that_no_terminal_has_room_for_are_blocks_with_every_word(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    settings = " | ".join(f"fit +{n} s (0.{n}0)" for n in range(1, 9))
    table = Table(
        title="t",
        columns=("axis", "settings", "in the whole run", "verdict"),
        rows=(("context", settings, "-1.4 [-2.9, +0.2]", "wasted: fit +1 s is as good"), ("beams", "1", "-", "-")),
        muted=(False, True),
        notes=("a note",),
    )
    print_table(table)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 60
    assert "…" not in out
    words = " ".join(out.split())
    for part in (
        f"context settings: {settings}",
        "run: -1.4 [-2.9, +0.2]",
        "verdict: wasted: fit +1 s is as",
        "beams settings: 1 a",
    ):
        assert part in words
    print_table(table, wide=True)
    assert f"context  {settings}" in capsys.readouterr().out


def test_off_a_terminal_there_are_80_columns(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(TABLE)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "No room for: memory." in out


def test_a_terminal_without_colour_gets_no_escape_codes(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_table(TABLE)
    assert "\x1b[" in capsys.readouterr().out  # bold and dim
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(TABLE)
    assert "\x1b[" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["x[/b]", "speech[final]", "[red]", "[link=https://x]y[/link]", "\\[x]", "[/]", ":smile:"]
)
def test_names_are_no_markup(capsys, name):
    table = Table(title=f"run {name}", columns=("point", name), rows=((name, name),), muted=(False,), notes=(name,))
    print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == f"run {name}"
    assert [line.count(name) for line in lines if name in line] == [1, 1, 2, 1]


def test_names_do_not_write_to_the_terminal_s_state(capsys):
    evil = "\x1b]0;title\x07\x1b[2J"
    print_table(Table(title=evil, columns=("a",), rows=((evil,),), muted=(False,), notes=(evil,)))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("\\x1b]0;title\\x07\\x1b[2J") == 3


def test_csv_has_a_column_for_every_number(capsys):
    print_csv([{"a": 1.5, "b": {"c": "x, y"}, "intervals": {"wer": [0.1, 0.2]}}, {"a": None, "d": ["p", "q"]}])
    assert capsys.readouterr().out == 'a,b.c,intervals.wer.low,intervals.wer.high,d\n1.5,"x, y",0.1,0.2,\n,,,,p;q\n'
