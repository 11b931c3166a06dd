"""What a server runs: an operating point window by window, or a policy recording by recording; loaded and warm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from allophone.audio.mel import context_frames
from allophone.costs.transcript import transcript_flops
from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.dimensions.whisper import SAMPLE_RATE, WhisperDimensions
from allophone.errors import UsageError
from allophone.models.engine import TRANSCRIBE, DecoderPrompt, Engine
from allophone.models.weights import point_dimensions
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import PointFile, read_point
from allophone.records.transcript import Transcript
from allophone.routing.transcriber import PolicyTranscriber, RoutedTranscript, load_policy
from allophone.serve.cost import RequestCost, encoder_positions, transcript_flags
from allophone.serve.work_queue import Job, Piece, WorkRate
from allophone.sweeps.isoflop import predicted_flops
from allophone.sweeps.recognition.worker import warm_up
from allophone.transcription.defaults import default_point
from allophone.transcription.pipeline import PassedWindow, pass_windows
from allophone.transcription.recording import AUTO_LANGUAGE, cut_windows, join_segments
from allophone.transcription.transcriber import Transcriber, load_point
from allophone.transcription.windows import DecodeExtras, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ALIASES", "Served", "ServedPoint", "ServedPolicy", "Work", "load_served"]

ALIASES = ("whisper-1", "allophone")
_WARM_S = 5.0


@dataclass(slots=True)
class Work:
    """One request while it is worked on.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz.
        notices: What is odd about the recording.
        language: Of the prompt; ``auto`` until the first window has told it.
        words: Whether words' places are looked up.
        threshold: Of a policy; None takes its own.
        prompt: What the decoder is told.
        decode_audio_s: Seconds that reading the upload's samples took.
        prepare_s: Seconds that cutting it into windows took.
        cut_cpu_s: Processor seconds of that.
        check: Called before each window; raises where the client went away.
    """

    samples: NDArray[np.float32]
    notices: tuple[str, ...]
    language: str
    words: bool
    threshold: float | None = None
    prompt: DecoderPrompt = TRANSCRIBE
    decode_audio_s: float = 0.0
    prepare_s: float = 0.0
    cut_cpu_s: float = 0.0
    check: Callable[[], None] = field(default=lambda: None)


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
        self.multilingual = _multilingual(self._dims)
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
        samples = _noise()
        window = Window(samples, 0.0, _WARM_S)
        language = "en" if self.language == AUTO_LANGUAGE else self.language
        frames = context_frames(samples.size, self.point)
        started = perf_counter()
        pass_windows(self._engine, self.point, [window], [language], frames, DecodeExtras())
        return WorkRate(predicted_flops(self._dims, _WARM_S, self.point), perf_counter() - started)

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
            places = [place for place, (work, _) in enumerate(batch) if _extras(work) == extras]
            windows: list[Window] = [batch[place][1] for place in places]
            frames = max(context_frames(window.audio.size, self.point) for window in windows)
            languages = [batch[place][0].language for place in places]
            passed = pass_windows(self._engine, self.point, windows, languages, frames, extras)
            found.update(zip(places, passed, strict=True))
        for place, (work, _) in enumerate(batch):
            work.language = found[place].language
        return [found[place] for place in range(len(batch))]

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
        return transcript, _bill(
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
        self.multilingual = all(_multilingual(point_dimensions(point)) for point in self._points)

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
        self._policy.transcribe(_noise())
        return WorkRate(self._predicted(_WARM_S), perf_counter() - started)

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
        return transcript, _bill(
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


def _extras(work: Work) -> DecodeExtras:
    return DecodeExtras(words=work.words, prompt=work.prompt)


def _multilingual(dims: RecognitionDimensions) -> bool:
    return isinstance(dims, WhisperDimensions) and dims.multilingual


def _noise() -> NDArray[np.float32]:
    import numpy as np

    return (0.01 * np.random.default_rng(0).normal(size=round(_WARM_S * SAMPLE_RATE))).astype(np.float32)


def _bill(
    work: Work,
    job: Job,
    transcripts: Sequence[Transcript],
    kept: Transcript,
    *,
    reason: str,
    flops: float,
    reference: OperatingPoint,
    dims: RecognitionDimensions,
    routed: RoutedTranscript | None = None,
) -> RequestCost:
    used, padded = encoder_positions(transcripts)
    outside = () if routed is None else routed.outside
    heard_s = sum(part.end_s - part.start_s for part in kept.segments)
    return RequestCost(
        point=kept.point.name,
        title=kept.point.title,
        reason=reason,
        ran=tuple(transcript.point.name for transcript in transcripts),
        scores=() if routed is None else routed.scores,
        threshold=None if routed is None else routed.threshold,
        gflops=flops / 1e9,
        reference=reference.title,
        reference_gflops=predicted_flops(dims, heard_s, reference) / 1e9 if heard_s else 0.0,
        queue_s=0.0 if job.started is None else job.started - job.arrived,
        decode_audio_s=work.decode_audio_s,
        prepare_s=sum(transcript.prepare_s for transcript in transcripts),
        encode_s=sum(transcript.encode_s for transcript in transcripts),
        generate_s=sum(transcript.decode_s for transcript in transcripts),
        positions_used=used,
        positions_padded=padded,
        flags=transcript_flags(kept, outside),
        notices=(*kept.notices, *outside),
    )
