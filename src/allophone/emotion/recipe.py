"""Training recipe of an emotion recogniser: rates, epochs, batches."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from allophone.records.point import EmotionSetting

__all__ = ["EmotionSetting", "Precision", "Recipe", "default_recipe"]

Precision = Literal["float32", "bfloat16"]


class Recipe(BaseModel):
    """How a setting is trained: AdamW, a learning rate for each kind of parameter, linear warm-up, then a half cosine.

    Training stops early when the validation speakers' UAR has not risen for ``patience`` epochs; the best epoch stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(4, ge=1, description="most epochs")
    patience: int = Field(4, ge=1, description="epochs without a better validation UAR")
    batch_size: int = Field(16, ge=1, description="clips a step")
    head_lr: float = Field(1e-3, gt=0, description="learning rate of layer weights and linear layer")
    encoder_lr: float = Field(1e-4, gt=0, description="learning rate of unfrozen layers")
    lora_lr: float = Field(5e-4, gt=0, description="learning rate of adapters")
    weight_decay: float = Field(0.01, ge=0, description="of everything but layer weights, biases and normalisations")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of all steps over which rates rise")
    seed: int = Field(0, ge=0, description="fixes initial weights and the order of clips")


def default_recipe(setting: EmotionSetting, *, seed: int = 0) -> Recipe:
    """Return the recipe of a setting: a frozen probe takes many cheap epochs, adapted layers take few."""
    if setting.lora_rank or setting.unfrozen_layers:
        return Recipe(seed=seed)
    return Recipe(epochs=60, patience=15, batch_size=64, head_lr=5e-4, seed=seed)
