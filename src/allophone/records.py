"""The frozen records that stages hand to each other.

A record holds inputs first, then raw counts, then nothing: rates are computed where they are read, so that sums over
utterances stay exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from allophone.dimensions import TRAINED_CONTEXT_S
from allophone.moonshine_dimensions import MOONSHINE_MODELS

__all__ = [
    "TAIL_PATTERN",
    "ComputeType",
    "Context",
    "Measurement",
    "OperatingPoint",
    "Segment",
    "Transcript",
    "Utterance",
    "Word",
]

Context = Literal["full", "fit"]
TAIL_PATTERN = r"^(none|all|every-([2-9]|[1-9]\d{1,3})|last-[1-9]\d{0,3})$"
ComputeType = Literal[
    "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording with its reference.

    Args:
        id: Name of the utterance, unique in its corpus.
        audio_filepath: Where the recording lies.
        duration_s: Length in seconds as the corpus states it, or None where it states none.
        text: Reference transcript, or None.
        label: Reference class for emotion recognition, or None.
        speaker: Who speaks, or None.
        offset_s: Where in the recording the utterance begins, in seconds, if it is a part of one: then it lasts
            ``duration_s``, or to the end where that is None. None where the whole recording is the utterance.
    """

    id: str
    audio_filepath: Path
    duration_s: float | None = None
    text: str | None = None
    label: str | None = None
    speaker: str | None = None
    offset_s: float | None = None


class OperatingPoint(BaseModel):
    """One setting of all knobs of a speech recogniser: what a sweep measures and ``transcribe`` runs.

    ``context="full"`` pads every window to the 30 s the encoder was trained on; ``context="fit"`` runs the encoder on
    the audio plus ``margin_s``, at least ``floor_s``. The decoder then sees the encoder's outputs for pure silence at
    the positions that were left out, as ``tail`` says: ``none`` of them, ``all``, every n-th (``every-4``) or only the
    last n (``last-300``). ``guard`` runs a window again at full context when its short pass went wrong. A full context
    has none of these, so they are set to nothing there and equal settings compare equal. Moonshine has no trained
    context to pad to: its context is always ``fit`` without any of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1, description="name in the dimensions table, or a CTranslate2 folder")
    window_s: float = Field(TRAINED_CONTEXT_S, gt=0, le=TRAINED_CONTEXT_S, description="seconds of audio per pass")
    context: Context = Field("full", description="positions that the encoder runs on")
    margin_s: float = Field(0.0, ge=0, le=TRAINED_CONTEXT_S, description="seconds of silence after the audio")
    floor_s: float = Field(0.0, ge=0, le=TRAINED_CONTEXT_S, description="least seconds that the encoder runs on")
    tail: str = Field("none", pattern=TAIL_PATTERN, description="silent positions that the decoder sees after a fit")
    guard: bool = Field(False, description="whether a fit pass that went wrong is run again at full context")
    token_stride: int = Field(1, ge=1, le=100, description="every n-th audio token reaches the decoder")
    speed: float = Field(1.0, ge=0.5, le=4.0, description="pitch-preserving time compression")
    compute_type: ComputeType = Field("int8", description="number format of weights and activations")
    beam_size: int = Field(1, ge=1, le=32, description="beams of the decoder; 1 is greedy")

    @model_validator(mode="before")
    @classmethod
    def _without_idle_knobs(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        moonshine = data.get("model") in MOONSHINE_MODELS
        if moonshine or data.get("context", "full") == "full":
            context = "fit" if moonshine else "full"
            return {**data, "context": context, "margin_s": 0.0, "floor_s": 0.0, "tail": "none", "guard": False}
        return data

    @property
    def name(self) -> str:
        """Short name, unique among points and safe as a file name, e.g. ``tiny.en-fit+1t4g-s2-int8-b1``."""
        parts = [self.model_slug, self.context_name]
        if self.window_s != TRAINED_CONTEXT_S:
            parts.append(f"w{self.window_s:.12g}")
        if self.speed != 1.0:
            parts.append(f"x{self.speed:.12g}")
        parts += [f"s{self.token_stride}", self.compute_type, f"b{self.beam_size}"]
        return "-".join(parts)

    @property
    def context_name(self) -> str:
        """The context knobs in short, e.g. ``full``, ``fit+2f10``, ``fit+1tall``, ``fit+1t4g``, ``fit+1tlast300``."""
        if self.context == "full":
            return "full"
        floor = f"f{self.floor_s:.12g}" if self.floor_s else ""
        tail = "" if self.tail == "none" else "t" + self.tail.removeprefix("every-").replace("-", "")
        return f"fit+{self.margin_s:.12g}{floor}{tail}" + ("g" if self.guard else "")

    @property
    def model_slug(self) -> str:
        """The model's name, or for a folder its last part and a digest of the whole path."""
        if re.fullmatch(r"[\w.:-]+", self.model):
            return self.model.replace(":", ".")
        from hashlib import sha256

        last = re.sub(r"[^\w.-]", "_", PureWindowsPath(self.model).name)  # knows both kinds of slash
        return f"{last}@{sha256(self.model.encode()).hexdigest()[:8]}"

    @property
    def encode_key(self) -> tuple[object, ...]:
        """Points with equal keys share every encoder pass: only tail, guard, stride and beam differ."""
        return (self.model, self.compute_type, self.window_s, self.context, self.margin_s, self.floor_s, self.speed)

    @property
    def weights_key(self) -> tuple[str, str]:
        """Points with equal keys run on the same loaded model."""
        return (self.model, self.compute_type)


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
        frames: Log-mel frames that the encoder ran on.
        tail_tokens: Silent audio tokens appended to the encoder's output.
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
        rejected: The other pass of a window that the guard had run twice, with its own times.
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


@dataclass(frozen=True, slots=True)
class Measurement:
    """One ledger row: one utterance through one operating point. Columns of ``measurements/POINT.parquet``.

    Times are seconds and what this point alone would pay, even where an encoder pass was shared. ``latency_s`` is
    ``prepare_s + encode_s + decode_s``; reading the file (``load_s``) is the same for every point and stands apart.
    ``roofline_s`` is the least time that the executed FLOPs and the weights read take at this machine's measured rates.
    FLOPs are counted by two conventions, ``executed`` and ``published`` (docs/conventions.md).
    The ``window_`` lists have one entry a pass; of a window that the guard had run twice, the rejected pass comes
    first, and ``rejected_windows`` counts them. ``token_logprobs`` and ``token_entropies`` (nats) are those of all
    tokens of the passes that stayed, end-of-text included; reading them took ``confidence_s``, no part of latency.
    ``utterance_index`` is the place in the corpus, from 0. ``normalizer`` names how both texts were normalised before
    the words were counted. ``relative_to`` names the model whose transcripts stand in for references, or is None where
    the reference is the corpus's own. ``error`` names why an utterance could not be measured; the counts are then 0
    and the row enters no rate. ``snr_db`` is estimated from the recording (:mod:`allophone.audio.snr`); None where it
    cannot be, and in runs of before there was such a column. ``cpu_s`` is the processor time of all threads of the
    worker within ``latency_s``, ``load_average`` the system's over the last minute, ``threads`` how many the run's own
    workers may keep busy at once; None where the system does not tell,
    on a GPU (``cpu_s``), and in older runs.
    ``peak_memory_bytes`` is watched on some recordings only, in a pass of its own: None elsewhere. ``notice`` says what
    is odd about a recording that was measured all the same, such as packets that cannot be decoded. The ``character_``
    counts are those of the same texts character by character, white space left out; None in older runs.
    """

    point: str
    utterance_index: int
    utterance_id: str
    speaker: str | None
    duration_s: float
    reference: str
    hypothesis: str
    normalizer: str
    relative_to: str | None
    hits: int
    substitutions: int
    insertions: int
    deletions: int
    text_tokens: int
    prompt_tokens: int
    window_frames: list[int]
    window_tail: list[int]
    window_tokens: list[int]
    truncated_windows: int
    rejected_windows: int
    avg_logprob: float | None
    no_speech_prob: float | None
    compression_ratio: float | None
    token_logprobs: list[float]
    token_entropies: list[float]
    confidence_s: float
    load_s: float
    prepare_s: float
    encode_s: float
    decode_s: float
    latency_s: float
    executed_flops: int
    published_flops: int
    roofline_s: float | None
    peak_memory_bytes: int | None
    error: str | None
    snr_db: float | None = None
    cpu_s: float | None = None
    load_average: float | None = None
    threads: int | None = None
    notice: str | None = None
    character_hits: int | None = None
    character_substitutions: int | None = None
    character_insertions: int | None = None
    character_deletions: int | None = None
