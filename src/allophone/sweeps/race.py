"""Racing: points are measured on growing subsets of utterances, and those surely dominated are given up.

At every look the points still in the race are compared by the paired, speaker-blocked bootstrap on the utterances that
all of them have. One named point must dominate another with probability ``1 - alpha / looks`` at least: by the union
bound the chance that a look condemns a given point wrongly stays below ``alpha`` over all looks (the Bonferroni form of
a Hoeffding race; Maron and Moore, "The racing algorithm", 1997, with the bootstrap in place of Hoeffding's bound). The
last look has no judgement to make: survivors are then measured on the whole corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from allophone.frontier.objectives import find_cost
from allophone.frontier.samples import RunSamples, resample_objective
from allophone.frontier.uncertainty import assess_frontier
from allophone.ledger.race_record import Elimination
from allophone.measure.blocks import draw_blocks
from allophone.records import Utterance

__all__ = ["judge", "look_sizes", "race_order"]

ALPHA = 0.05
FIRST_SHARE = 0.1
GROWTH = 1.6  # each look has this many times the utterances of the one before
_AT_LEAST = 20  # a bootstrap of fewer utterances is not to be trusted
_REPLICATES = 10_000


def look_sizes(n_utterances: int) -> list[int]:
    """Return how many utterances each look has; the last is the whole corpus.

    A tenth of the corpus first, 20 utterances at least, then 1.6 times as many each time.
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


def judge(samples: RunSamples, cost: str, n_looks: int, alpha: float = ALPHA) -> list[Elimination]:
    """Return the points that one other point surely dominates on what is measured so far.

    Args:
        samples: The points still in the race, on the utterances that they share.
        cost: Name of the cost objective; quality is the word error rate.
        n_looks: Looks with a judgement, over which ``alpha`` is spent.
        alpha: Probability of giving up a given point wrongly, over all looks.
    """
    find_cost(cost)
    resample = draw_blocks(samples.speakers, n_replicates=_REPLICATES)
    if resample.n_blocks < 2:
        return []
    resampled = [resample_objective(samples, name, resample) for name in ("wer", cost)]
    estimates = np.stack([item.estimates for item in resampled], axis=-1)
    replicates = np.stack([item.widened() for item in resampled], axis=-1)
    verdicts = assess_frontier(replicates, estimates, 1 - alpha / max(1, n_looks))
    return [
        Elimination(
            point=samples.points[j],
            utterances=len(samples.utterances),
            dominated_by=samples.points[int(verdicts.dominator[j])],
            p_dominated=float(verdicts.p_dominated_by[verdicts.dominator[j], j]),
            wer=float(estimates[j, 0]),
            cost=float(estimates[j, 1]),
        )
        for j in range(len(samples.points))
        if verdicts.status[j] == "dominated"
    ]
