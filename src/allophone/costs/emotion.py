"""Costs of an emotion recogniser: one setting to one record of everything that it costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from allophone.audio.mel import window_frames
from allophone.costs.adaptation import (
    Adaptation,
    optimizer_bytes,
    pooled_head_parameters,
    trainable_parameters,
    training_flops,
)
from allophone.costs.formulas import FLOPS_PER_MAC, audio_tokens
from allophone.costs.limits import check_audio
from allophone.costs.memory import FLOAT32_BYTES, eager_encoder_peak_bytes, speech_peak_activation_bytes
from allophone.costs.parameters import speech_encoder_parameters, whisper_encoder_parameters
from allophone.costs.published import published_ser_flops
from allophone.costs.setting import SAMPLES_PER_TOKEN, Convention, check_convention
from allophone.costs.speech import SpeechFlops, layer_stack, speech_flops, speech_tokens, whisper_pooled_flops
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, SAMPLE_RATE, WhisperDimensions

__all__ = ["EmotionCost", "emotion_cost", "inference_flops"]


@dataclass(frozen=True, slots=True)
class EmotionCost:
    """What recognising the emotion of one recording costs, and one training step on it. Weights are float32.

    Args:
        convention: How FLOPs are counted; parameters and bytes are the same under both.
        audio_tokens: Positions of the encoder.
        flops_stem: Convolutions from samples or log-mel frames to audio tokens.
        flops_projection: Linear layer to the encoder's width, 0 in Whisper.
        flops_position: Position convolution, 0 in Whisper.
        flops_encoder: Layers; under ``published`` everything.
        flops_head: Linear layer from pooled statistics to classes.
        flops_training: One training step, forward and backward; None under ``published``, which has no such count.
        params: Parameters of encoder and head, adapters merged.
        trainable_params: Parameters that training changes, adapters apart from the weights.
        weight_bytes: Weights in memory for inference.
        optimizer_bytes: AdamW's moments.
        peak_activation_bytes: Most intermediate tensors at one moment of inference.
    """

    convention: Convention
    audio_tokens: int
    flops_stem: int
    flops_projection: int
    flops_position: int
    flops_encoder: int
    flops_head: int
    flops_training: int | None
    params: int
    trainable_params: int
    weight_bytes: int
    optimizer_bytes: int
    peak_activation_bytes: int

    @property
    def flops_total(self) -> int:
        """One inference, all parts together."""
        return self.flops_stem + self.flops_projection + self.flops_position + self.flops_encoder + self.flops_head

    @property
    def macs_total(self) -> int:
        """Multiply-accumulates of one inference: half the FLOPs."""
        return self.flops_total // FLOPS_PER_MAC


def emotion_cost(
    dims: WhisperDimensions | SpeechEncoderDimensions,
    *,
    duration_s: float,
    lora_rank: int = 0,
    unfrozen_layers: int = 0,
    classes: int = 6,
    convention: Convention = "executed",
) -> EmotionCost:
    """Return what one recording costs an encoder with a pooled head, in inference and in training.

    Whisper's encoder runs on the audio alone, in whole audio tokens of 20 ms; its decoder does not run.

    Args:
        dims: The model.
        duration_s: Seconds of audio.
        lora_rank: Rank of the adapters, 0 for none.
        unfrozen_layers: Top layers whose own weights are trained.
        classes: Classes of the head.
        convention: ``executed``, or ``published`` as in arXiv 2606.22790.

    Raises:
        SpaceError: A knob outside its limits; the message names them.
    """
    check_convention(convention)
    check_audio(duration_s)
    adaptation = Adaptation(lora_rank, unfrozen_layers, classes)
    adaptation.check(dims)
    samples = round(duration_s * SAMPLE_RATE)
    if isinstance(dims, WhisperDimensions):
        frames = FRAMES_PER_AUDIO_TOKEN * ceil(samples / SAMPLES_PER_TOKEN)
        flops = whisper_pooled_flops(dims, frames=frames, classes=classes)
        tokens = audio_tokens(frames)
        peak = eager_encoder_peak_bytes(dims, frames)
        encoder_parameters = whisper_encoder_parameters(dims)
    else:
        flops = speech_flops(dims, samples=samples, classes=classes)
        tokens = speech_tokens(dims, samples)
        peak = speech_peak_activation_bytes(dims, samples)
        encoder_parameters = speech_encoder_parameters(dims)
    stack = layer_stack(dims)
    params = encoder_parameters + pooled_head_parameters(stack.width, stack.layers, classes)
    training: int | None = training_flops(dims, adaptation, tokens=tokens, forward=flops.total)
    if convention == "published":
        flops = SpeechFlops(0, 0, 0, round(published_ser_flops(params, duration_s)), 0)
        training = None
    trainable = trainable_parameters(dims, adaptation)
    return EmotionCost(
        convention=convention,
        audio_tokens=tokens,
        flops_stem=flops.stem,
        flops_projection=flops.projection,
        flops_position=flops.position,
        flops_encoder=flops.encoder,
        flops_head=flops.head,
        flops_training=training,
        params=params,
        trainable_params=trainable,
        weight_bytes=FLOAT32_BYTES * params,
        optimizer_bytes=optimizer_bytes(trainable),
        peak_activation_bytes=peak,
    )


def inference_flops(dims: WhisperDimensions | SpeechEncoderDimensions, classes: int, *, samples: int) -> int:
    """Executed FLOPs of one clip from samples to logits, adapters merged, front end included.

    Args:
        dims: The encoder.
        classes: Classes of the head.
        samples: Samples of the clip, 16 kHz; of more than Whisper's trained context the rest is not heard.
    """
    if isinstance(dims, WhisperDimensions):
        frames = window_frames(samples, context="fit", margin_s=0.0, floor_s=0.0)
        return whisper_pooled_flops(dims, frames=frames, classes=classes).total
    return speech_flops(dims, samples=samples, classes=classes).total
