"""Calibration: the threshold that keeps a target on speakers not heard, chosen on speakers not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np

from allophone.errors import UsageError
from allophone.guarantee.limits import LEAST_SPEAKERS, enough_speakers
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_mean, resample_ratio
from allophone.measure.intervals import Interval, intervals
from allophone.routing.cross_fitting import cross_fitted_threshold
from allophone.routing.feature_store import audio_views
from allophone.routing.policy_file import Calibration, CalibrationFigures, PolicyFile, read_policy, write_policy
from allophone.routing.published.policy import replayed_faithful
from allophone.routing.replay import Outcome, ThresholdSweep
from allophone.routing.samples import RecognitionRouteSamples, read_route_samples
from allophone.routing.scoring import PolicyRouter, ReplayedPolicy, load_scorer
from allophone.routing.selection import PredictedRouter, predicted_router
from allophone.routing.thresholds import CalibrationTarget, choose_threshold, effective_speakers, met_as_measured
from allophone.routing.training import check_enough

__all__ = ["calibrate_policy", "calibration_figures", "check_speakers", "policy_samples", "unseen_speakers"]

_REPLICATES = 2000


def unseen_speakers(
    samples: RecognitionRouteSamples, policy: PolicyFile, folder: Path
) -> tuple[RecognitionRouteSamples, int]:
    """Return the utterances of speakers that the policy was not trained on, and how many others were left out.

    Raises:
        UsageError: There are none.
    """
    trained = set(policy.training.speakers)
    keep = np.array([index for index, name in enumerate(samples.speakers) if name not in trained], np.intp)
    if not keep.size:
        raise UsageError(
            f"{folder}: all speakers of these runs trained this policy. Give a run of others, or train with --hold-out."
        )
    return samples.take(keep), len(samples) - len(keep)


def policy_samples(folder: Path, runs: Sequence[Path]) -> tuple[ReplayedPolicy, RecognitionRouteSamples, int]:
    """Read a policy and what runs measured of its points, training speakers left out.

    Raises:
        UsageError: A run lacks a point, or all speakers were trained on.
    """
    policy = read_policy(folder)
    measured = read_route_samples(runs, [point.name for point in policy.points])
    if list(measured.points) != policy.points:
        raise UsageError(f"{folder}: the runs' points are not this policy's, though their names are.")
    samples, left_out = unseen_speakers(measured, policy, folder)
    if policy.kind == "faithful":
        return replayed_faithful(policy, folder, samples), samples, left_out
    views = audio_views(samples) if policy.kind == "decider" else []
    return PolicyRouter(load_scorer(folder, policy), views), samples, left_out


def calibrate_policy(
    folder: str | Path, runs: Sequence[str | Path], goal: CalibrationTarget, *, force: bool = False
) -> PolicyFile:
    """Set a policy's threshold so that speakers not heard keep a target with its confidence; write it into the card.

    Args:
        folder: The policy's folder.
        runs: Runs with all its points; speakers that it was trained on are left out.
        goal: What to reach.
        force: Calibrate on fewer than 100 utterances or 8 speakers; the card then says that nothing is promised.

    Raises:
        UsageError: Too little to calibrate on, or a target that means nothing.
        InfeasibleError: The target is out of reach; the message says how near the policy comes.
    """
    goal.check()
    folder = Path(folder)
    router, samples, left_out = policy_samples(folder, [Path(run) for run in runs])
    check_enough(samples, force=force)
    scored = predicted_router(router, samples)
    warnings = check_speakers(samples, scored, goal, force=force)
    chosen = choose_threshold(samples, scored, goal)
    crossed = cross_fitted_threshold(samples, scored, goal) if samples.n_speakers > 1 else None
    warning = draw_blocks(samples.speakers, n_replicates=1).warning
    warnings += [warning] if warning else []
    if left_out:
        warnings.append(f"{left_out} utterances of speakers that it was trained on were left out.")
    calibration = Calibration(
        target=goal.target,
        value=goal.value,
        confidence=goal.confidence,
        forced=not enough_speakers(effective_speakers(samples.speakers)),
        runs=[str(run) for run in runs],
        n_utterances=len(samples),
        n_speakers=samples.n_speakers,
        **calibration_figures(samples, _at(chosen.trace, chosen.index)).model_dump(),
        cross_fitted=None if crossed is None else calibration_figures(samples, crossed.outcome),
        fold_thresholds=[] if crossed is None else list(crossed.thresholds),
        folds_unmet=0 if crossed is None else crossed.unmet,
        warnings=warnings,
    )
    changes = {"threshold": chosen.threshold, "calibration": calibration, "certificates": []}
    return write_policy(folder, read_policy(folder).model_copy(update=changes))


def check_speakers(
    samples: RecognitionRouteSamples, router: PredictedRouter, goal: CalibrationTarget, *, force: bool = False
) -> list[str]:
    """Refuse to promise a target for new speakers from too few, or return the warning that nothing is promised.

    Raises:
        UsageError: Fewer than 8 effective speakers; the message says what was measured and how many are needed.
    """
    found = effective_speakers(samples.speakers)
    if enough_speakers(found):
        return []
    if not found:
        told = "no utterance names its speaker, or all name one"
        remedy = "Name speakers in the manifest, or give runs of several"
    else:
        more = max(1, ceil(samples.n_speakers * (LEAST_SPEAKERS / found - 1)))
        told = f"{samples.n_speakers} speakers, by their shares of the utterances worth {found:.1f}"
        remedy = f"Give runs of {more} more speakers, or train with a greater --hold-out"
    if force:
        return [f"Forced: {told}; a promise for new speakers takes {LEAST_SPEAKERS}, so none is made."]
    met = met_as_measured(samples, router, goal)
    measured = "no threshold meets it even on these"
    if met is not None:
        at = _at(met.trace, met.index)
        measured = (
            f"on these alone, threshold {met.threshold:.4g} meets it, with a WER of "
            f"{100 * at.errors.sum() / samples.weights.sum():.2f} %, {at.flops.mean() / 1e9:.2f} GFLOPs per utterance "
            f"and {100 * (at.reached == len(samples.points) - 1).mean():.0f} % to the last point"
        )
    raise UsageError(
        f"{goal}, for new speakers with a probability of {goal.confidence:g}: {told}; that takes {LEAST_SPEAKERS}. All "
        f"that can be said: {measured}. {remedy}, or pass --force, which promises nothing."
    )


def _at(trace: ThresholdSweep, index: int) -> Outcome:
    rows = (getattr(trace, name)[index] for name in ("reached", "reached", "errors", "flops", "seconds"))
    return Outcome(*rows)


def calibration_figures(samples: RecognitionRouteSamples, outcome: Outcome) -> CalibrationFigures:
    """Return error rate, costs and share of an outcome with their 95 % intervals, speakers resampled."""
    resample = draw_blocks(samples.speakers, n_replicates=_REPLICATES)
    rate = intervals(resample_ratio(outcome.errors[None], samples.weights, resample))[0]
    climbed = (outcome.reached == len(samples.points) - 1).astype(np.float64)
    gflops, seconds = intervals(resample_mean(np.stack([outcome.flops / 1e9, outcome.seconds]), resample))
    share = intervals(replace(resample_mean(climbed[None], resample), most=1.0))[0]
    return CalibrationFigures(
        wer=_triple(rate), gflops=_triple(gflops), seconds=_triple(seconds), big_share=_triple(share)
    )


def _triple(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high
