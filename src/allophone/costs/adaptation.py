"""Fine-tuning costs: FLOPs, trained parameters and memory of adapting an encoder for emotion recognition.

The recipe: the convolutional front end, projection and position convolution stay frozen; every layer gets low-rank
adapters of rank ``r`` (none at rank 0) on its query, key, value and output projections, in WavLM on the two
projections of its feed-forward part instead, since its fused attention never runs the modules that adapters wrap; the
top ``k`` layers are unfrozen; the weighted layer sum and the head are always trained.

A product ``y = xW`` costs one forward, one more where a gradient for ``x`` is needed, and one more where ``W`` is
trained. A gradient for ``x`` is needed as soon as anything trained lies before it, so the lowest trained layer is
spared the gradients of its own input (unless it normalises that input first and the normalisation is trained), and
everything below it costs no backward at all. Gradient checkpointing, which
would add forwards, is not assumed; the optimizer's element-wise work is not counted.

Symbols: ``d`` width, ``f`` feed-forward width, ``n`` layers, ``A`` audio tokens, ``r`` rank, ``k`` unfrozen layers.
"""

from __future__ import annotations

from dataclasses import dataclass

from allophone.costs.formulas import FLOPS_PER_MAC
from allophone.costs.limits import check_classes, check_lora_rank, check_unfrozen_layers
from allophone.costs.parameters import speech_layer_parameters, whisper_layer_parameters
from allophone.costs.speech import POOLED_STATISTICS, LayerStack, layer_flops, layer_stack, pooled_head_flops
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import WhisperDimensions
from allophone.records.point import EmotionSetting

__all__ = [
    "ADAPTED_PROJECTIONS",
    "Adaptation",
    "adapter_flops",
    "adapter_parameters",
    "backward_layer_flops",
    "frozen_flops",
    "optimizer_bytes",
    "pooled_head_parameters",
    "setting_adaptation",
    "trainable_parameters",
    "training_flops",
    "training_step_flops",
]

ADAPTED_PROJECTIONS = 4  # query, key, value, output
READING_LAYER_INPUT = 3  # of them, those that read the layer's input
ADAMW_MOMENTS = 2  # running mean and running square of the gradient
MOMENT_BYTES = 4  # float32


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How an encoder is fine-tuned.

    Args:
        lora_rank: Rank of the adapters, 0 for none.
        unfrozen_layers: Top layers whose own weights are trained.
        classes: Classes of the head.
    """

    lora_rank: int
    unfrozen_layers: int
    classes: int

    def check(self, dims: WhisperDimensions | SpeechEncoderDimensions) -> None:
        """Refuse what the encoder cannot take.

        Raises:
            SpaceError: Rank above the width, more unfrozen layers than layers, fewer than two classes.
        """
        stack = layer_stack(dims)
        check_lora_rank(stack.width, self.lora_rank)
        check_unfrozen_layers(stack.layers, self.unfrozen_layers)
        check_classes(self.classes)


def setting_adaptation(setting: EmotionSetting, layers: int, classes: int) -> Adaptation:
    """Return how a setting fine-tunes an encoder.

    Args:
        setting: The knobs.
        layers: Layers of the encoder.
        classes: Classes of the head.

    Raises:
        SpaceError: More unfrozen layers than layers, or a negative number.
    """
    return Adaptation(lora_rank=setting.lora_rank, unfrozen_layers=setting.depth(layers), classes=classes)


def adapter_parameters(stack: LayerStack, lora_rank: int) -> int:
    """One layer's adapters: down and up for each projection, ``4·2·r·d``; in WavLM ``2·r·(d + f)``.

    Source: arXiv 2106.09685, section 4.1.
    """
    if stack.fused_attention:
        return 2 * lora_rank * (stack.width + stack.hidden)
    return ADAPTED_PROJECTIONS * 2 * lora_rank * stack.width


def pooled_head_parameters(width: int, layers: int, classes: int) -> int:
    """One weight a hidden state (the input of the first layer included), and a linear layer: ``n + 1 + 2d·C + C``."""
    return layers + 1 + POOLED_STATISTICS * width * classes + classes


def trainable_parameters(dims: WhisperDimensions | SpeechEncoderDimensions, adaptation: Adaptation) -> int:
    """Return adapters of all layers, weights of the unfrozen ones, layer weights and head.

    WavLM's position buckets are stored in its first layer and count with it.

    Raises:
        SpaceError: An adaptation that the encoder cannot take.
    """
    adaptation.check(dims)
    stack = layer_stack(dims)
    if isinstance(dims, WhisperDimensions):
        layer = whisper_layer_parameters(dims.n_audio_state, cross=False)
        buckets = 0
    else:
        layer = speech_layer_parameters(dims)
        buckets = dims.num_buckets * dims.num_attention_heads
    unfrozen = adaptation.unfrozen_layers * layer
    unfrozen += buckets if adaptation.unfrozen_layers == stack.layers else 0
    adapters = stack.layers * adapter_parameters(stack, adaptation.lora_rank)
    return adapters + unfrozen + pooled_head_parameters(stack.width, stack.layers, adaptation.classes)


def optimizer_bytes(trained: int) -> int:
    """AdamW's two float32 moments of every trained parameter: ``8`` bytes each. Source: arXiv 1711.05101."""
    return ADAMW_MOMENTS * MOMENT_BYTES * trained


def adapter_flops(stack: LayerStack, tokens: int, lora_rank: int) -> int:
    """One layer's adapters as separate branches, as in training: a product with each of their matrices."""
    return FLOPS_PER_MAC * adapter_parameters(stack, lora_rank) * tokens


def backward_layer_flops(
    stack: LayerStack, tokens: int, *, lora_rank: int, unfrozen: bool, input_gradient: bool
) -> int:
    """Backward of one layer in which something is trained.

    Args:
        stack: The encoder's layers.
        tokens: Audio tokens.
        lora_rank: Rank of the layer's adapters, 0 for none.
        unfrozen: Whether the layer's own weights are trained.
        input_gradient: Whether anything trained lies below, so that the gradient must pass through.
    """
    if stack.fused_attention and lora_rank:
        return _backward_feed_forward_adapted(
            stack, tokens, lora_rank=lora_rank, unfrozen=unfrozen, input_gradient=input_gradient
        )
    d = stack.width
    square = FLOPS_PER_MAC * d * d * tokens  # one projection
    gate = FLOPS_PER_MAC * stack.gate_width * d * tokens
    reading_input = READING_LAYER_INPUT * square + gate
    after = square + FLOPS_PER_MAC * 2 * d * stack.hidden * tokens  # output projection, feed-forward
    reaches_input = input_gradient or (unfrozen and stack.norm_first)
    scores = 2 * (FLOPS_PER_MAC * 2 * d * tokens * tokens)  # both products have two gradients
    inputs = after + (reading_input if reaches_input else 0)
    weights = after + reading_input if unfrozen else 0
    # An adapter x·down·up: gradients of up, of its input, of down; of x where needed (the output projection's always).
    half = FLOPS_PER_MAC * d * lora_rank * tokens
    through = ADAPTED_PROJECTIONS if reaches_input else ADAPTED_PROJECTIONS - READING_LAYER_INPUT
    adapters = (3 * ADAPTED_PROJECTIONS + through) * half
    return inputs + weights + scores + adapters


def _backward_feed_forward_adapted(
    stack: LayerStack, tokens: int, *, lora_rank: int, unfrozen: bool, input_gradient: bool
) -> int:
    # Each adapter is a product down and one up, in d·r and r·f: gradients of both weights, of what is between them and,
    # where anything trained lies before, of the input; and the layer's own products.
    narrow = FLOPS_PER_MAC * stack.width * lora_rank * tokens
    wide = FLOPS_PER_MAC * stack.hidden * lora_rank * tokens
    first, second = narrow + 2 * wide, 2 * narrow + wide
    second += wide  # its input is the first one's output
    if not (input_gradient or unfrozen):
        return first + second + FLOPS_PER_MAC * stack.width * stack.hidden * tokens
    first += narrow
    own = backward_layer_flops(stack, tokens, lora_rank=0, unfrozen=unfrozen, input_gradient=input_gradient)
    return first + second + own


def frozen_flops(dims: WhisperDimensions | SpeechEncoderDimensions, *, tokens: int, layers: int) -> int:
    """Executed FLOPs of the first ``layers`` layers on one clip: what a cache pays once and training then never."""
    return layers * layer_flops(layer_stack(dims), tokens)


def training_step_flops(
    dims: WhisperDimensions | SpeechEncoderDimensions, adaptation: Adaptation, *, tokens: int
) -> int:
    """Executed FLOPs of a training step on one clip whose states below the first trained layer are cached.

    A probe on cached moments runs the linear layer alone.

    Args:
        dims: The encoder.
        adaptation: How it is fine-tuned.
        tokens: Audio tokens of the clip, padding included.
    """
    stack = layer_stack(dims)
    first = 0 if adaptation.lora_rank else stack.layers - adaptation.unfrozen_layers
    above = frozen_flops(dims, tokens=tokens, layers=stack.layers - first)
    forward = above + pooled_head_flops(stack.width, adaptation.classes)
    return training_flops(dims, adaptation, tokens=tokens, forward=forward)


def training_flops(
    dims: WhisperDimensions | SpeechEncoderDimensions, adaptation: Adaptation, *, tokens: int, forward: int
) -> int:
    """Return FLOPs of one training step on one recording: forward with adapters as branches, and backward.

    Args:
        dims: The model.
        adaptation: How it is fine-tuned.
        tokens: Audio tokens of the recording.
        forward: FLOPs of one inference (``speech_flops`` or ``whisper_pooled_flops``).

    Raises:
        SpaceError: An adaptation that the encoder cannot take.
    """
    adaptation.check(dims)
    stack = layer_stack(dims)
    rank = adaptation.lora_rank
    lowest = 0 if rank else stack.layers - adaptation.unfrozen_layers
    backward = 2 * pooled_head_flops(stack.width, adaptation.classes)  # its weights, and its input for the layer sum
    for layer in range(lowest, stack.layers):
        backward += backward_layer_flops(
            stack,
            tokens,
            lora_rank=rank,
            unfrozen=layer >= stack.layers - adaptation.unfrozen_layers,
            input_gradient=layer > lowest,
        )
    return forward + stack.layers * adapter_flops(stack, tokens, rank) + backward
