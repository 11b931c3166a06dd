"""Emotion model: an encoder with a head, adapted as a setting says, run from cached states."""

from __future__ import annotations

import warnings
from typing import Any

from allophone.costs.adaptation import setting_adaptation
from allophone.emotion.head import EmotionHead
from allophone.emotion.recipe import EmotionSetting, Precision
from allophone.encoders.layers import embed_inputs, encoder_layers, n_layers, run_layers, width
from allophone.encoders.loading import SpeechEncoder

__all__ = ["EmotionModel", "adapted_modules"]

_ATTENTION = {"q_proj", "k_proj", "v_proj", "out_proj"}
_FEED_FORWARD = {"intermediate_dense", "output_dense"}


def adapted_modules(encoder: SpeechEncoder) -> list[str]:
    """Return the names of the layers' linear modules that adapters go on.

    Query, key, value and output projections; in WavLM the two of the feed-forward part instead, because its attention
    hands the projections' weights to one fused call and never runs the modules, so adapters there would do nothing.
    """
    wanted = _FEED_FORWARD if encoder.family == "wavlm" else _ATTENTION
    layers = {id(module) for layer in encoder_layers(encoder) for module in layer.modules()}
    return [
        name
        for name, module in encoder.module.named_modules()
        if id(module) in layers and name.rpartition(".")[2] in wanted
    ]


class EmotionModel:
    """A recogniser that can be trained.

    The encoder's own module is changed in place: load a fresh one for every model.

    Args:
        encoder: Fresh from :func:`allophone.encoders.loading.load_speech_encoder`.
        setting: Rank of the adapters and unfrozen layers count.
        classes: Classes of the head.
        precision: ``bfloat16`` runs the encoder's products under autocast; weights stay float32.
        seed: Fixes the initial head and adapters.

    Raises:
        SpaceError: A rank or depth that the encoder cannot take.
    """

    def __init__(
        self, encoder: SpeechEncoder, setting: EmotionSetting, classes: int, *, precision: Precision, seed: int = 0
    ) -> None:
        layers = n_layers(encoder)
        self.encoder = encoder
        self.setting = setting
        self.precision = precision
        self.adaptation = setting_adaptation(setting, layers, classes)
        self.adaptation.check(encoder.dimensions)
        # Below the first trained layer nothing ever changes: its states can be computed once.
        self.first = 0 if setting.lora_rank else layers - self.adaptation.unfrozen_layers
        self.head = EmotionHead(width(encoder), layers, classes, seed=seed)
        self.head.to(next(encoder.module.parameters()).device)
        self.peft_model = self._add_adapters(seed) if setting.lora_rank else None
        for layer in list(encoder_layers(encoder))[layers - self.adaptation.unfrozen_layers :]:
            layer.requires_grad_(requires_grad=True)

    @property
    def is_probe(self) -> bool:
        """Whether the head alone is trained."""
        return self.first == n_layers(self.encoder)

    def trained(self) -> dict[str, Any]:
        """Every trained parameter by name: ``head.``, then names of the encoder's module, adapters among them."""
        own = {name: p for name, p in self.encoder.module.named_parameters() if p.requires_grad}
        return {f"head.{name}": p for name, p in self.head.parameters.items()} | own

    def train(self, training: bool = True) -> None:
        """Switch the trained layers' dropout on or off; frozen layers never drop anything."""
        self.encoder.module.eval()
        for layer in list(encoder_layers(self.encoder))[self.first :]:
            layer.train(training)

    def front(self, samples: Any) -> Any:
        """Hidden state 0 of one clip, shape ``(audio tokens, width)``; nothing of it is trained."""
        import torch

        with torch.no_grad(), self.autocast():
            return embed_inputs(self.encoder, samples)

    def frozen_states(self, hidden: Any, inside: Any) -> list[Any]:
        """Hidden states 0 to ``first`` from state 0, shape ``(batch, audio tokens, width)`` each; no gradient."""
        import torch

        with torch.no_grad(), self.autocast():
            return [hidden, *run_layers(self.encoder, hidden, inside, 0, self.first)]

    def pooled(self, lower: list[Any], inside: Any) -> Any:
        """Pooled statistics from hidden states 0 to ``first``; runs the layers above, differentiable.

        Args:
            lower: ``first + 1`` tensors of shape ``(batch, audio tokens, width)``.
            inside: Which audio tokens belong to their clip, shape ``(batch, audio tokens)``; None: all.
        """
        with self.autocast():
            upper = [] if self.is_probe else run_layers(self.encoder, lower[-1].float(), inside, self.first)
        return self.head.pool_states([*lower, *upper], inside)

    def logits(self, lower: list[Any], inside: Any) -> Any:
        """Logits of shape ``(batch, classes)`` from hidden states 0 to ``first``."""
        return self.head.classify(self.pooled(lower, inside))

    def clip_logits(self, samples: Any) -> Any:
        """Logits of shape ``(classes,)`` of one clip of samples: all that inference runs, without any cache."""
        import torch

        with torch.inference_mode():
            hidden = self.front(samples)[None]
            return self.logits(self.frozen_states(hidden, None), None)[0]

    def merge(self) -> None:
        """Merge adapters into the weights, as inference runs them; the model can then be neither trained nor saved."""
        if self.peft_model is not None:
            self.peft_model.merge_adapter()

    def autocast(self) -> Any:
        """The context of the encoder's products."""
        import torch

        device = next(self.encoder.module.parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16")

    def _add_adapters(self, seed: int) -> Any:
        import torch
        from peft import LoraConfig, get_peft_model

        rank = self.setting.lora_rank
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=adapted_modules(self.encoder))
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            torch.manual_seed(seed)
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft reads the old name
            return get_peft_model(self.encoder.module, config)
