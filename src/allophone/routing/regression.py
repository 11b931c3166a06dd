"""Fitting regressors: ridge on inputs or splines of them, and small rectified networks trained with torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allophone.extras import importing
from allophone.routing.network import Network, expand, fit_scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allophone.arrays import FloatArray

__all__ = ["SAVED_LIMIT", "Candidate", "fit_candidate", "speaker_folds"]

SAVED_LIMIT = 3.0  # word errors; one looping transcript or wrong reference must not outweigh ten others
_KNOTS = (-1.0, 0.0, 1.0)  # standard deviations


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of regressor with its settings.

    Args:
        penalty: Of squared weights on standardised inputs: utterances' worth for ridge, decay a step for networks.
        splines: Whether inputs are joined by their hinges.
        hidden: Hidden units of each of the ensemble's networks; 0 is ridge.
    """

    penalty: float
    splines: bool = False
    hidden: int = 0

    @property
    def name(self) -> str:
        """Short name for the model card."""
        if self.hidden:
            return f"{_MEMBERS} networks of {self.hidden} hidden units, decay {self.penalty:g}"
        return f"ridge {self.penalty:g}" + (" on linear splines" if self.splines else "")


_MEMBERS = 8
_STEPS = 200
_LEARNING_RATE = 0.02


def fit_candidate(candidate: Candidate, features: NDArray[np.floating], saved: FloatArray, *, seed: int = 0) -> Network:
    """Fit one output: word errors saved, limited to :data:`SAVED_LIMIT` either way against label noise.

    Args:
        candidate: What to fit.
        features: Shape (n, n_features).
        saved: Shape (n,).
        seed: Of a network's first weights.

    Raises:
        MissingExtraError: A network is asked for and torch is missing.
    """
    limited = np.clip(saved, -SAVED_LIMIT, SAVED_LIMIT)
    scaling = fit_scaling(features)
    knots = _KNOTS if candidate.splines else ()
    inputs = expand(scaling.apply(features), knots)
    if candidate.hidden:
        layers = _train(inputs, limited, candidate, seed)
    else:
        centre, mean = inputs.mean(axis=0), limited.mean()
        centred = inputs - centre
        # The dual form is as exact and quicker where inputs outnumber utterances.
        if centred.shape[1] > centred.shape[0]:
            gram = centred @ centred.T + candidate.penalty * np.eye(len(centred))
            weights = centred.T @ np.linalg.solve(gram, limited - mean)
        else:
            gram = centred.T @ centred + candidate.penalty * np.eye(centred.shape[1])
            weights = np.linalg.solve(gram, centred.T @ (limited - mean))
        layers = ((weights[:, None], np.array([mean - centre @ weights])),)
    return Network(scaling, knots, layers)


def _train(
    inputs: FloatArray, saved: FloatArray, candidate: Candidate, seed: int
) -> tuple[tuple[FloatArray, FloatArray], ...]:
    """Train the ensemble at once, full batches, Huber loss: beyond one error a deviation counts linearly."""
    with importing("torch", "torch"):
        import torch

    generator = torch.Generator().manual_seed(seed)
    n, n_inputs = inputs.shape
    x = torch.tensor(inputs, dtype=torch.float32)
    y = torch.tensor(saved - saved.mean(), dtype=torch.float32)
    first = torch.randn(_MEMBERS, n_inputs, candidate.hidden, generator=generator) / n_inputs**0.5
    second = torch.randn(_MEMBERS, candidate.hidden, generator=generator) / candidate.hidden**0.5
    parameters = [first, torch.zeros(_MEMBERS, 1, candidate.hidden), second, torch.zeros(_MEMBERS, 1)]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=candidate.penalty)
    # Every member sees its own draw of utterances: bagging lowers the variance of few noisy labels.
    draws = torch.stack(
        [torch.bincount(torch.randint(n, (n,), generator=generator), minlength=n) for _ in range(_MEMBERS)]
    )
    for _ in range(_STEPS):
        optimizer.zero_grad()
        hidden = torch.relu(torch.einsum("nf,mfh->mnh", x, parameters[0]) + parameters[1])
        outputs = torch.einsum("mnh,mh->mn", hidden, parameters[2]) + parameters[3]
        losses = torch.nn.functional.huber_loss(outputs, y.expand_as(outputs), reduction="none")
        (losses * draws).mean().backward()
        optimizer.step()
    first, first_bias, second, second_bias = (parameter.detach().double().numpy() for parameter in parameters)
    return (
        (first.transpose(1, 0, 2).reshape(n_inputs, -1), first_bias.reshape(-1)),
        (second.reshape(-1, 1) / _MEMBERS, np.array([second_bias.mean() + saved.mean()])),
    )


def speaker_folds(speakers: Sequence[str | None], n_folds: int, seed: int = 0) -> list[NDArray[np.intp]]:
    """Deal speakers to folds of about equal numbers of utterances; no speaker is in two.

    Args:
        speakers: Of every utterance; one that names none is a speaker of its own.
        n_folds: At most the number of speakers; otherwise fewer folds come back.
        seed: Of the order among speakers with equally many utterances.

    Returns:
        Places of the utterances of every fold.
    """
    groups: dict[object, list[int]] = {}
    for place, speaker in enumerate(speakers):
        groups.setdefault(speaker if speaker is not None else place, []).append(place)
    lists = list(groups.values())
    order = np.random.default_rng(seed).permutation(len(lists))
    folds: list[list[int]] = [[] for _ in range(min(n_folds, len(lists)))]
    for index in sorted(order.tolist(), key=lambda item: -len(lists[item])):
        min(folds, key=len).extend(lists[index])
    return [np.array(sorted(fold), np.intp) for fold in folds]
