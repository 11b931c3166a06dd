"""Search with a scaling law: the best point within a budget, and the points to measure next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray
from allophone.errors import InfeasibleError, LawError, UsageError
from allophone.law.law import LEVEL, Law
from allophone.measure.intervals import Interval
from allophone.records.point import OperatingPoint

__all__ = ["Extrapolation", "best_within", "propose"]


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """The point of lowest predicted loss within a budget.

    Args:
        point: The point.
        gflops: Executed GFLOPs per utterance.
        loss: Predicted loss with its interval, fractions.
        beyond: Axes on which it lies outside what was measured.
        left_out: Affordable candidates not considered, because the law was not seen to predict unmeasured values of an
            axis on which they lie outside.
    """

    point: OperatingPoint
    gflops: float
    loss: Interval
    beyond: tuple[str, ...]
    left_out: int


def best_within(
    law: Law,
    budget_gflops: float,
    candidates: Sequence[OperatingPoint],
    gflops: npt.ArrayLike,
    level: float = LEVEL,
) -> Extrapolation:
    """Find the candidate of lowest predicted loss that costs no more than a budget; the cheaper one where two tie.

    Args:
        law: A fitted law.
        budget_gflops: Executed GFLOPs per utterance.
        candidates: Points, measured or not.
        gflops: Their costs, shape (n_candidates,).
        level: Share of intervals meant to hold the true loss.

    Raises:
        InfeasibleError: No candidate costs so little.
        LawError: Every affordable candidate lies where the law was not seen to carry.
        UsageError: As many costs as candidates are needed.
        UnknownModelError: The size of a model is not known.
    """
    costs = _checked(candidates, gflops)
    affordable = [index for index in range(len(candidates)) if costs[index] <= budget_gflops]
    if not affordable:
        raise InfeasibleError(
            f"no candidate costs {budget_gflops:g} GFLOPs per utterance or less; the cheapest of {len(candidates)} "
            f"costs {costs.min(initial=np.inf):.1f}."
        )
    beyond = {index: law.beyond(candidates[index]) for index in affordable}
    trusted = [index for index in affordable if all(map(law.validation.extrapolates, beyond[index]))]
    if not trusted:
        axes = sorted({axis for outside in beyond.values() for axis in outside})
        raise LawError(
            f"all {len(affordable)} candidates within {budget_gflops:g} GFLOPs lie outside the measured range of "
            f"{', '.join(axes)}, where the law was not seen to predict values left out (that takes three values of an "
            "axis, and smaller errors than the median's). Measure more values."
        )
    predicted = law.predict([candidates[index] for index in trusted], level)
    place = min(range(len(trusted)), key=lambda place: (predicted[place].estimate, costs[trusted[place]]))
    best = trusted[place]
    return Extrapolation(
        point=candidates[best],
        gflops=float(costs[best]),
        loss=predicted[place],
        beyond=beyond[best],
        left_out=len(affordable) - len(trusted),
    )


def propose(
    law: Law,
    candidates: Sequence[OperatingPoint],
    gflops: npt.ArrayLike,
    measured_gflops: npt.ArrayLike,
    k: int = 1,
) -> tuple[OperatingPoint, ...]:
    """Choose the points to measure next: those that promise to push the frontier of loss and compute furthest.

    The criterion is the expected improvement of the hypervolume (Emmerich et al., IEEE Transactions on Evolutionary
    Computation 10, 2006) in the plane of loss and logarithm of GFLOPs: the mean over refits of the area that a
    candidate's predicted loss adds below the frontier of the refit's measured losses. Both are better when lower; the
    area ends at the worst measured loss and at twice the dearest cost. Points are chosen one after the other, and each
    joins every refit's frontier with the loss that the refit predicts for it, so that they spread out.

    Args:
        law: A fitted law; the points it was fitted to are not proposed.
        candidates: Points to choose from.
        gflops: Their costs, shape (n_candidates,).
        measured_gflops: Costs of the law's points, shape (n_points,).
        k: How many to choose; fewer come back where candidates run out or none promises anything.

    Raises:
        UsageError: As many costs as points are needed, all above zero.
        UnknownModelError: The size of a model is not known.
    """
    known = set(law.points)
    costs = _checked(candidates, gflops)
    spent = _checked(law.points, measured_gflops)
    indices = [index for index, point in enumerate(candidates) if point not in known]
    if not indices:
        return ()
    new = np.log(costs[indices])
    sampled = law.sampled([candidates[index] for index in indices])
    steps, widths, frontier = _frontier(np.log(spent), law.replicates, float(law.losses.max()), new)
    starts = np.searchsorted(steps, new)
    chosen: list[int] = []
    while len(chosen) < min(k, len(indices)):
        promises = np.array(
            [
                -1.0 if j in chosen else _added(frontier, widths, sampled[:, j], int(starts[j]))
                for j in range(len(indices))
            ]
        )
        best = int(promises.argmax())
        if promises[best] <= 0:
            break
        chosen.append(best)
        reached = frontier[:, starts[best] :]
        np.minimum(reached, sampled[:, [best]], out=reached)
    return tuple(candidates[indices[j]] for j in chosen)


def _frontier(
    spent: FloatArray, losses: FloatArray, worst: float, new: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The lowest measured loss at every cost, as steps.

    Returns:
        Logarithms of cost where steps begin, shape (n_steps,), how wide they are, the same shape, and the loss there in
        every refit, shape (n_refits, n_steps).
    """
    steps = np.unique(np.concatenate([spent, new]))
    widths = np.diff(steps, append=steps[-1] + log(2))
    lowest = np.full((len(losses), len(steps)), worst)
    indices = np.searchsorted(steps, spent)
    for index, place in enumerate(indices):
        lowest[:, place] = np.minimum(lowest[:, place], losses[:, index])
    return steps, widths, np.minimum.accumulate(lowest, axis=1)


def _added(frontier: FloatArray, widths: FloatArray, losses: FloatArray, start: int) -> float:
    """Mean area that a point of these losses adds below the frontier from its step on."""
    gained = np.maximum(frontier[:, start:] - losses[:, None], 0) @ widths[start:]
    return float(gained.mean())


def _checked(points: Sequence[OperatingPoint], gflops: npt.ArrayLike) -> FloatArray:
    costs = np.asarray(gflops, dtype=np.float64)
    if costs.shape != (len(points),) or not (costs > 0).all():
        raise UsageError(f"{len(points)} points need as many costs above zero; got an array of shape {costs.shape}.")
    return costs
