"""Model selection of a regressor: candidates predict unseen speakers, and the one that saves most wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.routing.recovery import Recovery, recovered_gains
from allophone.routing.regression import Candidate, fit_candidate
from allophone.routing.replay import sweep_thresholds
from allophone.routing.routers import OracleRouter, Order, Overhead, Router, last_kept
from allophone.routing.samples import RouteSamples, SamplesT

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CANDIDATES",
    "PredictedRouter",
    "Selected",
    "cross_predict",
    "predicted_router",
    "select_choice",
    "select_regressor",
]

# From loose to stiff; splines and networks bend where a line cannot.
CANDIDATES: tuple[Candidate, ...] = (
    *(Candidate(penalty) for penalty in (30.0, 300.0, 3000.0)),
    Candidate(300.0, splines=True),
    Candidate(1.0, hidden=4),
)
_SEARCH_REPLICATES = 1  # the share itself is wanted, not its interval


@dataclass(frozen=True, slots=True, eq=False)
class PredictedRouter:
    """A router whose scores are known already.

    Args:
        name: For tables.
        order: What it waits for.
        overhead: What it costs.
        values: Scores, shape (n_points - 1, n_utterances).
        keeps: Whose transcript is kept by point reached, shape (n_points, n_utterances); None keeps the last.
    """

    name: str
    order: Order
    overhead: Overhead
    values: FloatArray
    keeps: IntArray | None = None

    def scores(self, samples: RouteSamples) -> FloatArray:
        """Return the scores given."""
        del samples
        return self.values

    def kept(self, samples: RouteSamples) -> IntArray:
        """Return the choices given."""
        return last_kept(samples) if self.keeps is None else self.keeps

    def take(self, indices: IntArray) -> PredictedRouter:
        """Return the same router for some of the utterances only, in the order given."""
        keeps = None if self.keeps is None else self.keeps[:, indices]
        return replace(self, values=self.values[:, indices], keeps=keeps)


def predicted_router(router: Router[SamplesT], samples: SamplesT) -> PredictedRouter:
    """Return a router's scores and choices, asked for once."""
    return PredictedRouter(router.name, router.order, router.overhead, router.scores(samples), router.kept(samples))


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What cross-validation chose.

    Args:
        candidate: The regressor.
        per_gflop: Whether scores are divided by expected GFLOPs.
        shares: Recovered share by candidate, in words.
        recovery: The chosen one's, with its interval.
    """

    candidate: Candidate
    per_gflop: bool
    shares: dict[str, float]
    recovery: Recovery


def cross_predict(
    candidate: Candidate,
    features: NDArray[np.floating],
    saved: FloatArray,
    folds: Sequence[NDArray[np.intp]],
    seed: int = 0,
) -> FloatArray:
    """Predict every utterance by a regressor that has seen none of its fold, shape (n,)."""
    predicted = np.zeros(len(saved))
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(saved)), fold)
        network = fit_candidate(candidate, features[rest], saved[rest], seed=seed)
        predicted[fold] = network.predict(features[fold])[:, 0]
    return predicted


def select_choice(
    features: Sequence[NDArray[np.floating]],
    errors: FloatArray,
    folds: Sequence[NDArray[np.intp]],
    candidates: Sequence[Candidate] = CANDIDATES,
    seed: int = 0,
) -> tuple[Candidate | None, IntArray | None]:
    """Choose how to pick between transcripts that both exist, or None where keeping the dearer one is no worse.

    Args:
        features: For every step what both readings show, shape (n, n_features) each.
        errors: Word errors, shape (n_points, n).
        folds: Places of the utterances of each fold.
        candidates: What to try.
        seed: Of networks' first weights.

    Returns:
        The candidate with the fewest errors when all points have run, and whom it keeps by point reached, shape
        (n_points, n), predicted across folds.
    """
    n_points, n = errors.shape
    columns = np.arange(n)
    best, chosen, kept_best = errors[-1].sum(), None, None
    for candidate in candidates:
        kept = np.repeat(np.arange(n_points)[:, None], n, axis=1)
        for step in range(n_points - 1):
            saved = errors[step] - errors[step + 1]
            predicted = cross_predict(candidate, features[step], saved, folds, seed)
            kept[step + 1] = np.where(predicted >= 0, step + 1, kept[step])
        total = errors[kept[-1], columns].sum()
        if total < best:
            best, chosen, kept_best = total, candidate, kept
    return chosen, kept_best


def select_regressor(
    samples: RouteSamples,
    features: Sequence[NDArray[np.floating]],
    saved: FloatArray,
    folds: Sequence[NDArray[np.intp]],
    order: Order,
    costs: FloatArray,
    *,
    kept: IntArray | None = None,
    candidates: Sequence[Candidate] = CANDIDATES,
    seed: int = 0,
) -> Selected:
    """Choose the regressor by the share of the oracle's gain that its policy recovers on unseen speakers.

    Args:
        samples: Training utterances.
        features: What each step's regressor reads, shape (n, n_features), one per step.
        saved: Word errors that each step saves, shape (n_points - 1, n).
        folds: Places of the utterances of each fold.
        order: What runs before deciding.
        costs: Expected GFLOPs of every step, shape (n_points - 1, n).
        kept: Choices between transcripts, as :func:`select_choice` returns them.
        candidates: What to try.
        seed: Of networks' first weights.
    """
    steps = range(len(saved))
    oracle = sweep_thresholds(samples, OracleRouter())
    routers: dict[str, tuple[Candidate, bool, PredictedRouter]] = {}
    for candidate in candidates:
        predicted = np.stack([cross_predict(candidate, features[step], saved[step], folds, seed) for step in steps])
        for per_gflop in (False, True):
            name = candidate.name + (", per GFLOP" if per_gflop else "")
            scores = predicted / costs if per_gflop else predicted
            routers[name] = candidate, per_gflop, PredictedRouter(name, order, Overhead(), scores, kept)
    traces = [sweep_thresholds(samples, router) for _, _, router in routers.values()]
    found = recovered_gains(samples, traces, oracle, n_replicates=_SEARCH_REPLICATES)
    shares = {item.name: item.share for item in found}
    name = max(shares, key=lambda key: np.nan_to_num(shares[key], nan=-np.inf))
    candidate, per_gflop, router = routers[name]
    recovery = recovered_gains(samples, [sweep_thresholds(samples, router)], oracle)[0]
    return Selected(candidate, per_gflop, shares, recovery)
