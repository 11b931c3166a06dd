"""An operating point behind the service: requests are cut into windows, which share batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from allophone.audio.mel import context_frames
from allophone.costs.transcript import transcript_flops
from allophone.models.engine import DecoderPrompt
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import PointFile
from allophone.records.transcript import Transcript
from allophone.serve.cost import RequestCost
from allophone.serve.request import ALIASES, WARM_UP_S, Work, bill_request, warm_up_noise
from allophone.serve.work_queue import Job, Piece, WorkRate
from allophone.sweeps.isoflop import predicted_flops
from allophone.sweeps.recognition.worker import warm_up
from allophone.transcription.pipeline import PassedWindow, pass_windows
from allophone.transcription.recording import cut_windows, join_segments, known_language
from allophone.transcription.transcriber import Transcriber
from allophone.transcription.windows import DecodeExtras, Window

__all__ = ["ServedPoint"]


class ServedPoint:
    """An operating point.

    Args:
        transcriber: The loaded point.
        saved: What it was chosen for and measured at; None for a model's default point.
        workers: Passes at once; 0 as many as the engine has replicas.
    """

    def __init__(self, transcriber: Transcriber, saved: PointFile | None, workers: int = 0) -> None:
        self._engine, self.point, self._saved = transcriber.engine, transcriber.point, saved
        self.language, self._dims = transcriber.language, transcriber.engine.dimensions
        self.name = self.point.name
        self.multilingual = self._dims.multilingual
        self.workers, self.batch_size = transcriber.at_once(workers)
        self._full = OperatingPoint(
            model=self.point.model, compute_type=self.point.compute_type, beam_size=self.point.beam_size
        )

    def threshold_of(self, model: str) -> float | None:
        """See :class:`Served`."""
        if model not in (*ALIASES, self.name, self.point.title, self.point.model):
            raise LookupError(model)
        return None

    def check_prompt(self, prompt: DecoderPrompt) -> None:
        """See :class:`Served`."""
        self._engine.prompt_tokens("en", prompt)

    def measure_rate(self) -> WorkRate:
        """See :class:`Served`."""
        warm_up(self._engine, self.language)
        samples = warm_up_noise()
        window = Window(samples, 0.0, WARM_UP_S)
        frames = context_frames(samples.size, self.point)
        started = perf_counter()
        pass_windows(self._engine, self.point, [window], [known_language(self.language)], frames, DecodeExtras())
        return WorkRate(predicted_flops(self._dims, WARM_UP_S, self.point), perf_counter() - started)

    def plan(self, work: Work) -> list[Piece]:
        """See :class:`Served`."""
        windows, cut = cut_windows(work.samples, self.point)
        work.prepare_s, work.cut_cpu_s = cut.wall_s, cut.cpu_s
        return [
            Piece(
                window,
                predicted_flops(self._dims, window.end_s - window.start_s, self.point),
                context_frames(window.audio.size, self.point),
            )
            for window in windows
        ]

    def run(self, batch: Sequence[tuple[Work, Any]]) -> Sequence[Any]:
        """See :class:`Served`."""
        found: dict[int, PassedWindow] = {}
        for extras in {_extras(work) for work, _ in batch}:
            indices = [index for index, (work, _) in enumerate(batch) if _extras(work) == extras]
            windows: list[Window] = [batch[index][1] for index in indices]
            frames = max(context_frames(window.audio.size, self.point) for window in windows)
            languages = [batch[index][0].language for index in indices]
            passed = pass_windows(self._engine, self.point, windows, languages, frames, extras)
            found.update(zip(indices, passed, strict=True))
        for index, (work, _) in enumerate(batch):
            work.language = found[index].language
        return [found[index] for index in range(len(batch))]

    def text_of(self, result: PassedWindow) -> str:
        """See :class:`Served`."""
        return " ".join(segment.text for segment in result.segments if segment.text)

    def finish(self, work: Work, job: Job, results: Sequence[Any]) -> tuple[Transcript, RequestCost]:
        """See :class:`Served`."""
        passed: Sequence[PassedWindow] = results
        parts = [segment for one in passed for segment in one.segments]
        prepare_s = work.prepare_s + sum(one.prepare_s for one in passed)
        joined = join_segments(
            self._engine, self.point, parts, work.samples.size, prepare_s, work.language, work.cut_cpu_s, work.prompt
        )
        transcript = replace(joined, notices=work.notices)
        reason = "the point that is served" if self._saved is None else f"chosen: {self._saved.question}"
        return transcript, bill_request(
            work,
            job,
            [transcript],
            transcript,
            reason=reason,
            flops=transcript_flops(self._dims, transcript).total,
            reference=self._full,
            dims=self._dims,
        )

    def describe(self) -> dict[str, Any]:
        """See :class:`Served`."""
        saved = self._saved
        return {
            "kind": "point",
            "title": self.point.title,
            "point": self.point.model_dump(),
            "language": self.language,
            "measured": {} if saved is None else saved.measured,
            "quality_name": None if saved is None else saved.quality_name,
            "question": None if saved is None else saved.question,
            "corpus": None if saved is None else saved.corpus,
        }


def _extras(work: Work) -> DecodeExtras:
    return DecodeExtras(words=work.words, prompt=work.prompt)
