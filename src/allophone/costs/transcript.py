"""Executed FLOPs of a transcript that was made."""

from __future__ import annotations

from allophone.costs.executed import WhisperFlops
from allophone.costs.recognition import recognition_flops
from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.records.transcript import Transcript

__all__ = ["transcript_flops"]


def transcript_flops(dims: RecognitionDimensions, transcript: Transcript) -> WhisperFlops:
    """Count all that ran for a transcript: every pass with its own beams, those that the guard rejected included.

    Args:
        dims: The model that ran.
        transcript: What it made.
    """
    flops = [
        recognition_flops(
            dims,
            window_frames=[passed.frames],
            window_tail=[passed.tail_tokens],
            window_tokens=[passed.token_count],
            prompt_tokens=transcript.prompt_tokens,
            token_stride=transcript.point.token_stride,
            beam_size=passed.beam_size or transcript.point.beam_size,
            no_speech_prob=True,
        )
        for passed in transcript.passes
    ]
    return WhisperFlops(
        stem=sum(part.stem for part in flops),
        encoder=sum(part.encoder for part in flops),
        cross_kv=sum(part.cross_kv for part in flops),
        decoder=sum(part.decoder for part in flops),
        head=sum(part.head for part in flops),
    )
