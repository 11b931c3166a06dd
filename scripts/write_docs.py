"""Write the generated pages of docs/ and README's table of results, or check that they are up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from headlines import with_headlines

from allophone.cli import app

ROOT = Path(__file__).resolve().parent.parent


def commands_page() -> str:
    """Return docs/commands.md: every verb with its arguments and options, read off the commands themselves."""
    root: Any = typer.main.get_command(app)
    lines = ["# Commands", "", "Written by `scripts/write_docs.py`; do not edit.", ""]
    for name, command in _verbs(root):
        lines += [f"{'#' * (1 + len(name.split()))} allophone {name}", "", (command.help or "").strip(), ""]
        if hasattr(command, "commands"):
            continue
        lines += ["| argument or option | default | meaning |", "|---|---|---|"]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            shown = parameter.name.upper() if parameter.param_type_name == "argument" else ", ".join(parameter.opts)
            default = "required" if parameter.required else _default(parameter.default)
            lines.append(f"| `{shown}` | {default} | {getattr(parameter, 'help', None) or ''} |")
        lines.append("")
    return "\n".join(lines)


def _verbs(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every verb, each group before its own verbs."""
    for name, command in group.commands.items():
        yield above + name, command
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{above}{name} ")


def _default(value: object) -> str:
    return "" if value is None or value is False or callable(value) else f"`{value}`"


def main() -> int:
    """Write the pages, or with --check return 1 if one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    check = parser.parse_args().check
    stale = 0
    readme = ROOT / "README.md"
    pages = {
        ROOT / "docs" / "commands.md": commands_page(),
        readme: with_headlines(readme.read_text(encoding="utf-8"), ROOT / "docs" / "results"),
    }
    for path, text in pages.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{path.relative_to(ROOT)} is out of date: run python scripts/write_docs.py", file=sys.stderr)
            stale += 1
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
