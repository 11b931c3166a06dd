"""docs/architecture.md: the rooms of the package with the first sentence of each, and which rooms import which."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
from docstrings import first_sentence

__all__ = ["architecture_page", "import_levels", "room_tree"]

_SKIPPED = {"__init__", "__main__", "version"}


def architecture_page(package: Path) -> str:
    """Return the page.

    Args:
        package: The folder of the package, named like it.
    """
    levels = import_levels(room_imports(package))
    drawn = "\n".join(f"{len(levels) - height:2}  {'  '.join(rooms)}" for height, rooms in enumerate(levels))
    imports = [
        f"| `{room}` | {', '.join(f'`{one}`' for one in sorted(below)) or 'nothing'} |"
        for room, below in sorted(room_imports(package).items())
    ]
    parts = [
        "# Architecture",
        "<!-- Written by scripts/write_docs.py from the code; do not edit. -->",
        "A room is a folder that holds one concept, or a single file where that is enough. Imports between rooms go "
        "down only, and import-linter holds it (`pyproject.toml` has the contract).",
        "## Rooms",
        "\n".join(room_tree(package)),
        "## Imports, top down",
        "A room imports rooms of lower lines only. Each stands as low as its own imports allow.",
        f"```text\n{drawn}\n```",
        "| room | imports |\n|---|---|\n" + "\n".join(imports),
    ]
    return "\n\n".join(parts) + "\n"


def room_tree(package: Path) -> list[str]:
    """Return one Markdown list item per room, folders in folders indented, with the first sentence of its docstring."""
    lines = []
    for path in sorted(package.rglob("*")):
        inside = path.relative_to(package)
        if path.is_dir() and (path / "__init__.py").exists():
            name, source = f"{path.name}/", path / "__init__.py"
        elif path.suffix == ".py" and len(inside.parts) == 1 and path.stem not in _SKIPPED:
            name, source = path.stem, path
        else:
            continue
        lines.append(f"{'    ' * (len(inside.parts) - 1)}- `{name}` {_meaning(source)}")
    return lines


def _meaning(source: Path) -> str:
    return first_sentence(ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))), str(source))


def room_imports(package: Path) -> dict[str, set[str]]:
    """Return which rooms each room imports, imports within functions included."""
    graph = grimp.build_graph(package.name, cache_dir=None)
    imports: dict[str, set[str]] = {}
    for module in graph.modules:
        room = _room(module)
        if room is None:
            continue
        below = imports.setdefault(room, set())
        for imported in graph.find_modules_directly_imported_by(module):
            other = _room(imported)
            if other is not None and other != room:
                below.add(other)
    return imports


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] not in _SKIPPED else None


def import_levels(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms line by line, top first: each on the lowest line that is above all it imports.

    Raises:
        ValueError: Rooms import each other in a circle.
    """
    heights: dict[str, int] = {}
    left = dict(imports)
    while left:
        ready = [room for room, below in left.items() if below <= heights.keys()]
        if not ready:
            raise ValueError(f"these rooms import each other in a circle: {', '.join(sorted(left))}")
        placed = {room: max((heights[one] + 1 for one in imports[room]), default=0) for room in ready}
        heights |= placed
        left = {room: below for room, below in left.items() if room not in placed}
    top = max(heights.values(), default=-1)
    return [sorted(room for room, height in heights.items() if height == level) for level in range(top, -1, -1)]
