"""Labelled utterances: those whose labels can be learned and whose speakers can be kept apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from allophone.corpora.corpus import Corpus
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance

__all__ = ["deal_speakers", "labelled_utterances", "labels_of", "speakers_of"]


def labelled_utterances(corpus: Corpus, known: Collection[str] | None = None) -> list[Utterance]:
    """Read a corpus for emotion recognition.

    Args:
        corpus: A manifest or folder.
        known: The only labels allowed, where a split or a model has fixed them.

    Returns:
        All utterances in the corpus's order, each with a label and a speaker.

    Raises:
        CorpusError: An utterance names no label or no speaker, its label is not a known one, or all have one label.
    """
    utterances = []
    for utterance in corpus:
        if not utterance.label:
            raise CorpusError(
                f"{corpus.path}: utterance '{utterance.id}' has no known label. Give it the field 'label', a name in "
                "the form of CREMA-D or RAVDESS, or leave it out."
            )
        if not utterance.speaker:
            raise CorpusError(
                f"{corpus.path}: utterance '{utterance.id}' names no speaker. Give it the field 'speaker': training "
                "and test speakers are kept apart."
            )
        if known is not None and utterance.label not in known:
            raise CorpusError(
                f"{corpus.path}: utterance '{utterance.id}' has the label '{utterance.label}'; known ones: "
                f"{', '.join(known)}. Mend it or leave it out."
            )
        utterances.append(utterance)
    labels = labels_of(utterances)
    if known is None and len(labels) < 2:
        found = f"the only label is '{labels[0]}'" if labels else "there is no utterance"
        raise CorpusError(f"{corpus.path}: {found}. Recognition needs utterances of at least two labels.")
    return utterances


def labels_of(utterances: Collection[Utterance]) -> tuple[str, ...]:
    """Return the different labels, sorted; their places are the class numbers of heads and probabilities."""
    return tuple(sorted({utterance.label for utterance in utterances if utterance.label}))


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
