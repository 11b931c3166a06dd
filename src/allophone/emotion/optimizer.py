"""Which parameters learn at which rate, and how rates change over a training."""

from __future__ import annotations

from math import cos, pi
from typing import Any

from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import Recipe

__all__ = ["parameter_groups", "rate_factor"]

_UNDECAYED = ("bias", "layer_weights", "norm.weight", "gru_rel_pos_const")


def parameter_groups(model: EmotionModel, recipe: Recipe) -> list[dict[str, Any]]:
    """Return AdamW's groups: a learning rate for head, encoder and adapters, with and without weight decay each."""
    rates = {"head": recipe.head_lr, "lora": recipe.lora_lr, "encoder": recipe.encoder_lr}
    groups: dict[tuple[str, bool], list[Any]] = {}
    for name, parameter in model.trained().items():
        kind = "head" if name.startswith("head.") else "lora" if "lora_" in name else "encoder"
        groups.setdefault((kind, not name.endswith(_UNDECAYED)), []).append(parameter)
    return [
        {"params": parameters, "lr": rates[kind], "weight_decay": recipe.weight_decay if decayed else 0.0, "kind": kind}
        for (kind, decayed), parameters in groups.items()
    ]


def rate_factor(step: int, steps: int, warmup_share: float) -> float:
    """Return the share of the peak rate at a step from 0: a linear rise, then a half cosine to 0."""
    warmup = warmup_share * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + cos(pi * (step - warmup) / max(steps - warmup, 1)))
