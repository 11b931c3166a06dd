"""Fake engine: deterministic and without weights, for tests of everything that stands on engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from allophone.audio.mel import log_mel
from allophone.dimensions.whisper import (
    AUDIO_TOKEN_S,
    WHISPER_MODELS,
    WhisperDimensions,
    prompt_names,
    whisper_dimensions,
)
from allophone.models.engine import MOST_CONTEXT_TOKENS, TRANSCRIBE, Decoded, DecoderPrompt, Engine, Task
from allophone.records.transcript import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FakeEngine"]

_WORDS = (
    *("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath"),
    *("islet", "jetty", "knoll", "ledge", "meadow", "north", "opal", "pine"),
)
_SECONDS_PER_WORD = 0.4


class FakeEngine(Engine):
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

    @property
    def device(self) -> str:
        """Return ``cpu``."""
        return "cpu"

    @property
    def replicas(self) -> int:
        """Return 2, so that whatever stands on an engine meets results in any order."""
        return 2

    def prepare(self, audio: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
        """Return the log-mel; see :class:`allophone.models.engine.Engine`."""
        return log_mel(audio, n_frames, self._dimensions.n_mels)

    def encode(self, mel: NDArray[np.float32]) -> Any:
        """Return the mean of each audio token's two frames: shape ``(n_windows, n_frames / 2)``."""
        mels = mel[None] if mel.ndim == 2 else mel
        return mels.reshape(*mels.shape[:2], -1, 2).mean(axis=(1, 3))

    def row(self, encoded: Any, index: int) -> Any:
        """Return one window: shape ``(1, n_audio_tokens)``."""
        return encoded[index : index + 1]

    def append_tail(self, encoded: Any, positions: range, *, learned: int = 0) -> Any:
        """Repeat the quietest value of each window, which stands for silence and for what was learned of it."""
        import numpy as np

        del learned

        return np.concatenate([encoded, encoded.min(axis=1, keepdims=True).repeat(len(positions), axis=1)], axis=1)

    def features(self, encoded: Any) -> NDArray[np.float32]:
        """Return the loudness of each audio token as its only feature: shape ``(n_audio_tokens, 1)``."""
        features: NDArray[np.float32] = encoded[0][:, None]
        return features

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
        """Decode each window as if it were alone; no word is repeated by mistake, so nothing is penalised.

        A translation is the words in capitals; words of the context are spelled as they stand there.
        """
        for language in languages:
            self.prompt_tokens(language, prompt)
        del repetition_penalty
        read = confidence and beam_size == 1
        share = self._error_share * token_stride / beam_size**0.25
        heard = [self._hear(levels, share, max_tokens, read) for levels in encoded]
        spelled = {word.lower(): word for word in prompt.context.split()}
        return [replace(one, text=_spelled(one.text, spelled, prompt.task)) for one in heard]

    def _hear(self, levels: NDArray[np.float32], error_share: float, max_tokens: int, read: bool) -> Decoded:
        silence = levels.min()
        heard = [index for index, level in enumerate(levels) if level > silence + 1e-3]
        span = (heard[-1] - heard[0] + 1) if heard else 0
        count = min(round(span * AUDIO_TOKEN_S / _SECONDS_PER_WORD), max_tokens)
        step = span / count if count else 0
        words = []
        for index in range(count):
            level = round(float(levels[heard[0] + int(index * step)]), 2)
            draw = blake2b(f"{level}/{index}".encode(), digest_size=8).digest()
            chance = int.from_bytes(draw[:4], "big") / 2**32
            word = draw[4] % len(_WORDS)
            if chance < error_share:
                word = (word + 1 + draw[5] % (len(_WORDS) - 1)) % len(_WORDS)
            words.append(word)
        truncated = count == max_tokens
        steps = count + (not truncated) if read else 0
        return Decoded(
            text=self.text_of(words),
            tokens=tuple(words),
            token_count=count + (not truncated),
            avg_logprob=-self._error_share,
            no_speech_prob=0.0 if words else 1.0,
            truncated=truncated,
            token_logprobs=(-self._error_share,) * steps,
            token_entropies=(self._error_share,) * steps,
        )

    def text_of(self, tokens: Sequence[int]) -> str:
        """Return the words."""
        return " ".join(_WORDS[token] for token in tokens)

    def align(self, encoded: Any, tokens: Sequence[int], *, token_stride: int, language: str) -> list[Word]:
        """Return one word a token, 0.4 s apart."""
        return [
            Word(f" {_WORDS[token]}", index * _SECONDS_PER_WORD, (index + 1) * _SECONDS_PER_WORD, 1.0)
            for index, token in enumerate(tokens)
        ]

    def detect_language(self, encoded: Any) -> str:
        """Return ``en``."""
        return "en"

    def prompt_tokens(self, language: str, prompt: DecoderPrompt = TRANSCRIBE) -> int:
        """Return 4 for multilingual models, 2 for English-only ones, and one before a context and for each
        word of it that fits.

        Raises:
            UsageError: An English-only model is asked to translate.
        """
        words = min(len(prompt.context.split()), MOST_CONTEXT_TOKENS)
        return len(prompt_names(self._dimensions, "en", prompt.task)) + words + (words > 0)


def _spelled(text: str, spelled: Mapping[str, str], task: Task) -> str:
    told = " ".join(spelled.get(word, word) for word in text.split())
    return told.upper() if task == "translate" else told
