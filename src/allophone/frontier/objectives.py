"""Objectives: the quantities that points are compared on; all are better when lower."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

from allophone.errors import SpaceError
from allophone.look_up import look_up
from allophone.records.point import Task

__all__ = ["COSTS", "OBJECTIVES", "QUALITY", "TIMES", "Objective", "find_cost", "find_objective", "objectives_of"]


@dataclass(frozen=True, slots=True)
class Objective:
    """One column of a point's summary.

    Args:
        name: Attribute of a task's :class:`allophone.frontier.summary.PointSummary`; fractions, seconds, bytes or
            GFLOPs.
        title: What people read.
        heading: What heads its column in a table, with its unit.
        unit: Unit behind a shown value.
        scale: A value is multiplied by this before it is shown (100 for percent).
        decimals: Digits shown behind the point.
        complement: Whether people read one minus the value, and higher is better for them.
    """

    name: str
    title: str
    heading: str
    unit: str = ""
    scale: float = 1.0
    decimals: int = 3
    complement: bool = False

    @property
    def best(self) -> str:
        """What people call the best value: ``lowest`` or ``highest``."""
        return "highest" if self.complement else "lowest"

    @property
    def limit(self) -> str:
        """How people put a limit: ``at most`` or ``at least``."""
        return "at least" if self.complement else "at most"

    def shown(self, value: float) -> float:
        """Return a value as the number that people read."""
        return (1 - value if self.complement else value) * self.scale

    def shown_ends(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval as people read it, lower end first."""
        ends = (self.shown(low), self.shown(high))
        return (ends[1], ends[0]) if self.complement else ends

    def show(self, value: float) -> str:
        """Return a value as people read it, with its unit; what is not zero is not shown as zero."""
        number = self.shown(value)
        small = 0 < abs(number) < 0.5 * 10**-self.decimals
        shown = f"{number:.2g}" if small else f"{number:.{self.decimals}f}"
        return f"{shown} {self.unit}" if self.unit else shown

    def show_number(self, value: float) -> str:
        """Return a value as people read it, without its unit."""
        return self.show(value).removesuffix(f" {self.unit}")

    def show_change(self, change: float, decimals: int | None = None) -> str:
        """Return a difference with its sign, as people read it: up is better where they call the highest best.

        Args:
            change: In base units.
            decimals: Digits behind the point; the objective's own where None.
        """
        shown = -change if self.complement else change
        if isnan(shown):
            return "unknown"
        return f"{self.scale * shown + 0.0:+.{self.decimals if decimals is None else decimals}f}"

    def show_changes(self, low: float, high: float, decimals: int | None = None) -> str:
        """Return the interval of a difference in brackets, lower end first as people read it."""
        ends = (high, low) if self.complement else (low, high)
        return f"[{self.show_change(ends[0], decimals)}, {self.show_change(ends[1], decimals)}]"

    def show_apart(self, difference: float) -> str:
        """Return the distance between two values as people read it, with its unit."""
        shown = f"{abs(difference) * self.scale:.{self.decimals}f}"
        return f"{shown} {self.unit}" if self.unit else shown


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("wer", "word error rate", "WER %", "%", 100.0, 2),
        Objective("cer", "character error rate", "CER %", "%", 100.0, 2),
        Objective("error_share", "share of utterances without an error", "perfect %", "%", 100.0, 1, complement=True),
        Objective("p_worse", "share of utterances worse than at the dearest point", "worse %", "%", 100.0, 1),
        Objective("worst_group_wer", "word error rate of the worst group", "worst group %", "%", 100.0, 2),
        Objective("rtf", "real-time factor", "RTF"),
        Objective("latency_p50_s", "median latency", "p50 latency s", "s"),
        Objective("latency_p95_s", "95th percentile of latency", "p95 latency s", "s"),
        Objective("latency_p99_s", "99th percentile of latency", "p99 latency s", "s"),
        Objective("price_per_audio_hour", "price of an hour of audio", "price/audio h", decimals=4),
        Objective("executed_gflops", "compute an utterance", "GFLOPs/utt.", "GFLOPs", 1.0, 1),
        Objective("published_gflops", "published compute an utterance", "published GFLOPs/utt.", "GFLOPs", 1.0, 1),
        Objective("peak_memory_bytes", "peak resident memory", "peak MB", "MB", 1e-6, 0),
        Objective("rtf_throughput", "real-time factor of many recordings at once", "RTF, many at once", decimals=4),
        Objective("uar_loss", "unweighted average recall", "UAR %", "%", 100.0, 1, complement=True),
        Objective("trainable_params", "trained parameters", "trained thousands", "thousand", 1e-3, 1),
        Objective("training_gflops", "compute of a training", "training GFLOPs", "GFLOPs", 1.0, 2),
        Objective("train_s", "time of a training", "training s", "s", 1.0, 1),
    )
}
QUALITY: dict[Task, str] = {"asr": "wer", "emotion": "uar_loss"}
COSTS: dict[Task, tuple[str, ...]] = {
    "asr": (
        *("rtf", "latency_p50_s", "latency_p95_s", "executed_gflops", "published_gflops", "peak_memory_bytes"),
        *("rtf_throughput", "latency_p99_s", "price_per_audio_hour"),
    ),
    "emotion": (
        *("rtf", "latency_p50_s", "latency_p95_s", "executed_gflops"),
        *("trainable_params", "training_gflops", "train_s", "latency_p99_s", "price_per_audio_hour"),
    ),
}
# What other work on the machine makes too large: times, and what follows from them.
TIMES = (
    *("rtf", "rtf_throughput", "latency_p50_s", "latency_p95_s", "latency_p99_s"),
    *("train_s", "price_per_audio_hour"),
)
_ALIASES = {"uar": "uar_loss", "perfect_share": "error_share"}
_SHARES = ("error_share", "p_worse", "worst_group_wer")  # of recognition


def objectives_of(task: Task) -> tuple[str, ...]:
    """Return the names of a task's objectives, quality first; characters are a second quality of recognition."""
    return (QUALITY[task], *COSTS[task]) if task == "emotion" else (QUALITY[task], "cer", *COSTS[task], *_SHARES)


def find_objective(name: str, task: Task = "asr") -> Objective:
    """Return the objective of that name; ``uar`` is understood as ``uar_loss``, ``perfect_share`` as
    ``error_share``.

    Raises:
        SpaceError: Unknown name; the message lists the known ones.
    """
    name = _ALIASES.get(name, name)
    if name not in objectives_of(task):
        raise SpaceError(f"unknown objective '{name}'; known: {', '.join(objectives_of(task))}.")
    return OBJECTIVES[name]


def find_cost(name: str, task: Task = "asr") -> Objective:
    """Return the cost of that name: any objective but quality.

    Raises:
        SpaceError: Unknown name; the message lists the known ones.
    """
    return look_up({cost: OBJECTIVES[cost] for cost in COSTS[task]}, name, "cost", "costs", SpaceError, ".")
