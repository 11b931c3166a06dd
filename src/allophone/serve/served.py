"""What a server runs, an operating point or a policy: the seam that both fill, and loading either."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from allophone.models.engine import DecoderPrompt, Engine
from allophone.records.saved_point import read_point
from allophone.records.transcript import Transcript
from allophone.routing.transcriber import load_policy
from allophone.serve.cost import RequestCost
from allophone.serve.request import Work
from allophone.serve.served_point import ServedPoint
from allophone.serve.served_policy import ServedPolicy
from allophone.serve.work_queue import Job, Piece, WorkRate
from allophone.transcription.defaults import default_point
from allophone.transcription.transcriber import load_point

__all__ = ["Served", "load_served"]


class Served(Protocol):
    """One loaded point or policy."""

    @property
    def name(self) -> str:
        """Id in the list of models."""
        ...

    @property
    def language(self) -> str:
        """Language that is taken where a request names none."""
        ...

    @property
    def multilingual(self) -> bool:
        """Whether a request may name a language other than English."""
        ...

    def check_prompt(self, prompt: DecoderPrompt) -> None:
        """Refuse what the decoder cannot be told.

        Raises:
            UsageError: It does not translate, or reads no prompt.
        """
        ...

    @property
    def workers(self) -> int:
        """Passes that run at once."""
        ...

    @property
    def batch_size(self) -> int:
        """Most windows in one pass."""
        ...

    def threshold_of(self, model: str) -> float | None:
        """Return the threshold that a model's name asks for; None for its own.

        Raises:
            LookupError: No such model is served.
        """
        ...

    def measure_rate(self) -> WorkRate:
        """Warm every model up and return what a predicted FLOP takes."""
        ...

    def plan(self, work: Work) -> list[Piece]:
        """Cut a request into what is run at once."""
        ...

    def run(self, batch: Sequence[tuple[Work, Any]]) -> Sequence[Any]:
        """Run pieces together."""
        ...

    def text_of(self, result: Any) -> str:
        """Return the text of a piece's result."""
        ...

    def finish(self, work: Work, job: Job, results: Sequence[Any]) -> tuple[Transcript, RequestCost]:
        """Return the transcript from all results in order, and what it cost."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what is known of it as plain data: points, measured rates, settings."""
        ...


def load_served(
    *,
    point: Path | None = None,
    model: str | None = None,
    policy: Path | None = None,
    threshold: float | None = None,
    language: str | None = None,
    workers: int = 0,
    threads: int = 0,
    device: str = "cpu",
    max_audio_s: float,
) -> Served:
    """Load what is served; exactly one of point, model and policy is given.

    Args:
        point: What ``recommend --out`` saved.
        model: A model's name, for its default point.
        policy: What ``route train`` wrote.
        threshold: Of the policy.
        language: Code or ``auto``; None as measured.
        workers: Passes at once; 0 as many as the cores have room for.
        threads: CPU threads of a pass; 0 chooses by the model's size.
        device: ``cpu``, ``cuda`` or ``auto``.
        max_audio_s: Most seconds of a recording.

    Raises:
        UsageError: The file or folder is not what it should be.
        WeightsError: Weights cannot be found, or are not those that were measured.
    """
    if policy is not None:
        routed = load_policy(
            policy,
            language=language,
            threshold=threshold,
            threads=threads,
            device=device,
            max_audio_s=max_audio_s,
            replicas=workers,
        )
        engines: list[Engine] = routed.load_models()
        return ServedPolicy(routed, workers or max(engine.replicas for engine in engines))
    chosen = point if point is not None else default_point(str(model))
    transcriber = load_point(
        chosen, language=language, threads=threads, device=device, max_audio_s=max_audio_s, replicas=workers
    )
    return ServedPoint(transcriber, None if point is None else read_point(point), workers)
