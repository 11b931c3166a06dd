"""``allophone cost --reproduce``: the costs that papers print, by their formulas and as executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allophone.report.tables import Table

    Rows = list[tuple[str, ...]]

__all__ = ["plain_table", "reproduction"]


def reproduction(paper: str) -> tuple[dict[str, Any], list[Table]]:
    """Return a paper's costs recomputed: as plain data, and as tables.

    Raises:
        UsageError: Another paper.
    """
    from allophone.costs import PAPER, SELECTION_PAPER
    from allophone.errors import UsageError

    if paper == PAPER:
        return _allocation()
    if paper == SELECTION_PAPER:
        return _selection()
    raise UsageError(f"unknown paper '{paper}'; known ones: {PAPER}, {SELECTION_PAPER}")


def _giga(flops: Any) -> str:
    return f"{float(flops) / 1e9:.1f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _allocation() -> tuple[dict[str, Any], list[Table]]:
    from dataclasses import asdict

    from allophone.costs import PAPER, reproduce

    result = reproduce()
    record = {
        "paper": PAPER,
        **{name: [asdict(row) | {"ratio": row.ratio} for row in getattr(result, name)] for name in ("asr", "ser")},
        "claims": [asdict(claim) for claim in result.claims],
    }
    asr: Rows = [
        (
            *(row.model, str(row.audio_tokens), str(row.token_stride), row.printed_gflops, _giga(row.formula_flops)),
            *(str(row.text_tokens), _giga(row.executed_flops), f"{row.ratio:.2f}"),
        )
        for row in result.asr
    ]
    ser: Rows = [
        (
            *(row.model, row.duration_s, row.adaptation, row.printed_gflops, _giga(row.formula_flops)),
            *(_giga(row.executed_flops), f"{row.ratio:.2f}", f"{100 * row.stem_share:.1f}"),
        )
        for row in result.ser
    ]
    claims: Rows = [
        (claim.statement, *map(_number, (claim.stated, claim.tables, claim.executed))) for claim in result.claims
    ]
    compared = ("printed", "formula", "executed", "executed/formula")
    return record, [
        plain_table(
            f"arXiv {PAPER}, speech recognition, GFLOPs",
            ("model", "frames", "stride", *compared[:2], "text tokens", *compared[2:]),
            asr,
            (
                "formula: n(2Td(4d+T) + 16Td²) + n(2(T/s)d² + 10d²)L, L the text tokens that give the printed digits;",
                "executed: 1500 audio tokens in every row, since clipped audio is padded back to 30 s.",
            ),
        ),
        plain_table(
            f"arXiv {PAPER}, emotion recognition, GFLOPs",
            ("model", "seconds", "adaptation", *compared, "front end %"),
            ser,
            ("formula: 2 · parameters · 50 · seconds, blind to the convolutional front end.",),
        ),
        plain_table("Statements against tables and execution", ("statement", "stated", "tables", "executed"), claims),
    ]


def _selection() -> tuple[dict[str, Any], list[Table]]:
    from dataclasses import asdict

    from allophone.costs import SELECTION_PAPER, SHARES, select_between

    result = select_between()
    rows: Rows = [
        (
            *(row.cost.pipeline, f"{row.decider_flops / 2e9:.2f}", *map(_giga, row.mean_flops)),
            *(f"{100 * row.largest_saving:.1f}", "never" if (p := row.break_even_share) is None else f"{p:.3f}"),
        )
        for row in result.rows
    ]
    shares = tuple(f"{share:g} to big" for share in SHARES)
    return {"paper": SELECTION_PAPER, "shares": SHARES, **asdict(result)}, [
        plain_table(
            f"arXiv {SELECTION_PAPER}, {result.small} and {result.big}, executed GFLOPs per utterance of 30 s",
            ("pipeline", "decider GMAC", *shares, "saves at most %", "break-even share"),
            rows,
            (
                f"{result.big} alone: {_giga(result.big_flops)} ({100 * result.big_encoder_share:.0f} % encoder); "
                f"{result.small} alone: {_giga(result.small_flops)}; {result.text_tokens} text tokens.",
                "Below the break-even share a pipeline is cheaper than the big model alone.",
            ),
        )
    ]


def plain_table(
    title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], notes: tuple[str, ...] = ()
) -> Table:
    """Return a table in which no row stands back."""
    from allophone.report.tables import Table

    return Table(title, columns, tuple(rows), (False,) * len(rows), notes)
