"""Classification metrics: recalls, their unweighted mean (UAR), accuracy and F1, from confusion counts.

``uar`` is the unweighted average recall, which the literature on emotion calls UA; ``wa`` is accuracy, its WA;
``macro_f1`` is the mean of the classes' F1 and neither of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray
from allophone.errors import UsageError
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Replicates
from allophone.measure.intervals import Interval, intervals

__all__ = ["ConfusionCounts", "count_confusions", "resample_uar", "uar_interval"]


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionCounts:
    """Counts of one set of decisions, and the rates over them.

    Undefined cases, decided here. A class without a reference utterance has no recall (NaN) and is left out of
    ``uar``. A class that is neither in the references nor ever decided for has no F1 and is left out of ``macro_f1``;
    one that is only decided for has F1 0 and counts. Without any utterance all rates are NaN.

    Args:
        labels: The classes.
        confusion: How often reference ``i`` was taken for ``j``, shape ``(n_classes, n_classes)``.
    """

    labels: tuple[str, ...]
    confusion: npt.NDArray[np.int64]

    @property
    def recalls(self) -> FloatArray:
        """Share of each class that was recognised, shape ``(n_classes,)``; NaN for an absent class."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def uar(self) -> float:
        """Mean recall of the classes that have references: the literature's UA."""
        return _mean(self.recalls)

    @property
    def wa(self) -> float:
        """Share of all utterances that were recognised: accuracy, the literature's WA."""
        total = int(self.confusion.sum())
        return float(np.trace(self.confusion)) / total if total else float("nan")

    @property
    def f1(self) -> FloatArray:
        """``2·hits / (references + decisions)`` of each class, shape ``(n_classes,)``; NaN where it has neither."""
        return _ratio(2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.confusion.sum(axis=1))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that have references or decisions."""
        return _mean(self.f1)

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes without a reference utterance."""
        counts = self.confusion.sum(axis=1)
        return tuple(label for label, count in zip(self.labels, counts, strict=True) if not count)


def count_confusions(references: npt.ArrayLike, decisions: npt.ArrayLike, labels: Sequence[str]) -> ConfusionCounts:
    """Count decisions against references.

    Args:
        references: Class numbers, shape ``(n_utterances,)``.
        decisions: Class numbers, likewise.
        labels: The classes, in the order of their numbers.

    Raises:
        UsageError: The two do not fit each other, or a number is no class.
    """
    reference, decision = np.asarray(references, dtype=np.int64), np.asarray(decisions, dtype=np.int64)
    n = len(labels)
    if reference.shape != decision.shape or reference.ndim != 1:
        raise UsageError(f"references of shape {reference.shape} do not fit decisions of shape {decision.shape}")
    if reference.size and not (0 <= min(reference.min(), decision.min()) <= max(reference.max(), decision.max()) < n):
        raise UsageError(f"class numbers go from 0 to {n - 1}, one per label")
    counts = np.bincount(reference * n + decision, minlength=n * n)
    return ConfusionCounts(tuple(labels), counts.reshape(n, n))


def uar_interval(
    references: Sequence[int], decisions: Sequence[int], speakers: Sequence[str | None], *, level: float = 0.95
) -> tuple[Interval, str | None]:
    """Interval of the UAR, speakers drawn as blocks, and what a reader must be warned of, or None.

    Args:
        references: Class numbers, one per utterance.
        decisions: Class numbers, likewise.
        speakers: Speaker of every utterance.
        level: Share of such intervals that hold the true value.

    Raises:
        UsageError: There is no utterance, or the three do not fit each other.
    """
    resample = draw_blocks(speakers)
    hits = (np.asarray(references) == np.asarray(decisions))[None]
    interval = intervals(resample_uar(hits, references, resample), level)[0]
    return replace(interval, high=min(interval.high, 1.0)), resample.warning  # few speakers widen it beyond what can be


def _ratio(above: npt.NDArray[np.int64], below: npt.NDArray[np.int64]) -> FloatArray:
    return np.where(below > 0, above / np.maximum(below, 1), np.nan)


def _mean(values: FloatArray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def resample_uar(hits: npt.ArrayLike, labels: npt.ArrayLike, resample: Resample) -> Replicates:
    """Unweighted average recall: the mean over classes of the share of a class that was recognised. Higher is better.

    A class that no utterance of a replicate has is left out of that replicate's mean.

    Args:
        hits: Whether each utterance was recognised, shape (n_points, n_utterances); NaN makes the whole point NaN.
        labels: Reference class of every utterance, shape (n_utterances,).
        resample: From :func:`allophone.measure.blocks.draw_blocks`.

    Raises:
        UsageError: The hits or the labels do not fit the resampled utterances.
    """
    hits, labels = resample.checked(hits), np.asarray(labels)
    if labels.shape != resample.blocks.shape:
        raise UsageError(f"labels of shape {labels.shape} do not fit {len(resample.blocks)} resampled utterances")
    members = labels == np.unique(labels)[:, None]
    found = [resample.block_sums(hits * member) for member in members]
    present = resample.block_sums(members)

    def uar(weights: FloatArray) -> FloatArray:
        counts = weights @ present
        recalls = sum((weights @ hit) / np.maximum(counts[:, [c]], 1) for c, hit in enumerate(found))
        return np.asarray(recalls / (counts > 0).sum(axis=1, keepdims=True))

    with np.errstate(invalid="ignore"):  # points that hold NaN
        estimates = uar(np.ones((1, resample.n_blocks)))[0]
        values = np.concatenate([uar(weights) for weights in resample.weights()])
        return Replicates(resample, estimates, values, most=1.0)
