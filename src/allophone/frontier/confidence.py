"""Confidence of a recommendation: limits surely kept, ties with the chosen point, utterances still needed.

Limits are judged by :func:`allophone.guarantee.limits.keep_limits`: the probability is that *no* point let through
breaks a limit over all speakers like those heard, so it also holds of the one that is then picked.

Two points are tied in an objective when the interval of their paired difference includes zero. The standard error of
that difference falls with the square root of the number of independent blocks, and so, at the same number of utterances
a speaker, with that of the utterances. Asking that a two-sided test at level ``1 - confidence`` find the observed
difference ``d`` with the stated power gives the sample-size formula for a paired mean (Lachin, "Introduction to sample
size determination and power analysis for clinical trials", 1981, equation 1)::

    n_needed = n · ((z_{1 - (1 - confidence) / 2} + z_{power}) · se / |d|)²

with ``se`` the standard error at the ``n`` measured. It takes the observed difference for the true one; where that is
zero, no number decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite
from statistics import NormalDist

import numpy as np

from allophone.errors import InfeasibleError, SpaceError
from allophone.frontier.probability import check_confidence
from allophone.frontier.samples import Samples
from allophone.frontier.summary import PointSummary
from allophone.guarantee.limits import LEAST_SPEAKERS, KeptLimits, enough_speakers, keep_limits
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Replicates
from allophone.measure.intervals import Interval, intervals
from allophone.measure.linearised import Linearised

__all__ = ["POWER", "Tie", "draw_replicates", "find_ties", "judge_limits", "more_speakers", "sample_size_factor"]

REPLICATES = 10_000
POWER = 0.8  # share of repetitions in which a difference of the observed size would be found; the usual choice
_ROUNDING = 1e-9  # relative; sums over replicates round, also past a limit that is met exactly


@dataclass(frozen=True, slots=True)
class Tie:
    """A point that cannot be told from the chosen one in the minimised objective.

    Args:
        point: The other point.
        difference: Its objective minus the chosen one's, with its paired interval, in base units.
        more_utterances: Utterances beyond those measured that would decide, infinity where no number would.
        more_speakers: Speakers beyond those measured that these utterances would come from; None where utterances were
            not resampled by speaker.
        more_transcripts: Of the utterances measured, transcripts beyond those given that would decide, infinity where
            all would not; None where error rates are not estimated from a sample of transcripts.
    """

    point: PointSummary
    difference: Interval
    more_utterances: float
    more_speakers: float | None
    more_transcripts: float | None = None


def draw_replicates(speakers: Sequence[str | None], confidence: float) -> Resample:
    """Lay out the replicates on which limits are judged.

    Raises:
        SpaceError: The confidence does not lie between 0.5 and 1, or there is one utterance only.
    """
    check_confidence(confidence)
    resample = draw_blocks(speakers, n_replicates=REPLICATES)
    if resample.n_blocks < 2:
        raise SpaceError("a single utterance shows no spread, so nothing can be said with confidence. Measure more.")
    return resample


def judge_limits(samples: Samples, limits: Mapping[str, float], resample: Resample, confidence: float) -> KeptLimits:
    """Find the points that keep all limits with the confidence, the number of points considered.

    Args:
        samples: The measurements.
        limits: Largest allowed value by objective name, in base units; at least one.
        resample: From :func:`draw_replicates`.
        confidence: Probability that no point let through breaks a limit.

    Raises:
        InfeasibleError: There are fewer than 8 speakers, or so unequal ones that they tell no more: of so few no such
            promise can be kept.
    """
    effective = min(resample.effective_blocks, resample.n_speakers)
    if not enough_speakers(effective):
        equal = effective > resample.n_speakers - 0.5
        unequal = "" if equal else f", as unequal as they are worth {effective:.1f} equal ones,"
        raise InfeasibleError(
            f"{resample.n_speakers} speakers{unequal} are too few to promise anything about others: that takes "
            f"{LEAST_SPEAKERS} at least. Measure more speakers, or leave the confidence out to choose by what was "
            "measured on these."
        )
    resampled = {name: samples.resample(name, resample) for name in limits}
    return keep_limits(resampled, {name: limit * (1 + _ROUNDING) for name, limit in limits.items()}, confidence)


def more_speakers(
    samples: Samples, limits: Mapping[str, float], resample: Resample, confidence: float, index: int
) -> float:
    """Speakers beyond those measured from which a point alone would keep all limits, if it goes on as measured.

    The reach of a limit's test falls with the square root of the number of speakers.

    Args:
        samples: The measurements.
        limits: As in :func:`judge_limits`.
        resample: From :func:`draw_replicates`.
        confidence: As in :func:`judge_limits`.
        index: Index of the point.

    Returns:
        A whole number; infinity where the point exceeds a limit as measured.
    """
    factor = 1.0
    for name, limit in limits.items():
        replicates = samples.resample(name, resample)
        allowance = 1.0 if replicates.allowance is None else float(replicates.allowance[index])
        top = intervals(replicates, 2 * confidence - 1)[index].high * allowance
        room, reach = limit - float(replicates.estimates[index]), top - float(replicates.estimates[index])
        if not room > 0:
            return inf
        factor = max(factor, (reach / room) ** 2)
    return float(max(1, ceil((factor - 1) * resample.n_speakers)))


def sample_size_factor(difference: float, standard_error: float, confidence: float, power: float = POWER) -> float:
    """How many times the measured utterances would decide; the formula stands in the module's docstring.

    Args:
        difference: Observed difference, in any unit.
        standard_error: Its standard error at the utterances measured, in the same unit.
        confidence: One minus the level of the two-sided test.
        power: Probability of finding a true difference of that size.

    Returns:
        1 or more; infinity where the difference is zero or the standard error is unknown.
    """
    if difference == 0 or not isfinite(standard_error):
        return inf
    return max(1.0, standard_error**2 / _detectable_variance(difference, confidence, power))


def find_ties(
    samples: Samples,
    resample: Resample,
    points: Sequence[PointSummary],
    chosen: int,
    among: tuple[int, ...],
    name: str,
    confidence: float,
) -> tuple[Tie, ...]:
    """Find the points tied with the chosen one, the nearest in the objective first.

    Args:
        samples: The measurements.
        resample: Blocks over their speakers.
        points: All points, in the samples' order.
        chosen: Index of the chosen point.
        among: Indices of the points that could have been chosen instead.
        name: The minimised objective.
        confidence: Level of the intervals of the paired differences.
    """
    others = [index for index in among if index != chosen]
    if not others:
        return ()
    replicates = samples.resample_difference(name, resample, chosen)
    ranges = intervals(replicates, confidence)
    n_utterances = len(samples.utterances)
    ties = []
    for index in others:
        found = ranges[index]
        rounding = _ROUNDING * abs(getattr(points[chosen], name))
        equal = abs(found.estimate) <= rounding
        if np.isnan(found.estimate) or not (equal or found.low - rounding <= 0 <= found.high + rounding):
            continue
        factor = inf if equal else sample_size_factor(found.estimate, _standard_error(replicates, index), confidence)
        # A tie found with few blocks can need no more by the normal formula: one more block is then the least.
        least = n_utterances / resample.n_blocks
        utterances = inf if factor == inf else float(max(ceil(least), ceil((factor - 1) * n_utterances)))
        speakers = None
        if resample.blocked:
            speakers = inf if factor == inf else float(max(1, ceil((factor - 1) * resample.n_blocks)))
        transcripts = None
        if (differences := samples.linearised_difference(name, chosen)) is not None:
            transcripts = _more_transcripts(differences, resample, index, confidence)
        ties.append(Tie(points[index], found, utterances, speakers, transcripts))
    ties.sort(key=lambda tie: abs(tie.difference.estimate))
    return tuple(ties)


def _more_transcripts(differences: Linearised, resample: Resample, index: int, confidence: float) -> float:
    """Transcripts of further utterances that would find the observed difference with the stated power.

    Only the variance that comes from the sample falls with its size n, as 1/n; that between speakers stays. So the
    n needed solves ``other + sample · n / n_needed = (d / (z_{1 - (1 - confidence) / 2} + z_{power}))²``.
    """
    whole, sample = (float(part[index]) for part in differences.variances(resample))
    given, n_utterances = differences.n_transcripts, len(resample.blocks)
    room = _detectable_variance(float(differences.estimates[index]), confidence) - (whole - sample)
    needed = given * sample / room if room > 0 else inf
    more = max(1.0, float(ceil(needed - given))) if isfinite(needed) else inf
    return more if given + more <= n_utterances else inf


def _detectable_variance(difference: float, confidence: float, power: float = POWER) -> float:
    """The largest squared standard error at which a test finds a difference with the given power."""
    normal = NormalDist()
    reach = normal.inv_cdf(1 - (1 - confidence) / 2) + normal.inv_cdf(power)
    return (difference / reach) ** 2


def _standard_error(replicates: Replicates, index: int) -> float:
    if replicates.standard_errors is not None:
        return float(replicates.standard_errors[index])
    return float(np.std(replicates.inflated()[:, index]))
