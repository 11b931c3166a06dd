"""One setting of an emotion recogniser's knobs, and the recipe that trains it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from allophone.costs.adaptation import Adaptation
from allophone.dimensions import TRAINED_CONTEXT_S
from allophone.errors import SpaceError
from allophone.records import OperatingPoint

__all__ = ["EmotionSetting", "Precision", "Recipe", "default_recipe"]

Precision = Literal["float32", "bfloat16"]


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
        parts = [OperatingPoint(model=self.model).model_slug, f"{self.duration_s:.12g}s"]
        if self.lora_rank:
            parts.append(f"r{self.lora_rank}")
        if self.unfrozen_layers:
            parts.append("all" if self.unfrozen_layers == "all" else f"top{self.unfrozen_layers}")
        return "-".join(parts if len(parts) > 2 else [*parts, "frozen"])

    def adaptation(self, layers: int, classes: int) -> Adaptation:
        """Return what the cost model calls it.

        Args:
            layers: Layers of the encoder.
            classes: Classes of the head.

        Raises:
            SpaceError: More unfrozen layers than layers, or a negative number.
        """
        unfrozen = layers if self.unfrozen_layers == "all" else self.unfrozen_layers
        if not 0 <= unfrozen <= layers:
            raise SpaceError(f"unfrozen_layers {unfrozen}; the encoder has {layers} layers, or write all")
        return Adaptation(lora_rank=self.lora_rank, unfrozen_layers=unfrozen, classes=classes)


class Recipe(BaseModel):
    """How a setting is trained: AdamW, a learning rate for each kind of parameter, linear warm-up, then a half cosine.

    Training stops early when the validation speakers' UAR has not risen for ``patience`` epochs; the best epoch stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(12, ge=1, description="most epochs")
    patience: int = Field(4, ge=1, description="epochs without a better validation UAR")
    batch_size: int = Field(16, ge=1, description="clips a step")
    head_lr: float = Field(1e-3, gt=0, description="learning rate of layer weights and linear layer")
    encoder_lr: float = Field(5e-5, gt=0, description="learning rate of unfrozen layers")
    lora_lr: float = Field(5e-4, gt=0, description="learning rate of adapters")
    weight_decay: float = Field(0.01, ge=0, description="of everything but layer weights, biases and normalisations")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of all steps over which rates rise")
    seed: int = Field(0, ge=0, description="fixes initial weights and the order of clips")


def default_recipe(setting: EmotionSetting, *, seed: int = 0) -> Recipe:
    """Return the recipe of a setting: a frozen probe takes many cheap epochs, adapted layers take few."""
    if setting.lora_rank or setting.unfrozen_layers:
        return Recipe(seed=seed)
    return Recipe(epochs=60, patience=15, batch_size=64, head_lr=5e-4, seed=seed)
