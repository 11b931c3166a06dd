"""The utterances of a corpus whose labels can be learned and whose speakers can be kept apart."""

from __future__ import annotations

from collections.abc import Collection

from allophone.corpora.corpus import Corpus
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance

__all__ = ["labelled_utterances", "labels_of"]


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
    """Return the different labels, sorted; their places are the class numbers of heads and posteriors."""
    return tuple(sorted({utterance.label for utterance in utterances if utterance.label}))
