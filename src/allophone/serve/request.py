"""One request while it is worked on, the recording that measures the first work rate, and a request's bill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.models.engine import TRANSCRIBE, DecoderPrompt
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Transcript
from allophone.routing.transcriber import RoutedTranscript
from allophone.serve.cost import RequestCost, encoder_positions, transcript_flags
from allophone.serve.work_queue import Job
from allophone.sweeps.isoflop import predicted_flops

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ALIASES", "WARM_UP_S", "Work", "bill_request", "warm_up_noise"]

ALIASES = ("whisper-1", "allophone")
WARM_UP_S = 5.0


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


def warm_up_noise() -> NDArray[np.float32]:
    """Return faint noise of :data:`WARM_UP_S`, shape (n_samples,): of silence a guard would decode nothing."""
    import numpy as np

    return (0.01 * np.random.default_rng(0).normal(size=round(WARM_UP_S * SAMPLE_RATE))).astype(np.float32)


def bill_request(
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
    """Return what a request cost.

    Args:
        work: The request.
        job: Its place in the queue.
        transcripts: Of all points that ran.
        kept: The one that is replied.
        reason: Why its point ran, in words.
        flops: Executed by everything that ran.
        reference: What always running the dearest setting would be.
        dims: Dimensions of the reference's model.
        routed: What the policy said, where there is one.
    """
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
