"""Write the generated pages and parts of the documentation, or check that they are up to date."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from benchmark_table import benchmark_table
from example import frontier_example, readme_example
from frontier_picture import frontier_caption, frontier_svg, plotted_points
from headlines import headline_table
from public_api import api_page
from result_index import index_page
from rooms import architecture_page

import allophone
from allophone.cli import app
from allophone.cli.cost_reproduction import reproduction
from allophone.cli.help import EXAMPLES

ROOT = Path(__file__).resolve().parent.parent
PAPERS = ("2606.22790", "2309.12712")


def written_files(root: Path = ROOT) -> dict[Path, str]:
    """Return every generated file with the text that it should have; files with parts written by hand keep those."""
    docs, results = root / "docs", root / "docs" / "results"
    points = plotted_points(results)
    readme = with_part((root / "README.md").read_text(encoding="utf-8"), "results", headline_table(results))
    readme = with_part(readme, "caption", frontier_caption(results))
    readme = with_part(readme, "example", readme_example())
    choosing = docs / "guide" / "choosing.md"
    benchmarks = (root / "benchmarks" / "README.md").read_text(encoding="utf-8")
    reproduce = (docs / "reproduce.md").read_text(encoding="utf-8")
    for paper in PAPERS:
        reproduce = with_part(reproduce, f"reproduce-{paper}", reproduced_tables(paper))
    return {
        root / "README.md": readme,
        docs / "index.md": home_page(readme),
        docs / "commands.md": commands_page(),
        docs / "api.md": api_page(allophone),
        docs / "architecture.md": architecture_page(root / "src" / "allophone"),
        choosing: with_part(choosing.read_text(encoding="utf-8"), "frontier", frontier_example()),
        docs / "reproduce.md": reproduce,
        root / "benchmarks" / "README.md": with_part(benchmarks, "benchmarks", benchmark_table(root)),
        results / "index.md": index_page(results, root / "benchmarks"),
        **{docs / "images" / f"frontier-{scheme}.svg": frontier_svg(points, scheme) for scheme in ("light", "dark")},
    }


def with_part(page: str, name: str, text: str) -> str:
    """Return a page with the part between the two comments that name it renewed.

    Raises:
        ValueError: The page does not have both comments.
    """
    begin, end = f"<!-- begin {name}: written by scripts/write_docs.py -->", f"<!-- end {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"a page lacks '{begin}' or '{end}'")
    return f"{before}{begin}\n{text}\n{end}{after}"


def home_page(readme: str) -> str:
    """Return README as the site's first page: links as seen from ``docs``, the picture by the site's colour scheme."""
    page = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", _site_link, readme)
    images = r"![\1](images/frontier-light.svg#only-light)\n![\1](images/frontier-dark.svg#only-dark)"
    page = re.sub(r"<picture>.*?<img alt=\"(.*?)\".*?</picture>", images, page, flags=re.DOTALL)
    title, _, rest = page.partition("\n")
    return f"{title}\n\n<!-- Written by scripts/write_docs.py from README.md; do not edit. -->\n{rest}"


def _site_link(link: re.Match[str]) -> str:
    text, target = link.groups()
    if target.startswith("docs/"):
        return f"[{text}]({target.removeprefix('docs/')})"
    return link.group() if target.startswith("https:") else str(text)  # files beside docs are no part of the site


def reproduced_tables(paper: str) -> str:
    """Return the tables of ``allophone cost --reproduce`` as Markdown."""
    parts = []
    for table in reproduction(paper)[1]:
        lines = [" | ".join(table.columns), " | ".join("---" for _ in table.columns), *map(" | ".join, table.rows)]
        parts += [f"**{table.title}**", "\n".join(f"| {line} |" for line in lines), *table.notes]
    return "\n\n".join(["", *parts, ""])


def commands_page() -> str:
    """Return docs/commands.md: every verb with its arguments and options, read off the commands themselves."""
    root: Any = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "<!-- Written by scripts/write_docs.py from the commands; do not edit. -->",
        "",
        "Every verb of `allophone` with its arguments and options, as `--help` shows them.",
        "Every verb also takes `--quiet` (`-q`: results and errors only), `--verbose` (`-v`) and `--help` (`-h`), the "
        "first two before or behind it. `allophone --install-completion` completes verbs and options in your shell. "
        "[settings.md](settings.md) says how a file or variables set defaults.",
        "",
    ]
    for name, command in _verbs(root):
        lines += [f"{'#' * (1 + len(name.split()))} allophone {name}", "", (command.help or "").strip(), ""]
        if hasattr(command, "commands"):
            continue
        lines += ["| argument or option | default | meaning |", "|---|---|---|"]
        for parameter in command.params:
            if parameter.name in ("help", "quiet", "verbose"):
                continue
            shown = parameter.name.upper() if parameter.param_type_name == "argument" else ", ".join(parameter.opts)
            default = "required" if parameter.required else _default(parameter.default)
            lines.append(f"| `{shown}` | {default} | {getattr(parameter, 'help', None) or ''} |")
        lines += ["", "```", *EXAMPLES[name], "```", ""]
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
    for path, text in written_files().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{path.relative_to(ROOT)} is out of date: run python scripts/write_docs.py", file=sys.stderr)
            stale += 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
