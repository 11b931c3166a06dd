"""The README's quickstart runs as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_quickstart_runs_as_printed(tmp_path, speech):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for name, recording in zip(("one", "two"), speech, strict=False):
        (recordings / f"{name}.wav").write_bytes(recording.path.read_bytes())
        (recordings / f"{name}.txt").write_text(recording.text)
    script = tmp_path / "quickstart.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Which operating point has the lowest real-time factor" in done.stdout
    assert (tmp_path / "runs/quickstart/run.json").exists()
    heard = done.stdout.strip().splitlines()[-1].lower()
    said = (recordings / "one.txt").read_text().lower().rstrip(".")
    assert len(set(said.split()) & set(re.sub(r"[^a-z ]", "", heard).split())) >= len(set(said.split())) // 2


def test_every_verb_in_the_readme_exists():
    from allophone.cli import app

    verbs = {command.callback.__name__ for command in app.registered_commands}
    verbs |= {group.name for group in app.registered_groups}
    shown = set(re.findall(r"^allophone (\w+)", README, re.MULTILINE))
    assert shown <= verbs


def test_files_that_the_readme_points_to_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_points_that_the_readme_routes_are_those_of_a_default_sweep():
    from allophone.records.names import match_names
    from allophone.sweeps.recognition.plans import plan_points
    from allophone.sweeps.space import SearchSpace

    measured = plan_points(SearchSpace(model=("tiny.en", "base")), "star")
    shown = re.findall(r'^allophone route train .* --points "([^"]+)"', README, re.MULTILINE)
    assert shown
    for names in shown:
        assert [len(found) for _, found in match_names([names], measured)] == [1, 1]
