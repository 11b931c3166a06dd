"""The tables of arXiv 2606.22790, recomputed by its own formulas and set beside what is executed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from allophone.costs.executed import whisper_flops
from allophone.costs.parameters import model_parameters
from allophone.costs.published import published_ser_flops, published_whisper_flops
from allophone.costs.speech import speech_flops
from allophone.dimensions.speech_encoders import speech_encoder_dimensions
from allophone.dimensions.whisper import MAX_TEXT_TOKENS, SAMPLE_RATE, whisper_dimensions

__all__ = [
    "ASR_TABLE",
    "PAPER",
    "SER_TABLE",
    "AsrReproduction",
    "Claim",
    "Reproduction",
    "SerReproduction",
    "reproduce",
]

PAPER = "2606.22790"
GIGA = 10**9
STATED_TEXT_TOKENS = 20  # what the paper's code assumes for every utterance
EXECUTED_PROMPT_TOKENS = 4  # start, language, task, no timestamps
EXECUTED_FRAMES = 3000  # its "750 frames" clips the audio and pads it back to 30 s
SER_CLASSIFIER_WIDTH = 256  # projection before the classifier in transformers' ...ForSequenceClassification
SER_CLASSES = 4  # three more or fewer change no printed digit

# Model, audio tokens, stride, printed GFLOPs. Source: arXiv 2606.22790, table of speech recognition.
ASR_TABLE: tuple[tuple[str, int, int, str], ...] = (
    ("tiny", 750, 1, "29.3"),
    ("tiny", 1500, 2, "46.0"),
    ("tiny", 1500, 1, "63.7"),
    ("small", 750, 1, "351.5"),
    ("small", 1500, 2, "510.0"),
    ("small", 1500, 1, "722.4"),
    ("medium", 750, 1, "1202.6"),
    ("medium", 1500, 2, "1776.6"),
    ("medium", 1500, 1, "2531.5"),
    ("large-v3", 750, 1, "2573.1"),
    ("large-v3", 1500, 1, "5228.0"),
)

# Model, seconds, adaptation, printed GFLOPs. Source: arXiv 2606.22790, table of emotion recognition.
SER_TABLE: tuple[tuple[str, str, str, str], ...] = (
    ("wav2vec2-large-robust", "4.0", "full", "126.3"),
    ("wav2vec2-base", "4.0", "lora16+top4", "37.8"),
    ("wav2vec2-large-robust", "4.0", "lora64+top4", "126.3"),
    ("wav2vec2-large-robust", "4.0", "lora32+top4", "126.3"),
    ("wav2vec2-large-robust", "4.0", "lora16+top8", "126.3"),
    ("wav2vec2-large-robust", "4.0", "lora16+top4", "126.3"),
    ("wav2vec2-large-robust", "6.0", "lora16+top4", "189.4"),
    ("wav2vec2-large-robust", "2.0", "lora16+top4", "63.1"),
    ("wav2vec2-large-robust", "4.0", "lora8+top4", "126.3"),
    ("wav2vec2-large-robust", "4.0", "lora16+top0", "126.3"),
)


@dataclass(frozen=True, slots=True)
class AsrReproduction:
    """One row of the table of speech recognition.

    Args:
        model: Whisper size.
        audio_tokens: What the paper calls frames.
        token_stride: Every n-th audio token reaches the decoder.
        printed_gflops: As printed.
        text_tokens: The number of text tokens that the formula needs to give the printed digits: 20 where 20 does,
            the nearest to 20 where it does not.
        formula_flops: The published formula with that many text tokens.
        executed_flops: What runs for as many text tokens: 1500 audio tokens in every row.
    """

    model: str
    audio_tokens: int
    token_stride: int
    printed_gflops: str
    text_tokens: int
    formula_flops: Fraction
    executed_flops: int

    @property
    def ratio(self) -> float:
        """Executed over published."""
        return float(self.executed_flops / self.formula_flops)


@dataclass(frozen=True, slots=True)
class SerReproduction:
    """One row of the table of emotion recognition; ``parameters`` are those of encoder, projection and classifier."""

    model: str
    duration_s: str
    adaptation: str
    printed_gflops: str
    parameters: int
    formula_flops: Fraction
    executed_flops: int
    stem_share: float

    @property
    def ratio(self) -> float:
        """Executed over published."""
        return float(self.executed_flops / self.formula_flops)


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of the paper, what its own tables give, and what is executed (None where it says nothing of it).

    Ratios are plain numbers; savings are fractions.
    """

    statement: str
    stated: float | None
    tables: float
    executed: float | None


@dataclass(frozen=True, slots=True)
class Reproduction:
    """All rows and the statements that they contradict."""

    asr: tuple[AsrReproduction, ...]
    ser: tuple[SerReproduction, ...]
    claims: tuple[Claim, ...]


def reproduce() -> Reproduction:
    """Recompute both tables and the statements made about them."""
    asr = tuple(_asr_row(*row) for row in ASR_TABLE)
    ser = tuple(_ser_row(*row) for row in SER_TABLE)
    return Reproduction(asr, ser, _claims(asr, ser))


def prints_as(flops: Fraction, printed_gflops: str) -> bool:
    """Whether a count rounds to the printed GFLOPs, to one decimal."""
    return round(flops / GIGA, 1) == Fraction(printed_gflops)


def reproducing_text_tokens(model: str, audio_tokens: int, token_stride: int, printed_gflops: str) -> int | None:
    """Return the text tokens nearest to 20 with which the formula gives the printed digits, None where none does."""
    dims = whisper_dimensions(model)
    for text_tokens in sorted(range(1, MAX_TEXT_TOKENS + 1), key=lambda count: abs(count - STATED_TEXT_TOKENS)):
        flops = published_whisper_flops(
            dims, audio_tokens=audio_tokens, text_tokens=text_tokens, token_stride=token_stride
        )
        if prints_as(flops.total, printed_gflops):
            return text_tokens
    return None


def _asr_row(model: str, audio_tokens: int, token_stride: int, printed_gflops: str) -> AsrReproduction:
    text_tokens = reproducing_text_tokens(model, audio_tokens, token_stride, printed_gflops) or STATED_TEXT_TOKENS
    dims = whisper_dimensions(model)
    formula = published_whisper_flops(
        dims, audio_tokens=audio_tokens, text_tokens=text_tokens, token_stride=token_stride
    )
    executed = whisper_flops(
        dims,
        window_frames=[EXECUTED_FRAMES],
        window_tokens=[text_tokens],
        prompt_tokens=EXECUTED_PROMPT_TOKENS,
        token_stride=token_stride,
    )
    return AsrReproduction(
        model, audio_tokens, token_stride, printed_gflops, text_tokens, formula.total, executed.total
    )


def _ser_row(model: str, duration_s: str, adaptation: str, printed_gflops: str) -> SerReproduction:
    dims = speech_encoder_dimensions(model)
    width, hidden = dims.hidden_size, SER_CLASSIFIER_WIDTH
    counted = model_parameters(dims) + width * hidden + hidden + hidden * SER_CLASSES + SER_CLASSES
    samples = int(Fraction(duration_s) * SAMPLE_RATE)
    executed = speech_flops(dims, samples=samples, classes=SER_CLASSES)
    formula = published_ser_flops(counted, float(duration_s))
    return SerReproduction(
        model, duration_s, adaptation, printed_gflops, counted, formula, executed.total, executed.stem_share
    )


def _claims(asr: tuple[AsrReproduction, ...], ser: tuple[SerReproduction, ...]) -> tuple[Claim, ...]:
    recognised = {(row.model, row.audio_tokens, row.token_stride): row for row in asr}
    full, strided, clipped = (
        recognised["small", tokens, stride] for tokens, stride in ((1500, 1), (1500, 2), (750, 1))
    )
    large, base = ser[0], ser[1]
    return (
        Claim(
            "emotion recognition: the large encoder costs this many times the base one",
            4.3,
            float(Fraction(large.printed_gflops) / Fraction(base.printed_gflops)),
            large.executed_flops / base.executed_flops,
        ),
        Claim(
            "small: token stride 2 saves this share of the compute",
            None,
            1 - float(Fraction(strided.printed_gflops) / Fraction(full.printed_gflops)),
            1 - strided.executed_flops / full.executed_flops,
        ),
        Claim(
            "small: 750 frames save this share of the compute (the input is padded back to 1500)",
            None,
            1 - float(Fraction(clipped.printed_gflops) / Fraction(full.printed_gflops)),
            1 - clipped.executed_flops / full.executed_flops,
        ),
    )
