"""What a setting's inference and training steps execute, from the cost model, with cached states counted as such.

Adapters on feed-forward projections (WavLM) are counted here: for every layer ``d·r + r·f`` and ``f·r + r·d``
parameters. Their layers below the first need no gradient before the feed-forward part.
"""

from __future__ import annotations

from allophone.audio.mel import window_frames
from allophone.costs.adaptation import (
    Adaptation,
    backward_layer_flops,
    trainable_parameters,
    training_flops,
)
from allophone.costs.formulas import FLOPS_PER_MAC
from allophone.costs.speech import (
    LayerStack,
    layer_flops,
    layer_stack,
    pooled_head_flops,
    speech_flops,
    whisper_pooled_flops,
)
from allophone.dimensions import SpeechEncoderDimensions, WhisperDimensions

__all__ = ["frozen_flops", "inference_flops", "trained_parameters", "training_step_flops"]

Dimensions = WhisperDimensions | SpeechEncoderDimensions


def trained_parameters(dims: Dimensions, adaptation: Adaptation) -> int:
    """Return how many parameters a setting trains, in closed form.

    Raises:
        SpaceError: An adaptation that the encoder cannot take.
    """
    if not _on_feed_forward(dims):
        return trainable_parameters(dims, adaptation)
    adaptation.check(dims)
    stack = layer_stack(dims)
    others = trainable_parameters(dims, Adaptation(0, adaptation.unfrozen_layers, adaptation.classes))
    return others + stack.layers * 2 * adaptation.lora_rank * (stack.width + stack.hidden)


def inference_flops(dims: Dimensions, classes: int, *, samples: int) -> int:
    """Executed FLOPs of one clip from samples to logits, adapters merged, front end included.

    Args:
        dims: The encoder.
        classes: Classes of the head.
        samples: Samples of the clip, 16 kHz.
    """
    if isinstance(dims, WhisperDimensions):
        frames = window_frames(samples, context="fit", margin_s=0.0, floor_s=0.0)
        return whisper_pooled_flops(dims, frames=frames, classes=classes).total
    return speech_flops(dims, samples=samples, classes=classes).total


def frozen_flops(dims: Dimensions, *, tokens: int, layers: int) -> int:
    """Executed FLOPs of the first ``layers`` layers on one clip: what a cache pays once and training then never."""
    return layers * layer_flops(layer_stack(dims), tokens)


def training_step_flops(dims: Dimensions, adaptation: Adaptation, *, tokens: int) -> int:
    """Executed FLOPs of a training step on one clip whose states below the first trained layer are cached.

    A probe on cached moments runs the linear layer alone.

    Args:
        dims: The encoder.
        adaptation: How it is fine-tuned.
        tokens: Audio tokens of the clip, padding included.
    """
    stack = layer_stack(dims)
    first = 0 if adaptation.lora_rank else stack.layers - adaptation.unfrozen_layers
    head = pooled_head_flops(stack.width, adaptation.classes)
    forward = (stack.layers - first) * layer_flops(stack, tokens) + head
    if adaptation.lora_rank and _on_feed_forward(dims):
        return forward + _feed_forward_adapters(stack, adaptation, tokens) + 2 * head
    return training_flops(dims, adaptation, tokens=tokens, forward=forward)


def _on_feed_forward(dims: Dimensions) -> bool:
    return isinstance(dims, SpeechEncoderDimensions) and bool(dims.num_buckets)


def _feed_forward_adapters(stack: LayerStack, adaptation: Adaptation, tokens: int) -> int:
    # Two adapters a layer, each a product down and one up, in d·r and r·f; forward once. Backward: both weights and
    # the input between them, and the layer's own products, as in costs.adaptation.
    rank = adaptation.lora_rank
    narrow = FLOPS_PER_MAC * stack.width * rank * tokens
    wide = FLOPS_PER_MAC * stack.hidden * rank * tokens
    total = stack.layers * 2 * (narrow + wide)
    for layer in range(stack.layers):
        unfrozen = layer >= stack.layers - adaptation.unfrozen_layers
        total += (narrow + 2 * wide) + (2 * narrow + wide)  # weights of both, inputs between down and up
        total += wide  # input of the second adapter
        if layer == 0 and not unfrozen:  # nothing trained lies before its feed-forward part
            total += FLOPS_PER_MAC * stack.width * stack.hidden * tokens
            continue
        total += narrow  # input of the first adapter
        total += backward_layer_flops(stack, tokens, lora_rank=0, unfrozen=unfrozen, input_gradient=layer > 0)
    return total
