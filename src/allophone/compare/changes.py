"""Changes between two runs: paired differences with intervals, probability of a regression, and conditions tested.

A change is the contrast ``after - before`` of every point, with speakers resampled as blocks and both sides in the same
replicate, so that what is hard for both cancels. A condition says how much worse is too much, and fails where the
one-sided test of "the contrast is within the limit" rejects at ``1 - confidence``, over all points and all conditions
together (step-down minP, :func:`allophone.guarantee.multiplicity.step_down_p`): where nothing got worse than allowed,
any condition fails with that probability at most (``benchmarks/statements_compare.py`` simulates how often it does).

How sure it is that a point got worse, ``p_regression``, is one minus the p value of "it got no worse" where it was
measured worse, and the p value of "it got worse" where better: what a confidence distribution holds above zero (Xie and
Singh, "Confidence distribution, the frequentist distribution estimator of a parameter", 2013). Where nothing changed it
is 0.95 or more in one comparison of twenty; it knows nothing of how often changes are for the worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan

import numpy as np

from allophone.arrays import BoolArray, FloatArray
from allophone.compare.conditions import Condition
from allophone.compare.pairing import PairedPoint, RunPair
from allophone.errors import InfeasibleError, SpaceError, UsageError
from allophone.frontier.noise_floor import TIMED, noise_floor
from allophone.frontier.objectives import OBJECTIVES, TIMES, Objective
from allophone.frontier.probability import check_confidence
from allophone.frontier.samples import Samples
from allophone.guarantee.limits import LEAST_SPEAKERS, enough_speakers
from allophone.guarantee.multiplicity import step_down_p, tail_ranks
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Replicates, resample_ratio_difference
from allophone.measure.intervals import Interval, intervals, p_beyond

__all__ = ["Change", "Comparison", "Outcome", "compare_pair", "contrast", "judge_conditions", "probability_of_rise"]

REPLICATES = 10_000
MACHINE_BOUND = (*TIMES, "peak_memory_bytes")  # comparable on one machine alone
_SHOWN = {
    "asr": ("wer", "cer", "rtf", "latency_p95_s", "executed_gflops", "peak_memory_bytes", "rtf_throughput"),
    "emotion": ("uar_loss", "rtf", "latency_p95_s", "executed_gflops", "trainable_params"),
}
_BY_PROCESS = ("rtf_throughput", "peak_memory_bytes")  # differ from one process to the next by what no run can know
_ROUNDING = 1e-9  # relative; what is smaller is taken for rounding of no change


@dataclass(frozen=True, slots=True)
class Change:
    """What one point's value of one objective did; base units.

    Args:
        point: The point.
        objective: What was measured.
        before: Value in the run before, over the shared utterances.
        after: Value in the run after.
        difference: After minus before, with its interval.
        p_regression: Confidence that it got worse over speakers like these; NaN where no utterance differs, or it
            cannot be said: too few speakers, memory, times of a busy machine.
    """

    point: PairedPoint
    objective: Objective
    before: float
    after: float
    difference: Interval
    p_regression: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one condition.

    Args:
        condition: The condition.
        failed: Titles of the points that got worse than allowed, so surely.
        worst: The point with the least p value.
        p: Its p value, adjusted for all points and conditions: the least false-alarm rate at which it would fail.
    """

    condition: Condition
    failed: tuple[str, ...]
    worst: str
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two runs compared.

    Args:
        pair: The runs.
        changes: Every point's objectives, points in order.
        outcomes: One per condition.
        confidence: Level of the intervals; one minus it is the false-alarm rate of all conditions together.
        n_speakers: Speakers heard.
        warnings: What a reader of the intervals must know.
    """

    pair: RunPair
    changes: tuple[Change, ...]
    outcomes: tuple[Outcome, ...]
    confidence: float
    n_speakers: int
    warnings: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether any condition failed."""
        return any(outcome.failed for outcome in self.outcomes)


def compare_pair(
    pair: RunPair, conditions: Sequence[Condition] = (), confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two runs, and test conditions on what changed.

    Args:
        pair: From :func:`allophone.compare.pairing.pair_runs`.
        conditions: What the comparison shall fail on.
        confidence: Level of the intervals, and one minus the probability of a false alarm of any condition.
        seed: Of the replicates.

    Raises:
        SpaceError: The confidence is no probability between 0.5 and 1, or a condition asks for what was not measured.
        UsageError: A condition on a run in progress, on times of different or of busy machines, or on times whose
            noise is unknown.
        InfeasibleError: Conditions, and fewer than 8 speakers, of whom the false-alarm rate cannot be kept.
    """
    check_confidence(confidence)
    samples, n_points = pair.samples, len(pair.points)
    resample = draw_blocks(samples.speakers, n_replicates=REPLICATES, seed=seed)
    few = not _enough(resample)
    if conditions:
        _refuse_conditions(pair, conditions, resample)
    changes: list[list[Change]] = []
    wanted = dict.fromkeys([*_SHOWN[samples.task], *(condition.objective.name for condition in conditions)])
    for name in wanted:
        if pair.other_machine and name in MACHINE_BOUND:
            continue
        try:
            found = contrast(samples, n_points, name, 1.0, resample)
            levels = samples.resample(name, resample).estimates
        except SpaceError:  # not measured
            if any(condition.objective.name == name for condition in conditions):
                raise
            continue
        if np.isnan(found.estimates).all():
            continue
        unknown = few or name in _BY_PROCESS or (pair.busy and name in MACHINE_BOUND)
        p_regression = np.full(n_points, nan) if unknown else probability_of_rise(found)
        ranges = intervals(found, confidence)
        changes.append(
            [
                Change(
                    point,
                    OBJECTIVES[name],
                    float(levels[k]),
                    float(levels[n_points + k]),
                    ranges[k],
                    float(p_regression[k]),
                )
                for k, point in enumerate(pair.points)
            ]
        )
    outcomes = judge_conditions(samples, pair.points, conditions, confidence, resample) if conditions else ()
    return Comparison(
        pair=pair,
        changes=tuple(change for point in zip(*changes, strict=True) for change in point),
        outcomes=outcomes,
        confidence=confidence,
        n_speakers=resample.n_speakers,
        warnings=tuple(_warnings(pair, resample, wanted)),
    )


def contrast(samples: Samples, n_points: int, name: str, factor: float, resample: Resample) -> Replicates:
    """Return ``after - factor · before`` of every point in every replicate, in base units, lower being better.

    Sums over utterances, times among them, have a standard error in closed form; what has none takes percentiles of the
    widened replicates. The machine's noise of moments is in the utterances' own times already.

    Args:
        samples: From :func:`allophone.compare.pairing.pair_samples`.
        n_points: Points before, and as many after.
        name: An objective.
        factor: What the value before is multiplied by; 1 for a plain difference.
        resample: Over the samples' speakers.

    Raises:
        SpaceError: It was not measured.
    """
    if (sums := _sums(samples, name)) is not None:
        above, below = sums
        differences = above[n_points:] - factor * above[:n_points]
        whole = np.concatenate([np.zeros((1, above.shape[1])), differences])
        return _without_first(resample_ratio_difference(whole, below, resample, 0))
    found = (replace(samples, noise={}) if name in TIMED else samples).resample(name, resample)
    stretched = found.stretched
    return Replicates(
        resample,
        found.estimates[n_points:] - factor * found.estimates[:n_points],
        found.values[:, n_points:] - factor * found.values[:, :n_points],
        stretched=None if stretched is None else stretched[:, n_points:] - factor * stretched[:, :n_points],
        least=-np.inf,
    )


def _sums(samples: Samples, name: str) -> tuple[FloatArray, FloatArray] | None:
    """Numerators and denominators of an objective that is a ratio of sums, if it is one and was counted."""
    sums = samples.sums(name)
    return None if sums is None or np.isnan(sums[0]).any() else sums


def _without_first(found: Replicates) -> Replicates:
    assert found.standard_errors is not None
    assert found.pivots is not None
    return Replicates(
        found.resample,
        found.estimates[1:],
        found.values[:, 1:],
        found.standard_errors[1:],
        found.pivots[:, 1:],
        least=-np.inf,
    )


def _p_within(found: Replicates, limit: float) -> FloatArray:
    """One-sided p value of every point against the hypothesis that its contrast is at most the limit."""
    p = p_beyond(_mirrored(found), -limit)
    room = _ROUNDING * np.maximum(np.abs(found.estimates), abs(limit))
    return np.where(found.estimates > limit + room, p, 1.0)


def probability_of_rise(found: Replicates) -> FloatArray:
    """One-sided confidence that every point's contrast lies above zero; NaN where it is zero in every replicate."""
    worse, better = _p_within(found, 0.0), _p_within(_mirrored(found), 0.0)
    p = np.where(found.estimates > 0, 1 - worse, np.where(found.estimates < 0, better, 0.5))
    still: BoolArray = (found.values == 0).all(axis=0) & (found.estimates == 0)
    return np.where(still | np.isnan(found.estimates), nan, p)


def _mirrored(found: Replicates) -> Replicates:
    return replace(
        found,
        estimates=-found.estimates,
        values=-found.values,
        pivots=None if found.pivots is None else -found.pivots,
        stretched=None if found.stretched is None else -found.stretched,
        least=-np.inf,
        most=np.inf,
    )


def judge_conditions(
    samples: Samples,
    points: Sequence[PairedPoint],
    conditions: Sequence[Condition],
    confidence: float,
    resample: Resample,
) -> tuple[Outcome, ...]:
    """Test all conditions at all points; any fails by accident with probability ``1 - confidence`` at most.

    A change of a time that is below the run's noise floor never fails.

    Args:
        samples: From :func:`allophone.compare.pairing.pair_samples`.
        points: As many as there are before.
        conditions: At least one.
        confidence: One minus the false-alarm rate of all together.
        resample: Over the samples' speakers.

    Raises:
        SpaceError: A condition's objective was not measured.
    """
    n_points = len(points)
    p, ranks = [], []
    for condition in conditions:
        found = contrast(samples, n_points, condition.objective.name, condition.factor, resample)
        if np.isnan(found.estimates).all():
            raise SpaceError(
                f"--fail-if '{condition.text}': {condition.objective.title} was not measured in both runs. Leave it "
                "out, or sweep again."
            )
        within = _p_within(found, condition.limit)
        p.append(np.where(_below_floor(samples, n_points, condition.objective.name, resample), 1.0, within))
        ranks.append(tail_ranks(found.inflated() - found.estimates))
    adjusted = step_down_p(np.concatenate(p), np.concatenate(ranks, axis=1)).reshape(len(conditions), n_points)
    outcomes = []
    for condition, row in zip(conditions, adjusted, strict=True):
        failed = tuple(point.title for point, value in zip(points, row, strict=True) if value <= 1 - confidence)
        worst = int(np.argmin(row))
        outcomes.append(Outcome(condition, failed, points[worst].title, float(row[worst])))
    return tuple(outcomes)


def _below_floor(samples: Samples, n_points: int, name: str, resample: Resample) -> BoolArray:
    """Whether every point rose by less than two equal points of one run may differ, shape (n_points,)."""
    floor = noise_floor(samples.noise, name)
    if not floor > 0:
        return np.zeros(n_points, np.bool_)
    levels = samples.resample(name, resample).estimates
    return np.asarray(levels[n_points:] <= (1 + floor) * levels[:n_points])


def _enough(resample: Resample) -> bool:
    return enough_speakers(min(resample.effective_blocks, resample.n_blocks))


def _refuse_conditions(pair: RunPair, conditions: Sequence[Condition], resample: Resample) -> None:
    if pair.in_progress:
        raise UsageError(
            f"{pair.in_progress[0]} is in progress: a condition tested now and again later has no stated false-alarm "
            "rate. Let its sweep end, or leave --fail-if out to look."
        )
    for condition in conditions:
        name = condition.objective.name
        if pair.other_machine and name in MACHINE_BOUND:
            raise UsageError(
                f"--fail-if '{condition.text}': {condition.objective.title} compares on one machine only, and these "
                f"runs differ in {pair.other_machine}. Use executed_gflops, or measure both on one machine."
            )
        if pair.busy and name in MACHINE_BOUND:
            raise UsageError(
                f"--fail-if '{condition.text}': other work ran on the machine while one of the runs was measured, so a "
                "change of its times may be that work's. Measure both with sweep --wait-for-idle 30, or use "
                "executed_gflops."
            )
        if not isfinite(noise_floor(pair.samples.noise, name)):
            raise UsageError(
                f"--fail-if '{condition.text}': the machine's noise of {condition.objective.title} is unknown, since a "
                "run measured no point twice, so no false-alarm rate can be kept. Sweep again, or use executed_gflops."
            )
    if not _enough(resample):
        effective = min(resample.effective_blocks, resample.n_blocks)
        raise InfeasibleError(
            f"--fail-if keeps its false-alarm rate from {LEAST_SPEAKERS} speakers on, and the shared utterances are "
            f"worth {effective:.1f}. Measure more speakers, or leave it out to see the changes alone."
        )


def _warnings(pair: RunPair, resample: Resample, names: Sequence[str] | dict[str, None]) -> list[str]:
    warnings = [resample.warning] if resample.warning else []
    if not _enough(resample):
        warnings.append(f"Too few to say what got worse: that takes {LEAST_SPEAKERS} speakers.")
    if pair.other_machine:
        left = ", ".join(OBJECTIVES[name].title for name in names if name in MACHINE_BOUND)
        warnings.append(f"Measured on different machines ({pair.other_machine}), so left out: {left}.")
        return warnings
    noise = pair.samples.noise
    if "rtf" in noise:
        warnings.append(
            f"Times hold the noise of moments (floor of the real-time factor {100 * noise['rtf'].floor:.1f} %), not a "
            "machine that was slower altogether while one of the runs was measured: allow for that in the condition."
        )
    else:
        warnings.append(
            "The noise floor of times is unknown, since a run measured no point twice: a small change may be the "
            "machine's."
        )
    return warnings
