"""What ``peers.py`` compares with: each library loaded with the same weights, called with samples, answering text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.models.ct2_format import whisper_dimensions_of
from allophone.models.weights import resolve_weights

LANGUAGE = "en"
AUDIO_CTX_MARGIN_S = 1.0  # as the fit contexts that it is compared with
_POSITIONS_PER_S = 50
_LEAST_CPP_S = 1.1  # whisper.cpp answers nothing below one second


@dataclass(frozen=True, slots=True)
class Answer:
    """One transcript; seconds in the encoder and executed FLOPs where the system tells them."""

    text: str
    encode_s: float | None = None
    flops: int | None = None


class FasterWhisper:
    """faster-whisper; ``batch_size`` takes its batched pipeline, ``side_by_side`` a file a core at a time."""

    def __init__(
        self,
        model: str,
        _folder: Path,
        threads: int,
        *,
        batch_size: int | None = None,
        side_by_side: bool = False,
        **options: Any,
    ) -> None:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        self._workers, each = (threads, 1) if side_by_side else (1, threads)
        folder = str(resolve_weights(model).folder)
        loaded = WhisperModel(folder, "cpu", compute_type="int8", cpu_threads=each, num_workers=self._workers)
        self._encoder = _Watch(loaded.encode)
        loaded.encode = self._encoder
        self._runs: Any = loaded
        self._options = {"language": LANGUAGE, "beam_size": 1} | options
        if batch_size is not None:
            self._runs = BatchedInferencePipeline(loaded)
            self._options["batch_size"] = batch_size

    def __call__(self, audio: Any) -> Answer:
        self._encoder.seconds = 0.0
        segments, _ = self._runs.transcribe(audio, **self._options)
        text = " ".join(segment.text.strip() for segment in segments)
        return Answer(text, self._encoder.seconds)

    def files(self, paths: Sequence[str]) -> list[str]:
        with ThreadPoolExecutor(self._workers) as pool:
            return [answer.text for answer in pool.map(self, paths)]


class OpenAIWhisper:
    """openai-whisper with a checkpoint made of our weights."""

    def __init__(self, _model: str, folder: Path, threads: int, **options: Any):
        import torch
        import whisper

        torch.set_num_threads(threads)
        self._model = whisper.load_model(str(folder / "openai.pt"), device="cpu")
        self._encoder = self._model.encoder.forward = _Watch(self._model.encoder.forward)
        self._options = {"language": LANGUAGE, "fp16": False, "verbose": None} | options

    def __call__(self, samples: Any) -> Answer:
        self._encoder.seconds = 0.0
        return Answer(self._model.transcribe(samples, **self._options)["text"].strip(), self._encoder.seconds)

    def one_window(self, samples: Any) -> Answer:
        """Transcribe one window padded with silence, as others do; ``transcribe`` pads the log-mel with zeros."""
        import whisper

        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples))
        options = whisper.DecodingOptions(language=LANGUAGE, fp16=False, without_timestamps=True)
        return Answer(whisper.decode(self._model, mel, options).text.strip())


class Transformers:
    """transformers' ``generate`` with our weights, its prompt and suppressed tokens those of the folder."""

    def __init__(self, model: str, _folder: Path, threads: int):
        import json

        import tokenizers
        import torch
        from transformers import GenerationConfig, WhisperFeatureExtractor

        from allophone.encoders.torch_whisper import load_torch_whisper

        torch.set_num_threads(threads)
        folder = resolve_weights(model).folder
        dims = whisper_dimensions_of(folder)
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        token = self._tokenizer.token_to_id
        read = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        languages = {"lang_to_id": {f"<|{LANGUAGE}|>": token(f"<|{LANGUAGE}|>")}}
        languages |= {"task_to_id": {"transcribe": token("<|transcribe|>")}, "language": LANGUAGE, "task": "transcribe"}
        self._model = load_torch_whisper(folder)
        self._model.generation_config = GenerationConfig(
            decoder_start_token_id=token("<|startoftranscript|>"),
            eos_token_id=token("<|endoftext|>"),
            pad_token_id=token("<|endoftext|>"),
            no_timestamps_token_id=token("<|notimestamps|>"),
            suppress_tokens=read["suppress_ids"],
            begin_suppress_tokens=read["suppress_ids_begin"],
            max_length=dims.n_text_ctx,
            is_multilingual=dims.multilingual,
            return_timestamps=False,
            **(languages if dims.multilingual else {}),
        )
        self._encoder = self._model.model.encoder.forward = _Watch(self._model.model.encoder.forward)
        self._features = partial(
            WhisperFeatureExtractor(feature_size=dims.n_mels), sampling_rate=SAMPLE_RATE, return_tensors="pt"
        )

    def __call__(self, samples: Any) -> Answer:
        self._encoder.seconds = 0.0
        tokens = self._model.generate(self._features(samples).input_features)[0].tolist()
        return Answer(self._tokenizer.decode(tokens, skip_special_tokens=True).strip(), self._encoder.seconds)


class WhisperCpp:
    """whisper.cpp through pywhispercpp; its encoder's seconds cannot be read one call at a time."""

    def __init__(
        self, _model: str, folder: Path, threads: int, *, number_format: str, fit: bool = False, **options: Any
    ):
        from pywhispercpp.model import Model

        quiet = {"print_progress": False, "print_realtime": False, "redirect_whispercpp_logs_to": None}
        ggml = str(folder / f"ggml-{number_format}.bin")
        self._model = Model(ggml, n_threads=threads, language=LANGUAGE, **quiet, **options)
        self._fit = fit

    def __call__(self, samples: Any) -> Answer:
        import numpy as np

        lacking = int(_LEAST_CPP_S * SAMPLE_RATE) - len(samples)
        samples = np.pad(samples, (0, max(0, lacking)))
        length_s = len(samples) / SAMPLE_RATE + AUDIO_CTX_MARGIN_S
        asked = {"audio_ctx": min(1500, ceil(_POSITIONS_PER_S * length_s))} if self._fit else {}
        return Answer(" ".join(part.text.strip() for part in self._model.transcribe(samples, **asked)))


class _Watch:
    """A function that adds up its own seconds."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self.seconds = function, 0.0

    def __call__(self, *args: Any, **options: Any) -> Any:
        started = perf_counter()
        try:
            return self._function(*args, **options)
        finally:
            self.seconds += perf_counter() - started
