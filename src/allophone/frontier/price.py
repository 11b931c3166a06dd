"""Money per hour of audio on a machine of one's own, from measured speed, and the load from which an API costs more.

A machine of price ``P`` per hour that takes ``r`` seconds per second of audio works off ``1 / r`` hours of audio per
hour, so an hour of audio costs ``P · r`` where the machine is never idle. Against an API of price ``A`` per hour of
audio, a machine that is always on costs the same at ``P / A`` hours of audio per hour, if it can do as many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import isfinite
from typing import TypeVar

from allophone.errors import SpaceError
from allophone.frontier.summary import PointSummary, RunSummary

__all__ = ["PRICE", "Price", "price_run", "read_api_price"]

PRICE = "price_per_audio_hour"
_API = re.compile(
    r"\s*(?P<number>\d*\.?\d+(?:e[+-]?\d+)?)\s*/\s*(?P<unit>min|minute|h|hour|s|second)\s*", re.IGNORECASE
)
_PER_HOUR = {"s": 3600.0, "second": 3600.0, "min": 60.0, "minute": 60.0, "h": 1.0, "hour": 1.0}

Summary = TypeVar("Summary", bound=RunSummary)


@dataclass(frozen=True, slots=True)
class Price:
    """What a machine costs, and what an API would; any currency, the same for both.

    Args:
        per_hour: Of the machine.
        api_per_audio_hour: Of the API, or None.

    Raises:
        SpaceError: A price is not a positive number.
    """

    per_hour: float
    api_per_audio_hour: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no price."""
        for name, price in (("--price-per-hour", self.per_hour), ("--api-price", self.api_per_audio_hour)):
            if price is not None and not (isfinite(price) and price > 0):
                raise SpaceError(
                    f"{name} {price:g}: a price must be a positive number; at a price of zero nothing costs anything, "
                    "and every point is as good as any. Leave it out, or give what an hour costs."
                )

    @property
    def break_even(self) -> float | None:
        """Hours of audio per hour at which the machine, always on, costs as much as the API; None without an API."""
        return None if self.api_per_audio_hour is None else self.per_hour / self.api_per_audio_hour

    def explain(self, seconds_per_audio_second: float) -> list[str]:
        """Say what an hour of audio costs, and from which load on the machine is cheaper than the API.

        Args:
            seconds_per_audio_second: Of the chosen point; NaN where it was not measured.
        """
        load = self.break_even
        if not seconds_per_audio_second > 0:
            return ["What an hour of audio costs at this point was not measured."]
        able = 1 / seconds_per_audio_second
        own = f"An hour of audio costs {self.per_hour / able:.4g} on this machine."
        if load is None or self.api_per_audio_hour is None:
            return [own]
        api = f"{own} The API's {self.api_per_audio_hour:.4g} an hour of audio"
        if load > able:
            return [
                f"{api} is less than this machine costs at any load: it can do {able:.3g} hours of audio an hour, and "
                f"would have to do {load:.3g}."
            ]
        return [
            f"{api} buys this machine from {load:.3g} hours of audio an hour on ({24 * load:.3g} a day); it can do "
            f"{able:.3g}. With less to do, the API is cheaper."
        ]


def read_api_price(text: str) -> float:
    """Read a price of an API, such as ``0.006/min``, as a price of an hour of audio.

    Raises:
        SpaceError: It is none.
    """
    found = _API.fullmatch(text)
    if found is None:
        raise SpaceError(f"--api-price '{text}': not a price. Write it per minute or hour of audio: 0.006/min, 0.36/h.")
    return float(found["number"]) * _PER_HOUR[found["unit"].lower()]


def price_run(summary: Summary, price: Price) -> Summary:
    """Return the run with what an hour of audio costs at every point.

    Args:
        summary: The run.
        price: Of the machine that measured it.
    """
    speed = summary.samples.speed
    points: tuple[PointSummary, ...] = tuple(
        replace(point, price_per_audio_hour=price.per_hour * float(getattr(point, speed))) for point in summary.points
    )
    noise = dict(summary.samples.noise)
    if speed in noise:
        noise[PRICE] = noise[speed]
    samples = replace(summary.samples, price_per_hour=price.per_hour, noise=noise)
    if speed == "rtf":
        how = (
            "from the real-time factor of one recording at a time, since no throughput was measured: several at once "
            "cost less (sweep --throughput)"
        )
    else:
        how = "from the measured throughput of many recordings at once"
    notice = f"Prices: {price.per_hour:g} for an hour of this machine, never idle, {how}."
    return replace(summary, points=points, samples=samples, notices=(*summary.notices, notice))
