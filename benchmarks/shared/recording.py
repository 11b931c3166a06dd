"""What every benchmark needs: where data and results lie, and the stamp that each figure carries."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from allophone.ledger.run_record import MachineStamp, machine_stamp
from benchmarks.shared.code_digest import CodeTree
from benchmarks.shared.conclusions import conclusion
from benchmarks.shared.quick import QUICK

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" if QUICK is None else QUICK / "results"
RUNS = ROOT / "runs" if QUICK is None else QUICK / "runs"
SPEECH = ROOT.parent / "shared" / "data" if QUICK is None else QUICK / "data"


def _code_that_runs() -> dict[str, Any] | None:
    tree, script = CodeTree(ROOT), Path(sys.argv[0]).stem
    return tree.code_of(script) if script in tree.scripts else None


_CODE = _code_that_runs()  # read when the benchmark starts, for the files may change before it ends


def write_result(name: str, settings: dict[str, Any], figures: dict[str, Any], page: str | None = None) -> None:
    """Write ``docs/results/NAME.json`` with machine, versions, code, settings and repeats, and a page beside it."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    record = {
        "benchmark": name,
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_stamp().model_dump(),
        "code": _CODE,
        "settings": settings,
        "figures": figures,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if page is not None:
        text = f"{conclusion_first(page, conclusion(name, figures)).rstrip()}\n\n{_code_line(_CODE)}\n"
        (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(json.dumps(figures, indent=1))


def read_result(name: str) -> dict[str, Any]:
    """Return what ``docs/results/NAME.json`` holds."""
    record: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return record


def rewrite_result(record: dict[str, Any], page: str | None = None) -> None:
    """Write a result again with what follows from its figures; machine, time and code stay those of the measuring."""
    name = record["benchmark"]
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if page is not None:
        told = conclusion_first(page, conclusion(name, record["figures"]))
        parts = [told.rstrip(), *([_code_line(code)] if (code := record.get("code")) else [])]
        (RESULTS / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def conclusion_first(page: str, sentence: str | None) -> str:
    """Return a page with its conclusion under the title, in bold; a page of a result without one stays as it is."""
    title, _, rest = page.partition("\n")
    return page if sentence is None else f"{title}\n\n**{sentence}**\n\n{rest.lstrip()}"


def _code_line(code: dict[str, Any] | None) -> str:
    digest = code["digest"] if code else "unknown"
    return f"Code `{digest}`; `python scripts/stale_pages.py` tells whether it has changed since."


def stamp_line(measured_on: dict[str, Any] | None = None) -> str:
    """Return one line that says where and with what a page's figures were measured: here, or as a result states it."""
    machine = MachineStamp.model_validate(measured_on) if measured_on else machine_stamp()
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}; {packages}"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and greatest of repeated measurements."""
    return {"median": median(values), "least": min(values), "greatest": max(values), "repeats": len(values)}


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
