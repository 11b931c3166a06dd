"""Engine protocol between allophone and whatever runs a model: encode one window, decode one window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from allophone.dimensions.moonshine import MOONSHINE_MODELS, RecognitionDimensions
from allophone.dimensions.whisper import MAX_TEXT_TOKENS
from allophone.records.transcript import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "MOST_CONTEXT_TOKENS",
    "TRANSCRIBE",
    "Decoded",
    "DecoderPrompt",
    "Engine",
    "Task",
    "load_engine",
    "require_weights",
    "text_token_cap",
]

FAKE_PREFIX = "fake:"
# Beside a window's 224 text tokens, the four of the task and the one before them the decoder has room for so many.
MOST_CONTEXT_TOKENS = MAX_TEXT_TOKENS // 2 - 4
# Fast speech is about 5 tokens per second; a window that wants more than this is a repetition loop.
_TOKENS_PER_SECOND = 8
_TOKENS_AT_LEAST = 20


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder made of one window; the fields are those of :class:`allophone.records.Segment`."""

    text: str
    tokens: tuple[int, ...]
    token_count: int
    avg_logprob: float
    no_speech_prob: float
    truncated: bool
    token_logprobs: tuple[float, ...] = ()
    token_entropies: tuple[float, ...] = ()
    confidence_s: float = 0.0


Task = Literal["transcribe", "translate"]


@dataclass(frozen=True, slots=True)
class DecoderPrompt:
    """What the decoder is told before it begins, beside the language.

    Args:
        task: To write what was said, or its translation into English.
        context: Text that is taken for what was said before: its spelling of names and its style are followed.
    """

    task: Task = "transcribe"
    context: str = ""


TRANSCRIBE = DecoderPrompt()


class Engine(Protocol):
    """One loaded model in one number format."""

    @property
    def dimensions(self) -> RecognitionDimensions:
        """Dimensions of the loaded weights."""
        ...

    @property
    def device(self) -> str:
        """Where it runs: ``cpu`` or ``cuda``."""
        ...

    @property
    def replicas(self) -> int:
        """How many calls run at once, from as many Python threads; more wait their turn."""
        ...

    def prepare(self, audio: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
        """Turn one window's audio into what the encoder reads.

        Args:
            audio: Shape ``(n_samples,)``, 16 kHz; silence follows it up to the frames.
            n_frames: Frames of 10 ms to run on, an even number, up to the trained context.

        Returns:
            Log-mel of shape ``(n_mels, n_frames)``; for a model that reads samples, those, shape ``(n_samples,)``.
        """
        ...

    def encode(self, mel: NDArray[np.float32]) -> Any:
        """Run the encoder on one window, or on a batch of windows with equally many frames.

        Args:
            mel: What :meth:`prepare` returned, or several of them stacked.

        Returns:
            Audio tokens in the engine's own form, ``n_frames / 2`` a window in Whisper, to be handed to
            :meth:`decode`, or for a batch to :meth:`decode_batch`.
        """
        ...

    def row(self, encoded: Any, index: int) -> Any:
        """Return one window of an encoded batch, as if it had been encoded alone."""
        ...

    def append_tail(self, encoded: Any, positions: range, *, learned: int = 0) -> Any:
        """Append a tail to every window: the encoder's outputs of a full context of silence, or learned vectors.

        The silent context is encoded, and the learned tail read, when it is first needed, and kept.

        Args:
            encoded: What :meth:`encode` returned; it is not changed.
            positions: Positions of the trained context; none returns ``encoded`` as it is.
            learned: How many vectors the learned tail has, of which the last take these positions; 0 for silence.

        Raises:
            WeightsError: The model has no such tail.
        """
        ...

    def features(self, encoded: Any) -> NDArray[np.float32]:
        """Return an encoded window as an array of shape ``(n_audio_tokens, n_audio_state)``."""
        ...

    def decode(
        self,
        encoded: Any,
        *,
        token_stride: int,
        beam_size: int,
        max_tokens: int,
        language: str,
        confidence: bool = False,
        repetition_penalty: float = 1.0,
        prompt: DecoderPrompt = TRANSCRIBE,
    ) -> Decoded:
        """Decode one encoded window: a batch of one.

        Args:
            encoded: What :meth:`encode` or :meth:`append_tail` returned; it is not changed and can be decoded again.
            token_stride: The decoder sees every n-th audio token.
            beam_size: Beams; 1 is greedy.
            max_tokens: Most text tokens to generate.
            language: Language code for the prompt; English-only models ignore it.
            confidence: Whether to read each token's log-probability and entropy; with beams they stay empty.
            repetition_penalty: What logits of tokens that were generated already are divided by, negative ones
                multiplied (arXiv 1909.05858, equation 3); 1 changes nothing.
            prompt: What the decoder is told beside the language.

        Raises:
            UsageError: The model knows no such language or task.
        """
        (decoded,) = self.decode_batch(
            encoded,
            token_stride=token_stride,
            beam_size=beam_size,
            max_tokens=max_tokens,
            languages=[language],
            confidence=confidence,
            repetition_penalty=repetition_penalty,
            prompt=prompt,
        )
        return decoded

    def decode_batch(
        self,
        encoded: Any,
        *,
        token_stride: int,
        beam_size: int,
        max_tokens: int,
        languages: Sequence[str],
        confidence: bool = False,
        repetition_penalty: float = 1.0,
        prompt: DecoderPrompt = TRANSCRIBE,
    ) -> list[Decoded]:
        """Decode a batch of encoded windows together.

        Args:
            encoded: What :meth:`encode` or :meth:`append_tail` returned for ``n_windows`` windows.
            token_stride: As in :meth:`decode`.
            beam_size: As in :meth:`decode`.
            max_tokens: Most text tokens to generate for each window.
            languages: One language code per window.
            confidence: As in :meth:`decode`.
            repetition_penalty: As in :meth:`decode`.
            prompt: As in :meth:`decode`; all windows have the same.
        """
        ...

    def text_of(self, tokens: Sequence[int]) -> str:
        """Return the text that text tokens write, without white space around it."""
        ...

    def align(self, encoded: Any, tokens: Sequence[int], *, token_stride: int, language: str) -> list[Word]:
        """Find where the words of a decoded window lie.

        Args:
            encoded: What :meth:`encode` returned.
            tokens: The text tokens that :meth:`decode` returned for it.
            token_stride: As given to :meth:`decode`.
            language: As given to :meth:`decode`.

        Returns:
            Words in order, in seconds from the start of the encoded window.
        """
        ...

    def detect_language(self, encoded: Any) -> str:
        """Return the likeliest language code; ``en`` for English-only models."""
        ...

    def prompt_tokens(self, language: str, prompt: DecoderPrompt = TRANSCRIBE) -> int:
        """Return how many tokens the decoder is given before the first generated one."""
        ...


def text_token_cap(audio_s: float) -> int:
    """Return the most text tokens that a window may generate: 8 a second of audio and 20, at most 224.

    It bounds runaway loops. 224 is half the decoder's positions, the limit that openai/whisper also sets.
    """
    return min(int(_TOKENS_PER_SECOND * audio_s) + _TOKENS_AT_LEAST, MAX_TEXT_TOKENS // 2)


def load_engine(model: str, compute_type: str, *, threads: int = 0, replicas: int = 1, device: str = "cpu") -> Engine:
    """Load a model's weights.

    Args:
        model: A name in the dimensions tables, a CTranslate2 folder, a hub repository, or ``fake:NAME`` for the
            deterministic engine of the tests.
        compute_type: Number format, as in :class:`allophone.records.OperatingPoint`.
        threads: CPU threads of each replica; 0 chooses by the model's size (:mod:`allophone.models.threads`).
        replicas: How many calls may run at once over the same weights; 0 takes one for every ``threads`` physical
            cores, and one on a GPU, where batches do that work.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        UnknownModelError: No such model.
        WeightsError: The weights cannot be found or are damaged.
        SpaceError: This device has no such compute type.
        MissingExtraError: The package that brings the weights is missing.
    """
    if model.startswith(FAKE_PREFIX):
        from allophone.models.fake import FakeEngine

        return FakeEngine(model.removeprefix(FAKE_PREFIX))
    if model in MOONSHINE_MODELS:
        from allophone.models.moonshine_engine import MoonshineEngine
        from allophone.models.moonshine_weights import resolve_moonshine

        return MoonshineEngine(
            resolve_moonshine(model), compute_type, threads=threads, replicas=replicas, device=device
        )
    from allophone.models.ctranslate2_engine import CTranslate2Engine
    from allophone.models.weights import resolve_weights

    return CTranslate2Engine(resolve_weights(model), compute_type, threads=threads, replicas=replicas, device=device)


def require_weights(model: str) -> None:
    """Make sure that a model can be loaded: its weights are here, or are fetched from the hub now.

    Args:
        model: As for :func:`load_engine`.

    Raises:
        UnknownModelError: No such model.
        WeightsError: The weights cannot be found or are damaged.
        MissingExtraError: The package that brings them is missing.
    """
    if model.startswith(FAKE_PREFIX):
        return
    from allophone.models.moonshine_weights import resolve_moonshine
    from allophone.models.weights import resolve_weights

    if model in MOONSHINE_MODELS:
        resolve_moonshine(model)
    else:
        resolve_weights(model)
