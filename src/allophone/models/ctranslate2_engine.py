"""Whisper on CTranslate2, through faster-whisper's parts: the encoder runs on exactly the frames it is given."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from allophone.audio.mel import TRAINED_FRAMES, log_mel
from allophone.dimensions import AUDIO_TOKEN_S, FRAMES_PER_AUDIO_TOKEN, WhisperDimensions
from allophone.errors import SpaceError, UsageError, WeightsError
from allophone.models.engine import Decoded
from allophone.models.weights import Weights
from allophone.records import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CTranslate2Engine"]

_DEVICES = ("cpu", "cuda", "auto")


class CTranslate2Engine:
    """One CTranslate2 Whisper model, loaded.

    Args:
        weights: Where the model lies.
        compute_type: Number format of weights and activations.
        threads: CPU threads; 0 takes CTranslate2's default.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        UsageError: There is no such device here.
        SpaceError: The device has no such compute type; the message lists what it has.
        WeightsError: CTranslate2 cannot load the folder.
    """

    def __init__(self, weights: Weights, compute_type: str, *, threads: int = 0, device: str = "cpu") -> None:
        # Each length of audio makes oneDNN compile its own convolutions; by default it keeps the last 1024 of them,
        # hundreds of MB. A full context needs two, and lengths that fit the audio seldom come again.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
        import ctranslate2
        import tokenizers

        if device not in _DEVICES:
            raise UsageError(f"device '{device}': write one of {', '.join(_DEVICES)}.")
        try:
            supported = sorted(ctranslate2.get_supported_compute_types("cpu" if device == "auto" else device))
        except (RuntimeError, ValueError) as error:  # no GPU, no driver, or a build without CUDA
            raise UsageError(f"device '{device}' cannot be used here ({error}). Use cpu.") from None
        if device != "auto" and compute_type not in supported:
            raise SpaceError(
                f"compute_type '{compute_type}' does not run on this {device}; it has {', '.join(supported)}."
            )
        try:
            self._model = ctranslate2.models.Whisper(
                str(weights.folder), device=device, compute_type=compute_type, intra_threads=threads
            )
            self._tokenizer = tokenizers.Tokenizer.from_file(str(weights.folder / "tokenizer.json"))
        except Exception as error:  # both libraries raise bare RuntimeError and Exception
            raise WeightsError(
                f"{weights.folder}: cannot be loaded: {error}. Convert or fetch the model again."
            ) from error
        self._folder = weights.folder
        self._dimensions = weights.dimensions
        self._prompts: dict[str, list[int]] = {}
        # The model's own list (-1), and every token above end-of-text: languages, tasks and timestamps are no text.
        self._end_of_text = self._token_id("<|endoftext|>")
        self._suppressed = [-1, *range(self._end_of_text + 1, weights.dimensions.n_vocab)]
        self._silence: NDArray[np.float32] | None = None

    @property
    def dimensions(self) -> WhisperDimensions:
        """Dimensions of the loaded weights."""
        return self._dimensions

    def encode(self, mel: NDArray[np.float32]) -> Any:
        """Run the encoder on one window of any even length; see :class:`allophone.models.engine.Engine`."""
        import ctranslate2
        import numpy as np

        features = np.ascontiguousarray(mel[None])
        return self._model.encode(ctranslate2.StorageView.from_array(features), to_cpu=self._model.device == "cpu")

    def append_tail(self, encoded: Any, positions: range) -> Any:
        """Append outputs of silence; see :class:`allophone.models.engine.Engine`."""
        if not positions:
            return encoded
        import numpy as np

        if self._silence is None:
            mel = log_mel(np.zeros(0, np.float32), TRAINED_FRAMES, self._dimensions.n_mels)
            self._silence = _host(self.encode(mel))
        tail = self._silence[:, positions.start : positions.stop : positions.step]
        return _storage(np.concatenate([_host(encoded), tail], axis=1))

    def features(self, encoded: Any) -> NDArray[np.float32]:
        """Return the encoder's output as an array; see :class:`allophone.models.engine.Engine`."""
        features: NDArray[np.float32] = _host(encoded)[0].astype("float32")
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
        """Decode one encoded window; see :class:`allophone.models.engine.Engine`."""
        strided = _every_nth(encoded, token_stride)
        read = confidence and beam_size == 1
        result = self._model.generate(
            strided,
            [self._prompt(language)],
            beam_size=beam_size,
            max_length=2 * max_tokens,  # CTranslate2 generates at most half of max_length
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            return_logits_vocab=read,
        )[0]
        tokens = tuple(result.sequences_ids[0])
        truncated = len(tokens) >= max_tokens
        # CTranslate2's score is the mean over the text tokens; Whisper's average counts end-of-text too.
        log_probability = result.scores[0] * len(tokens)
        started = perf_counter()
        ended = [*tokens, self._end_of_text]
        steps = [_read_step(row, token) for row, token in zip(result.logits[0], ended, strict=False)] if read else []
        return Decoded(
            text=self._tokenizer.decode(list(tokens)).strip(),
            tokens=tokens,
            token_count=len(tokens) + (not truncated),
            avg_logprob=log_probability / (len(tokens) + 1),
            no_speech_prob=float(result.no_speech_prob),
            truncated=truncated,
            token_logprobs=tuple(step[0] for step in steps),
            token_entropies=tuple(step[1] for step in steps),
            confidence_s=perf_counter() - started,
        )

    def align(self, encoded: Any, tokens: Sequence[int], *, token_stride: int, language: str) -> list[Word]:
        """Find where the words lie, by dynamic time warping over the alignment heads (CTranslate2's ``align``)."""
        import numpy as np
        from faster_whisper.tokenizer import Tokenizer

        if not tokens:
            return []
        strided = _every_nth(encoded, token_stride)
        multilingual = self._dimensions.multilingual
        splitter = Tokenizer(
            self._tokenizer, multilingual, task="transcribe" if multilingual else None, language=language
        )
        frames = strided.shape[1] * FRAMES_PER_AUDIO_TOKEN
        aligned = self._model.align(strided, splitter.sot_sequence, [list(tokens)], frames)[0]
        # As openai/whisper's find_alignment: a token begins where the warping path first reaches it.
        path = np.array(aligned.alignments)
        first = np.flatnonzero(np.diff(path[:, 0], prepend=-1))
        # With a single audio token the path can also begin one before the first.
        begins = np.maximum(path[first, 1], 0) * AUDIO_TOKEN_S * token_stride
        texts, groups = splitter.split_to_word_tokens([*tokens, splitter.eot])
        edges = np.cumsum([0, *(len(group) for group in groups[:-1])])
        words: list[Word] = []
        for text, start, end in zip(texts, edges, edges[1:], strict=False):
            if words and not any(character.isalnum() for character in text):  # punctuation has no sound of its own
                words[-1] = replace(words[-1], text=words[-1].text + text)
                continue
            probability = float(np.mean(aligned.text_token_probs[start:end]))
            words.append(Word(text, float(begins[start]), float(begins[end]), probability))
        return words

    def detect_language(self, encoded: Any) -> str:
        """Return the likeliest language code; ``en`` for English-only models."""
        if not self._dimensions.multilingual:
            return "en"
        token, _ = self._model.detect_language(encoded)[0][0]
        return str(token).strip("<|>")

    def prompt_tokens(self, language: str) -> int:
        """Return the length of the prompt: 2 for English-only models, 4 for multilingual ones."""
        return len(self._prompt(language))

    def _prompt(self, language: str) -> list[int]:
        # openai/whisper, tokenizer.py: sot, language, task where the vocabulary has them, then no timestamps.
        if language not in self._prompts:
            names = ["<|startoftranscript|>", "<|notimestamps|>"]
            if self._dimensions.multilingual:
                if language not in self._languages():
                    raise UsageError(
                        f"language '{language}' is not in this model's vocabulary; use a code such as en or de."
                    )
                names[1:1] = [f"<|{language}|>", "<|transcribe|>"]
            elif language != "en":
                raise UsageError(f"language '{language}': this model knows English only. Use a multilingual model.")
            self._prompts[language] = [self._token_id(name) for name in names]
        return self._prompts[language]

    def _languages(self) -> set[str]:
        # In every multilingual vocabulary the languages stand between <|startoftranscript|> and <|translate|>.
        block = range(self._token_id("<|startoftranscript|>") + 1, self._token_id("<|translate|>"))
        return {str(self._tokenizer.id_to_token(token)).strip("<|>") for token in block}

    def _token_id(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name)
        if token is None:
            raise WeightsError(f"{self._folder}: its tokenizer.json has no {name}. Give a converted Whisper model.")
        return int(token)


def _every_nth(encoded: Any, token_stride: int) -> Any:
    return encoded if token_stride == 1 else _storage(_host(encoded)[:, ::token_stride])


def _host(encoded: Any) -> NDArray[np.float32]:
    import ctranslate2
    import numpy as np

    array: NDArray[np.float32] = np.asarray(
        encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    )
    return array


def _storage(array: NDArray[np.float32]) -> Any:
    import ctranslate2
    import numpy as np

    # from_array shares the array's memory; the copy owns its own.
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array)).to_device(ctranslate2.Device.cpu)


def _read_step(logits: Any, token: int) -> tuple[float, float]:
    """Return the token's log-probability, and the entropy of its distribution in nats."""
    import numpy as np

    row = np.asarray(logits, np.float32).ravel()
    row = row - row.max()
    shares = np.exp(row)
    total = float(shares.sum())
    # -sum p log p, with p = e / total and log p = row - log total; a suppressed token's -inf has no share.
    mean = float(np.dot(shares, np.maximum(row, -1e4))) / total
    return float(row[token]) - float(np.log(total)), float(np.log(total)) - mean
