"""What a request cost and why: one record, shown under one key of a JSON reply and as headers of any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from allophone.dimensions.whisper import AUDIO_TOKEN_S, FRAMES_PER_AUDIO_TOKEN
from allophone.records.transcript import Transcript
from allophone.transcription.fallback import LEAST_AVG_LOGPROB

__all__ = ["RequestCost", "encoder_positions", "transcript_flags"]


@dataclass(frozen=True, slots=True)
class RequestCost:
    """One request's bill.

    Args:
        point: Id of the point whose transcript was kept.
        title: Its name for people.
        reason: Why this point ran, in words.
        ran: Ids of all points that ran.
        scores: The router's, in order; empty without a policy.
        threshold: Above it the next point ran; None without a policy.
        gflops: Executed by everything that ran.
        reference: Name of what always running the dearest setting would be.
        reference_gflops: What that would have executed, as predicted from the length.
        queue_s: Seconds between admission and the first pass.
        decode_audio_s: Seconds from the upload's bytes to samples.
        prepare_s: Seconds of voice activity detection and log-mel.
        encode_s: Seconds in the encoder.
        generate_s: Seconds in the decoder.
        positions_used: Encoder positions that held audio.
        positions_padded: Encoder positions that held silence behind it, or were run a second time.
        flags: ``silence``, ``fallback``, ``low_confidence``, ``truncated``, ``outside_calibrated_range``, ``notices``.
        notices: What is odd about the recording or the request, in words.
    """

    point: str
    title: str
    reason: str
    ran: tuple[str, ...]
    scores: tuple[float, ...]
    threshold: float | None
    gflops: float
    reference: str
    reference_gflops: float
    queue_s: float
    decode_audio_s: float
    prepare_s: float
    encode_s: float
    generate_s: float
    positions_used: int
    positions_padded: int
    flags: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the record as it stands under ``allophone`` in a JSON reply."""
        return {
            "point": self.point,
            "title": self.title,
            "reason": self.reason,
            "ran": list(self.ran),
            "scores": list(self.scores),
            "threshold": self.threshold,
            "gflops": round(self.gflops, 3),
            "reference": {"title": self.reference, "gflops": round(self.reference_gflops, 3)},
            "seconds": {name: round(seconds, 6) for name, seconds in self.seconds().items()},
            "encoder_positions": {"used": self.positions_used, "padded": self.positions_padded},
            "flags": list(self.flags),
            "notices": list(self.notices),
        }

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage by name."""
        return {
            "queue": self.queue_s,
            "decode_audio": self.decode_audio_s,
            "prepare": self.prepare_s,
            "encode": self.encode_s,
            "generate": self.generate_s,
        }

    def as_log(self) -> dict[str, Any]:
        """Return what a log may hold: no text, no words of a client."""
        return {
            "point": self.point,
            "scores": list(self.scores),
            "gflops": round(self.gflops, 3),
            **{f"{name}_s": round(seconds, 4) for name, seconds in self.seconds().items()},
            "flags": list(self.flags),
        }

    def headers(self) -> dict[str, str]:
        """Return the record as headers."""
        found = {
            "x-allophone-point": self.point,
            "x-allophone-gflops": f"{self.gflops:.3f}",
            "x-allophone-reference-gflops": f"{self.reference_gflops:.3f}",
            "x-allophone-encoder-positions": f"used={self.positions_used};padded={self.positions_padded}",
            "x-allophone-flags": ",".join(self.flags),
            "x-allophone-reason": self.reason,
        }
        if self.scores:
            found["x-allophone-score"] = ",".join(f"{score:.6g}" for score in self.scores)
            found["x-allophone-threshold"] = f"{self.threshold:.6g}"
        for name, seconds in self.seconds().items():
            found[f"x-allophone-{name.replace('_', '-')}-seconds"] = f"{seconds:.6f}"
        # A header is bytes of ISO 8859-1 on one line.
        return {name: " ".join(value.encode("ascii", "replace").decode().split()) for name, value in found.items()}


def encoder_positions(transcripts: Sequence[Transcript]) -> tuple[int, int]:
    """Return how many encoder positions held new audio, and how many silence or audio that had been encoded before.

    Args:
        transcripts: All that ran for one recording, the first of them first.
    """
    executed = sum(
        passed.frames // FRAMES_PER_AUDIO_TOKEN for transcript in transcripts for passed in transcript.passes
    )
    first = transcripts[0] if transcripts else None
    heard_s = 0.0 if first is None else sum(part.end_s - part.start_s for part in first.segments) / first.point.speed
    used = min(executed, ceil(heard_s / AUDIO_TOKEN_S))
    return used, executed - used


def transcript_flags(transcript: Transcript, outside: Sequence[str]) -> tuple[str, ...]:
    """Return what there is to say of a transcript in words that programs read.

    Args:
        transcript: The one that was kept.
        outside: What lies outside the range that a policy was trained on.
    """
    passes = transcript.passes
    spoken = [part for part in transcript.segments if part.text]
    found = {
        "silence": not transcript.text,
        "fallback": any(part.rejected is not None for part in passes),
        "low_confidence": any(part.avg_logprob < LEAST_AVG_LOGPROB for part in spoken),
        "truncated": any(part.truncated for part in transcript.segments),
        "outside_calibrated_range": bool(outside),
        "notices": bool(transcript.notices),
    }
    return tuple(name for name, here in found.items() if here)
