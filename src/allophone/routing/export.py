"""Fitted regressors on disk, and what one decision with them costs on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from allophone.audio.mel import log_mel
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.routing.audio_features import AudioView, encoder_statistics, measure_overhead, mel_statistics
from allophone.routing.network import Network, export_network
from allophone.routing.policy_file import write_models
from allophone.routing.samples import RouteSamples
from allophone.routing.scoring import PolicyRouter, Scorer

__all__ = ["export_models", "measured_fields"]

_LOOKED_AT_S = 10  # seconds of audio on which looking is timed


def export_models(out: Path, steps: Sequence[Network], choices: Sequence[Network]) -> dict[str, object]:
    """Write one ONNX model a step and a choice; return the card's fields that name them and bill a decision's FLOPs.

    Raises:
        LedgerError: The folder cannot be written.
        MissingExtraError: The package ``onnx`` is missing.
    """
    networks = {
        **{f"step-{place}.onnx": network for place, network in enumerate(steps)},
        **{f"choice-{place}.onnx": network for place, network in enumerate(choices)},
    }
    written = list(write_models(out, {name: export_network(network) for name, network in networks.items()}).values())
    flops = max(network.flops for network in steps) + max((network.flops for network in choices), default=0)
    return {"steps": written[: len(steps)], "choices": written[len(steps) :], "overhead_flops": float(flops)}


def measured_fields(scorer: Scorer, samples: RouteSamples, views: Sequence[AudioView]) -> dict[str, object]:
    """Time one decision, and note which scores training saw."""
    policy = scorer.policy
    scores = PolicyRouter(scorer, views).scores(samples)
    ranges = [tuple(np.quantile(line, (0.005, 0.995)).tolist()) for line in scores]
    if policy.kind == "cascade":
        longest = max(range(len(samples)), key=lambda place: samples.readings[0][place].tokens)
        cheap, dear = samples.readings[0][longest : longest + 1], samples.readings[1][longest : longest + 1]
        look = measure_overhead(lambda: scorer.score_readings(0, cheap))
        if scorer.choices:
            look += measure_overhead(lambda: scorer.prefers_dear(0, cheap, dear))
        return {"score_range": ranges, "overhead_s": look}
    decide = measure_overhead(lambda: scorer.score_audio(views[:1], samples.duration_s[:1]))
    noise = np.random.default_rng(0).normal(size=_LOOKED_AT_S * SAMPLE_RATE).astype(np.float32)
    mel = log_mel(noise, 100 * _LOOKED_AT_S, 80)
    seen = measure_overhead(lambda: mel_statistics(mel, float(_LOOKED_AT_S)), 10)
    seen += measure_overhead(lambda: log_mel(noise, 100 * _LOOKED_AT_S, 80), 10)  # the point makes its own again
    if policy.reads == "encoder":
        width = (views[0].encoder.size if views[0].encoder is not None else 0) // 2
        states = np.ones((50 * _LOOKED_AT_S, width), np.float32)
        seen += measure_overhead(lambda: encoder_statistics(states), 10)
    return {"score_range": ranges, "overhead_s": decide, "overhead_s_per_audio_s": seen / _LOOKED_AT_S}
