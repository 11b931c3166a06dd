"""Certification of measured errors: whose speakers, what passes, what is written down, whether it held.

The record is :class:`allophone.records.saved_point.Certificate`, which point files and policies hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, isfinite

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.errors import LedgerError, SpaceError, UsageError
from allophone.guarantee.betting import needed_speakers
from allophone.guarantee.certificate import (
    ASSUMPTION,
    RATES,
    CertifiedLimit,
    SpeakerLosses,
    counted_errors,
    most_counted,
    pass_in_sequence,
    read_limit,
    speaker_means,
)
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio
from allophone.measure.intervals import intervals
from allophone.records.names import title_of
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import Certificate

__all__ = [
    "NO_BOUND",
    "Candidate",
    "Heard",
    "certify",
    "check_certificate",
    "is_bounded",
    "read_limits",
    "say_needed",
    "show_certificate",
]

NO_BOUND = (
    "Nothing bounds the transcripts of points whose guard may cut a window in parts, so their true word error rate has "
    'no certificate; certify "wer_capped<=..." or "wer_clipped<=...", which count no more than is stated.'
)

_ALONE = "No speaker was named, so each utterance counts as a speaker of its own."


def read_limits(texts: Sequence[str]) -> list[CertifiedLimit]:
    """Read the limits to certify.

    Raises:
        SpaceError: One is malformed, or two limit the same rate.
    """
    limits = [read_limit(text) for text in texts]
    names = [limit.rate.name for limit in limits]
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(f"--certify names {name} {names.count(name)} times; give one limit on it, the lowest.")
    return limits


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """The utterances that a certificate rests on.

    Args:
        speakers: Speaker of every utterance, 0 to n_speakers - 1, shape (n_utterances,).
        names: Of the speakers; empty where none is named.
        words: Reference words, shape (n_utterances,).
        duration_s: Lengths of the recordings, shape (n_utterances,).
        normalizer: How texts were normalised before words were counted.
        fingerprints: Of the corpora.
    """

    speakers: IntArray
    names: tuple[str, ...]
    words: FloatArray
    duration_s: FloatArray
    normalizer: str
    fingerprints: tuple[str, ...]

    @classmethod
    def of(
        cls,
        speakers: Sequence[str | None],
        words: FloatArray,
        duration_s: FloatArray,
        *,
        normalizer: str,
        relative_to: str | None,
        fingerprints: Sequence[str],
    ) -> Heard:
        """Take measured utterances as evidence.

        Raises:
            UsageError: Errors are not counted against references, no reference has a word, some utterances name a
                speaker and others do not, or all have one speaker.
        """
        if relative_to is not None:
            raise UsageError(
                f"Errors of this run are counted relative to {title_of(relative_to)}, not against human references, "
                "so no error rate of it can be certified. Sweep a corpus with references."
            )
        if not words.any():
            raise UsageError("No reference has a word, so nothing can be certified. Sweep a corpus with speech in it.")
        nameless = sum(speaker is None for speaker in speakers)
        if 0 < nameless < len(speakers):
            raise UsageError(
                f"{nameless} of {len(speakers)} utterances name no speaker. A certificate needs to know "
                "which utterances belong together: name all speakers in the manifest, or none if all utterances are "
                "independent, and sweep again."
            )
        names = tuple(dict.fromkeys(speaker for speaker in speakers if speaker is not None))
        if len(names) == 1:
            raise UsageError(
                f"All utterances are of one speaker, {names[0]}, which says nothing about others. Sweep a "
                "corpus of many speakers."
            )
        indices = {name: index for index, name in enumerate(names)}
        blocks = [index if name is None else indices[name] for index, name in enumerate(speakers)]
        return cls(np.array(blocks, np.intp), names, words, duration_s, normalizer, tuple(fingerprints))

    @property
    def n_speakers(self) -> int:
        """How many speakers; utterances where none is named."""
        return int(self.speakers.max()) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What may be certified: a point, or a policy at a threshold.

    Args:
        name: What people call it.
        points: Whose transcripts it may give.
        errors: Of every utterance, shape (n_utterances,); None where it was not measured on all of them.
        share: Of the allowed error, with which a sequence starts here; they sum to 1.
    """

    name: str
    points: tuple[OperatingPoint, ...]
    errors: FloatArray | None
    share: float


def certify(
    candidates: Sequence[Candidate], heard: Heard, limits: Sequence[CertifiedLimit], confidence: float, order: str
) -> dict[str, tuple[Certificate, ...]]:
    """Find the candidates that keep all limits, wrong about any of them with probability ``1 - confidence`` at most.

    A candidate passes where its evidence for every limit is enough (an intersection-union test); one without a known
    bound of its errors, or that was not measured, does not.

    Args:
        candidates: In an order that was fixed before errors were looked at.
        heard: The utterances.
        limits: One or more.
        confidence: Between 0.5 and 1.
        order: What the order is, in words.

    Returns:
        A certificate for each limit of every candidate that passes, by name, in the candidates' order.

    Raises:
        LedgerError: A candidate made more errors than it could have.
    """
    tested = [_losses(candidate, heard, limits) for candidate in candidates]
    weakest = [0.0 if found is None else min(float(losses.e_values()[0]) for losses in found) for found in tested]
    shares = [(1 - confidence) * candidate.share for candidate in candidates]
    passed = pass_in_sequence(weakest, shares)
    certificates = {}
    for candidate, found, is_passed in zip(candidates, tested, passed, strict=True):
        if is_passed and found is not None:
            certificates[candidate.name] = tuple(
                _certificate(candidate, heard, limit, losses, confidence, order, len(candidates))
                for limit, losses in zip(limits, found, strict=True)
            )
    return certificates


def is_bounded(point: OperatingPoint, heard: Heard, limits: Sequence[CertifiedLimit]) -> bool:
    """Whether the errors of a point are bounded in every utterance, which is known before they are counted."""
    return all(np.isfinite(_most((point,), heard, limit)).all() for limit in limits)


def say_needed(
    candidates: Sequence[Candidate], heard: Heard, limits: Sequence[CertifiedLimit], confidence: float
) -> str:
    """Say why nothing could be certified: about how many speakers it would take, of this rate and of tamer ones."""
    first = [candidate for candidate in candidates if candidate.share > 0]
    name, needed = _needed(first, heard, limits, confidence)
    if not name:
        names = ", ".join(candidate.name for candidate in first)
        return f"What is tested first, {names}, does not keep the limit by enough as measured. Ask for a higher limit."
    told = (
        f"{heard.n_speakers} speakers were heard; at the losses measured, {name} would take about {needed:.0f}, "
        "because one who was not heard could have as many errors as can be."
    )
    if RATES["wer"] not in [limit.rate for limit in limits]:
        return f"{told} Measure more speakers, or ask for a higher limit."
    others = []
    for other in ("wer_capped", "wer_clipped"):
        tamer = [replace(limit, rate=RATES[other]) if limit.rate.name == "wer" else limit for limit in limits]
        _, fewer = _needed(first, heard, tamer, confidence)
        others.append(f"{' and '.join(map(str, tamer))} about {fewer:.0f}" if isfinite(fewer) else "")
    listed = "; ".join(filter(None, others))
    if not listed:
        return told
    return f"{told} Rates that count fewer of an utterance's errors take fewer: {listed}."


def _needed(
    candidates: Sequence[Candidate], heard: Heard, limits: Sequence[CertifiedLimit], confidence: float
) -> tuple[str, float]:
    """Return what would take the fewest speakers at the measured losses, and about how many; infinity if nothing."""
    best = ("", inf)
    level = (1 - confidence) * max(candidate.share for candidate in candidates)
    for candidate in candidates:
        found = _losses(candidate, heard, limits)
        if found is not None:
            needed = max(needed_speakers(losses.losses[0], losses.stakes[0], level) for losses in found)
            best = min(best, (candidate.name, needed), key=lambda item: item[1])
    return best


def _losses(candidate: Candidate, heard: Heard, limits: Sequence[CertifiedLimit]) -> list[SpeakerLosses] | None:
    if candidate.errors is None:
        return None
    found = []
    for limit in limits:
        most = _most(candidate.points, heard, limit)
        try:
            found.append(SpeakerLosses.of(limit, candidate.errors[None], heard.words, most[None], heard.speakers))
        except ValueError as error:
            raise LedgerError(
                f"{candidate.name}: {error}, by the decoder's cap on text tokens. This is no measurement of this "
                "allophone; sweep into a new folder."
            ) from None
    return found


@lru_cache(maxsize=64)
def _most(points: tuple[OperatingPoint, ...], heard: Heard, limit: CertifiedLimit) -> FloatArray:
    each = [most_counted(limit.rate, point, heard.words, heard.duration_s, heard.normalizer) for point in points]
    most: FloatArray = np.max(each, axis=0)
    return most


def _certificate(
    candidate: Candidate,
    heard: Heard,
    limit: CertifiedLimit,
    losses: SpeakerLosses,
    confidence: float,
    order: str,
    n_tested: int,
) -> Certificate:
    assert candidate.errors is not None
    most = _most(candidate.points, heard, limit)
    counted, per = counted_errors(limit.rate, candidate.errors[None], heard.words, most[None])
    sums = [speaker_means(np.atleast_2d(values), heard.speakers).sum() for values in (counted, per)]
    clipped = int(np.count_nonzero(candidate.errors > most)) if limit.rate.clipped else 0
    stakes = losses.stakes[0]
    return Certificate(
        rate=limit.rate.name,
        limit=limit.value,
        confidence=confidence,
        estimand=limit.rate.estimand,
        assumption=ASSUMPTION if heard.names else f"{ASSUMPTION} {_ALONE}",
        bound=limit.rate.bound,
        greatest_loss=float(stakes.stakes.max()),
        measured=float(sums[0] / sums[1]),
        n_clipped=clipped,
        n_speakers=heard.n_speakers,
        n_utterances=len(heard.words),
        speakers=sorted(heard.names),
        fingerprints=list(heard.fingerprints),
        order=order,
        n_tested=n_tested,
        e_value=float(losses.e_values()[0]),
    )


def show_certificate(found: Certificate) -> list[str]:
    """Return a certificate in sentences."""
    rate = RATES[found.rate]
    lines = [
        f"Certified with confidence {found.confidence:g}: {rate.title} at most {100 * found.limit:.6g} % "
        f"({100 * found.measured:.2f} % measured on {found.n_utterances} utterances of {found.n_speakers} speakers).",
        f"What is limited: {found.estimand}.",
        found.assumption,
        f"Evidence: an e-value of {found.e_value:.3g}, possible because {found.bound}; {found.n_tested} tested, in an "
        f"order fixed before: {found.order}.",
    ]
    if found.n_clipped:
        lines.append(f"{found.n_clipped} utterances have more errors than are counted.")
    return lines


def check_certificate(
    found: Certificate, points: Sequence[OperatingPoint], errors: FloatArray, heard: Heard
) -> list[str]:
    """Say in sentences whether a certificate held on a run.

    Args:
        found: The certificate.
        points: Whose transcripts were certified.
        errors: Of every utterance, shape (n_utterances,).
        heard: The run's utterances.
    """
    limit = CertifiedLimit(RATES[found.rate], found.limit)
    title = f"Certificate {limit}, confidence {found.confidence:g}"
    if set(heard.fingerprints) <= set(found.fingerprints):
        return [f"{title}: this is the corpus that it was made on, which cannot test it."]
    counted, per = counted_errors(limit.rate, errors[None], heard.words, _most(tuple(points), heard, limit)[None])
    each = np.bincount(heard.speakers)[heard.speakers]
    names = [str(index) for index in heard.speakers.tolist()]
    replicates = resample_ratio(counted / each, per / each, draw_blocks(names))
    rate = intervals(replace(replicates, unit=0.0))[0]
    if rate.estimate <= found.limit:
        verdict = "held" if rate.high <= found.limit else "held as measured, not surely"
    else:
        verdict = "did not hold" if rate.low > found.limit else "did not hold as measured, not surely"
    shown = f"{100 * rate.estimate:.2f} %"
    if isfinite(rate.low) and isfinite(rate.high):
        shown += f" [{100 * rate.low:.2f}, {100 * rate.high:.2f}]"
    lines = [f"{title}: {verdict} on {len(each)} utterances of {heard.n_speakers} speakers, {shown}."]
    known = set(heard.names) & set(found.speakers)
    if known:
        lines.append(f"{len(known)} of these speakers were heard when it was made, so this is not all new data.")
    return lines
