"""Racing (successive elimination): points without a prospect are given up on growing subsets of utterances.

At every look the points still in the race are compared by the paired, speaker-blocked bootstrap on the utterances that
all of them have. A point is given up for one of two reasons:

- It is *dominated*: one named point dominates it with probability ``1 - alpha / looks`` at least, all rivals compared
  at once (:mod:`allophone.frontier.uncertainty`), so that the chance of condemning it wrongly stays below ``alpha``
  over all looks and rivals (the Bonferroni form over looks is that of a Hoeffding race; Maron and Moore, "The racing
  algorithm", 1997).
- It will hardly be shown *better* than a point that is no dearer: the chance that the whole corpus would show it to be
  better in anything, with the confidence at which a frontier is read, is at most ``TIED_ALPHA / looks``, and with many
  rivals ``TIED_ALPHA_RIVALS / (looks · rivals)``, since the one that looks best is the luckiest. This is stopping for
  futility by predictive power
  (Spiegelhalter, Freedman and Blackburn, "Monitoring clinical trials: conditional or predictive power?", 1986). The
  whole corpus will move an estimate made on a share ``f`` of it by ``sqrt(1 - f)`` times its deviation, and then know
  it to ``sqrt(f)`` times; utterances of speakers already heard move it by less. A mistake here loses a difference just
  large enough to be seen, so ``TIED_ALPHA`` is larger than ``alpha``. The point of least error is never given up so.

What the two keep in simulated races stands in ``docs/results/statements.md``. Survivors are then measured on the whole
corpus, or as far as the time allowed for the race goes. A look that has too few speakers or utterances for a verdict
gives nothing up.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, sqrt
from statistics import NormalDist

import numpy as np

from allophone.arrays import FloatArray
from allophone.frontier.objectives import find_cost
from allophone.frontier.samples import Samples
from allophone.frontier.uncertainty import assess_frontier, too_few
from allophone.ledger.race_record import Elimination
from allophone.measure.blocks import draw_blocks
from allophone.records.utterance import Utterance

__all__ = ["judge", "look_sizes", "race_order"]


ALPHA = 0.05
TIED_ALPHA = 0.2  # against one rival
TIED_ALPHA_RIVALS = 0.5  # against all rivals together, each an equal share
FIRST_SHARE = 0.05
GROWTH = 1.6  # each look has this many times the utterances of the one before
_AT_LEAST = 20  # utterances: of fewer no verdict is given
_REPLICATES = 10_000
_ROUNDING = 1e-12  # relative; what is smaller is taken for rounding of an exact zero
_SHOWN = 1.645  # standard errors: what the frontier's one-sided 0.95 asks of a difference


def look_sizes(n_utterances: int) -> list[int]:
    """Return how many utterances each look has; the last is the whole corpus.

    A twentieth of the corpus first, 20 utterances at least, then 1.6 times as many each time.
    """
    sizes = []
    size = float(max(_AT_LEAST, ceil(FIRST_SHARE * n_utterances)))
    while size < n_utterances:
        sizes.append(ceil(size))
        size *= GROWTH
    return [*sizes, n_utterances]


def race_order(utterances: Sequence[Utterance], seed: int = 0) -> list[int]:
    """Return the order in which utterances join the race: speakers take turns, so that early looks hear many of them.

    Args:
        utterances: The corpus.
        seed: Fixes the order within a speaker and among speakers.
    """
    rng = np.random.default_rng(seed)
    by_speaker: dict[str, list[int]] = {}
    for index, utterance in enumerate(utterances):
        by_speaker.setdefault(utterance.speaker or f"\x00{index}", []).append(index)
    queues = [list(rng.permutation(members)) for members in by_speaker.values()]
    queues = [queues[place] for place in rng.permutation(len(queues))]
    order: list[int] = []
    while queues:
        order += [int(queue.pop()) for queue in queues]
        queues = [queue for queue in queues if queue]
    return order


def judge(
    samples: Samples,
    cost: str,
    n_looks: int,
    n_utterances: int,
    *,
    alpha: float = ALPHA,
    tied: float = TIED_ALPHA,
) -> list[Elimination]:
    """Return the points to give up on what is measured so far: surely dominated, or tied for good with a cheaper one.

    None is given up on fewer than 20 utterances or 5 speakers, so a race of a corpus with fewer measures every point
    whole. An utterance that names no speaker counts as a speaker of its own.

    Args:
        samples: The points still in the race, on the utterances that they share.
        cost: Name of the cost objective; quality is the word error rate, of emotion runs the UAR.
        n_looks: Looks with a judgement, over which ``alpha`` and ``tied`` are spent.
        n_utterances: Size of the whole corpus.
        alpha: Probability of calling a given point dominated wrongly, over all looks.
        tied: Probability that a point given up as tied would have been shown better in the end, over all looks.
    """
    find_cost(cost, samples.task)
    if len(samples.points) < 2:
        return []
    resample = draw_blocks(samples.speakers, n_replicates=_REPLICATES)
    if too_few(resample):
        return []
    resampled = [samples.resample(name, resample) for name in (samples.quality, cost)]
    estimates = np.stack([item.estimates for item in resampled], axis=-1)
    replicates = np.stack([item.inflated() for item in resampled], axis=-1)
    floors = [0.0, samples.noise_floors.get(cost, 0.0)]
    verdicts = assess_frontier(replicates, estimates, 1 - alpha / max(1, n_looks), floors, resample)
    beaten = {j: int(verdicts.dominator[j]) for j in range(len(estimates)) if verdicts.status[j] == "dominated"}
    left = [j for j in range(len(estimates)) if j not in beaten]
    share = min(1.0, len(samples.utterances) / n_utterances)
    futile = _without_prospect(estimates, replicates, left, share, tied, max(1, n_looks))
    return [
        Elimination(
            point=samples.points[j],
            utterances=len(samples.utterances),
            dominated_by=samples.points[i],
            p_dominated=float(verdicts.p_dominated_by[i, j]),
            loss=float(estimates[j, 0]),
            cost=float(estimates[j, 1]),
            tied=j in futile,
        )
        for j, i in sorted((beaten | futile).items())
    ]


def _without_prospect(
    estimates: FloatArray,
    replicates: FloatArray,
    left: Sequence[int],
    share: float,
    level: float,
    n_looks: int,
) -> dict[int, int]:
    """Return the points that will hardly be shown better than one no dearer, with that one; dearest judged first.

    Args:
        estimates: Shape (n_points, 2), the cost last.
        replicates: Shape (n_replicates, n_points, 2).
        left: The points to judge. Whom another is given up for stays.
        share: Part of the corpus measured so far.
        level: Probability of being shown better than one rival, over all looks, below which there is no prospect.
        n_looks: Looks with a judgement.
    """
    shown = _chance_of_being_shown(estimates, replicates, share)
    futile: dict[int, int] = {}
    best_of_all = min(left, key=lambda j: (estimates[j, 0], estimates[j, 1], j))
    for j in sorted(left, key=lambda j: (-estimates[j, 1], -j)):  # of equals the first of the plan stays
        if j == best_of_all:
            continue
        rivals = [i for i in left if i != j and i not in futile and estimates[i, 1] <= estimates[j, 1]]
        if rivals and j not in futile.values():
            best = min(rivals, key=lambda i: shown[j, i])
            if shown[j, best] <= min(level, TIED_ALPHA_RIVALS / len(rivals)) / n_looks:
                futile[j] = best
    return futile


def _chance_of_being_shown(estimates: FloatArray, replicates: FloatArray, share: float) -> FloatArray:
    """Predictive power: the chance that the whole corpus shows a point to be better than another in some objective.

    A difference ``d`` of standard error ``s`` ends normal about ``d`` with ``s sqrt(1 - share)`` and is then known to
    ``s sqrt(share)``; the chances of the objectives are added (union bound).

    Returns:
        Shape (n_points, n_points); entry ``[j, i]``: ``j`` better than ``i``, 1 where that is undefined.
    """
    total = np.zeros((len(estimates), len(estimates)))
    for k in range(estimates.shape[1]):
        covariance = np.atleast_2d(np.cov(replicates[:, :, k].T))
        variances = np.diag(covariance)
        error = np.sqrt(np.maximum(variances[:, None] + variances - 2 * covariance, 0))
        difference = estimates[:, None, k] - estimates[:, k]
        error[error <= _ROUNDING * np.abs(estimates[:, k]).max()] = 0
        with np.errstate(invalid="ignore", divide="ignore"):
            reach = -(difference / error + _SHOWN * sqrt(share)) / sqrt(1 - share)
        reach[(error == 0) & (difference >= 0)] = -inf  # equal, or worse for certain
        total += _normal_cdf(np.nan_to_num(reach, nan=inf, posinf=inf, neginf=-inf))
    return np.minimum(total, 1.0)


_normal_cdf = np.vectorize(NormalDist().cdf, otypes=[np.float64])
