import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from allophone.cli.frontier import frontier
from allophone.cli.label import label
from allophone.cli.recommend import recommend
from allophone.errors import UsageError
from allophone.files import file_sha256
from allophone.labels.transcripts import Row, read_cells, write_transcripts
from builders import write_run
from labelled_runs import FAST, SLOW, write_relative_run


@pytest.fixture
def said(tmp_path):
    return write_relative_run(tmp_path / "r")


def invoke(verb, *arguments):
    app = Typer(pretty_exceptions_enable=False)
    app.command()(verb)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fill(path, said):
    names = read_cells(path, said)
    write_transcripts(path, [Row(name, "", said[name]) for name in names])


def test_from_a_budget_to_a_decision(tmp_path, said):
    run, csv = tmp_path / "r", tmp_path / "t.csv"
    drawn = invoke(label, run, "--budget", 40, "--out", csv)
    assert drawn.exit_code == 0, drawn.exception
    assert "40 utterances in" in drawn.stdout
    assert "cannot be read here" in drawn.stderr  # the builder's corpus does not exist
    fill(csv, said)
    applied = invoke(label, run, "--apply", csv)
    assert applied.exit_code == 0, applied.exception
    assert "40 human transcripts" in applied.stdout
    assert "WER %" in applied.stdout
    assert file_sha256(csv)[:12] in applied.stdout
    saved = json.loads(invoke(recommend, run, "--labels", csv, "--minimise", "wer", "--json").stdout)
    assert saved["transcripts_sha256"] == file_sha256(csv)
    assert saved["quality_name"] == "WER"
    shown = json.loads(invoke(frontier, run, "--labels", csv, "--json").stdout)
    assert shown["relative_to"] is None
    assert {point["name"] for point in shown["points"]} == {FAST.name, SLOW.name}
    # without the file the run is what it was
    assert json.loads(invoke(frontier, run, "--json").stdout)["relative_to"] == "base-full-s1-int8-b5"


def test_a_larger_budget_keeps_what_is_transcribed(tmp_path, said):
    run = tmp_path / "r"
    assert invoke(label, run, "--budget", 5).exit_code == 0
    fill(run / "transcripts.csv", said)
    done = invoke(label, run, "--budget", 9)
    cells = read_cells(run / "transcripts.csv", said)
    assert len(cells) == 9
    assert sum(map(bool, cells.values())) == 5
    assert "5 of them transcribed already" in done.stdout
    # and a smaller one takes nothing away that a person wrote
    assert invoke(label, run, "--budget", 2).exit_code == 0
    assert sum(map(bool, read_cells(run / "transcripts.csv", said).values())) == 5


def test_hypotheses_are_shown_on_request(tmp_path, said):
    run = tmp_path / "r"
    assert invoke(label, run, "--budget", 5, "--hypotheses").exit_code == 0
    assert " | " in (run / "transcripts.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --budget N"),
        (("--budget", 5, "--apply", "t.csv"), "give --budget N"),
        (("--budget", 0), "--budget 0: give from 2 to 60"),
        (("--budget", 61), "--budget 61: give from 2 to 60"),
        (("--budget", 5, "--points", "nothing"), "'nothing' is no point of this run"),
    ],
)
def test_impossible_requests_are_refused(tmp_path, said, arguments, message):
    done = invoke(label, tmp_path / "r", *arguments)
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert not (tmp_path / "r" / "transcripts.csv").exists()


def test_a_run_with_references_needs_no_labels(tmp_path):
    run = write_run(tmp_path / "own", {FAST: [{}] * 4})
    for arguments in ((run, "--budget", 2), (run, "--apply", tmp_path / "t.csv")):
        done = invoke(label, *arguments)
        assert isinstance(done.exception, UsageError)
        assert "references of its own" in str(done.exception)


def test_policies_and_labels_do_not_go_together(tmp_path, said):
    run = tmp_path / "r"
    invoke(label, run, "--budget", 5)
    fill(run / "transcripts.csv", said)
    for verb in (frontier, recommend):
        done = invoke(verb, run, "--labels", run / "transcripts.csv", "--policy", tmp_path / "p")
        assert isinstance(done.exception, UsageError)
        assert "cannot be judged by --labels" in str(done.exception)


def test_the_recordings_and_their_parts_are_named(tmp_path, said):
    lines = [{"id": name, "audio_filepath": f"{name}.wav"} for name in said]
    lines[1] |= {"audio_filepath": "long.wav", "offset": 12.5, "duration": 4.5}
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n".join(map(json.dumps, lines)))
    record = tmp_path / "r" / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"corpus": str(corpus)}))
    done = invoke(label, tmp_path / "r", "--budget", 60)
    assert done.stderr == ""
    text = (tmp_path / "r" / "transcripts.csv").read_text(encoding="utf-8-sig")
    assert f"u0,{tmp_path / 'u0.wav'}," in text
    assert f'u1,"{tmp_path / "long.wav"}#t=12.5,17",' in text
