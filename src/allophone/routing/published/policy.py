"""The published decider at work: its ONNX graph on a recording, and on the recordings of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.audio.mel import context_frames, log_mel
from allophone.costs.decider import decider_flops_on
from allophone.costs.formulas import audio_tokens
from allophone.files import file_sha256
from allophone.models.ctranslate2_engine import storage_view
from allophone.models.onnx_session import OnnxSession
from allophone.models.stopwatch import Stopwatch
from allophone.records.point import OperatingPoint
from allophone.routing.audio_features import mel_channels
from allophone.routing.feature_store import read_recordings
from allophone.routing.policy_file import RETRAIN, PolicyFile
from allophone.routing.routers import Order, Overhead, last_kept
from allophone.routing.samples import RecognitionRouteSamples, point_dimensions
from allophone.transcription.recording import EncodedRecording, cut_windows
from allophone.transcription.windows import EncodedWindows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allophone.dimensions.moonshine import RecognitionDimensions

__all__ = [
    "PublishedDecider",
    "PublishedDecision",
    "PublishedPolicy",
    "decider_flops",
    "encoder_point",
    "order_of",
    "replayed_faithful",
]


def encoder_point(policy: PolicyFile) -> int:
    """Return the point whose context is looked at: the last where its encoder is read, else the first."""
    return len(policy.points) - 1 if policy.reads == "big_encoder" else 0


def order_of(policy: PolicyFile) -> Order:
    """Return what has run when it decides."""
    orders: dict[str, Order] = {"big_encoder": "big_first", "encoder": "small_first", "mel": "direct"}
    return orders[policy.reads]


def decider_flops(dims: RecognitionDimensions, frames: Sequence[int], *, reads_encoder: bool) -> int:
    """Return the FLOPs of the decider alone on these windows; on a log-mel it has one position a frame, not a token.

    Args:
        dims: The model whose encoder is read, or on whose log-mel it works.
        frames: Log-mel frames of each window.
        reads_encoder: Whether it reads encoder states.
    """
    channels = mel_channels(dims)
    if reads_encoder:
        return sum(decider_flops_on(dims.n_audio_state, audio_tokens(count)) for count in frames)
    return sum(decider_flops_on(channels, count) for count in frames)


@dataclass(frozen=True, slots=True)
class PublishedDecision:
    """What the decider made of one recording.

    Args:
        probability: That the first point makes more errors.
        recording: Its windows through the encoder, for the point that was read; None where the log-mel was.
        frames: Log-mel frames of each window.
        prepare_s: Seconds of cutting windows and log-mel.
        encode_s: Seconds in the graph.
    """

    probability: float
    recording: EncodedRecording | None
    frames: tuple[int, ...]
    prepare_s: float
    encode_s: float


class PublishedDecider:
    """A policy's graph, loaded.

    Args:
        policy: The card.
        folder: Where the graph lies.
        threads: CPU threads.
    """

    def __init__(self, policy: PolicyFile, folder: Path, *, threads: int = 1) -> None:
        self.path = folder / policy.steps[0]
        self.point: OperatingPoint = policy.points[encoder_point(policy)]
        self._session = OnnxSession(self.path, RETRAIN, threads=threads)
        self._channels = mel_channels(point_dimensions(self.point))

    def look(self, samples: NDArray[np.float32]) -> PublishedDecision:
        """Decide on one recording; of several windows the mean of their logits counts, weighted by length.

        Without any window (long audio without speech) nothing speaks for the last point: the probability is 0.

        Args:
            samples: Shape (n_samples,), 16 kHz mono.
        """
        windows, cut = cut_windows(samples, self.point)
        passes, logits = [], []
        for window in windows:
            watch = Stopwatch()
            frames = context_frames(window.audio.size, self.point)
            mel = log_mel(window.audio, frames, self._channels)
            prepared = watch.lap()
            logit, *encoded = self._session.run({"mel": mel[None]})
            output = storage_view(encoded[0]) if encoded else None
            ran = watch.lap()
            cpu_s = prepared.cpu_s + ran.cpu_s
            passes.append(EncodedWindows((mel,), output, frames, prepared.wall_s, ran.wall_s, cpu_s))
            logits.append(float(logit[0]))
        counts = tuple(passed.frames for passed in passes)
        reads_encoder = any(passed.output is not None for passed in passes)
        mean = float(np.average(logits, weights=counts)) if logits else -np.inf
        return PublishedDecision(
            probability=float((1 + np.tanh(mean / 2)) / 2),
            recording=EncodedRecording(windows, passes, cut) if reads_encoder or not windows else None,
            frames=counts,
            prepare_s=cut.wall_s + sum(passed.prepare_s for passed in passes),
            encode_s=sum(passed.encode_s for passed in passes),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PublishedPolicy:
    """A policy of this kind, replayed on measured points.

    Args:
        policy: The card.
        probabilities: That the first point makes more errors, shape (n_utterances,).
    """

    policy: PolicyFile
    probabilities: FloatArray

    @property
    def name(self) -> str:
        """``faithful`` and what it reads."""
        return f"faithful on {self.policy.reads.replace('_', ' ')}"

    @property
    def order(self) -> Order:
        """What has run when it decides."""
        return order_of(self.policy)

    @property
    def overhead(self) -> Overhead:
        """Of the decider; the encoder that it reads is the order's."""
        card = self.policy
        return Overhead(
            card.overhead_flops, card.overhead_flops_per_audio_s, card.overhead_s, card.overhead_s_per_audio_s
        )

    def on(self, indices: IntArray) -> PublishedPolicy:
        """Return the same policy for some of the utterances only."""
        return PublishedPolicy(self.policy, self.probabilities[indices])

    def scores(self, samples: RecognitionRouteSamples) -> FloatArray:
        """The probabilities, one step."""
        del samples
        return self.probabilities[None]

    def kept(self, samples: RecognitionRouteSamples) -> IntArray:
        """Keep the point reached."""
        return last_kept(samples)


def replayed_faithful(
    policy: PolicyFile,
    folder: Path,
    samples: RecognitionRouteSamples,
    progress: Callable[[int, int], None] | None = None,
) -> PublishedPolicy:
    """Run the decider on the recordings of runs; what it said is kept beside their measurements.

    Args:
        policy: The card.
        folder: The policy's folder.
        samples: The utterances; their runs name the corpora.
        progress: Called with utterances looked at and wanted.

    Raises:
        CorpusError: A corpus is no longer where its run says, or no longer holds an utterance.
        AudioError: A recording cannot be read.
    """
    decider = PublishedDecider(policy, folder)
    name = f"faithful-{file_sha256(decider.path)[:16]}.npz"

    def look(recording: NDArray[np.float32]) -> tuple[float]:
        return (decider.look(recording).probability,)

    return PublishedPolicy(policy, read_recordings(samples, name, look, progress)[:, 0])
