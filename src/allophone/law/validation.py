"""How far a law errs on what it has not seen: every point left out, and every value of an axis left out.

The trivial predictor is the median of the points that are left. Leaving out a whole value asks whether the law carries
to values that were never measured; an axis of two values cannot tell, since one value shows no slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allophone.frontier.dominance import FloatArray
from allophone.law.form import LawForm
from allophone.law.weights import first_fit

__all__ = ["CrossValidation", "LeftOut", "cross_validate"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Mean absolute error where the points of one value of an axis are predicted from those of its other values.

    Args:
        error: The law's, as a fraction.
        trivial: That of the median of the other points.
    """

    error: float
    trivial: float


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """Errors on what was left out, fractions.

    Args:
        point_error: Mean absolute error of the law, each point left out in turn.
        point_trivial: The same of the median of the other points.
        gains: For every point by how much the law errs less, shape (n_points,).
        values: Per axis of three or more values, the errors with each value left out in turn.
    """

    point_error: float
    point_trivial: float
    gains: FloatArray
    values: dict[str, LeftOut]

    def carries_beyond(self, axis: str) -> bool:
        """Whether the law was seen to predict values of an axis that it had not been given."""
        return axis in self.values and self.values[axis].error < self.values[axis].trivial


def cross_validate(
    form: LawForm, logs: FloatArray, losses: FloatArray, weights: FloatArray, axes: Sequence[str]
) -> CrossValidation:
    """Predict every point, and every value of an axis, from the rest.

    Args:
        form: Terms of the law.
        logs: Logarithms of ``u``, shape (n_points, n_axes).
        losses: Shape (n_points,).
        weights: Inverse variances, shape (n_points,).
        axes: Names of the axes.
    """
    n_points = len(losses)
    owners: list[str | None] = [None] * n_points
    folds = list(np.eye(n_points, dtype=np.bool_))
    for k, axis in enumerate(axes):
        levels = np.unique(logs[:, k].round(9))
        if len(levels) >= 3:
            folds += [logs[:, k].round(9) == level for level in levels]
            owners += [axis] * len(levels)
    out = np.array(folds)
    rows = np.broadcast_to(losses, out.shape)
    fitted = first_fit(form, logs, rows, np.where(out, 0.0, weights))
    errors = np.abs(form.losses(fitted, logs) - losses)
    trivial = np.abs(np.nanmedian(np.where(out, np.nan, rows), axis=1)[:, None] - losses)
    law, plain = errors[:n_points].diagonal(), trivial[:n_points].diagonal()
    values = {}
    for axis in dict.fromkeys(owner for owner in owners if owner is not None):
        mask = out & np.array([owner == axis for owner in owners])[:, None]
        values[axis] = LeftOut(float(errors[mask].mean()), float(trivial[mask].mean()))
    return CrossValidation(float(law.mean()), float(plain.mean()), np.asarray(plain - law), values)
