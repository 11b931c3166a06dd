"""What a transcript that was made has executed."""

from __future__ import annotations

from allophone.costs.executed import WhisperFlops
from allophone.costs.recognition import recognition_flops
from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.records.transcript import Transcript

__all__ = ["transcript_flops"]


def transcript_flops(dims: RecognitionDimensions, transcript: Transcript) -> WhisperFlops:
    """Count everything that ran for a transcript: every pass, those that the guard rejected included.

    Args:
        dims: The model that ran.
        transcript: What it made.
    """
    passes = transcript.passes
    return recognition_flops(
        dims,
        window_frames=[passed.frames for passed in passes],
        window_tail=[passed.tail_tokens for passed in passes],
        window_tokens=[passed.token_count for passed in passes],
        prompt_tokens=transcript.prompt_tokens,
        token_stride=transcript.point.token_stride,
        beam_size=transcript.point.beam_size,
        no_speech_prob=True,
    )
