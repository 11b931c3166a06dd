"""Transcripts: words, the segments they stand in, and what each pass cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from allophone.records.point import OperatingPoint

__all__ = ["Segment", "Transcript", "Word"]

_SHOWN = 40  # characters of a text in a representation


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word with its place in the recording, in seconds, and its mean token probability.

    ``text`` keeps the space before the word where the language writes one, so words joined are the segment's text.
    """

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """The transcript of one window, with what it cost and how sure the model was.

    Args:
        start_s: Where the window starts in the recording, in seconds.
        end_s: Where it ends.
        text: Recognised text.
        tokens: Text tokens, end-of-text left out.
        token_count: Number of text tokens generated, end-of-text included where it was reached.
        frames: Log-mel frames that the encoder ran on; 0 where the decoder alone ran again, over an earlier pass's
            encoder output.
        tail_tokens: Audio tokens that the decoder saw beside those of ``frames``: the tail, or of a pass with 0 frames
            all of them.
        avg_logprob: Mean log-probability of the generated tokens.
        no_speech_prob: Probability of the no-speech token.
        compression_ratio: Bytes of the text over bytes of its zlib compression; loops compress well.
        truncated: Whether the text-token cap ended decoding.
        encode_s: Seconds in the encoder.
        decode_s: Seconds in the decoder, stride, detokenisation and word alignment included.
        words: Words with their times, where they were asked for.
        token_logprobs: Log-probability of each generated token, end-of-text included; empty where not asked for.
        token_entropies: Entropy in nats of the distribution that each was drawn from; empty where not asked for.
        confidence_s: Seconds that these two took, which are no part of ``decode_s``.
        cpu_s: Processor seconds of preparing, encoding and decoding, of all threads of the process: what this pass took
            where nothing else runs beside it.
        rejected: The other pass of a window that the guard had run again, with its own times; it may have one itself.
        beam_size: Beams of this pass where they are not the point's, else None.
    """

    start_s: float
    end_s: float
    text: str
    tokens: tuple[int, ...]
    token_count: int
    frames: int
    tail_tokens: int
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    truncated: bool
    encode_s: float
    decode_s: float
    words: tuple[Word, ...] = ()
    token_logprobs: tuple[float, ...] = ()
    token_entropies: tuple[float, ...] = ()
    confidence_s: float = 0.0
    rejected: Segment | None = None
    cpu_s: float = 0.0
    beam_size: int | None = None

    def __repr__(self) -> str:
        """Show where it is, its text and how long it took."""
        return f"Segment({self.start_s:.2f}-{self.end_s:.2f} s, {_shortened(self.text)!r}, {self.token_count} tokens)"

    def charged(self, wall_s: float, cpu_s: float) -> Segment:
        """Return the segment with so much more decoding on its bill.

        Args:
            wall_s: Seconds that passed.
            cpu_s: Processor seconds within them.
        """
        return replace(self, decode_s=self.decode_s + wall_s, cpu_s=self.cpu_s + cpu_s)


@dataclass(frozen=True, slots=True)
class Transcript:
    """One recording through one operating point.

    Args:
        point: The operating point that ran.
        text: The segments' texts, joined.
        language: Language code that the prompt named.
        duration_s: Length of the decoded recording in seconds.
        segments: One per window, in order.
        prepare_s: Seconds of time compression, voice-activity detection and log-mel.
        prompt_tokens: Tokens given to the decoder before the first generated one.
        cut_cpu_s: Processor seconds of time compression and voice-activity detection.
        notices: What is odd about the recording and was dealt with, one sentence each without a full stop.
    """

    point: OperatingPoint
    text: str
    language: str
    duration_s: float
    segments: tuple[Segment, ...]
    prepare_s: float
    prompt_tokens: int
    cut_cpu_s: float = 0.0
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show the text, its language and how long it took."""
        took = f"{self.duration_s:.1f} s of audio in {self.latency_s:.2f} s"
        return f"Transcript({_shortened(self.text)!r}, {self.language}, {took})"

    @property
    def passes(self) -> tuple[Segment, ...]:
        """Everything that ran: of a window that ran twice, the pass that was rejected before the one that stayed."""
        found: list[Segment] = []
        for segment in self.segments:
            turned_down, before = segment.rejected, len(found)
            while turned_down is not None:  # a part of a window that was cut may have been run twice itself
                found.insert(before, turned_down)
                turned_down = turned_down.rejected
            found.append(segment)
        return tuple(found)

    @property
    def encode_s(self) -> float:
        """Seconds in the encoder, over all passes."""
        return sum(passed.encode_s for passed in self.passes)

    @property
    def decode_s(self) -> float:
        """Seconds in the decoder, over all passes."""
        return sum(passed.decode_s for passed in self.passes)

    @property
    def latency_s(self) -> float:
        """Seconds from samples in memory to text."""
        return self.prepare_s + self.encode_s + self.decode_s

    @property
    def cpu_s(self) -> float:
        """Processor seconds within ``latency_s``, of all threads of the process."""
        return self.cut_cpu_s + sum(passed.cpu_s for passed in self.passes)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
