"""The commands that the first page shows, with what they print: a real run on the demo's recordings.

``docs/example`` keeps the run folder and what ``sweep`` and ``transcribe`` printed. ``python scripts/example.py``
measures it again, best on an idle machine. What reads the run is run anew whenever the docs are written, in a terminal
of 80 columns, so that a change of its output shows.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["COLUMNS", "EXAMPLE", "frontier_example", "readme_example", "run_in_terminal"]

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "example"
COLUMNS = 80
SWEEP = "allophone sweep recordings/manifest.jsonl --models tiny.en,base --out runs/x"
RECOMMEND = "allophone recommend runs/x --max-rtf 0.1 --out point.json"
TRANSCRIBE = "allophone transcribe --point point.json recordings/audio/00-ash-easy.wav"
FRONTIER = "allophone frontier runs/x"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def readme_example(example: Path = EXAMPLE) -> str:
    """Return the three commands with their output: two as recorded, ``recommend`` as it answers now; and on what."""
    with TemporaryDirectory() as folder:
        shutil.copytree(example, folder, dirs_exist_ok=True)
        answer = run_in_terminal(RECOMMEND, Path(folder))
    recorded = {name: (example / f"{name}.txt").read_text(encoding="utf-8") for name in ("sweep", "transcribe")}
    run = json.loads((example / "runs" / "x" / "run.json").read_text(encoding="utf-8"))
    size = f"{run['n_utterances']} synthesised utterances of {run['n_speakers']} speakers"
    corpus = f"These recordings are the demo's: {size}, clean to noisy."
    return (
        f"{_block((SWEEP, recorded['sweep']), (RECOMMEND, answer), (TRANSCRIBE, recorded['transcribe']))}\n\n{corpus}"
    )


def frontier_example(example: Path = EXAMPLE) -> str:
    """Return ``frontier`` with the table that it prints now."""
    return _block((FRONTIER, run_in_terminal(FRONTIER, example)))


def _block(*shown: tuple[str, str]) -> str:
    parts = [f"$ {command}\n{_folded(output)}" for command, output in shown]
    return "```console\n" + "\n\n".join(parts) + "\n```"


def _folded(output: str) -> str:
    """Fold long lines between words, where a terminal would fold them anywhere."""
    lines = []
    for line in output.strip("\n").splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(line.rstrip(), COLUMNS, subsequent_indent=indent, break_long_words=False) or [""]
    return "\n".join(lines)


def run_in_terminal(command: str, folder: Path) -> str:
    """Run an ``allophone`` command in a terminal of 80 columns and return what it showed, without colours.

    Raises:
        RuntimeError: The command failed.
    """
    shown, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", *command.split()],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    output = b""
    while True:
        try:
            read = os.read(shown, 65536)
        except OSError:  # Linux: the other end was closed
            break
        if not read:
            break
        output += read
    os.close(shown)
    text = _ESCAPES.sub("", output.decode()).replace("\r\n", "\n")
    if process.wait() != 0:
        raise RuntimeError(f"{command} failed:\n{text}")
    return text


def measure_again(example: Path = EXAMPLE, recordings: Path | None = None) -> None:
    """Sweep the demo's recordings anew, progress on standard error, and keep the run and what was printed.

    Args:
        example: Where they are kept.
        recordings: A folder with ``manifest.jsonl`` instead of the demo's.
    """
    from allophone.demo.corpus import build_demo_corpus

    with TemporaryDirectory() as name:
        folder = Path(name)
        if recordings is None:
            build_demo_corpus(folder / "recordings")
        else:
            shutil.copytree(recordings, folder / "recordings")
        command = [sys.executable, "-m", *SWEEP.split()]
        printed = subprocess.run(command, cwd=folder, env=_environment(), stdout=subprocess.PIPE, text=True, check=True)
        run_in_terminal("allophone recommend runs/x --out point.json", folder)  # on a slow machine too
        text = run_in_terminal(TRANSCRIBE, folder)
        shutil.rmtree(example / "runs", ignore_errors=True)
        left_out = shutil.ignore_patterns(".lock", "decision.json")
        shutil.copytree(folder / "runs", example / "runs", ignore=left_out)
    (example / "sweep.txt").write_text(printed.stdout, encoding="utf-8")
    (example / "transcribe.txt").write_text(text, encoding="utf-8")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "TERM": "xterm", "NO_COLOR": "1"}


if __name__ == "__main__":
    measure_again()
