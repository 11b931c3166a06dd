import csv
import io
import json

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.records.point import OperatingPoint
from builders import write_run

SHORT = {"context": "fit", "margin_s": 1.0, "tail": "all", "guard": True}
TWENTY = [
    OperatingPoint(model=model, beam_size=beam, token_stride=stride, **(SHORT if short else {}))
    for model in ("tiny.en", "base")
    for beam in (1, 5)
    for stride in (1, 2)
    for short in (True, False)
] + [OperatingPoint(model="base", compute_type="float32", beam_size=beam, **SHORT) for beam in (1, 2, 3, 5)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 20 points that differ in errors and time, on 30 utterances of 10 speakers."""
    rows = {}
    for place, point in enumerate(TWENTY):
        wrong = [(index + place) % 4 for index in range(30)]
        rows[point] = [
            {
                "hits": 10 - wrong[index],
                "substitutions": wrong[index],
                "latency_s": 0.2 + 0.1 * place + 0.01 * (index % 7),
                "speaker": f"s{index % 10}",
            }
            for index in range(30)
        ]
    return write_run(tmp_path_factory.mktemp("runs") / "r", rows)


def frontier(run, *options, **env):
    done = CliRunner().invoke(app, ["frontier", str(run), *options], env=env)
    assert done.exit_code == 0, done.output
    return done.output


def table(output):
    """Name and the rest of each of the rows below the table's rule; a name may go on in an indented line."""
    lines = output.splitlines()
    rows: list[list[str]] = []
    for line in lines[next(place for place, line in enumerate(lines) if "───" in line) + 1 :]:
        name, _, rest = line.strip().partition("  ")
        if line.startswith("  "):
            rows[-1][0] += f" {name}"
        elif len(rows) == len(TWENTY):
            break
        else:
            rows.append([name, rest.strip()])
    return rows


@pytest.mark.parametrize("columns", [80, 120])
def test_every_point_has_a_row_that_fits_with_its_whole_name(run, columns):
    output = frontier(run, COLUMNS=str(columns))
    assert max(map(len, output.splitlines())) <= columns
    rows = table(output)
    assert {point.title for point in TWENTY} == {name for name, _ in rows}
    for _, rest in rows:
        assert rest.endswith((")", "*"))
    assert "--wide prints everything" in " ".join(output.split())


def test_wide_prints_everything(run):
    output = frontier(run, "--wide", COLUMNS="80")
    head = output.splitlines()[1]
    for column in ("WER %", "RTF", "p95 latency s", "GFLOPs/utt.", "peak MB", "of peak %", "S/D/I", "by", "verdict"):
        assert column in head
    assert "No room" not in output
    assert all("[" in rest for _, rest in table(output))


def test_csv_has_the_numbers_of_json(run):
    points = json.loads(frontier(run, "--json"))["points"]
    rows = list(csv.DictReader(io.StringIO(frontier(run, "--csv"))))
    assert [row["name"] for row in rows] == [point["name"] for point in points]
    assert rows[0]["title"] == next(point.title for point in TWENTY if point.name == rows[0]["name"])
    for row, point in zip(rows, points, strict=True):
        assert float(row["wer"]) == point["wer"]
        assert [float(row[f"intervals.rtf.{end}"]) for end in ("low", "high")] == point["intervals"]["rtf"]
        assert int(row["point.beam_size"]) == point["point"]["beam_size"]


def test_json_and_csv_together_are_refused(run):
    done = CliRunner().invoke(app, ["frontier", str(run), "--json", "--csv"])
    assert "Give one of them" in str(done.exception)
