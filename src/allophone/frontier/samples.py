"""The measurements that statistics need, utterance by utterance, and every objective resampled from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import SpaceError
from allophone.frontier.noise_floor import TIMED, Noise, resample_time
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates, resample_mean, resample_ratio_difference
from allophone.measure.linearised import Linearised, resample_linearised
from allophone.records.point import Task

__all__ = ["Samples"]

_CLOSED = ("wer", "rtf")  # whose differences have their standard error in closed form


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Samples(ABC):
    """One value per point and utterance, on the utterances that all points share.

    Args:
        points: Names of the points, in the order of the arrays' rows.
        utterances: Ids of the utterances, in the order of the arrays' columns.
        speakers: Speaker of every utterance, or None.
        duration_s: Seconds of audio, shape (n_utterances,).
        latency_s: Seconds from samples to the result, shape (n_points, n_utterances).
        executed_flops: FLOPs that ran, shape (n_points, n_utterances).
        noise: From :func:`allophone.frontier.noise_floor.read_noise`, by cost; without a cost, its noise is unknown.
        price_per_hour: Of the machine, or None where it is not known.
    """

    task: ClassVar[Task]
    quality: ClassVar[str]

    points: tuple[str, ...]
    utterances: tuple[str, ...]
    speakers: tuple[str | None, ...]
    duration_s: FloatArray
    latency_s: FloatArray
    executed_flops: FloatArray
    noise: Mapping[str, Noise] = field(default_factory=dict)
    price_per_hour: float | None = None

    @property
    def noise_floors(self) -> dict[str, float]:
        """Relative difference below which points are not told apart, by cost of which the noise is known."""
        return {name: known.floor for name, known in self.noise.items()}

    @property
    def speed(self) -> str:
        """The objective that a price rests on."""
        return "rtf"

    @property
    @abstractmethod
    def weight(self) -> float:
        """How many decisions a point's quality rests on."""

    @abstractmethod
    def equal(self, one: int, other: int) -> bool:
        """Whether two points are right and wrong in the same utterances, equally often."""

    def resample(self, name: str, draws: Resample) -> Replicates:
        """Return an objective in every replicate, in base units: fractions, seconds, GFLOPs, bytes; lower is better.

        Times and peaks of memory hold the machine's noise too, as far as it is known. What is a property of the point,
        not of the utterances drawn, is the same in every replicate.

        Args:
            name: One of :data:`allophone.frontier.objectives.OBJECTIVES`.
            draws: From :func:`allophone.measure.blocks.draw_blocks` over the speakers.

        Raises:
            SpaceError: No such objective, or it was not measured.
        """
        if name in TIMED:
            return resample_time(self.latency_s, self.duration_s, name, self.noise, draws)
        if name == "executed_gflops":
            return resample_mean(self.executed_flops / 1e9, draws)
        if name == "price_per_audio_hour":
            return self._resample_price(draws)
        found = self._resample_own(name, draws)
        if found is None:
            raise SpaceError(f"objective '{name}' cannot be resampled.")
        return found

    def _resample_price(self, draws: Resample) -> Replicates:
        if self.price_per_hour is None:
            raise SpaceError("what an hour of audio costs is unknown. Give --price-per-hour.")
        return self.resample(self.speed, draws).scaled(self.price_per_hour)

    @abstractmethod
    def _resample_own(self, name: str, draws: Resample) -> Replicates | None:
        """Return an objective that the tasks do not share in every replicate; None where there is no such."""

    def resample_difference(self, name: str, draws: Resample, chosen: int) -> Replicates:
        """Return every point minus a chosen one in every replicate, with a closed form's standard error if it exists.

        Args:
            name: As for :meth:`resample`, as all that follow.
            draws: The blocks drawn.
            chosen: Index of the chosen point.
        """
        if (differences := self.linearised_difference(name, chosen)) is not None:
            return resample_linearised(differences, draws)
        sums = self.sums(name) if name in _CLOSED else None
        if sums is not None and name not in self.noise:  # the closed form knows nothing of the machine's noise
            return resample_ratio_difference(*sums, draws, chosen)
        return self.resample(name, draws).difference(chosen)

    def sums(self, name: str) -> tuple[FloatArray, FloatArray] | None:
        """Return what an objective is the ratio of over utterances, or None where it is none or was not counted.

        Args:
            name: The objective.

        Returns:
            The numerators, shape (n_points, n_utterances), and the denominators, shape (n_utterances,).
        """
        if name == "rtf":
            return self.latency_s, self.duration_s
        if name == "executed_gflops":
            return self.executed_flops / 1e9, np.ones(len(self.utterances))
        return None

    def linearised_difference(self, name: str, chosen: int) -> Linearised | None:
        """Return every point minus a chosen one where an objective is estimated from a sample of transcripts, or None.

        Args:
            name: The objective.
            chosen: Index of the chosen point.
        """
        del name, chosen
        return None
