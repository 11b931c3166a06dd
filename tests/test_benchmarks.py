"""Every benchmark lies in a folder, is known to ``run_all``, tells its options, and can be tried without a trace."""

import os
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.run_all import ENTRIES
from benchmarks.shared.quick import VARIABLE

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = [path for path in BENCHMARKS.rglob("*.py") if path.name != "__init__.py"]
PROCESSES = {"peers.worker", "peers.weights", "serving.wrapper"}  # started by another one, never by people
BESIDE_THE_FOLDERS = {"run_all", "data"}


def name_of(path):
    return ".".join(path.relative_to(BENCHMARKS).with_suffix("").parts)


def test_every_script_that_can_be_run_is_an_entry():
    runnable = {name_of(path) for path in SCRIPTS if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    assert runnable - PROCESSES - BESIDE_THE_FOLDERS == {entry.name for entry in ENTRIES}


def test_every_script_lies_in_a_folder_of_its_concept():
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == BESIDE_THE_FOLDERS | {"__init__"}
    assert all((path.parent / "__init__.py").is_file() for path in SCRIPTS)


def test_a_result_finds_its_script_by_name():
    named = Counter(path.stem for path in SCRIPTS)
    assert {entry.stem: named[entry.stem] for entry in ENTRIES} == {entry.stem: 1 for entry in ENTRIES}


@pytest.mark.parametrize("name", [entry.name for entry in ENTRIES] + ["run_all"])
def test_help_starts_nothing_and_knows_the_quick_mode(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        import_module(f"benchmarks.{name}").main()
    assert stopped.value.code == 0
    assert "--quick" in capsys.readouterr().out


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.stem)
def test_quick_mode_has_smaller_sizes(entry):
    """Of the script or of what it imports of its own folder; the page of statements only reads other results."""
    text = entry.path.read_text(encoding="utf-8")
    near = [path for path in entry.path.parent.glob("*.py") if f"benchmarks.{name_of(path)} import" in text]
    sized = any("sized(" in one.read_text(encoding="utf-8") for one in (entry.path, *near))
    assert sized != (entry.stem == "statements_page")


def test_a_quick_run_writes_to_its_own_folder_and_nowhere_else(tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "docs" / "results").iterdir()}
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment |= {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "benchmarks.costs.bootstrap_speed", "--quick"]
    subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True, text=True)
    (folder,) = tmp_path.glob("allophone-quick-*")
    assert [path.name for path in (folder / "results").iterdir()] == ["bootstrap_speed.json"]
    assert (folder / "data" / "crema-d" / "manifest.jsonl").is_file()
    assert {path: path.stat().st_mtime_ns for path in (ROOT / "docs" / "results").iterdir()} == before
