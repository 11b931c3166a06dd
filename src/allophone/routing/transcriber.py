"""Policy transcriber: each recording through the points that its scores lead to, all costs written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from allophone.audio.decode import LONGEST_S
from allophone.audio.faults import as_audio_error
from allophone.costs.transcript import transcript_flops
from allophone.errors import UsageError
from allophone.models.engine import Engine, load_engine
from allophone.models.threads import choose_threads
from allophone.records.names import title_of
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Transcript
from allophone.routing.audio_features import encode_audio, mel_channels
from allophone.routing.policy_file import PolicyFile, check_weights, read_policy
from allophone.routing.published.policy import PublishedDecider, decider_flops, encoder_point
from allophone.routing.routers import reached_points
from allophone.routing.samples import encoder_flops, point_dimensions
from allophone.routing.scoring import Scorer, load_scorer
from allophone.routing.transcript_features import TranscriptFeatures, transcript_reading
from allophone.transcription.recording import EncodedRecording, transcribe_points
from allophone.transcription.transcriber import read_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PolicyTranscriber", "RoutedTranscript", "load_policy"]


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
        transcripts: What each point in ``ran`` made, in order; the one that is kept is among them.
    """

    transcript: Transcript
    ran: tuple[str, ...]
    scores: tuple[float, ...]
    threshold: float
    executed_flops: int
    seconds: float
    outside: tuple[str, ...]
    transcripts: tuple[Transcript, ...] = ()

    @property
    def text(self) -> str:
        """The transcript's text."""
        return self.transcript.text

    def explain(self) -> str:
        """Return in one line which point's transcript this is, what ran, by which scores, and what it cost."""
        scores = ", ".join(f"{score:.3g}" for score in self.scores)
        line = (
            f"{self.transcript.point.title}, of {' > '.join(map(title_of, self.ran))}; score {scores} (climbs above "
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one call asks for beside the text."""

    language: str
    threshold: float
    words: bool = False
    before_window: Callable[[], None] | None = None


class PolicyTranscriber:
    """A policy with its models; a point's model is loaded when an utterance first reaches it.

    Several Python threads may use it at once.

    Args:
        policy: The card.
        scorer: Its regressors, or the graph of a faithful policy.
        language: Language code, or ``auto``.
        threshold: Above which a step is escalated; the card's own where None.
        threads: CPU threads; 0 takes the engine's default.
        device: ``cpu``, ``cuda`` or ``auto``.
        max_audio_s: Most seconds of a recording; a longer one is an error.
        replicas: Passes of a model that may run at once.
    """

    def __init__(
        self,
        policy: PolicyFile,
        scorer: Scorer | PublishedDecider,
        *,
        language: str | None = None,
        threshold: float | None = None,
        threads: int = 0,
        device: str = "cpu",
        max_audio_s: float = LONGEST_S,
        replicas: int = 1,
    ) -> None:
        self.policy = policy
        self.threshold = policy.threshold if threshold is None else threshold
        self._scorer = scorer
        self.language = language or policy.language
        self._threads, self._device, self._max_audio_s = threads, device, max_audio_s
        self._replicas = replicas
        self._engines: dict[tuple[str, str], Engine] = {}
        self._loading = Lock()

    def load_models(self) -> list[Engine]:
        """Load the models of all points now, and return each point's.

        Raises:
            WeightsError: A point's weights cannot be found.
        """
        return [self._engine(point) for point in self.policy.points]

    def transcribe(
        self,
        audio: str | Path | NDArray[np.float32],
        *,
        words: bool = False,
        language: str | None = None,
        threshold: float | None = None,
        before_window: Callable[[], None] | None = None,
    ) -> RoutedTranscript:
        """Transcribe one recording; audio of several windows is routed as one.

        Args:
            audio: A file, or samples of shape ``(n_samples,)`` at 16 kHz.
            words: Whether to find each word's place in time.
            language: Language code or ``auto`` for this recording; where None that of the policy.
            threshold: Above which a step is escalated for this recording; where None that of the policy.
            before_window: Called before each window of each point; what it raises of the package's own errors ends the
                recording.

        Raises:
            AudioError: The file cannot be decoded, the array is not one row of floating-point samples, or a library
                failed at the recording.
            WeightsError: A point's weights cannot be found.
        """
        decoded = read_samples(audio, longest_s=self._max_audio_s)
        asked = _Asked(
            language or self.language, self.threshold if threshold is None else threshold, words, before_window
        )
        with as_audio_error(decoded.name):
            routed = self._route(decoded.samples, asked)
        return replace(routed, transcript=replace(routed.transcript, notices=decoded.notices))

    def _route(self, samples: NDArray[np.float32], asked: _Asked) -> RoutedTranscript:
        if isinstance(self._scorer, PublishedDecider):
            return self._ask(self._scorer, samples, asked)
        routed = self._cascade if self.policy.kind == "cascade" else self._decide
        return routed(self._scorer, samples, asked)

    def _ask(self, decider: PublishedDecider, samples: NDArray[np.float32], asked: _Asked) -> RoutedTranscript:
        read, reads_encoder = encoder_point(self.policy), self.policy.reads != "mel"
        looked = decider.look(samples)
        index = int(looked.probability > asked.threshold)
        point, dims = self.policy.points[index], point_dimensions(self.policy.points[read])
        flops = decider_flops(dims, looked.frames, reads_encoder=reads_encoder)
        seconds = 0.0
        if reads_encoder and index == read:
            transcript = self._run(point, samples, asked, encoded=looked.recording)
        else:
            transcript = self._run(point, samples, asked)
            seconds = looked.prepare_s + looked.encode_s
            flops += round(encoder_flops(dims, looked.frames)) if reads_encoder else 0
        return RoutedTranscript(
            transcript=transcript,
            ran=(point.name,),
            scores=(looked.probability,),
            threshold=asked.threshold,
            executed_flops=flops + transcript_flops(point_dimensions(point), transcript).total,
            seconds=seconds + transcript.latency_s,
            outside=self._outside(transcript.duration_s, [looked.probability]),
            transcripts=(transcript,),
        )

    def _cascade(self, scorer: Scorer, samples: NDArray[np.float32], asked: _Asked) -> RoutedTranscript:
        points = self.policy.points
        last = len(points) - 1
        transcripts: list[Transcript] = []
        readings: list[TranscriptFeatures] = []
        scores: list[float] = []
        seconds, kept, deciding = 0.0, 0, 0
        for index, point in enumerate(points):
            reads = index < last or bool(scorer.choices)
            transcript = self._run(point, samples, asked, confidence=reads)
            transcripts.append(transcript)
            seconds += transcript.latency_s + sum(part.confidence_s for part in transcript.passes)
            started = perf_counter()
            readings.append(transcript_reading(transcript))
            if index == 0 or scorer.prefers_later(index - 1, readings[-2:-1], readings[-1:])[0]:
                kept = index
            if index < last:
                scores.append(float(scorer.score_readings(index, readings[-1:])[0]))
                deciding += 1
            seconds += perf_counter() - started
            if index == last or not scores[-1] > asked.threshold:
                break
        flops = sum(
            transcript_flops(point_dimensions(transcript.point), transcript).total for transcript in transcripts
        )
        return RoutedTranscript(
            transcript=transcripts[kept],
            ran=tuple(transcript.point.name for transcript in transcripts),
            scores=tuple(scores),
            threshold=asked.threshold,
            executed_flops=flops + round(deciding * self.policy.overhead_flops),
            seconds=seconds,
            outside=self._outside(transcripts[0].duration_s, scores),
            transcripts=tuple(transcripts),
        )

    def _decide(self, scorer: Scorer, samples: NDArray[np.float32], asked: _Asked) -> RoutedTranscript:
        points, first = self.policy.points, self.policy.points[0]
        engine = self._engine(first) if self.policy.reads == "encoder" else None
        looked = encode_audio(samples, first, engine, mel_channels(point_dimensions(first)))
        started = perf_counter()
        duration = np.array([looked.view.mel[0]], np.float64)
        scores = scorer.score_audio([looked.view], duration)
        index = int(reached_points(scores, asked.threshold)[0])
        seconds = looked.look_s + perf_counter() - started
        flops = round(self.policy.overhead_flops)
        if looked.recording is not None and index == 0:
            transcript = self._run(first, samples, asked, encoded=looked.recording)
        else:
            transcript = self._run(points[index], samples, asked)
            seconds += looked.prepare_s + looked.encode_s
            flops += round(encoder_flops(engine.dimensions, looked.frames)) if engine is not None else 0
        seconds += transcript.latency_s
        shown = tuple(scores[:, 0].tolist())
        return RoutedTranscript(
            transcript=transcript,
            ran=(transcript.point.name,),
            scores=shown,
            threshold=asked.threshold,
            executed_flops=flops + transcript_flops(point_dimensions(transcript.point), transcript).total,
            seconds=seconds,
            outside=self._outside(transcript.duration_s, shown),
            transcripts=(transcript,),
        )

    def _run(
        self,
        point: OperatingPoint,
        samples: NDArray[np.float32],
        asked: _Asked,
        *,
        confidence: bool = False,
        encoded: EncodedRecording | None = None,
    ) -> Transcript:
        return transcribe_points(
            self._engine(point),
            samples,
            [point],
            language=asked.language,
            words=asked.words,
            confidence=confidence,
            encoded=encoded,
            before_window=asked.before_window,
        )[0]

    def _engine(self, point: OperatingPoint) -> Engine:
        with self._loading:
            if point.weights_key not in self._engines:
                engine = load_engine(
                    point.model,
                    point.compute_type,
                    threads=self._threads,
                    replicas=self._replicas,
                    device=self._device,
                )
                # What an engine sets up on first use, the outputs of silence among it, is no cost of this recording.
                engine.append_tail(engine.encode(engine.prepare(np.zeros(0, np.float32), 100)), range(50, 51))
                self._engines[point.weights_key] = engine
            return self._engines[point.weights_key]

    def _outside(self, duration_s: float, scores: Sequence[float]) -> tuple[str, ...]:
        found = []
        least, most = self.policy.duration_s
        if not least <= duration_s <= most:
            found.append(f"{duration_s:.1f} s of audio, trained on {least:.1f} to {most:.1f} s")
        for step, (score, (low, high)) in enumerate(zip(scores, self.policy.score_range, strict=False)):
            if not low <= score <= high:
                found.append(f"score {score:.3g} of step {step}, trained on {low:.3g} to {high:.3g}")
        return tuple(found)


def load_policy(
    folder: str | Path,
    *,
    language: str | None = None,
    threshold: float | None = None,
    threads: int = 0,
    device: str = "cpu",
    max_audio_s: float = LONGEST_S,
    replicas: int = 1,
) -> PolicyTranscriber:
    """Load what ``route train`` wrote, ready to transcribe.

    Args:
        folder: The policy's folder.
        language: Language code or ``auto``; where None the one that the policy was trained with.
        threshold: Above which the next point runs; the policy's own where None.
        threads: CPU threads; 0 takes the engine's default.
        device: ``cpu``, ``cuda`` or ``auto``.
        max_audio_s: Most seconds of a recording; a longer one is an error.
        replicas: Passes of a model that may run at once.

    Raises:
        UsageError: No whole policy lies there, or the threshold is not a number.
        WeightsError: A point's weights are missing or have changed since the policy was trained.
    """
    path = Path(folder)
    if threshold is not None and isnan(threshold):
        raise UsageError("threshold nan: give a number.")
    policy = read_policy(path)
    check_weights(policy, path)
    scorer: Scorer | PublishedDecider
    if policy.kind == "faithful":
        dims = point_dimensions(policy.points[encoder_point(policy)])
        scorer = PublishedDecider(policy, path, threads=threads or choose_threads(dims))
    else:
        scorer = load_scorer(path, policy)
    return PolicyTranscriber(
        policy,
        scorer,
        language=language,
        threshold=threshold,
        threads=threads,
        device=device,
        max_audio_s=max_audio_s,
        replicas=replicas,
    )
