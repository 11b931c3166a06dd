"""Scoring with a policy's models on onnxruntime: the same code for replay and for running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.models.onnx_session import OnnxSession
from allophone.routing.audio_features import AudioView, audio_features
from allophone.routing.policy_file import RETRAIN, PolicyFile
from allophone.routing.routers import Order, Overhead, Router, envelope_slopes, last_kept
from allophone.routing.samples import RecognitionRouteSamples
from allophone.routing.transcript_features import TranscriptFeatures, pair_features, reading_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "OnnxModel",
    "PolicyRouter",
    "Regressor",
    "ReplayedPolicy",
    "Scorer",
    "expected_gflops",
    "load_scorer",
    "step_costs",
]


class Regressor(Protocol):
    """A fitted model of word errors saved: :class:`allophone.routing.network.Network` or its ONNX form."""

    def predict(self, features: NDArray[np.floating]) -> FloatArray:
        """Return predictions of shape (n, 1) for features of shape (n, n_features)."""
        ...


class OnnxModel:
    """One exported regressor on one onnxruntime thread.

    Args:
        model: The file, or its contents.

    Raises:
        WeightsError: It cannot be loaded.
    """

    def __init__(self, model: Path | bytes) -> None:
        self._session = OnnxSession(model, RETRAIN)

    def predict(self, features: NDArray[np.floating]) -> FloatArray:
        """Return predictions, shape (n, 1).

        Raises:
            WeightsError: The model does not read such features.
        """
        saved = self._session.run({"features": np.asarray(features, np.float32)})[0]
        return np.asarray(saved, np.float64)


def expected_gflops(coefficients: Sequence[Sequence[float]], duration_s: FloatArray) -> FloatArray:
    """Return GFLOPs expected of audio so long, at least a thousandth: shape (n_coefficient_rows, n)."""
    powers = np.stack([np.ones_like(duration_s), duration_s, duration_s**2])
    return np.maximum(np.asarray(coefficients, np.float64) @ powers, 1e-3)


def step_costs(policy: PolicyFile, duration_s: FloatArray) -> FloatArray:
    """Return what each step is expected to cost more than stopping, in GFLOPs, or 1 where scores are plain errors.

    Returns:
        Shape (n_points - 1, n).
    """
    n_steps = len(policy.points) - 1
    if not policy.per_gflop:
        return np.ones((n_steps, len(duration_s)))
    expected = expected_gflops(policy.gflops_by_duration, duration_s)
    points, encoder = expected[:-1], expected[-1]
    if policy.kind == "cascade":
        return points[1:]
    steps = np.diff(points, axis=0)
    if policy.reads == "encoder":
        steps[0] += encoder  # its work is lost to whoever escalates
    return np.maximum(steps, 1e-3)


class Scorer:
    """A policy's regressors and how their predictions become scores.

    Args:
        policy: The card.
        steps: Models of the steps, one each.
        choices: Models that choose between neighbouring points' transcripts, one per step, or none.
    """

    def __init__(self, policy: PolicyFile, steps: Sequence[Regressor], choices: Sequence[Regressor] = ()) -> None:
        self.policy = policy
        self.steps = tuple(steps)
        self.choices = tuple(choices)

    def score_readings(self, step: int, readings: Sequence[TranscriptFeatures]) -> FloatArray:
        """Return the scores of one step of a cascade, shape (n,), from what its lower point's readings show."""
        features = np.stack([reading_features(reading) for reading in readings])
        durations = np.array([reading.duration_s for reading in readings], np.float64)
        predicted: FloatArray = self.steps[step].predict(features)[:, 0] / step_costs(self.policy, durations)[step]
        return predicted

    def score_audio(self, views: Sequence[AudioView], duration_s: FloatArray) -> FloatArray:
        """Return the scores of all steps of a decider, shape (n_points - 1, n), from what precedes decoding.

        Predictions of the steps are summed to what each point saves over the first, then laid against its cost along
        the concave envelope, so that a threshold picks the best point whatever lies between.
        """
        seen = [view.mel if self.policy.reads == "mel" else audio_features(view) for view in views]
        stacked = np.stack(seen)
        predicted = np.stack([step.predict(stacked)[:, 0] for step in self.steps])
        costs = step_costs(self.policy, duration_s)
        nothing = np.zeros((1, len(views)))
        return envelope_slopes(
            np.concatenate([nothing, np.cumsum(predicted, axis=0)]),
            np.concatenate([nothing, np.cumsum(costs, axis=0)]),
        )

    def prefers_later(
        self, step: int, cheap: Sequence[TranscriptFeatures], dear: Sequence[TranscriptFeatures]
    ) -> NDArray[np.bool_]:
        """Return whether the dearer of two transcripts that both exist is to be kept, shape (n,)."""
        if not self.choices:
            return np.ones(len(dear), np.bool_)
        features = np.stack([pair_features(one, other) for one, other in zip(cheap, dear, strict=True)])
        preferred: NDArray[np.bool_] = self.choices[step].predict(features)[:, 0] >= 0
        return preferred


class ReplayedPolicy(Router[RecognitionRouteSamples], Protocol):
    """A policy of any kind as a router on measured points."""

    @property
    def policy(self) -> PolicyFile:
        """Its card."""
        ...

    def on(self, indices: IntArray) -> ReplayedPolicy:
        """Return the same policy for some of the utterances only."""
        ...


class PolicyRouter:
    """A policy as a router, replayed on measured points.

    Args:
        scorer: Its models.
        views: What a decider saw of every utterance; a cascade needs none.
        name: What tables call it.
    """

    def __init__(self, scorer: Scorer, views: Sequence[AudioView] = (), name: str | None = None) -> None:
        policy = scorer.policy
        self.policy = policy
        self._scorer, self._views = scorer, views
        self.name = name or (policy.kind if policy.kind == "cascade" else f"decider on {policy.reads}")
        self.order: Order = "cascade"
        if policy.kind == "decider":
            self.order = "small_first" if policy.reads == "encoder" else "direct"
        self.overhead = Overhead(
            policy.overhead_flops,
            policy.overhead_flops_per_audio_s,
            policy.overhead_s,
            policy.overhead_s_per_audio_s,
            reads_last=bool(scorer.choices),
        )

    def on(self, indices: IntArray) -> PolicyRouter:
        """Return the same policy for some of the utterances only."""
        views = [self._views[index] for index in indices.tolist()] if self._views else ()
        return PolicyRouter(self._scorer, views, self.name)

    def scores(self, samples: RecognitionRouteSamples) -> FloatArray:
        """Return the policy's own scores, shape (n_points - 1, n_utterances)."""
        if self.order != "cascade":
            return self._scorer.score_audio(self._views, samples.duration_s)
        steps = range(len(samples.points) - 1)
        return np.stack([self._scorer.score_readings(step, samples.readings[step]) for step in steps])

    def kept(self, samples: RecognitionRouteSamples) -> IntArray:
        """Return the point reached, or the one that the policy's choices keep, shape (n_points, n_utterances)."""
        kept = last_kept(samples)
        if self._scorer.choices:
            for step in range(len(samples.points) - 1):
                dear = self._scorer.prefers_later(step, samples.readings[step], samples.readings[step + 1])
                kept[step + 1] = np.where(dear, step + 1, kept[step])
        return kept


def load_scorer(folder: Path, policy: PolicyFile) -> Scorer:
    """Load a policy's models."""
    models = [[OnnxModel(folder / name) for name in names] for names in (policy.steps, policy.choices)]
    return Scorer(policy, *models)
