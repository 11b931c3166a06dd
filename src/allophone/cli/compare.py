"""``allophone compare``: what a change did, and whether it made anything worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.say import say

__all__ = ["compare"]


def compare(
    before: Annotated[Path, typer.Argument(help="The run folder of before the change, or a result card.")],
    after: Annotated[Path, typer.Argument(help="The run folder of after it, or a result card.")],
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help='A change for the worse to fail on: "wer > +0.3" (points) or "rtf > +10%" (relative); repeatable. '
            "Exit code 1 where any point got worse than that so surely."
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(help="Level of the intervals; one minus it is the false-alarm rate of all conditions together."),
    ] = 0.95,
    point: Annotated[
        list[str] | None,
        typer.Option(help="Compare this point alone; given twice, the first before with the second after."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, seconds, bytes.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
) -> None:
    """Compare two runs, paired on the utterances that both have; exit code 1 where a --fail-if condition is met."""
    from allophone.cli.show import print_table
    from allophone.compare.changes import compare_pair
    from allophone.compare.conditions import read_condition
    from allophone.compare.pairing import pair_runs
    from allophone.compare.tables import comparison_dict, comparison_markdown, comparison_table
    from allophone.errors import UsageError
    from allophone.frontier.probability import check_confidence
    from allophone.ledger.run_record import read_run

    if as_json and markdown:
        raise UsageError("--json and --markdown are two forms of one answer. Give one of them.")
    check_confidence(confidence)
    if before.is_file() or after.is_file():
        _compare_cards(before, after, conditions=bool(fail_if or point), as_json=as_json, markdown=markdown)
        return
    conditions = [read_condition(text, read_run(before).task) for text in fail_if or ()]
    found = compare_pair(pair_runs(before, after, point or ()), conditions, confidence)
    if as_json:
        say(json.dumps(comparison_dict(found), indent=1, ensure_ascii=False, allow_nan=False))
    elif markdown:
        say(comparison_markdown(found).rstrip())
    else:
        print_table(comparison_table(found))
    if found.failed:
        raise typer.Exit(1)


def _compare_cards(before: Path, after: Path, *, conditions: bool, as_json: bool, markdown: bool) -> None:
    """Print two result cards side by side, or a card and a run's."""
    from allophone.cli.show import print_table
    from allophone.compare.cards import card_comparison_dict, card_comparison_table, compare_cards, read_either
    from allophone.errors import UsageError
    from allophone.export.markup import markdown_table

    if conditions:
        raise UsageError(
            "--fail-if and --point take two run folders: a card holds totals, in which nothing can be paired. Compare "
            "the folders, or leave them out."
        )
    found = compare_cards(read_either(before), read_either(after))
    if as_json:
        say(json.dumps(card_comparison_dict(found), indent=1, ensure_ascii=False, allow_nan=False))
    elif markdown:
        say(markdown_table(card_comparison_table(found)).rstrip())
    else:
        print_table(card_comparison_table(found))
