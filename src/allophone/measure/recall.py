"""Bootstrap of the unweighted average recall of emotion recognition, for all points at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from allophone.errors import UsageError
from allophone.measure.blocks import FloatArray, Resample
from allophone.measure.bootstrap import Replicates

__all__ = ["resample_uar"]


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
