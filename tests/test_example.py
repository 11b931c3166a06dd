"""What the pages show is what the command prints in a terminal of 80 columns."""

import json
import shutil

import pytest
from example import COLUMNS, EXAMPLE, measure_again, readme_example, run_in_terminal


def test_the_shown_output_fits_into_the_terminal_and_answers_the_question():
    shown = readme_example()
    block = shown.split("```")[1]
    assert all(len(line) <= COLUMNS for line in block.splitlines())
    assert "Which operating point has the lowest word error rate" in block
    assert "$ allophone transcribe" in block
    assert "\x1b" not in block
    assert "72 synthesised utterances of 8 speakers" in shown


def test_a_command_sees_a_terminal_of_80_columns(tmp_path):
    shutil.copytree(EXAMPLE / "runs", tmp_path / "runs")
    table = run_in_terminal("allophone frontier runs/x", tmp_path).splitlines()
    assert max(map(len, table)) <= COLUMNS
    assert any("tiny.en" in line for line in table)


def test_a_command_that_fails_says_what_it_printed(tmp_path):
    with pytest.raises(RuntimeError, match="no such run") as error:
        run_in_terminal("allophone frontier nowhere", tmp_path)
    assert "allophone frontier nowhere failed" in str(error.value)


@pytest.mark.slow
def test_the_run_can_be_measured_again(tmp_path, speech):
    recordings, kept = tmp_path / "recordings", tmp_path / "kept"
    (recordings / "audio").mkdir(parents=True)
    kept.mkdir()
    rows = []
    for name, recording in zip(("00-ash-easy", "01-birch-easy"), speech, strict=False):
        (recordings / f"audio/{name}.wav").write_bytes(recording.path.read_bytes())
        rows.append({"audio_filepath": f"audio/{name}.wav", "text": recording.text, "speaker": name})
    (recordings / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    measure_again(kept, recordings)
    assert (kept / "sweep.txt").read_text().startswith("8 points, 16 rows in runs/x")
    assert (kept / "transcribe.txt").read_text().strip()
    run = (kept / "runs/x/run.json").read_text()
    assert json.loads(run)["corpus"] == "recordings/manifest.jsonl"
    assert str(tmp_path) not in run
    assert not (kept / "runs/x/decision.json").exists()
