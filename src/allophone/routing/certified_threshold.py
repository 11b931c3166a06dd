"""The cheapest threshold that is certified to keep limits, and whether a certified policy kept them on other runs.

Thresholds are tested from always the last point on, each letting fewer utterances escalate than the one before, until
one fails (fixed sequence; Learn then Test, Angelopoulos et al., 2021). They are spread over the scores that training
saw, so they were fixed before the runs were looked at, and their number costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import InfeasibleError, UsageError
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
from allophone.ledger.run_record import RecognitionRunRecord, read_run
from allophone.routing.calibration import policy_samples
from allophone.routing.policy_file import PolicyFile, read_policy, write_policy
from allophone.routing.replay import replay, replay_at
from allophone.routing.samples import RecognitionRouteSamples

__all__ = ["certify_policy", "check_policy", "fixed_thresholds"]

_THRESHOLDS = 200
_BEYOND = 1e9  # no score is; infinity has no place in JSON
_ORDER = "thresholds from always the last point on, evenly spread over the scores that training saw"


def certify_policy(
    folder: Path, runs: Sequence[Path], limits: Sequence[CertifiedLimit], confidence: float
) -> PolicyFile:
    """Set a policy's threshold to the cheapest that is certified to keep limits, and write it into its card.

    Args:
        folder: The policy's folder.
        runs: Runs with all its points; speakers that it was trained on are left out.
        limits: One or more.
        confidence: Between 0.5 and 1.

    Raises:
        UsageError: A run lacks a point, all speakers trained the policy, or the runs cannot give a certificate.
        InfeasibleError: Nothing can be certified; the message says how many speakers that would take.
    """
    router, samples, _ = policy_samples(folder, runs)
    policy = read_policy(folder)
    heard = _heard(samples, runs)
    asked = f"{' and '.join(map(str, limits))} with confidence {confidence:g}"
    if not all(is_bounded(point, heard, limits) for point in policy.points):
        raise InfeasibleError(f"No threshold can be certified to keep {asked}. {NO_BOUND}")
    scores, kept = router.scores(samples), router.kept(samples)
    thresholds = fixed_thresholds(policy)
    candidates = [
        Candidate(
            _name(policy, threshold),
            tuple(policy.points),
            replay_at(samples, router, scores, kept, threshold).errors,
            float(threshold == -_BEYOND),
        )
        for threshold in thresholds.tolist()
    ]
    found = certify(candidates, heard, limits, confidence, _ORDER)
    if not found:
        raise InfeasibleError(
            f"No threshold can be certified to keep {asked}. {say_needed(candidates, heard, limits, confidence)}"
        )
    cheapest = list(found)[-1]
    threshold = next(float(at) for at in thresholds if _name(policy, float(at)) == cheapest)
    changes = {"threshold": threshold, "calibration": None, "certificates": list(found[cheapest])}
    return write_policy(folder, policy.model_copy(update=changes))


def fixed_thresholds(policy: PolicyFile) -> FloatArray:
    """Return the thresholds to test, rising: the first sends all utterances to the last point, the last one none."""
    low, high = min(least for least, _ in policy.score_range), max(most for _, most in policy.score_range)
    return np.array([-_BEYOND, *np.unique(np.linspace(low, high, _THRESHOLDS)), _BEYOND])


def check_policy(folder: Path, runs: Sequence[Path]) -> list[str]:
    """Say in sentences whether a policy's certificates held on runs, at its own threshold; none where it has none.

    Where the runs cannot tell, as without references, it says why.

    Raises:
        UsageError: A run lacks a point.
    """
    certificates = read_policy(folder).certificates
    if not certificates:
        return []
    router, samples, _ = policy_samples(folder, runs)
    errors = replay(samples, router, router.policy.threshold).errors
    try:
        heard = _heard(samples, runs)
    except UsageError as error:
        return [f"The certificate cannot be checked on these runs. {error}"]
    points = router.policy.points
    return [line for found in certificates for line in check_certificate(found, points, errors, heard)]


def _heard(samples: RecognitionRouteSamples, runs: Sequence[Path]) -> Heard:
    records = [
        read_run(run, RecognitionRunRecord) for run in runs
    ]  # they count errors alike, or would not have been read together
    return Heard.of(
        samples.speakers,
        samples.weights,
        samples.duration_s,
        normalizer=records[0].normalizer,
        relative_to=records[0].relative_to,
        fingerprints=[record.fingerprint for record in records],
    )


def _name(policy: PolicyFile, threshold: float) -> str:
    ends = {-_BEYOND: f"always {policy.points[-1].name}", _BEYOND: f"always {policy.points[0].name}"}
    return ends.get(threshold, f"threshold {threshold!r}")
