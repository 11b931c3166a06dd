"""A deterministic engine without weights, for tests of everything that stands on engines."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from allophone.dimensions import AUDIO_TOKEN_S, WHISPER_MODELS, WhisperDimensions, whisper_dimensions
from allophone.models.engine import Decoded
from allophone.records import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FakeEngine"]

_WORDS = (
    *("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath"),
    *("islet", "jetty", "knoll", "ledge", "meadow", "north", "opal", "pine"),
)
_SECONDS_PER_WORD = 0.4


class FakeEngine:
    """Reads "words" off the loudness of the log-mel, and mishears some of them.

    Bigger models mishear fewer words, a coarser stride more; which ones depends on the audio alone. ``perfect=True``
    mishears none: its transcripts are the references of a test corpus.

    Args:
        name: A name in the dimensions table.
        perfect: Whether to transcribe without errors.

    Raises:
        UnknownModelError: The name is not in the table.
    """

    def __init__(self, name: str, *, perfect: bool = False) -> None:
        self._dimensions = whisper_dimensions(name)
        self._error_share = 0.0 if perfect else 0.3 / (1 + list(WHISPER_MODELS).index(name))

    @property
    def dimensions(self) -> WhisperDimensions:
        """Dimensions of the model that is played."""
        return self._dimensions

    def encode(self, mel: NDArray[np.float32]) -> Any:
        """Return the mean of each audio token's two frames: shape ``(n_frames / 2,)``."""
        return mel.reshape(mel.shape[0], -1, 2).mean(axis=(0, 2))

    def append_tail(self, encoded: Any, positions: range) -> Any:
        """Repeat the quietest value of the window, which stands for silence."""
        import numpy as np

        return np.concatenate([encoded, np.full(len(positions), encoded.min(), encoded.dtype)])

    def features(self, encoded: Any) -> NDArray[np.float32]:
        """Return the loudness of each audio token as its only feature: shape ``(n_audio_tokens, 1)``."""
        features: NDArray[np.float32] = encoded[:, None]
        return features

    def decode(
        self,
        encoded: Any,
        *,
        token_stride: int,
        beam_size: int,
        max_tokens: int,
        language: str,
        confidence: bool = False,
    ) -> Decoded:
        """Return one word for every 0.4 s of sound; silence is the quietest value of the window."""
        silence = encoded.min()
        heard = [index for index, level in enumerate(encoded) if level > silence + 1e-3]
        span = (heard[-1] - heard[0] + 1) if heard else 0
        count = min(round(span * AUDIO_TOKEN_S / _SECONDS_PER_WORD), max_tokens)
        step = span / count if count else 0
        words = []
        for index in range(count):
            level = round(float(encoded[heard[0] + int(index * step)]), 2)
            draw = blake2b(f"{level}/{index}".encode(), digest_size=8).digest()
            chance = int.from_bytes(draw[:4], "big") / 2**32
            word = draw[4] % len(_WORDS)
            if chance < self._error_share * token_stride / beam_size**0.25:
                word = (word + 1 + draw[5] % (len(_WORDS) - 1)) % len(_WORDS)
            words.append(word)
        truncated = count == max_tokens
        steps = count + (not truncated) if confidence and beam_size == 1 else 0
        return Decoded(
            text=" ".join(_WORDS[word] for word in words),
            tokens=tuple(words),
            token_count=count + (not truncated),
            avg_logprob=-self._error_share,
            no_speech_prob=0.0 if words else 1.0,
            truncated=truncated,
            token_logprobs=(-self._error_share,) * steps,
            token_entropies=(self._error_share,) * steps,
        )

    def align(self, encoded: Any, tokens: Sequence[int], *, token_stride: int, language: str) -> list[Word]:
        """Return one word a token, 0.4 s apart."""
        return [
            Word(f" {_WORDS[token]}", index * _SECONDS_PER_WORD, (index + 1) * _SECONDS_PER_WORD, 1.0)
            for index, token in enumerate(tokens)
        ]

    def detect_language(self, encoded: Any) -> str:
        """Return ``en``."""
        return "en"

    def prompt_tokens(self, language: str) -> int:
        """Return 4 for multilingual models, 2 for English-only ones."""
        return 4 if self._dimensions.multilingual else 2
