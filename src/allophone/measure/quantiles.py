"""Bootstrap of quantiles over utterances, such as the p50 and p95 of latency, for all points at once.

A quantile has no sums to add up by block, so each point's utterances are sorted once and every replicate looks for the
place where its cumulative weight reaches the share asked for. One matrix product gives the cumulative weight at every
``sqrt(n)``-th place; only the stretch between two of those is then added up, one utterance at a time.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from allophone.measure.blocks import FloatArray, Resample
from allophone.measure.bootstrap import Replicates

__all__ = ["resample_quantile"]

_ROUNDING = 1e-9  # a share of 0.55 of 20 utterances is 11.000000000000002 of them in floating point: 11 are meant


def resample_quantile(values: npt.ArrayLike, share: float, resample: Resample) -> Replicates:
    """The smallest value that at least ``share`` of the utterances do not exceed, e.g. the p95 for 0.95.

    This is the inverse of the empirical distribution (definition 1 of Hyndman and Fan, "Sample quantiles in statistical
    packages", 1996; numpy's ``method="inverted_cdf"``): always a value that was measured, and defined under weights.

    Args:
        values: Shape (n_points, n_utterances), e.g. seconds; a NaN makes the whole point NaN.
        share: Between 0 and 1.
        resample: From :func:`allophone.measure.blocks.draw_blocks`.

    Raises:
        ValueError: ``share`` is not between 0 and 1.
        UsageError: The values do not fit the resampled utterances.
    """
    if not 0 < share < 1:
        raise ValueError(f"a quantile's share must lie between 0 and 1, got {share}")
    values = np.asarray(values, dtype=np.float64)
    sizes = resample.block_sums(np.ones((1, len(resample.blocks))))[:, 0]
    resample.block_sums(values)
    ...
