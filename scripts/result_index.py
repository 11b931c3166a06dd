"""docs/results/index.md: one item per result, its conclusion first, then page, script, data and date."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.shared.conclusions import conclusion

__all__ = ["index_page"]

# The first group whose pattern begins a result's name takes it; what no pattern names is a matter of speed and memory.
_GROUPS = {
    "Context: how much audio the encoder hears": r"context|encoder_resolution|long_audio|word_times",
    "Speed against other implementations": r"peers",
    "Searching the space": r"star_sweep|grid_search",
    "Routing": r"routing",
    "Emotion": r"emotion",
    "Whether stated probabilities hold": r"statements|interval_coverage|speaker_blocks",
    "Damage": r"robustness",
    "Speed and memory of allophone itself": r"",
}


def index_page(results: Path, benchmarks: Path) -> str:
    """Return the page.

    Args:
        results: The folder of the benchmarks' results.
        benchmarks: Where their scripts are, in folders or not.
    """
    items: dict[str, list[str]] = {group: [] for group in _GROUPS}
    for path in sorted(results.glob("*.json")):
        group = next(group for group, pattern in _GROUPS.items() if re.match(pattern, path.stem))
        items[group].append(_item(path, benchmarks))
    parts = [
        "# Results",
        "<!-- Written by scripts/write_docs.py from the results; do not edit. -->",
        "What the benchmarks measured, each in a sentence; differences of rates are in percentage points. The data say "
        "on which machine, with which versions and settings. `make bench` measures all of it again, and "
        "`python scripts/stale_pages.py` lists the results whose code has changed since they were written.",
    ]
    for group, lines in items.items():
        if lines:
            parts += [f"## {group}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _item(path: Path, benchmarks: Path) -> str:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    page = path.with_suffix(".md")
    name = (record.get("code") or {}).get("script", path.stem)
    scripts = [*benchmarks.rglob(f"{name}.py"), *benchmarks.rglob(f"{path.stem}_page.py")]
    facts = [f"[{_title(page)}]({page.name})"] if page.exists() else []
    facts += [f"`{scripts[0].relative_to(benchmarks.parent)}`"] if scripts else []
    facts += [f"[{path.name}]({path.name})", str(record.get("measured", ""))[:10]]
    found = conclusion(path.stem, record["figures"])
    return f"- {found + ' ' if found else ''}({', '.join(facts)})"


def _title(page: Path) -> str:
    first = page.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("# ").strip()
