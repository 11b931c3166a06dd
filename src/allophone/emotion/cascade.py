"""A cascade of recognisers, running: the next one hears a recording only where the last one was uncertain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from allophone.audio.decode import LONGEST_S, decode_audio
from allophone.audio.faults import as_audio_error
from allophone.emotion.classifier import Classification, EmotionClassifier
from allophone.emotion.policy import EmotionPolicy, read_emotion_policy
from allophone.encoders.device import check_torch_device
from allophone.errors import UsageError
from allophone.routing.emotion import uncertainty

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EmotionPolicyClassifier", "RoutedClassification", "load_emotion_policy"]


@dataclass(frozen=True, slots=True)
class RoutedClassification:
    """One recording through a cascade.

    Args:
        classification: Of the last point that ran; its seconds and FLOPs are those of that point alone.
        ran: Names of the points that ran.
        doubts: Sign of doubt of every posterior that was looked at.
        threshold: Above which the next point ran.
        executed_flops: Of all that ran.
        latency_s: Likewise; loading a model is no part of it.
    """

    classification: Classification
    ran: tuple[str, ...]
    doubts: tuple[float, ...]
    threshold: float
    executed_flops: int
    latency_s: float


class EmotionPolicyClassifier:
    """A cascade with its recognisers; each is loaded when a recording first reaches it.

    Args:
        folder: Where the recognisers lie.
        policy: The card.
        threshold: Above which the next point runs; the card's own where None.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads; 0 leaves torch's own choice.

    Raises:
        UsageError: Torch has no such device.
    """

    def __init__(
        self,
        folder: Path,
        policy: EmotionPolicy,
        *,
        threshold: float | None = None,
        device: str = "cpu",
        threads: int = 0,
    ) -> None:
        check_torch_device(device)
        self.policy = policy
        self.threshold = policy.threshold if threshold is None else threshold
        self._folder, self._device, self._threads = folder, device, threads
        self._classifiers: dict[int, EmotionClassifier] = {}

    def classify(self, path: Path, *, max_audio_s: float = LONGEST_S) -> RoutedClassification:
        """Classify a recording; one that is longer than a point's duration is heard in windows and routed as one.

        Args:
            path: The recording, or a pipe.
            max_audio_s: Most seconds of it; a longer one is an error.

        Raises:
            AudioError: It cannot be decoded, is silent throughout, shorter than 0.1 s, or than one audio token.
            LedgerError: A recogniser is incomplete or damaged.
            WeightsError: A base model has other weights than the one that was adapted.
        """
        decoded = decode_audio(path, longest_s=max_audio_s, pipes=True)
        with as_audio_error(decoded.name):
            found = self.classify_samples(decoded.samples, name=decoded.name)
        return replace(found, classification=replace(found.classification, notices=decoded.notices))

    def classify_samples(self, samples: NDArray[np.float32], *, name: str = "audio") -> RoutedClassification:
        """Classify samples of shape ``(n_samples,)``, 16 kHz, in [-1, 1).

        Args:
            samples: The recording.
            name: What to call it in errors.

        Raises:
            AudioError: As :meth:`classify`, as the others.
        """
        import numpy as np

        last = len(self.policy.points) - 1
        found: list[Classification] = []
        doubts: list[float] = []
        for index in range(last + 1):
            found.append(self._classifier(index).classify_samples(samples, name=name))
            if index == last:
                break
            posterior = np.array([found[-1].posterior[label] for label in self.policy.labels])
            doubts.append(float(uncertainty(posterior, self.policy.signal)))
            if not doubts[-1] > self.threshold:
                break
        return RoutedClassification(
            classification=found[-1],
            ran=tuple(point.name for point in self.policy.points[: len(found)]),
            doubts=tuple(doubts),
            threshold=self.threshold,
            executed_flops=sum(item.executed_flops for item in found),
            latency_s=sum(item.latency_s for item in found),
        )

    def _classifier(self, index: int) -> EmotionClassifier:
        if index not in self._classifiers:
            folder = self._folder / str(index)
            self._classifiers[index] = EmotionClassifier(folder, device=self._device, threads=self._threads)
        return self._classifiers[index]


def load_emotion_policy(
    folder: str | Path, *, threshold: float | None = None, device: str = "cpu", threads: int = 0
) -> EmotionPolicyClassifier:
    """Load what ``allophone route emotion --out`` wrote, ready to classify.

    Args:
        folder: The policy's folder.
        threshold: Doubt above which the next point runs; the policy's own where None.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads; 0 leaves torch's own choice.

    Raises:
        LedgerError: A file of a recogniser in it is missing, damaged or another one's; the message names it.
        UsageError: No whole policy lies there, the threshold is not a number, or torch has no such device.
    """
    if threshold is not None and isnan(threshold):
        raise UsageError("threshold nan: give a number.")
    path = Path(folder)
    return EmotionPolicyClassifier(path, read_emotion_policy(path), threshold=threshold, device=device, threads=threads)
