"""A run summarised: one row per point, on the utterances that all points share, and what a reader must know."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import ClassVar, TypeVar

from allophone.errors import UsageError
from allophone.frontier.samples import Samples
from allophone.ledger.race_record import Elimination
from allophone.ledger.run_record import RunRecord
from allophone.records.point import Setting, Task

__all__ = ["PointSummary", "RunSummary"]

Kind = TypeVar("Kind", bound="RunSummary")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSummary:
    """What one point of a run of either task did over the shared utterances.

    Times are seconds; ``rtf`` is the latency sum over the audio sum, ``executed_gflops`` the mean over utterances. The
    quality and further costs are fields of each task's own class, named as the objectives. ``price_per_audio_hour`` is
    NaN until :func:`allophone.frontier.price.price_run` knows what the machine costs.
    """

    task: ClassVar[Task]

    point: Setting
    n_utterances: int
    audio_s: float
    rtf: float
    latency_mean_s: float
    latency_p50_s: float
    latency_p95_s: float
    executed_gflops: float
    label: str | None = None
    latency_p99_s: float = nan
    price_per_audio_hour: float = nan

    @property
    def name(self) -> str:
        """Id of the point, or the label of what is no single point, such as a policy."""
        return self.label or self.point.name

    @property
    def title(self) -> str:
        """Name of the point for people, or the label."""
        return self.label or self.point.title

    @property
    def derived(self) -> dict[str, float]:
        """Figures that follow from the fields, by their names in JSON."""
        return {}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run of either task, summarised.

    Args:
        run: What was asked.
        points: Points with measurements, in the plan's order.
        failures: Utterance id and reason of every recording that could not be measured.
        notices: What a reader must know: rows missing, utterances left out.
        samples: The same measurements utterance by utterance, points in the same order.
        eliminated: Points that a race gave up; they are not among ``points``.
    """

    task: ClassVar[Task]
    record: ClassVar[type[RunRecord]] = RunRecord

    run: RunRecord
    points: tuple[PointSummary, ...]
    failures: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]
    samples: Samples
    eliminated: tuple[Elimination, ...] = ()

    def __repr__(self) -> str:
        """Show how much was measured."""
        n_utterances = self.points[0].n_utterances if self.points else 0
        return f"{type(self).__name__}({self.run.corpus[-40:]!r}, {len(self.points)} points, {n_utterances} utterances)"

    def of(self, kind: type[Kind], purpose: str) -> Kind:
        """Return this summary as one of the task that a purpose needs.

        Args:
            kind: The task's class.
            purpose: What needs it: the start of the message, such as ``--policy: policies route speech recognition``.

        Raises:
            UsageError: It is a run of another task.
        """
        if not isinstance(self, kind):
            raise UsageError(f"{purpose}, and this is a run of {self.run.recognises} recognition.")
        return self
