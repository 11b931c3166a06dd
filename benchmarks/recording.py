"""What every benchmark needs: where data and results lie, and the stamp that each figure carries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from allophone.ledger.run_record import machine_stamp

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
SPEECH = ROOT.parent / "shared" / "data"


def write_result(name: str, settings: dict[str, Any], figures: dict[str, Any], page: str | None = None) -> None:
    """Write ``docs/results/NAME.json`` with machine, versions, settings and repeats, and a page beside it."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    record = {
        "benchmark": name,
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_stamp().model_dump(),
        "settings": settings,
        "figures": figures,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if page is not None:
        (RESULTS / f"{name}.md").write_text(page.rstrip() + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


def stamp_line() -> str:
    """Return one line that says where and with what a page's figures were measured."""
    machine = machine_stamp()
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}; {packages}"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and greatest of repeated measurements."""
    return {"median": median(values), "least": min(values), "greatest": max(values), "repeats": len(values)}


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
