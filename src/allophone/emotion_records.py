"""The frozen records of emotion recognition that stages hand to each other: a setting of all knobs, a ledger row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from allophone.dimensions import TRAINED_CONTEXT_S
from allophone.errors import SpaceError
from allophone.records import OperatingPoint

__all__ = ["EmotionMeasurement", "EmotionSetting"]


class EmotionSetting(BaseModel):
    """One setting of all knobs: which encoder hears how much, and how deep it is adapted.

    ``unfrozen_layers="all"`` is every layer of the encoder. The front end (convolutions, position encodings) and the
    last normalisation stay frozen in every setting; the head is always trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1, description="a speech encoder by name or folder")
    duration_s: float = Field(3.0, gt=0, le=TRAINED_CONTEXT_S, description="seconds from the start of a recording")
    lora_rank: int = Field(0, ge=0, description="rank of the adapters in all layers, 0 for none")
    unfrozen_layers: int | Literal["all"] = Field(0, description="top layers whose own weights are trained")

    @property
    def name(self) -> str:
        """Short name, unique among settings and safe as a file name, e.g. ``base-3s-r16-top4``, ``base-3s-frozen``."""
        parts = [self.model_slug, f"{self.duration_s:.12g}s"]
        if self.lora_rank:
            parts.append(f"r{self.lora_rank}")
        if self.unfrozen_layers:
            parts.append("all" if self.unfrozen_layers == "all" else f"top{self.unfrozen_layers}")
        return "-".join(parts if len(parts) > 2 else [*parts, "frozen"])

    @property
    def model_slug(self) -> str:
        """The model's name, or for a folder its last part and a digest of the whole path."""
        return OperatingPoint(model=self.model).model_slug

    def depth(self, layers: int) -> int:
        """Return how many layers' own weights are trained.

        Args:
            layers: Layers of the encoder.

        Raises:
            SpaceError: More unfrozen layers than layers, or a negative number.
        """
        unfrozen = layers if self.unfrozen_layers == "all" else self.unfrozen_layers
        if not 0 <= unfrozen <= layers:
            raise SpaceError(f"unfrozen_layers {unfrozen}; the encoder has {layers} layers, or write all")
        return unfrozen


@dataclass(frozen=True, slots=True)
class EmotionMeasurement:
    """One ledger row: one test utterance through one trained setting. Columns of ``measurements/POINT.parquet``.

    ``utterance_index`` is the place in the corpus, from 0. The recogniser was trained on other speakers, those of
    ``fold``, from the initial weights of ``seed``. ``posterior`` has a calibrated probability a label, in the run's
    order of labels; ``predicted`` is the most probable one. ``duration_s`` is the length of the recording, ``heard_s``
    what the recogniser heard of it. ``latency_s`` runs from samples in memory to the posterior, one clip at a time;
    ``executed_flops`` are those of one inference. ``error`` names why an utterance could not be used; the row then
    enters no rate. ``cpu_s``, ``load_average`` and ``threads`` are as in :class:`allophone.records.Measurement`.
    """

    point: str
    utterance_index: int
    utterance_id: str
    speaker: str | None
    label: str
    predicted: str | None
    correct: bool
    posterior: list[float]
    fold: str
    seed: int
    duration_s: float
    heard_s: float
    latency_s: float | None
    executed_flops: int
    error: str | None
    cpu_s: float | None = None
    load_average: float | None = None
    threads: int | None = None
