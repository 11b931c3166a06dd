"""The table of benchmarks/README.md: what each benchmark writes, how it is run and which speech it hears."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.data import STAND_INS
from benchmarks.run_all import ENTRIES, Entry

__all__ = ["benchmark_table"]

_SETS = (*STAND_INS, "noise")


def benchmark_table(root: Path) -> str:
    """Return a section per folder: its docstring, then a row per benchmark, read off the scripts and the results.

    Args:
        root: The repository.
    """
    rooms: dict[str, list[Entry]] = defaultdict(list)
    for entry in ENTRIES:
        rooms[entry.name.partition(".")[0]].append(entry)
    written = _results(root / "docs" / "results")
    parts = []
    for room, entries in rooms.items():
        lines = ["| results | benchmark | speech |", "|---|---|---|"]
        for entry in entries:
            reached = _reached(root, entry.path)
            names = {*written[entry.stem], *_literal_results(reached)} & {*written[""]}
            links = ", ".join(f"[{name}]({_page(root, name)})" for name in sorted(names)) or "none yet"
            lines.append(f"| {links} | `{entry.name}` | {', '.join(_speech(reached)) or 'none'} |")
        told = import_module(f"benchmarks.{room}").__doc__
        parts += [f"### {room}", str(told), "\n".join(lines)]
    return "\n\n".join(["", *parts, ""])


def _results(folder: Path) -> dict[str, set[str]]:
    """Return the results by the script that says it wrote them; all of them under the empty name."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in folder.glob("*.json"):
        script = (json.loads(path.read_text(encoding="utf-8")).get("code") or {}).get("script", path.stem)
        found[script].add(path.stem)
        found[""].add(path.stem)
    return found


def _page(root: Path, name: str) -> str:
    page = root / "docs" / "results" / f"{name}.md"
    return f"../docs/results/{name}.{'md' if page.exists() else 'json'}"


def _reached(root: Path, path: Path) -> list[ast.Module]:
    """Return the trees of a script and of what it imports from its own folder or from that of another benchmark."""
    waiting, trees = [path], {}
    while waiting:
        one = waiting.pop()
        if one in trees:
            continue
        trees[one] = ast.parse(one.read_text(encoding="utf-8"))
        for node in ast.walk(trees[one]):
            name = node.module if isinstance(node, ast.ImportFrom) and node.module else ""
            if name.startswith("benchmarks.") and not name.startswith(("benchmarks.shared", "benchmarks.data")):
                waiting.append(root.joinpath(*name.split(".")).with_suffix(".py"))
    return list(trees.values())


def _literal_results(trees: list[ast.Module]) -> set[str]:
    """Return the names that the script itself, the first tree, hands to ``write_result``."""
    return {
        node.args[0].value
        for node in ast.walk(trees[0])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "write_result"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def _speech(trees: list[ast.Module]) -> list[str]:
    """Return the public sets whose names stand in the code, the longest that fits each text."""
    if not any(isinstance(node, ast.Name) and node.id == "SPEECH" for tree in trees for node in ast.walk(tree)):
        return []
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    whole = {text for text in texts if isinstance(text, str) and re.fullmatch(r"[\w.-]+", text)}
    return [name for name in _SETS if name in whole]
