"""Conditions of a regression gate as a command line states them: ``wer > +0.3`` (points), ``rtf > +10%`` (relative)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

from allophone.errors import SpaceError
from allophone.frontier.objectives import Objective, find_objective
from allophone.records.point import Task

__all__ = ["Condition", "read_condition"]

_CONDITION = re.compile(
    r"\s*(?P<name>[a-z_0-9]+)\s*(?P<sign>[<>])\s*(?P<number>[+-]\d*\.?\d+(?:e[+-]?\d+)?)\s*(?P<percent>%?)\s*"
)
_FORM = "Write a measure, > and a signed change, as in 'wer > +0.3' (points) or 'rtf > +10%' (relative)"
_UNRESAMPLED = ("peak_memory_bytes", "rtf_throughput", "trainable_params", "training_gflops", "train_s")
_OF_ONE_RUN = ("p_worse", "worst_group_wer", "price_per_audio_hour")


@dataclass(frozen=True, slots=True)
class Condition:
    """A change for the worse that a comparison shall fail on.

    Args:
        text: As the user wrote it.
        objective: What changes.
        change: Largest allowed rise, lower being better: in base units, or as a fraction of the value before.
        relative: Whether ``change`` is a fraction of the value before.
    """

    text: str
    objective: Objective
    change: float
    relative: bool

    @property
    def factor(self) -> float:
        """What the value before is multiplied by in the tested contrast ``after - factor · before``."""
        return 1 + self.change if self.relative else 1.0

    @property
    def limit(self) -> float:
        """Largest allowed value of the tested contrast, in base units."""
        return 0.0 if self.relative else self.change


def read_condition(text: str, task: Task = "asr") -> Condition:
    """Understand a condition.

    Args:
        text: A measure, ``>`` (``<`` for what is better when higher, as ``uar``) and a signed change: in the unit in
            which people read the measure, percentage points of error rates, or with ``%`` relative to the value before.
        task: What the runs measure.

    Raises:
        SpaceError: It is malformed, names no measure of the task, or looks for a change for the better.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise SpaceError(f"--fail-if '{text}': not a condition. {_FORM}; the sign says that it is a change.")
    objective = find_objective(found["name"], task)
    if objective.name in _UNRESAMPLED:
        raise SpaceError(
            f"--fail-if '{text}': {objective.title} is measured too few times to keep a false-alarm rate. "
            "Compare it by eye, or use rtf or executed_gflops."
        )
    if objective.name in _OF_ONE_RUN:
        raise SpaceError(f"--fail-if '{text}': {objective.title} is defined within one run. Use wer, or rtf.")
    worse = "<" if objective.complement else ">"
    if found["sign"] != worse:
        raise SpaceError(
            f"--fail-if '{text}': {objective.title} is better when "
            f"{'higher' if objective.complement else 'lower'}, so a change for the worse is written with {worse}."
        )
    number, relative = float(found["number"]), bool(found["percent"])
    if not isfinite(number) or (relative and number <= -100):
        raise SpaceError(f"--fail-if '{text}': the change must be finite, and more than -100 %. {_FORM}.")
    if relative and objective.complement:
        raise SpaceError(f"--fail-if '{text}': {objective.title} changes in points: leave the % out.")
    absolute = (-number if objective.complement else number) / objective.scale
    change = number / 100 if relative else absolute
    return Condition(text.strip(), objective, change, relative)
