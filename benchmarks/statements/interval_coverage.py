"""How often the 95 % intervals of the bootstrap hold the truth, and how wide they are, on simulated corpora."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import markdown_table, stamp_line, write_result
from benchmarks.statements.interval_simulation import CASES, SIZES, cover

SPEAKERS = (5, 6, 8, 12, 30, 60)
SETTINGS = {"n_layouts": sized(10, 1), "n_corpora": sized(200, 5), "n_replicates": sized(2000, 200)}
HELD = 0.92  # three standard errors of a share of 2,000 below 0.935, about what the studentised interval reaches
SHOWN = ("percentile", "studentised", "shipped")
Row = dict[str, Any]


def main() -> None:
    begin(command_line(__doc__))
    rows: list[Row] = []
    for case in CASES:
        for sizes in SIZES:
            for n_speakers in SPEAKERS:
                found = cover(case, sizes, n_speakers, **SETTINGS)
                rows += [
                    {"case": case, "sizes": sizes, "speakers": n_speakers, "method": method, **figures}
                    for method, figures in found.items()
                ]
        print(f"{case}: done", flush=True)
    losses = [loss(rows, method) for method in dict.fromkeys(row["method"] for row in rows)]
    write_result("interval_coverage", SETTINGS, {"methods": losses}, page(rows, losses))


def loss(rows: list[Row], method: str) -> Row:
    """Where the studentised interval held, what is left of that; and how wide the method is."""
    mine = [row for row in rows if row["method"] == method]
    held = [
        (row, before)
        for row, before in zip(mine, (row for row in rows if row["method"] == "studentised"), strict=True)
        if before["coverage"] >= HELD
    ]
    row, before = min(held, key=lambda pair: pair[0]["coverage"])
    return {
        "method": method,
        "held": len(held),
        "still_held": sum(row["coverage"] >= HELD for row, _ in held),
        "least": {"case": row["case"], "sizes": row["sizes"], "speakers": row["speakers"]}
        | {"coverage": row["coverage"], "studentised": before["coverage"]},
        "below": sum(row["coverage"] < HELD for row in mine),
        "coverage": float(np.mean([row["coverage"] for row in mine])),
        "width": float(np.mean([row["width"] for row in mine])),
        "width_p95": float(np.mean([row["width_p95"] for row in mine])),
    }


def page(rows: list[Row], losses: list[Row]) -> str:
    return "\n\n".join(
        [
            "# Coverage and width of the 95 % intervals",
            "Written by `benchmarks/statements/interval_coverage.py`. "
            f"{stamp_line()}. {SETTINGS['n_layouts']} layouts of "
            f"{SETTINGS['n_corpora']} simulated corpora in each of {len(CASES)} cases, {len(SIZES)} kinds of block "
            f"sizes and {len(SPEAKERS)} numbers of speakers; {SETTINGS['n_replicates']} replicates.",
            "Coverage is the share of intervals that hold the true value: 95 % is meant, with a standard error of 0.5 "
            "points. Widths are in units of the interval that knows the estimate's true spread: 1 is what a user could "
            "hope for with many speakers, 1.42 with 5 (Student's t). `percentile` is the textbook's, `studentised` the "
            "symmetric studentised one without bounds, `shipped` what allophone prints: studentised, but at least as "
            "wide as the widened percentiles and at most twice as wide. Loops are in so few utterances that with few "
            "speakers many corpora hold none: no interval made of such data can know of them.",
            "## Choice of the bound",
            f"Of the cells (case, sizes, speakers) in which the studentised interval covers at least {HELD:.0%}: how "
            "many still do, and the least coverage among them. Over all cells: mean coverage, cells below that, and "
            "mean of median and of 95 % quantile of the widths.",
            markdown_table(
                ["method", "still held", "least of them", "in", "mean coverage", "below", "width", "95 % of widths"],
                [
                    [
                        line["method"],
                        f"{line['still_held']} of {line['held']}",
                        f"{line['least']['coverage']:.1%}, studentised {line['least']['studentised']:.1%}",
                        f"{line['least']['case']}, {line['least']['sizes']}, {line['least']['speakers']} speakers",
                        f"{line['coverage']:.1%}",
                        f"{line['below']}",
                        f"{line['width']:.2f}",
                        f"{line['width_p95']:.2f}",
                    ]
                    for line in losses
                ],
            ),
            "## Cells",
            "Coverage in %, then median and 95 % quantile of the width.",
            markdown_table(
                ["case", "sizes", "speakers", *SHOWN],
                [
                    [case, sizes, str(n_speakers), *(cell(rows, case, sizes, n_speakers, name) for name in SHOWN)]
                    for case in CASES
                    for sizes in SIZES
                    for n_speakers in SPEAKERS
                ],
            ),
        ]
    )


def cell(rows: list[Row], case: str, sizes: str, n_speakers: int, method: str) -> str:
    wanted = (case, sizes, n_speakers, method)
    row = next(row for row in rows if (row["case"], row["sizes"], row["speakers"], row["method"]) == wanted)
    return f"{100 * row['coverage']:.1f}; {row['width']:.2f}, {row['width_p95']:.1f}"


if __name__ == "__main__":
    main()
