"""The first page and the guide: commands exist with their options, code runs as printed, links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
WRITTEN = [ROOT / "README.md", *(page for page in PAGES if page.parent.name != "results")]


def shown_commands():
    """Yield every ``allophone`` command of the pages in words, continued lines joined and comments cut."""
    for page in WRITTEN:
        for block in re.findall(r"```\w*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if found := re.match(r"(?:\$ )?allophone (.*)", line):
                    yield page, found[1].partition("  #")[0].split()


@pytest.mark.slow
def test_the_quickstart_runs_as_printed(tmp_path, speech):
    page = (ROOT / "docs/guide/transcribing.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
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


def test_every_command_shown_exists_with_its_options():
    from allophone.cli import app

    root = typer.main.get_command(app)
    seen = 0
    for page, words in shown_commands():
        command = root
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, (page, words)
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= options, (page, command.name, used - options)
        seen += 1
    assert seen > 30


def test_links_of_the_pages_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith("https:"):
                assert (page.parent / target).exists(), (page, target)


def test_points_that_the_guide_routes_are_those_of_a_default_sweep():
    from allophone.records.names import match_names
    from allophone.sweeps.recognition.plans import plan_points
    from allophone.sweeps.space import SearchSpace

    measured = plan_points(SearchSpace(model=("tiny.en", "base")), "star")
    page = (ROOT / "docs/guide/routing.md").read_text(encoding="utf-8")
    shown = re.findall(r'^allophone route train .* --points "([^"]+)"', page, re.MULTILINE)
    assert shown
    for names in shown:
        assert [len(found) for _, found in match_names([names], measured)] == [1, 1]


def test_every_axis_has_a_line_in_the_guide():
    from allophone.records.point import OperatingPoint

    page = (ROOT / "docs/guide/points.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert listed | {"margin_s", "floor_s"} == set(OperatingPoint.model_fields)


def test_the_first_page_is_short():
    assert len(README.splitlines()) < 120


def test_versions_agree():
    from allophone.version import __version__

    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
