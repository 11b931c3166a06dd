"""Emotion classifier: a saved recogniser on recordings of any length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from allophone.audio.decode import LONGEST_S, decode_audio
from allophone.audio.faults import as_audio_error
from allophone.costs.emotion import inference_flops
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.emotion.states import check_audible, is_silent
from allophone.emotion.store import load_emotion_model
from allophone.encoders.device import check_torch_device
from allophone.measure.temperature import softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Classification", "EmotionClassifier", "WindowPosterior", "classify"]


@dataclass(frozen=True, slots=True)
class WindowPosterior:
    """One window: its place in seconds, and the calibrated probability of every label."""

    start_s: float
    end_s: float
    posterior: dict[str, float]


@dataclass(frozen=True, slots=True)
class Classification:
    """One recording.

    Args:
        label: The most probable label.
        confidence: Its probability, calibrated on the training's validation speakers.
        posterior: Probability of every label: the mean over windows.
        windows: What each window says; silent ones are left out.
        duration_s: Length of the recording in seconds.
        latency_s: Seconds from samples in memory to the posterior.
        executed_flops: Of all windows, front end included, adapters merged.
        notices: What is odd about the recording and was dealt with, one sentence each without a full stop.
    """

    label: str
    confidence: float
    posterior: dict[str, float]
    windows: tuple[WindowPosterior, ...]
    duration_s: float
    latency_s: float
    executed_flops: int
    notices: tuple[str, ...] = ()


class EmotionClassifier:
    """A recogniser in memory, adapters merged.

    Args:
        folder: What ``allophone adapt emotion`` wrote.
        base: Where the base model lies now, if its name does not say.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads; 0 leaves torch's own choice.

    Raises:
        LedgerError: A file is missing, damaged or another recogniser's; the message names it.
        MissingExtraError: The extra ``torch`` is not installed.
        UsageError: It holds no recogniser, or torch has no such device.
        WeightsError: The base model has other weights than the one that was adapted.
    """

    def __init__(self, folder: str | Path, *, base: str | None = None, device: str = "cpu", threads: int = 0) -> None:
        check_torch_device(device)
        saved = load_emotion_model(Path(folder), base=base)
        if threads:
            import torch

            torch.set_num_threads(threads)
        self.card = saved.card
        self._model = saved.model
        self._model.encoder.module.to(device)
        self._model.head.to(device)
        self._model.merge()

    def classify(self, path: str | Path, *, max_audio_s: float = LONGEST_S) -> Classification:
        """Classify a recording.

        One longer than the trained duration is cut into equal windows of at most that length.

        Args:
            path: The recording, or a pipe.
            max_audio_s: Most seconds of it; a longer one is an error.

        Raises:
            AudioError: It cannot be decoded, is silent throughout, shorter than 0.1 s, or than one audio token.
        """
        decoded = decode_audio(Path(path), longest_s=max_audio_s, pipes=True)
        with as_audio_error(decoded.name):
            found = self.classify_samples(decoded.samples, name=decoded.name)
        return replace(found, notices=decoded.notices)

    def classify_samples(self, samples: NDArray[np.float32], *, name: str = "audio") -> Classification:
        """Classify samples of shape ``(n_samples,)``, 16 kHz, in [-1, 1).

        Args:
            samples: The recording.
            name: What to call it in errors.

        Raises:
            AudioError: As :meth:`classify`.
        """
        check_audible(samples, name)
        started = perf_counter()
        count = ceil(samples.size / round(self.card.setting.duration_s * SAMPLE_RATE))
        edges = [samples.size * window // count for window in range(count + 1)]
        windows, flops = [], 0
        dims, classes = self._model.encoder.dimensions, len(self.card.labels)
        for start, end in pairwise(edges):
            if is_silent(samples[start:end]):
                continue
            logits = self._model.clip_logits(samples[start:end]).cpu().numpy()
            probabilities = softmax(logits, self.card.temperature).tolist()
            posterior = dict(zip(self.card.labels, probabilities, strict=True))
            flops += inference_flops(dims, classes, samples=end - start)
            windows.append(WindowPosterior(start / SAMPLE_RATE, end / SAMPLE_RATE, posterior))
        mean = {name: sum(w.posterior[name] for w in windows) / len(windows) for name in self.card.labels}
        label = max(mean, key=mean.__getitem__)
        return Classification(
            label=label,
            confidence=mean[label],
            posterior=mean,
            windows=tuple(windows),
            duration_s=samples.size / SAMPLE_RATE,
            latency_s=perf_counter() - started,
            executed_flops=flops,
        )


def classify(audio: str | Path, model: str | Path, *, base: str | None = None, device: str = "cpu") -> Classification:
    """Classify one recording by a saved recogniser; for several, keep an :class:`EmotionClassifier`.

    Args:
        audio: The recording.
        model: What ``allophone adapt emotion --out`` wrote.
        base: The base model, if it lies elsewhere now.
        device: ``cpu`` or ``cuda``.

    Raises:
        AudioError: The recording cannot be decoded, or is silent or too short.
        UsageError: The folder is no recogniser.
    """
    return EmotionClassifier(model, base=base, device=device).classify(audio)
