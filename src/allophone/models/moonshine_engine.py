"""Moonshine on onnxruntime: the encoder runs on the audio as long as it is."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from allophone.dimensions.moonshine import MoonshineDimensions
from allophone.dimensions.whisper import HOP_SAMPLES
from allophone.errors import SpaceError, UsageError
from allophone.models.engine import TRANSCRIBE, Decoded, DecoderPrompt, Engine
from allophone.models.moonshine_weights import MoonshineWeights, read_vocabulary
from allophone.models.onnx_session import OnnxSession
from allophone.models.threads import choose_replicas, choose_threads
from allophone.models.token_confidence import token_confidence
from allophone.records.transcript import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MoonshineEngine"]

_SPACE = "\u2581"  # what the vocabulary writes for the space before a word
_SPECIAL = (b"<unk>", b"<s>", b"</s>", b"<<ST_")  # beginnings of tokens that are no text


class MoonshineEngine(Engine):
    """One Moonshine model, loaded; any number of Python threads may use it at once.

    An encoded window is an array of shape ``(n_windows, n_audio_tokens, d)``. The vocabulary has no no-speech token, so
    that probability is always 0; the published ONNX decoder gives no attention, so words have no times.

    Args:
        weights: Where the model lies.
        compute_type: ``int8``: the published files are quantised.
        threads: CPU threads of each replica; 0 chooses by the model's size.
        replicas: Calls that run at once over the same weights; 0 as many as the physical cores have ``threads``.
        device: ``cpu`` or ``auto``.

    Raises:
        UsageError: Another device.
        SpaceError: Another compute type.
        WeightsError: onnxruntime cannot load the files.
    """

    def __init__(
        self, weights: MoonshineWeights, compute_type: str, *, threads: int = 0, replicas: int = 1, device: str = "cpu"
    ) -> None:
        if device not in ("cpu", "auto"):
            raise UsageError(f"device '{device}': {weights.model} runs on the CPU only. Use cpu.")
        if compute_type != "int8":
            raise SpaceError(f"compute_type '{compute_type}': {weights.model} has int8 only. Use compute_type=int8.")
        threads = threads or choose_threads(weights.dimensions)
        remedy = "Install moonshine-voice 0.0.49 again."
        self._encoder, self._decoder = (
            OnnxSession(path, remedy, threads=threads) for path in (weights.encoder, weights.decoder)
        )
        self._replicas = replicas or choose_replicas(threads)
        self._dimensions = weights.dimensions
        self._vocabulary = [
            b"" if token.startswith(_SPECIAL) else token.replace(_SPACE.encode(), b" ")
            for token in read_vocabulary(weights.vocabulary)
        ]

    @property
    def dimensions(self) -> MoonshineDimensions:
        """Dimensions of the loaded weights."""
        return self._dimensions

    @property
    def device(self) -> str:
        """Return ``cpu``."""
        return "cpu"

    @property
    def replicas(self) -> int:
        """How many calls run at once."""
        return self._replicas

    def prepare(self, audio: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
        """Return the samples with silence up to the frames, or to one audio token, shape ``(n_samples,)``."""
        import numpy as np

        samples = np.zeros(max(n_frames, self._dimensions.least_frames) * HOP_SAMPLES, np.float32)
        heard = audio[: n_frames * HOP_SAMPLES]
        samples[: heard.size] = heard
        return samples

    def encode(self, mel: NDArray[np.float32]) -> Any:
        """Run the encoder on samples of one window or of several; see :class:`allophone.models.engine.Engine`.

        Windows of a batch run one after another: numbers are quantised over a whole call, so that windows that shared
        one would change each other.
        """
        import numpy as np

        windows = mel[None] if mel.ndim == 1 else mel
        every = np.ones((1, windows.shape[1]), np.int64)
        states = [self._encoder.run({"input_values": row[None], "attention_mask": every})[0] for row in windows]
        return np.concatenate(states) if len(states) > 1 else states[0]

    def row(self, encoded: Any, index: int) -> Any:
        """Return one window of a batch; see :class:`allophone.models.engine.Engine`."""
        return encoded[index : index + 1]

    def append_tail(self, encoded: Any, positions: range, *, learned: int = 0) -> Any:
        """Return the windows as they are: without a trained context there is no silence to show."""
        del positions, learned
        return encoded

    def features(self, encoded: Any) -> NDArray[np.float32]:
        """Return the encoder's output; see :class:`allophone.models.engine.Engine`."""
        features: NDArray[np.float32] = encoded[0]
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
        """Decode encoded windows one after another; see :class:`allophone.models.engine.Engine`.

        Raises:
            UsageError: A language other than English, a repetition penalty, a translation, or a context.
        """
        if repetition_penalty != 1:
            raise UsageError(f"repetition_penalty {repetition_penalty:g}: Moonshine is decoded without one. Use 1.")
        self._check(prompt)
        for language in languages:
            if language != "en":
                raise UsageError(f"language '{language}': this model knows English only. Use a multilingual model.")
        cap = min(max_tokens, self._dimensions.n_text_ctx - 1)
        strided = encoded[:, ::token_stride]
        return [
            self._decode_one(strided[row : row + 1], beam_size, cap, confidence and beam_size == 1)
            for row in range(len(encoded))
        ]

    def _decode_one(self, states: NDArray[np.float32], beam_size: int, max_tokens: int, read: bool) -> Decoded:
        from allophone.models.moonshine_search import END_OF_TEXT, OnnxDecoder, search

        found = search(OnnxDecoder(self._decoder, self._dimensions, states), beam_size, max_tokens)
        started = perf_counter()
        logprobs, entropies = token_confidence(found.rows if read else (), [*found.tokens, END_OF_TEXT])
        return Decoded(
            text=self.text_of(found.tokens),
            tokens=found.tokens,
            token_count=len(found.tokens) + found.ended,
            avg_logprob=found.mean_log_probability,
            no_speech_prob=0.0,
            truncated=not found.ended,
            token_logprobs=logprobs,
            token_entropies=entropies,
            confidence_s=perf_counter() - started,
        )

    def text_of(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; see :class:`allophone.models.engine.Engine`."""
        return b"".join(self._vocabulary[token] for token in tokens).decode(errors="replace").strip()

    def align(self, encoded: Any, tokens: Sequence[int], *, token_stride: int, language: str) -> list[Word]:
        """Return no words: nothing tells where they lie."""
        del encoded, tokens, token_stride, language
        return []

    def detect_language(self, encoded: Any) -> str:
        """Return ``en``."""
        del encoded
        return "en"

    def prompt_tokens(self, language: str, prompt: DecoderPrompt = TRANSCRIBE) -> int:
        """Return 1: the start of transcript."""
        self._check(prompt)
        del language
        return 1

    @staticmethod
    def _check(prompt: DecoderPrompt) -> None:
        if prompt.task != "transcribe":
            raise UsageError(f"task '{prompt.task}': this model knows English only. Use a multilingual Whisper model.")
        if prompt.context:
            raise UsageError("a prompt: this model reads none. Leave it out, or use a Whisper model.")
