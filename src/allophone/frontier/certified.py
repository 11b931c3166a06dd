"""Certified points of a run: tested from dear to cheap, model by model, in an order fixed before looking.

Where all points were in one sequence, the first that fails would end it for all models; so each model has a share of
the allowed error to start with, and what a model's points leave goes to the next (Learn then Test with several starts;
:func:`allophone.guarantee.certificate.pass_in_sequence`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from allophone.costs.recognition import point_flops
from allophone.errors import InfeasibleError, UsageError, WeightsError
from allophone.frontier.recognition import RecognitionRunSummary, RecognitionSamples
from allophone.frontier.summary import RunSummary
from allophone.guarantee.certificate import CertifiedLimit
from allophone.guarantee.certify import (
    NO_BOUND,
    Candidate,
    Heard,
    certify,
    check_certificate,
    is_bounded,
    say_needed,
)
from allophone.ledger.run_record import RecognitionRunRecord
from allophone.models.weights import point_dimensions
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import Certificate, PointFile

__all__ = ["certify_points", "check_point", "only_points"]

_AUDIO_S, _TEXT_TOKENS = 10.0, 30  # of the utterance that points are put in order on
_ORDER = "model by model, points dear to cheap by predicted FLOPs, each model with its share of the allowed error"


def certify_points(
    summary: RunSummary, limits: Sequence[CertifiedLimit], confidence: float
) -> dict[str, tuple[Certificate, ...]]:
    """Find the points that keep limits, wrong about any of them with probability ``1 - confidence`` at most.

    Args:
        summary: A run of speech recognition.
        limits: One or more.
        confidence: Between 0.5 and 1.

    Returns:
        A certificate for each limit of every point that keeps all, by the point's name.

    Raises:
        UsageError: A run of emotion recognition, without references, of one speaker, with some speakers unnamed, or of
            a race that ended early.
        InfeasibleError: No point can be certified; the message says how many speakers that would take.
    """
    run, samples = _speech(summary)
    heard = _heard(summary)
    partial = len(samples.utterances) < run.n_utterances - len(summary.failures)
    if run.plan in {"race", "joint"} and partial:
        raise UsageError(
            f"--certify: this {run.plan} has not measured all utterances, and how many it did depended on their "
            "errors. Let it go on to its end, or sweep a star or a grid."
        )
    candidates = _candidates(summary, heard, limits)
    if candidates and (found := certify(candidates, heard, limits, confidence, _ORDER)):
        return found
    raise InfeasibleError(_why_nothing(candidates, heard, limits, confidence))


def only_points(summary: RecognitionRunSummary, names: Collection[str]) -> RecognitionRunSummary:
    """Return a summarised run of speech recognition with some of its points only."""
    indices = [index for index, point in enumerate(summary.points) if point.name in names]
    old = summary.samples
    arrays = ("errors", "latency_s", "executed_flops", "published_flops", "peak_memory_bytes")
    samples = replace(
        old,
        points=tuple(old.points[index] for index in indices),
        throughput=None if old.throughput is None else old.throughput[indices],
        **{name: getattr(old, name)[indices] for name in arrays},
    )
    return replace(summary, points=tuple(summary.points[index] for index in indices), samples=samples)


def check_point(saved: PointFile, summary: RunSummary) -> list[str]:
    """Say in sentences whether the certificates of a point file held on a run.

    Raises:
        UsageError: The file has no certificate, or the run lacks its point or cannot test one.
    """
    run, samples = _speech(summary)
    if not saved.certificates:
        raise UsageError(
            'the point file has no certificate to check. \'allophone recommend RUN --certify "wer<=12" --out '
            "point.json' makes one."
        )
    if saved.point.name not in samples.points:
        raise UsageError(f"{run.corpus}: the run has not measured {saved.point.title}, the point that was certified.")
    heard = _heard(summary)
    errors = samples.errors[samples.points.index(saved.point.name)]
    return [line for found in saved.certificates for line in check_certificate(found, [saved.point], errors, heard)]


def _speech(summary: RunSummary) -> tuple[RecognitionRunRecord, RecognitionSamples]:
    speech = summary.of(RecognitionRunSummary, "--certify: error rates of speech recognition")
    return speech.run, speech.samples


def _heard(summary: RunSummary) -> Heard:
    run, samples = _speech(summary)
    return Heard.of(
        samples.speakers,
        samples.words,
        samples.duration_s,
        normalizer=run.normalizer,
        relative_to=run.relative_to,
        fingerprints=[run.fingerprint],
    )


def _candidates(summary: RunSummary, heard: Heard, limits: Sequence[CertifiedLimit]) -> list[Candidate]:
    """All points that the run was asked for and whose errors are bounded, in order, each model's first with a share."""
    run, samples = _speech(summary)
    indices = {name: index for index, name in enumerate(samples.points)}
    models: dict[str, list[OperatingPoint]] = {}
    for point in run.points:
        if is_bounded(point, heard, limits):
            models.setdefault(point.model, []).append(point)
    candidates = []
    for points in sorted((_dear_to_cheap(points) for points in models.values()), key=lambda item: -_flops(item[0])):
        for point in points:
            errors = samples.errors[indices[point.name]] if point.name in indices else None
            share = 1 / len(models) if point is points[0] else 0.0
            candidates.append(Candidate(point.name, (point,), errors, share))
    return candidates


def _dear_to_cheap(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    return sorted(points, key=lambda point: -_flops(point))  # of equal cost, or unknown to all, in the plan's order


def _flops(point: OperatingPoint) -> float:
    try:
        return float(point_flops(point_dimensions(point), point, audio_s=_AUDIO_S, text_tokens=_TEXT_TOKENS))
    except WeightsError:
        return 0.0


def _why_nothing(
    candidates: Sequence[Candidate], heard: Heard, limits: Sequence[CertifiedLimit], confidence: float
) -> str:
    asked = " and ".join(str(limit) for limit in limits)
    start = f"No point can be certified to keep {asked} with confidence {confidence:g}."
    if not candidates:
        return f"{start} {NO_BOUND}"
    return f"{start} {say_needed(candidates, heard, limits, confidence)}"
