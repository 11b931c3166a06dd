"""Options that several verbs share: what the machine and an API cost, and which groups of utterances count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from allophone.frontier.groups import Grouping
    from allophone.frontier.price import Price

__all__ = ["ApiPrice", "PricePerHour", "read_grouping", "read_price"]

PricePerHour = Annotated[
    float | None, typer.Option(help="What an hour of this machine costs, e.g. 0.40: makes price_per_audio_hour a cost.")
]
ApiPrice = Annotated[
    str | None,
    typer.Option(help="What an API costs, e.g. 0.006/min or 0.36/h of audio: says from which load on it costs more."),
]


def read_price(per_hour: float | None, api: str | None, *, wanted: bool = False) -> Price | None:
    """Return the price asked for, or None where none was.

    Args:
        per_hour: Of the machine.
        api: Of an API, as typed.
        wanted: Whether something was asked that takes a price.

    Raises:
        SpaceError: A price is zero, negative or none at all, or the API's stands alone.
    """
    from allophone.errors import SpaceError
    from allophone.frontier.price import Price, read_api_price

    if per_hour is None:
        if wanted:
            raise SpaceError("what an hour of audio costs is unknown. Give --price-per-hour, what this machine costs.")
        if api is not None:
            raise SpaceError("--api-price compares with this machine: give --price-per-hour, what it costs, too.")
        return None
    return Price(per_hour, None if api is None else read_api_price(api))


def read_grouping(text: str | None, max_wer: float | None) -> Grouping | None:
    """Return by what utterances are grouped, or None where they are not.

    Raises:
        SpaceError: There is no such grouping, or no limit that it could hold for.
    """
    from allophone.errors import SpaceError
    from allophone.frontier.groups import GROUPINGS

    if text is None:
        return None
    found = next((known for known in GROUPINGS if known == text.lower()), None)
    if found is None:
        raise SpaceError(f"--worst-group {text}: unknown; known: {', '.join(GROUPINGS)}.")
    if max_wer is None:
        raise SpaceError("--worst-group says for whom --max-wer shall hold: give --max-wer, too.")
    return found
