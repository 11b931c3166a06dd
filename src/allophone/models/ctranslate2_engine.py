"""Whisper on CTranslate2, through faster-whisper's parts: the encoder runs on exactly the frames it is given."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

from allophone.audio.mel import TRAINED_FRAMES, log_mel
from allophone.dimensions.whisper import (
    AUDIO_TOKEN_S,
    FRAMES_PER_AUDIO_TOKEN,
    WhisperDimensions,
    prompt_names,
)
from allophone.errors import SpaceError, UsageError, WeightsError
from allophone.models.ct2_vocabulary import check_alignment_heads, check_languages, check_vocabulary
from allophone.models.engine import MOST_CONTEXT_TOKENS, TRANSCRIBE, Decoded, DecoderPrompt, Engine
from allophone.models.learned_tail import load_learned_tail
from allophone.models.loaded_here import LoadedHere
from allophone.models.threads import choose_replicas, choose_threads
from allophone.models.token_confidence import token_confidence
from allophone.models.weights import Weights
from allophone.models.word_times import group_words
from allophone.records.transcript import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CTranslate2Engine", "every_nth", "host_array", "storage_view"]


def every_nth(encoded: Any, token_stride: int) -> Any:
    """Return every n-th position of encoded windows of shape ``(n_windows, n_audio_tokens, n_audio_state)``."""
    return encoded if token_stride == 1 else storage_view(host_array(encoded)[:, ::token_stride])


def host_array(encoded: Any) -> NDArray[np.float32]:
    """Return a ``StorageView`` as an array in main memory; on the CPU they share it."""
    import ctranslate2
    import numpy as np

    array: NDArray[np.float32] = np.asarray(
        encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    )
    return array


def storage_view(array: NDArray[np.float32]) -> Any:
    """Return an array's copy as a ``StorageView``."""
    import ctranslate2
    import numpy as np

    # from_array shares the array's memory; the copy owns its own.
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array)).to_device(ctranslate2.Device.cpu)


class CTranslate2Engine(Engine):
    """One CTranslate2 Whisper model, loaded; any number of Python threads may use it at once.

    Args:
        weights: Where the model lies.
        compute_type: Number format of weights and activations.
        threads: CPU threads of each replica; 0 chooses by the model's size.
        replicas: Calls that run at once over the same weights; 0 as many as the physical cores have ``threads``.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        UsageError: There is no such device here.
        SpaceError: The device has no such compute type; the message lists what it has.
        WeightsError: CTranslate2 cannot load the folder.
    """

    def __init__(
        self, weights: Weights, compute_type: str, *, threads: int = 0, replicas: int = 1, device: str = "cpu"
    ) -> None:
        # Each length of audio makes oneDNN compile its own convolutions; by default it keeps the last 1024 of them,
        # hundreds of MB. A full context needs two, and lengths that fit the audio seldom come again.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
        import ctranslate2
        import tokenizers

        if device not in ("cpu", "cuda", "auto"):
            raise UsageError(f"device '{device}': write one of cpu, cuda, auto.")
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        try:
            supported = sorted(ctranslate2.get_supported_compute_types(device))
        except (RuntimeError, ValueError) as error:  # no GPU, no driver, or a build without CUDA
            raise UsageError(f"device '{device}' cannot be used here ({error}). Use cpu.") from None
        if compute_type not in supported:
            known = ", ".join(supported)
            raise SpaceError(f"compute_type '{compute_type}' does not run on this {device}; it has {known}.")
        threads = threads or choose_threads(weights.dimensions)
        replicas = replicas or (choose_replicas(threads) if device == "cpu" else 1)
        try:
            self._model = ctranslate2.models.Whisper(
                str(weights.folder),
                device=device,
                compute_type=compute_type,
                inter_threads=replicas,
                intra_threads=threads,
            )
            self._tokenizer = tokenizers.Tokenizer.from_file(str(weights.folder / "tokenizer.json"))
        except Exception as error:  # both libraries raise bare RuntimeError and Exception
            raise WeightsError(
                f"{weights.folder}: cannot be loaded: {error}. Convert or fetch the model again."
            ) from error
        check_vocabulary(weights.folder, self._tokenizer, weights.dimensions.n_vocab)
        self._loaded = LoadedHere()
        self._weights, self._folder = weights, weights.folder
        self._dimensions = weights.dimensions
        self._prompts: dict[tuple[str, str], list[int]] = {}
        # The model's own list (-1), and every token above end-of-text: languages, tasks and timestamps are no text.
        self._end_of_text = self._token_id("<|endoftext|>")
        self._suppressed = [-1, *range(self._end_of_text + 1, weights.dimensions.n_vocab)]
        self._tails: dict[int, NDArray[np.float32]] = {}  # trained contexts to take tails from; 0 is silence
        self._tails_lock = Lock()

    @property
    def dimensions(self) -> WhisperDimensions:
        """Dimensions of the loaded weights."""
        return self._dimensions

    @property
    def device(self) -> str:
        """Where it runs: ``cpu`` or ``cuda``."""
        return str(self._model.device)

    @property
    def replicas(self) -> int:
        """How many calls run at once."""
        return int(self._model.num_workers)

    def prepare(self, audio: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
        """Return the log-mel; see :class:`allophone.models.engine.Engine`."""
        return log_mel(audio, n_frames, self._dimensions.n_mels)

    def encode(self, mel: NDArray[np.float32]) -> Any:
        """Run the encoder on windows of any even length; see :class:`allophone.models.engine.Engine`."""
        import ctranslate2
        import numpy as np

        features = np.ascontiguousarray(mel[None] if mel.ndim == 2 else mel)
        with self._running("encode"):
            return self._model.encode(ctranslate2.StorageView.from_array(features), to_cpu=self.device == "cpu")

    def row(self, encoded: Any, index: int) -> Any:
        """Return one window of a batch; see :class:`allophone.models.engine.Engine`."""
        return encoded if encoded.shape[0] == 1 else storage_view(host_array(encoded)[index : index + 1])

    def append_tail(self, encoded: Any, positions: range, *, learned: int = 0) -> Any:
        """Append outputs of silence, or learned vectors; see :class:`allophone.models.engine.Engine`."""
        if not positions:
            return encoded
        import numpy as np

        with self._tails_lock:
            if learned not in self._tails:
                silent = self._encode_silence if not learned else lambda: self._trained_context(learned)
                self._tails[learned] = silent()
        windows = host_array(encoded)
        tail = self._tails[learned][:, positions.start : positions.stop : positions.step]
        return storage_view(np.concatenate([windows, np.repeat(tail, len(windows), axis=0)], axis=1))

    def _trained_context(self, learned: int) -> NDArray[np.float32]:
        """Return a trained context whose last positions are the learned tail; nothing reads the others."""
        import numpy as np

        tail = load_learned_tail(self._weights, learned)
        return np.pad(tail, ((self._dimensions.n_audio_ctx - len(tail), 0), (0, 0)))[None]

    def _encode_silence(self) -> NDArray[np.float32]:
        import numpy as np

        mel = self.prepare(np.zeros(0, np.float32), TRAINED_FRAMES)
        try:
            silence = host_array(self.encode(mel))
            reason = "" if np.isfinite(silence).all() else "the encoder answers silence with values that are no numbers"
        except (WeightsError, RuntimeError, ValueError) as error:  # such as fewer positions than 30 s take
            reason = str(error)
        if reason:
            raise WeightsError(
                f"{self._folder}: its silence tail cannot be computed: {reason}. Use tail=none, or context=full."
            )
        return silence

    def features(self, encoded: Any) -> NDArray[np.float32]:
        """Return the encoder's output as an array; see :class:`allophone.models.engine.Engine`."""
        features: NDArray[np.float32] = host_array(encoded)[0].astype("float32")
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
        """Decode encoded windows together; see :class:`allophone.models.engine.Engine`."""
        read = confidence and beam_size == 1
        prompts = [self._prompt(language, prompt) for language in languages]
        longest = max(map(len, prompts))
        with self._running("decode"):
            results = self._model.generate(
                every_nth(encoded, token_stride),
                prompts,
                beam_size=beam_size,
                repetition_penalty=repetition_penalty,
                # CTranslate2 generates at most half of this, and at most what the prompt leaves of it.
                max_length=max(2 * max_tokens, longest + max_tokens),
                suppress_tokens=self._suppressed,
                return_scores=True,
                return_no_speech_prob=True,
                return_logits_vocab=read,
            )
        return [self._decoded(result, max_tokens, read) for result in results]

    def _decoded(self, result: Any, max_tokens: int, read: bool) -> Decoded:
        tokens = tuple(result.sequences_ids[0])
        truncated = len(tokens) >= max_tokens
        # CTranslate2's score is the mean over the text tokens; Whisper's average counts end-of-text too.
        log_probability = result.scores[0] * len(tokens)
        started = perf_counter()
        logprobs, entropies = token_confidence(result.logits[0] if read else (), [*tokens, self._end_of_text])
        return Decoded(
            text=self.text_of(tokens),
            tokens=tokens,
            token_count=len(tokens) + (not truncated),
            avg_logprob=log_probability / (len(tokens) + 1),
            no_speech_prob=float(result.no_speech_prob),
            truncated=truncated,
            token_logprobs=logprobs,
            token_entropies=entropies,
            confidence_s=perf_counter() - started,
        )

    def text_of(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; see :class:`allophone.models.engine.Engine`."""
        return str(self._tokenizer.decode(list(tokens))).strip()

    def align(self, encoded: Any, tokens: Sequence[int], *, token_stride: int, language: str) -> list[Word]:
        """Find where the words lie, by dynamic time warping over the alignment heads (CTranslate2's ``align``)."""
        import numpy as np
        from faster_whisper.tokenizer import Tokenizer

        if not tokens:
            return []
        strided = every_nth(encoded, token_stride)
        task = "transcribe" if self._dimensions.multilingual else None
        splitter = Tokenizer(self._tokenizer, task is not None, task=task, language=language)
        frames = strided.shape[1] * FRAMES_PER_AUDIO_TOKEN
        check_alignment_heads(self._folder)
        with self._running("align words"):
            aligned = self._model.align(strided, splitter.sot_sequence, [list(tokens)], frames)[0]
        texts, groups = splitter.split_to_word_tokens([*tokens, splitter.eot])
        path, lengths = np.array(aligned.alignments), [len(group) for group in groups[:-1]]
        return group_words(texts, lengths, path, aligned.text_token_probs, AUDIO_TOKEN_S * token_stride)

    def detect_language(self, encoded: Any) -> str:
        """Return the likeliest language code; ``en`` for English-only models."""
        if not self._dimensions.multilingual:
            return "en"
        check_languages(self._folder)
        with self._running("detect the language"):
            token, _ = self._model.detect_language(encoded)[0][0]
        return str(token).strip("<|>")

    @contextmanager
    def _running(self, verb: str) -> Iterator[None]:
        """Name the folder in what CTranslate2 raises, such as for a config.json that lacks a field."""
        self._loaded.check()
        try:
            yield
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise WeightsError(
                f"{self._folder}: cannot {verb}: {error}. Its config.json or vocabulary may not be the model's own, or "
                "memory is short: convert or fetch the model again, or use a smaller one."
            ) from error

    def prompt_tokens(self, language: str, prompt: DecoderPrompt = TRANSCRIBE) -> int:
        """Return the length of the prompt: 2 for English-only models, 4 for multilingual ones, and the context's."""
        return len(self._prompt(language, prompt))

    def _prompt(self, language: str, prompt: DecoderPrompt) -> list[int]:
        return [*self._context(prompt.context), *self._task(language, prompt.task)]

    def _context(self, text: str) -> list[int]:
        """Return the tokens of what is taken for said before: openai/whisper's ``initial_prompt``, as much as fits."""
        tokens = self._tokenizer.encode(f" {text.strip()}", add_special_tokens=False).ids if text.strip() else []
        written = [token for token in tokens if token < self._end_of_text]  # what looks like a special token is none
        return [self._token_id("<|startofprev|>"), *written[-MOST_CONTEXT_TOKENS:]] if written else []

    def _task(self, language: str, task: str) -> list[int]:
        if (language, task) not in self._prompts:
            names = prompt_names(self._dimensions, language, task)
            if self._dimensions.multilingual and language not in self._languages():
                raise UsageError(
                    f"language '{language}' is not in this model's vocabulary; use a code such as en or de."
                )
            self._prompts[language, task] = [self._token_id(name) for name in names]
        return self._prompts[language, task]

    def _languages(self) -> set[str]:
        # In every multilingual vocabulary the languages stand between <|startoftranscript|> and <|translate|>.
        block = range(self._token_id("<|startoftranscript|>") + 1, self._token_id("<|translate|>"))
        return {str(self._tokenizer.id_to_token(token)).strip("<|>") for token in block}

    def _token_id(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name)
        if token is None:
            raise WeightsError(f"{self._folder}: its tokenizer.json has no {name}. Give a converted Whisper model.")
        return int(token)
