"""Whole speakers dealt to parts so that every label comes near its share in each."""

from __future__ import annotations

from collections.abc import Sequence

from allophone.corpora.labels import labels_of
from allophone.records.utterance import Utterance

__all__ = ["deal_speakers", "speakers_of"]


def speakers_of(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Return the different speakers, sorted."""
    return tuple(sorted({utterance.speaker for utterance in utterances if utterance.speaker}))


def deal_speakers(utterances: Sequence[Utterance], shares: Sequence[float], seed: int) -> list[tuple[str, ...]]:
    """Deal speakers one at a time, those with most utterances first, each where all labels then fit best.

    The fit is the squared distance of every label's count in every part from its share, in shares; greedy, as
    ``StratifiedGroupKFold`` of scikit-learn, for unequal shares too. No part stays empty while there are speakers.

    Args:
        utterances: Each with label and speaker.
        shares: What each part should get of every label, in any unit.
        seed: Breaks ties between speakers of equal size.

    Returns:
        The speakers of every part, sorted.
    """
    import numpy as np

    labels, speakers = labels_of(utterances), speakers_of(utterances)
    counts = np.zeros((len(speakers), len(labels)))
    row = {speaker: number for number, speaker in enumerate(speakers)}
    column = {label: number for number, label in enumerate(labels)}
    for utterance in utterances:
        if utterance.speaker and utterance.label:
            counts[row[utterance.speaker], column[utterance.label]] += 1
    wanted = np.outer(np.asarray(shares) / sum(shares), counts.sum(axis=0)).clip(min=1e-9)
    order = np.random.default_rng(seed).permutation(len(speakers))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled = np.zeros_like(wanted)
    dealt: list[list[str]] = [[] for _ in shares]
    for number, speaker in enumerate(order):
        empty = [part for part, members in enumerate(dealt) if not members]
        last_chance = len(empty) >= len(speakers) - number
        # Only the receiving part changes, so parts are compared by how much nearer to its share each would come.
        gain = ((filled + counts[speaker]) / wanted - 1) ** 2 - (filled / wanted - 1) ** 2
        cost = gain.sum(axis=1)
        best = min(empty if last_chance else range(len(shares)), key=lambda part: (cost[part], part))
        filled[best] += counts[speaker]
        dealt[best].append(speakers[speaker])
    return [tuple(sorted(members)) for members in dealt]
