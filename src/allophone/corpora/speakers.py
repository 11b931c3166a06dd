"""Speaker clustering: speakers inferred from voices, for corpora that do not name them.

Recordings are embedded (:mod:`allophone.audio.voice`) and clustered by agglomeration: the two clusters whose recordings
are on average nearest in cosine distance are joined, until none are nearer than a threshold (average linkage). A
recording with too little speech is a block of its own. Speakers whom the corpus names win: their recordings are never
parted or joined, and a cluster joins one of them only if it is nearer to their recordings than the same threshold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allophone.audio.decode import LONGEST_S
from allophone.audio.utterance_audio import load_utterance
from allophone.audio.voice import ENCODER, VoiceEncoder
from allophone.corpora.corpus import Corpus
from allophone.errors import AudioError, CorpusError
from allophone.extras import importing
from allophone.files import read_json, write_whole
from allophone.records.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "INFERRED_BY",
    "SPEAKERS_FILE",
    "THRESHOLD",
    "InferredCorpus",
    "InferredSpeakers",
    "cluster_voices",
    "infer_speakers",
    "name_speakers",
]

SPEAKERS_FILE = "speakers.json"
THRESHOLD = 0.24  # cosine distance; benchmarks/statements/speaker_blocks.py chooses it
INFERRED_BY = f"{ENCODER}, average linkage below {THRESHOLD:g}"
_MOST_UTTERANCES = 20_000  # whose distances take 1.6 GB
_PREFIX = "inferred-"


@dataclass(frozen=True, slots=True)
class InferredSpeakers:
    """Who speaks in the recordings that name no speaker.

    Args:
        speakers: Inferred speaker by utterance id; None for a recording with too little speech.
        named: Utterances whose speaker the corpus names.
        joined: Inferred utterances that were given a speaker whom the corpus names.
    """

    speakers: Mapping[str, str | None]
    named: int
    joined: int

    @property
    def n_inferred(self) -> int:
        """Speakers inferred, those whom the corpus names left out."""
        return len({name for name in self.speakers.values() if name is not None and name.startswith(_PREFIX)})

    def describe(self) -> str:
        """Return the counts in a sentence."""
        alone = sum(name is None for name in self.speakers.values())
        parts = [
            f"{len(self.speakers)} utterances name no speaker: {self.n_inferred} speakers inferred from their voices"
        ]
        if self.joined:
            parts.append(f"{self.joined} utterances joined to speakers whom the corpus names")
        if alone:
            parts.append(f"{alone} with too little speech stand alone")
        if self.named:
            parts.append(f"{self.named} keep the speaker that the corpus names")
        return f"{'; '.join(parts)} ({INFERRED_BY})."


class InferredCorpus(Corpus):
    """A corpus whose nameless recordings have inferred speakers.

    Args:
        corpus: The corpus.
        inferred: Its inferred speakers.
    """

    def __init__(self, corpus: Corpus, inferred: InferredSpeakers) -> None:
        super().__init__(corpus.source, corpus.path)
        self._corpus = corpus
        self._speakers = inferred.speakers

    def __iter__(self) -> Iterator[Utterance]:
        """Yield the utterances in their fixed order."""
        for utterance in self._corpus:
            speaker = utterance.speaker or self._speakers.get(utterance.id)
            yield utterance if speaker == utterance.speaker else replace(utterance, speaker=speaker)


def infer_speakers(
    corpus: Corpus, folder: Path, progress: Callable[[int], None] = lambda done: None, longest_s: float = LONGEST_S
) -> InferredSpeakers:
    """Infer the speakers of a corpus into ``speakers.json`` of a run folder, or read them where they are there.

    Args:
        corpus: The corpus, checked.
        folder: The run folder.
        progress: Called with the number of utterances that were heard.
        longest_s: Most seconds of audio in an utterance; a longer one stands alone.

    Raises:
        MissingExtraError: The encoder is not installed.
        CorpusError: There are too many recordings to compare.
        LedgerError: The folder cannot be written.
    """
    path = folder / SPEAKERS_FILE
    utterances = list(corpus)
    if path.exists():
        return _read(path, utterances)
    if len(utterances) > _MOST_UTTERANCES:
        raise CorpusError(
            f"{corpus.path}: {len(utterances)} utterances are too many to compare every pair of voices (at most "
            f"{_MOST_UTTERANCES}). Name speakers in the manifest (field 'speaker'), or sweep a part."
        )
    found = name_speakers(utterances, _embeddings(utterances, progress, longest_s))
    fields = {"inferred_by": INFERRED_BY, "named": found.named, "joined": found.joined, "speakers": found.speakers}
    write_whole(path, json.dumps(fields, ensure_ascii=False, indent=1) + "\n")
    return found


def name_speakers(
    utterances: Sequence[Utterance],
    embeddings: Iterable[NDArray[np.float32] | None],
    threshold: float = THRESHOLD,
) -> InferredSpeakers:
    """Infer who speaks in the utterances without a speaker.

    Args:
        utterances: The corpus.
        embeddings: One per utterance, shape (256,) and of length 1, or None where there is too little speech.
        threshold: Cosine distance below which recordings are one speaker's.
    """
    import numpy as np

    heard = [
        (utterance, embedding)
        for utterance, embedding in zip(utterances, embeddings, strict=True)
        if embedding is not None
    ]
    speakers: dict[str, str | None] = {one.id: None for one in utterances if one.speaker is None}
    nameless = [(one.id, embedding) for one, embedding in heard if one.speaker is None]
    known: dict[str, list[NDArray[np.float32]]] = {}
    for one, embedding in heard:
        if one.speaker is not None:
            known.setdefault(one.speaker, []).append(embedding)
    centres = {name: np.mean(voices, axis=0) for name, voices in known.items()}
    taken = {one.speaker for one in utterances if one.speaker is not None}
    free = (name for number in range(1, len(utterances) * 2 + 2) if (name := f"{_PREFIX}{number}") not in taken)
    joined = 0
    clusters = cluster_voices(np.array([embedding for _, embedding in nameless]), threshold)
    for cluster in dict.fromkeys(clusters.tolist()):
        members = np.flatnonzero(clusters == cluster)
        centre = np.mean([nameless[index][1] for index in members], axis=0)
        # The mean cosine over all pairs of two groups is the product of the groups' means.
        nearest = min(centres, key=lambda name: 1 - float(centres[name] @ centre), default=None)
        if nearest is not None and 1 - float(centres[nearest] @ centre) < threshold:
            name, joined = nearest, joined + len(members)
        else:
            name = next(free)
        for index in members:
            speakers[nameless[index][0]] = name
    return InferredSpeakers(speakers, len(utterances) - len(speakers), joined)


def cluster_voices(embeddings: NDArray[np.float32], threshold: float = THRESHOLD) -> NDArray[np.intp]:
    """Cluster voices by average linkage of cosine distances.

    Args:
        embeddings: Shape (n, 256), of length 1.
        threshold: Distance from which clusters are not joined.

    Returns:
        Cluster of every recording, as numbers, shape (n,).
    """
    import numpy as np

    with importing("scipy", "speakers"):
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import pdist

    if len(embeddings) < 2:
        return np.arange(len(embeddings))
    tree = linkage(np.maximum(pdist(embeddings, "cosine"), 0.0), "average")
    return np.asarray(fcluster(tree, threshold, "distance"), dtype=np.intp)


def _embeddings(
    utterances: Sequence[Utterance], progress: Callable[[int], None], longest_s: float
) -> Iterator[NDArray[np.float32] | None]:
    encoder = VoiceEncoder()
    for number, utterance in enumerate(utterances, start=1):
        try:
            yield encoder.embed(load_utterance(utterance, longest_s=longest_s))
        except AudioError:  # reported when its turn to be measured comes
            yield None
        progress(number)


def _read(path: Path, utterances: Sequence[Utterance]) -> InferredSpeakers:
    remedy = "Delete it, and the speakers are inferred again; a run that was begun then wants another --out."
    fields: Any = read_json(path, remedy, error=CorpusError, unreadable=CorpusError)
    nameless = {one.id for one in utterances if one.speaker is None}
    speakers = fields.get("speakers") if isinstance(fields, dict) else None
    if not isinstance(speakers, dict) or speakers.keys() != nameless:
        raise CorpusError(f"{path}: field 'speakers' does not fit the utterances without a speaker. {remedy}")
    if (by := fields.get("inferred_by")) != INFERRED_BY:
        raise CorpusError(f"{path}: field 'inferred_by' is '{by}', and here is {INFERRED_BY}. {remedy}")
    return InferredSpeakers(speakers, int(fields.get("named", 0)), int(fields.get("joined", 0)))
