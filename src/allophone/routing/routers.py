"""Router protocol, and the routers that learn nothing: random, oracle, duration, loudness over noise.

Every router scores the steps between neighbouring points of an ordered list, and an utterance escalates while its score
is above one threshold: the number of leading steps above it is the point it reaches. Lowering the threshold never takes
an utterance down, so one number runs from the cheapest point for all to the dearest for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.routing.samples import RouteSamples

__all__ = [
    "DurationRouter",
    "OracleRouter",
    "Order",
    "Overhead",
    "RandomRouter",
    "Router",
    "SnrRouter",
    "envelope_slopes",
    "reached_points",
]

Judged_contra = TypeVar(
    "Judged_contra", bound=RouteSamples, contravariant=True
)  # what a router reads: of either task, or of one
Order = Literal["direct", "small_first", "big_first", "cascade"]
"""What has run when the decision falls: nothing, the first point's encoder, the last one's, or whole points in turn."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What one decision costs beside the points themselves.

    Args:
        flops: FLOPs per step scored.
        flops_per_audio_s: FLOPs more for each second of audio.
        seconds: Seconds per step scored.
        seconds_per_audio_s: Seconds more for each second of audio, where audio is looked at.
        reads_last: Whether the last point's token confidence is read too, to choose between transcripts.
    """

    flops: float = 0.0
    flops_per_audio_s: float = 0.0
    seconds: float = 0.0
    seconds_per_audio_s: float = 0.0
    reads_last: bool = False


class Router(Protocol[Judged_contra]):
    """Whatever can say, for each utterance, how much the next point is worth."""

    @property
    def name(self) -> str:
        """Short name for tables."""
        ...

    @property
    def order(self) -> Order:
        """What has run when it decides, hence what is paid."""
        ...

    @property
    def overhead(self) -> Overhead:
        """Its own cost."""
        ...

    def scores(self, samples: Judged_contra) -> FloatArray:
        """Return the score of every step, shape (n_points - 1, n_utterances)."""
        ...

    def kept(self, samples: Judged_contra) -> IntArray:
        """Return whose transcript is kept of those that ran, by point reached, shape (n_points, n_utterances)."""
        ...


def reached_points(scores: FloatArray, threshold: float) -> IntArray:
    """Return the point that every utterance reaches: how many leading steps score above the threshold."""
    return np.asarray(np.cumprod(scores > threshold, axis=0).sum(axis=0), np.intp)


def last_kept(samples: RouteSamples) -> IntArray:
    """Keep the transcript of the point reached, whatever ran before it."""
    return np.repeat(np.arange(len(samples.points))[:, None], len(samples), axis=1)


@dataclass(frozen=True, slots=True)
class _Direct:
    """Decides before anything runs, at no cost worth counting."""

    @property
    def order(self) -> Order:
        return "direct"

    @property
    def overhead(self) -> Overhead:
        return Overhead()

    def kept(self, samples: RouteSamples) -> IntArray:
        return last_kept(samples)


@dataclass(frozen=True, slots=True)
class RandomRouter(_Direct):
    """A coin for every utterance; a threshold of ``1 - p`` sends the share p to the last point.

    Args:
        seed: Of the coins.
    """

    seed: int = 0

    @property
    def name(self) -> str:
        """``random``."""
        return "random"

    def scores(self, samples: RouteSamples) -> FloatArray:
        """Uniform between 0 and 1, one coin for all steps."""
        coins = np.random.default_rng(self.seed).random(len(samples))
        return np.repeat(coins[None], len(samples.points) - 1, axis=0)


@dataclass(frozen=True, slots=True)
class OracleRouter(_Direct):
    """Knows every point's errors and FLOPs before anything runs: the least errors that any choice reaches at a cost.

    Scores are word errors saved per GFLOP along the lower convex hull of each utterance's (FLOPs, errors); taking steps
    in that order solves the choice exactly but for one utterance (the linear relaxation of the multiple-choice
    knapsack; Kellerer, Pferschy and Pisinger, "Knapsack problems", 2004, section 11.2).
    """

    @property
    def name(self) -> str:
        """``oracle``."""
        return "oracle"

    def scores(self, samples: RouteSamples) -> FloatArray:
        """Errors saved per GFLOP, by the hull; minus infinity where escalating saves none."""
        slopes = envelope_slopes(-samples.errors, samples.flops / 1e9)
        return np.where(slopes > 0, slopes, -np.inf)


@dataclass(frozen=True, slots=True)
class DurationRouter(_Direct):
    """Long audio to the last point, or short audio with ``sign=-1`` (a weak baseline of arXiv 2309.12712)."""

    sign: int = 1

    @property
    def name(self) -> str:
        """``duration``, or ``-duration``."""
        return "duration" if self.sign > 0 else "-duration"

    def scores(self, samples: RouteSamples) -> FloatArray:
        """Seconds."""
        return np.repeat(self.sign * samples.duration_s[None], len(samples.points) - 1, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class SnrRouter(_Direct):
    """Noisy audio to the last point (a weak baseline of arXiv 2309.12712).

    Args:
        snr_db: Of every utterance in decibels, on any one scale: only their order counts; shape (n_utterances,).
    """

    snr_db: FloatArray

    @property
    def name(self) -> str:
        """``snr``."""
        return "snr"

    def scores(self, samples: RouteSamples) -> FloatArray:
        """Minus the decibels."""
        return np.repeat(-self.snr_db[None], len(samples.points) - 1, axis=0)


def envelope_slopes(gains: FloatArray, costs: FloatArray) -> FloatArray:
    """Turn what each point gains and costs into step scores whose thresholds pick the best gain minus price x cost.

    Args:
        gains: Higher is better, shape (n_points, n_utterances).
        costs: Rising from point to point, same shape; where a later point costs no more, it counts as costing a
            millionth of a unit more.

    Returns:
        Slopes of the upper concave envelope, never rising from step to step, shape (n_points - 1, n_utterances).
        Steps below a point that the envelope passes over share one slope, so they are escalated together.
    """
    n_points, n = gains.shape
    costs = np.maximum.accumulate(costs + 1e-6 * np.arange(n_points)[:, None], axis=0)
    slopes = np.empty((n_points - 1, n))
    columns = np.arange(n)
    at = np.zeros(n, np.intp)
    for step in range(n_points - 1):
        renew = at == step
        if not renew.any():
            slopes[step] = slopes[step - 1]
            continue
        rises = np.full((n_points, n), -np.inf)
        for later in range(step + 1, n_points):
            rises[later] = (gains[later] - gains[step]) / np.maximum(costs[later] - costs[step], 1e-6)
        # The last of equal slopes: points on one line are escalated together.
        best = n_points - 1 - rises[::-1].argmax(axis=0)
        slopes[step] = np.where(renew, rises[best, columns], slopes[step - 1] if step else 0.0)
        at = np.where(renew, best, at)
    return slopes
