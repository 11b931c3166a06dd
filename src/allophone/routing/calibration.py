"""From a wish to a threshold, on speakers that the policy was not trained on, with the interval of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from allophone.errors import InfeasibleError, UsageError
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Interval, intervals, resample_mean, resample_ratio
from allophone.routing.curve import Outcome, replay_at
from allophone.routing.faithful_run import replayed_faithful
from allophone.routing.feature_store import audio_views
from allophone.routing.policy_file import Calibration, PolicyFile, read_policy, write_policy
from allophone.routing.routers import Router
from allophone.routing.samples import FloatArray, RouteSamples, read_route_samples
from allophone.routing.scoring import PolicyRouter, ReplayedPolicy, load_scorer
from allophone.routing.training import check_enough

__all__ = ["Target", "Wish", "calibrate_policy", "choose_threshold", "policy_samples", "unseen_speakers"]

Target = Literal["wer", "gflops", "big_share"]
_REPLICATES = 1000
_LEVEL = 0.95
_TITLES = {"wer": "a word error rate of", "gflops": "a mean cost of", "big_share": "a share of"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a threshold is to reach.

    Args:
        target: ``wer``: at the least cost, a word error rate of at most ``value``, a fraction. ``gflops``: mean
            executed GFLOPs an utterance of at most ``value``. ``big_share``: at most that share to the last point.
        value: The limit.
    """

    target: Target
    value: float

    def check(self) -> None:
        """Refuse a limit that means nothing.

        Raises:
            UsageError: Not a positive number, or a share above 1.
        """
        share = self.target == "big_share"
        if not 0 < self.value < float("inf") or (share and self.value > 1):
            wanted = "a number above 0 and at most 1" if share else "a positive number"
            raise UsageError(f"{_TITLES[self.target]} {self.value:g}: give {wanted}.")


def unseen_speakers(samples: RouteSamples, policy: PolicyFile, folder: Path) -> tuple[RouteSamples, int]:
    """Return the utterances of speakers that the policy was not trained on, and how many others were left out.

    Raises:
        UsageError: There are none.
    """
    trained = set(policy.training.speakers)
    keep = np.array([place for place, name in enumerate(samples.speakers) if name not in trained], np.intp)
    if not keep.size:
        raise UsageError(
            f"{folder}: all speakers of these runs trained this policy. Give a run of others, or train with --hold-out."
        )
    return samples.take(keep), len(samples) - len(keep)


def policy_samples(folder: Path, runs: Sequence[Path]) -> tuple[ReplayedPolicy, RouteSamples, int]:
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


def calibrate_policy(folder: Path, runs: Sequence[Path], wish: Wish, *, force: bool = False) -> PolicyFile:
    """Set a policy's threshold to meet a wish on unseen speakers, and write it into its card.

    Args:
        folder: The policy's folder.
        runs: Runs with all its points; speakers that it was trained on are left out.
        wish: What to reach.
        force: Calibrate on less than 100 utterances or 5 speakers.

    Raises:
        UsageError: Too little to calibrate on, or a wish that means nothing.
        InfeasibleError: The wish is out of reach; the message says how near the policy comes.
    """
    wish.check()
    router, samples, left_out = policy_samples(folder, runs)
    check_enough(samples, force=force)
    threshold, interval, outcome = choose_threshold(samples, router, wish)
    resample = draw_blocks(samples.speakers, n_replicates=_REPLICATES)
    warnings = [resample.warning] if resample.warning else []
    if left_out:
        warnings.append(f"{left_out} utterances of speakers that it was trained on were left out.")
    rate = intervals(resample_ratio(outcome.errors[None], samples.words, resample))[0]
    climbed = outcome.reached == len(samples.points) - 1
    means = intervals(resample_mean(np.stack([outcome.flops / 1e9, outcome.seconds]), resample))
    share = intervals(replace(resample_mean(climbed.astype(np.float64)[None], resample), most=1.0))[0]
    policy = read_policy(folder)
    calibration = Calibration(
        target=wish.target,
        value=wish.value,
        runs=[str(run) for run in runs],
        n_utterances=len(samples),
        n_speakers=samples.n_speakers,
        threshold_interval=interval,
        wer=_triple(rate),
        gflops=_triple(means[0]),
        seconds=_triple(means[1]),
        big_share=_triple(share),
        warnings=warnings,
    )
    policy = policy.model_copy(update={"threshold": threshold, "calibration": calibration})
    return write_policy(folder, policy)


def choose_threshold(samples: RouteSamples, router: Router, wish: Wish) -> tuple[float, tuple[float, float], Outcome]:
    """Find the threshold that meets a wish, its 95 % interval over resampled speakers, and what it does.

    A budget or a share is spent as far as it goes, but no step is climbed that is predicted to cost errors: the
    threshold is never below 0 then. A word error rate is met at the least cost.

    Raises:
        InfeasibleError: No threshold meets it; the message names the nearest.
    """
    scores, kept = router.scores(samples), router.kept(samples)
    critical = np.unique(np.minimum.accumulate(scores, axis=0))
    falling = np.concatenate([critical[::-1], [np.nextafter(critical[0], -np.inf)]])
    outcomes = [replay_at(samples, router, scores, kept, threshold) for threshold in falling]
    resample = draw_blocks(samples.speakers, n_replicates=_REPLICATES)
    weights = np.concatenate([np.ones((1, resample.n_blocks)), *resample.weights()])
    last = len(samples.points) - 1
    values = np.stack(
        [
            item.errors
            if wish.target == "wer"
            else item.flops / 1e9
            if wish.target == "gflops"
            else item.reached == last
            for item in outcomes
        ]
    )
    below = samples.words if wish.target == "wer" else np.ones(len(samples))
    reached = _means(values, below, resample, weights)
    costs = _means(np.stack([item.flops for item in outcomes]), np.ones(len(samples)), resample, weights)
    places = [_place(reached[row], costs[row], falling, wish, strict=row == 0) for row in range(len(weights))]
    if places[0] is None:
        nearest = int(np.nanargmin(reached[0]))
        unit = "%" if wish.target != "gflops" else "GFLOPs"
        scale = 1.0 if wish.target == "gflops" else 100.0
        raise InfeasibleError(
            f"{_TITLES[wish.target]} {scale * wish.value:g} {unit} is out of reach: on {len(samples)} decisions about "
            f"{samples.n_speakers} unseen speakers it comes to {scale * reached[0][nearest]:.2f} {unit} at "
            f"the least, at {costs[0][nearest] / 1e9:.1f} GFLOPs an utterance. Ask for that, or add a point."
        )
    drawn = np.array([falling[place] for place in places if place is not None])
    low, high = np.quantile(drawn, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2)).tolist()
    return float(falling[places[0]]), (low, high), outcomes[places[0]]


def _place(reached: FloatArray, costs: FloatArray, falling: FloatArray, wish: Wish, *, strict: bool) -> int | None:
    """Return which threshold meets the wish; in a replicate where none does, the nearest."""
    met = reached <= wish.value * (1 + 1e-12)
    if not met.any():
        return None if strict else int(np.nanargmin(reached))
    if wish.target == "wer":
        return int(np.where(met, costs, np.inf).argmin())
    allowed = met & (falling >= 0)
    return int(np.flatnonzero(allowed)[-1]) if allowed.any() else int(np.flatnonzero(met)[0])


def _means(values: FloatArray, below: FloatArray, resample: Resample, weights: FloatArray) -> FloatArray:
    """Ratios of block sums in every replicate, shape (n_replicates + 1, n_rows)."""
    under = weights @ resample.block_sums(below[None])
    under[under == 0] = np.nan
    ratios: FloatArray = weights @ resample.block_sums(values) / under
    return ratios


def _triple(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high
