"""Forecast of trainings: FLOPs from the cost model, seconds from a short probe of the encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from time import perf_counter

from allophone.corpora.splits import SplitFile
from allophone.costs.adaptation import frozen_flops, setting_adaptation, trainable_parameters, training_step_flops
from allophone.costs.emotion import inference_flops
from allophone.costs.formulas import stem_flops
from allophone.costs.speech import front_end_flops, layer_stack, position_flops, projection_flops, speech_tokens
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, SAMPLE_RATE, WhisperDimensions
from allophone.emotion.recipe import Recipe
from allophone.encoders.device import check_torch_device
from allophone.encoders.layers import run_layers
from allophone.encoders.loading import load_speech_encoder
from allophone.records.point import EmotionSetting
from allophone.records.utterance import Utterance

__all__ = ["EncoderProbe", "JobForecast", "forecast_job", "order_settings", "probe_encoder"]

_OVERHEAD_S = 3.0  # loading an encoder, reading the corpus
_PROBE_BATCH, _PROBE_TOKENS, _PROBES = 8, 100, 5
_TOKENS_PER_S = 50
_PROBE_STEP_S = 2e-3  # a step of a probe on cached moments: its products take no time beside its calls

Dimensions = WhisperDimensions | SpeechEncoderDimensions


@dataclass(frozen=True, slots=True)
class EncoderProbe:
    """An encoder as far as its cost goes.

    Args:
        dimensions: Its sizes.
        flop_per_s: Forward FLOPs per second of its first layer on this machine, a short probe.
    """

    dimensions: Dimensions
    flop_per_s: float


@dataclass(frozen=True, slots=True)
class JobForecast:
    """One training of a setting, testing and timing included.

    Args:
        trainable_params: Parameters that are trained.
        inference_gflops: Of one test clip, mean.
        training_flops: Of all optimizer steps, if no epoch is saved by stopping early.
        other_flops: Of validation, testing and timing.
        frozen_flops: Of the pass that leaves the frozen layers' states; the first unit of a model, duration and depth
            pays it.
        seconds: Of the unit without that pass, at the probe's rate.
        frozen_s: Of that pass.
    """

    trainable_params: int
    inference_gflops: float
    training_flops: float
    other_flops: float
    frozen_flops: float
    seconds: float
    frozen_s: float


def probe_encoder(model: str, *, threads: int = 0, device: str = "cpu") -> EncoderProbe:
    """Load an encoder and time its first layer.

    Raises:
        AllophoneError: As :func:`allophone.encoders.loading.load_speech_encoder`.
        UsageError: The device is not ``cpu`` or a GPU that torch sees.
    """
    check_torch_device(device)
    encoder = load_speech_encoder(model)
    import torch

    if threads:
        torch.set_num_threads(threads)
    encoder.module.to(device)
    stack = layer_stack(encoder.dimensions)
    hidden = torch.zeros(_PROBE_BATCH, _PROBE_TOKENS, stack.width, device=device)
    taken = []
    with torch.inference_mode():
        for _ in range(_PROBES + 1):
            started = perf_counter()
            run_layers(encoder, hidden, None, 0, 1)
            if device != "cpu":
                torch.cuda.synchronize()
            taken.append(perf_counter() - started)
    flops = _PROBE_BATCH * frozen_flops(encoder.dimensions, tokens=_PROBE_TOKENS, layers=1)
    return EncoderProbe(encoder.dimensions, flops / median(taken[1:]))


def forecast_job(
    setting: EmotionSetting,
    recipe: Recipe,
    facts: EncoderProbe,
    utterances: Sequence[Utterance],
    durations_s: Mapping[str, float],
    splits: SplitFile,
    fold: str,
) -> JobForecast:
    """Predict one training; epochs that early stopping spares are counted, so it is the most rather than the mean.

    Args:
        setting: The point.
        recipe: How it is trained.
        facts: Its encoder.
        utterances: The corpus.
        durations_s: Length of every recording, by utterance id.
        splits: Who trains and is tested.
        fold: Name of the split.
    """
    dims, classes = facts.dimensions, len(splits.labels)
    stack = layer_stack(dims)
    adaptation = setting_adaptation(setting, stack.layers, classes)
    chosen = splits.split(fold)
    heard = {u.id: min(setting.duration_s, durations_s[u.id]) for u in utterances}
    clips = {part: len(chosen.select(utterances, part)) for part in ("train", "validation", "test")}
    heard_s = mean(heard.values())
    tokens = _tokens(dims, heard_s)
    first = 0 if adaptation.lora_rank else stack.layers - adaptation.unfrozen_layers
    probe = first == stack.layers
    above = frozen_flops(dims, tokens=tokens, layers=stack.layers - first)
    inference = inference_flops(dims, classes, samples=round(heard_s * SAMPLE_RATE))
    step_tokens = 0 if probe else tokens
    training = float(recipe.epochs * clips["train"] * training_step_flops(dims, adaptation, tokens=step_tokens))
    other = float(above * (clips["validation"] * (recipe.epochs + 1) + clips["test"]) + inference * clips["test"])
    frozen = float(len(utterances) * (_front_flops(dims, heard_s) + frozen_flops(dims, tokens=tokens, layers=first)))
    steps = recipe.epochs * -(-clips["train"] // recipe.batch_size)
    seconds = _OVERHEAD_S + (training + other) / facts.flop_per_s + steps * _PROBE_STEP_S
    return JobForecast(
        trainable_params=trainable_parameters(dims, adaptation),
        inference_gflops=inference / 1e9,
        training_flops=training,
        other_flops=other,
        frozen_flops=frozen,
        seconds=seconds,
        frozen_s=frozen / facts.flop_per_s,
    )


def order_settings(
    settings: Sequence[EmotionSetting], forecasts: Mapping[str, JobForecast]
) -> list[tuple[EmotionSetting, float]]:
    """Return settings from quick to slow, each with the seconds of its first unit.

    The pass over the frozen layers is counted at the first of the settings that share it: same model, duration and
    lowest trained layer.
    """
    ordered = sorted(settings, key=lambda setting: forecasts[setting.name].seconds)
    seen: set[tuple[object, ...]] = set()
    found = []
    for setting in ordered:
        shared = (setting.model, setting.duration_s, setting.lora_rank > 0, setting.unfrozen_layers)
        forecast = forecasts[setting.name]
        found.append((setting, forecast.seconds + (0.0 if shared in seen else forecast.frozen_s)))
        seen.add(shared)
    return found


def _tokens(dims: Dimensions, heard_s: float) -> int:
    if isinstance(dims, WhisperDimensions):
        return max(1, round(heard_s * _TOKENS_PER_S))
    return max(1, speech_tokens(dims, round(heard_s * SAMPLE_RATE)))


def _front_flops(dims: Dimensions, heard_s: float) -> int:
    tokens, samples = _tokens(dims, heard_s), round(heard_s * SAMPLE_RATE)
    if isinstance(dims, WhisperDimensions):
        return stem_flops(dims, FRAMES_PER_AUDIO_TOKEN * tokens)
    return front_end_flops(dims, samples) + projection_flops(dims, tokens) + position_flops(dims, tokens)
