import json

import pytest
import typer
from typer.testing import CliRunner

from allophone.cli.cost import cost
from allophone.cli.cost_reproduction import plain_table, reproduction


def test_reproduction_of_compute_allocation():
    record, tables = reproduction("2606.22790")
    shown = str(tables)
    for text in ("5228.0", "n(2Td(4d+T) + 16Td²)", "2630.5", "0.0555", "4.3", "3.34"):
        assert text in shown
    fields = json.loads(json.dumps(record, default=float))  # as the command prints it
    assert [row["text_tokens"] for row in fields["asr"]] == [19, 20, 20, 20, 20, 20, 19, 20, 20, 20, 20]
    assert all(f"{row['formula_flops'] / 1e9:.1f}" == row["printed_gflops"] for row in fields["asr"] + fields["ser"])
    assert fields["claims"][0]["stated"] == 4.3


def test_reproduction_of_model_selection():
    record, tables = reproduction("2309.12712")
    shown = str(tables)
    assert "0.89" in shown
    assert "87 % encoder" in shown
    fields = json.loads(json.dumps(record, default=float))  # as the command prints it
    assert [row["cost"]["pipeline"] for row in fields["rows"]] == ["big_first", "small_first", "cascade"]
    assert fields["rows"][0]["break_even_share"] == pytest.approx(0.778, abs=5e-4)


def test_the_command_prints_what_was_recomputed():
    app = typer.Typer()
    app.command()(cost)
    record, tables = reproduction("2309.12712")
    assert json.loads(CliRunner().invoke(app, ["--reproduce", "2309.12712", "--json"]).output) == json.loads(
        json.dumps(record, default=float)
    )
    told = CliRunner().invoke(app, ["--reproduce", "2309.12712"], env={"COLUMNS": "240"}).output
    assert all(cell in told for cell in tables[0].rows[0])


def test_no_row_of_a_plain_table_stands_back():
    assert plain_table("t", ("a",), [("1",), ("2",)]).muted == (False, False)
