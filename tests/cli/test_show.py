import sys

import pytest

from allophone.cli.show import print_table
from allophone.report.tables import Table

TABLE = Table(
    title="t",
    columns=("point", "WER %", "latency s", "memory", "verdict"),
    rows=(("tiny.en-fit", "12.00 [10.00, 14.00]", "0.123", "266", "tied"),),
    muted=(False,),
    notes=("a note",),
    side=("memory", "latency s"),
)


@pytest.mark.parametrize(
    ("width", "left_out"), [(80, []), (62, ["memory"]), (52, ["memory", "latency s"]), (20, ["memory", "latency s"])]
)
def test_a_narrow_terminal_leaves_side_columns_out_and_says_so(monkeypatch, capsys, width, left_out):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(TABLE)
    told = " ".join(capsys.readouterr().out.split())
    said = f"No room for: {'; '.join(left_out)}. Widen the terminal, or use --json."
    assert (said in told) == bool(left_out)
    for column, value in (("memory", "266"), ("latency s", "0.123")):
        assert (value in told) == (column not in left_out)
    assert "a note" in told


def test_off_a_terminal_nothing_is_left_out(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    print_table(TABLE)
    assert "│ tiny.en-fit │ 12.00 [10.00, 14.00] │     0.123 │    266 │ tied    │" in capsys.readouterr().out


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
