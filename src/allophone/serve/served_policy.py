"""A policy behind the service: it routes a recording at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import UsageError
from allophone.models.engine import TRANSCRIBE, DecoderPrompt
from allophone.models.weights import point_dimensions
from allophone.records.transcript import Transcript
from allophone.routing.transcriber import PolicyTranscriber, RoutedTranscript
from allophone.serve.cost import RequestCost
from allophone.serve.request import ALIASES, WARM_UP_S, Work, bill_request, warm_up_noise
from allophone.serve.work_queue import Job, Piece, WorkRate
from allophone.sweeps.isoflop import predicted_flops
from allophone.sweeps.recognition.worker import warm_up

__all__ = ["ServedPolicy"]


class ServedPolicy:
    """A policy; ``allophone:0.35`` is the policy at the threshold 0.35.

    Args:
        transcriber: The loaded policy.
        workers: Recordings that are worked on at once.
    """

    def __init__(self, transcriber: PolicyTranscriber, workers: int) -> None:
        self._policy, self.workers, self.batch_size = transcriber, workers, 1
        self.name, self.language = "allophone", transcriber.language
        self._points = transcriber.policy.points
        self.multilingual = all(point_dimensions(point).multilingual for point in self._points)

    def threshold_of(self, model: str) -> float | None:
        """See :class:`Served`."""
        if model in ALIASES:
            return None
        name, colon, threshold = model.partition(":")
        try:
            found = float(threshold)
        except ValueError:
            raise LookupError(model) from None
        if name != self.name or not colon or found != found:  # noqa: PLR0124 - nan
            raise LookupError(model)
        return found

    def check_prompt(self, prompt: DecoderPrompt) -> None:
        """See :class:`Served`."""
        if prompt != TRANSCRIBE:
            what = "translate" if prompt.task == "translate" else "read prompts"
            raise UsageError(f"a policy is served, which was not trained to {what}. Serve a point or a model.")

    def measure_rate(self) -> WorkRate:
        """See :class:`Served`."""
        for engine in self._policy.load_models():
            warm_up(engine, self.language)
        started = perf_counter()
        self._policy.transcribe(warm_up_noise())
        return WorkRate(self._predicted(WARM_UP_S), perf_counter() - started)

    def plan(self, work: Work) -> list[Piece]:
        """See :class:`Served`."""
        return [Piece(work.samples, self._predicted(work.samples.size / SAMPLE_RATE))]

    def run(self, batch: Sequence[tuple[Work, Any]]) -> Sequence[Any]:
        """See :class:`Served`."""
        return [
            self._policy.transcribe(
                samples,
                words=work.words,
                language=work.language,
                threshold=work.threshold,
                before_window=work.check,
            )
            for work, samples in batch
        ]

    def text_of(self, result: RoutedTranscript) -> str:
        """See :class:`Served`."""
        return result.text

    def finish(self, work: Work, job: Job, results: Sequence[Any]) -> tuple[Transcript, RequestCost]:
        """See :class:`Served`."""
        (routed,) = results
        last = self._points[-1]
        transcript = replace(routed.transcript, notices=work.notices)
        return transcript, bill_request(
            work,
            job,
            routed.transcripts,
            transcript,
            reason=routed.explain(),
            flops=routed.executed_flops,
            reference=last,
            dims=point_dimensions(last),
            routed=routed,
        )

    def describe(self) -> dict[str, Any]:
        """See :class:`Served`."""
        card = self._policy.policy
        calibration = card.calibration
        return {
            "kind": "policy",
            "title": f"{card.kind} of {'; '.join(point.title for point in self._points)}",
            "points": [point.model_dump() for point in self._points],
            "language": self.language,
            "threshold": self._policy.threshold,
            "calibration": None if calibration is None else calibration.model_dump(mode="json"),
        }

    def _predicted(self, audio_s: float) -> float:
        flops = [predicted_flops(point_dimensions(point), audio_s, point) for point in self._points]
        return sum(flops) / len(flops)  # what share is escalated shows in the rate
