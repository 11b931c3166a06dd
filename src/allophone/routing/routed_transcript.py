"""What a running policy hands back: the transcript kept, the points that ran, the scores, and the cost of it all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allophone.records.transcript import Transcript

__all__ = ["RoutedTranscript"]


@dataclass(frozen=True, slots=True)
class RoutedTranscript:
    """One recording through a policy.

    Args:
        transcript: What is kept; its ``point`` says which point wrote it.
        ran: Names of the points that ran to their end, in order.
        scores: Scores of the steps that were asked, in order.
        threshold: Above it the next point ran.
        executed_flops: Of all that ran, deciding included.
        seconds: Likewise, from samples to text.
        outside: What of this recording lies outside what the policy was trained on, in words; empty where nothing.
    """

    transcript: Transcript
    ran: tuple[str, ...]
    scores: tuple[float, ...]
    threshold: float
    executed_flops: int
    seconds: float
    outside: tuple[str, ...]

    @property
    def text(self) -> str:
        """The transcript's text."""
        return self.transcript.text

    def explain(self) -> str:
        """Return in one line which point's transcript this is, what ran, by which scores, and what it cost."""
        scores = ", ".join(f"{score:.3g}" for score in self.scores)
        line = (
            f"{self.transcript.point.name} of {' > '.join(self.ran)}; score {scores} (climbs above "
            f"{self.threshold:.3g}); {self.executed_flops / 1e9:.1f} GFLOPs, {self.seconds:.2f} s"
        )
        return line + "".join(f"; outside the policy's range: {reason}" for reason in self.outside)

    def route_dict(self) -> dict[str, Any]:
        """Return what the policy did as plain data: names, FLOPs, seconds."""
        return {
            "point": self.transcript.point.name,
            "ran": list(self.ran),
            "scores": list(self.scores),
            "threshold": self.threshold,
            "executed_flops": self.executed_flops,
            "seconds": self.seconds,
            "outside": list(self.outside),
        }
