"""Random-weight models from configuration, and torch's own count of what they execute."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import WhisperDimensions
from allophone.encoders.configs import Family, build_encoder

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


@pytest.fixture(scope="session")
def whisper_config() -> Callable[..., Any]:
    """A configuration with the given dimensions; ``audio_tokens`` is the length that the encoder will insist on."""

    transformers = pytest.importorskip("transformers")

    def config(dims: WhisperDimensions, audio_tokens: int | None = None) -> Any:
        return transformers.WhisperConfig(
            vocab_size=dims.n_vocab,
            num_mel_bins=dims.n_mels,
            encoder_layers=dims.n_audio_layer,
            encoder_attention_heads=dims.n_audio_head,
            encoder_ffn_dim=4 * dims.n_audio_state,
            decoder_layers=dims.n_text_layer,
            decoder_attention_heads=dims.n_text_head,
            decoder_ffn_dim=4 * dims.n_text_state,
            d_model=dims.n_audio_state,
            max_source_positions=audio_tokens or dims.n_audio_ctx,
            max_target_positions=dims.n_text_ctx,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=0,
            decoder_start_token_id=0,
            attn_implementation="eager",
        )

    return config


@pytest.fixture(scope="session")
def speech_model() -> Callable[..., Any]:
    """A wav2vec 2.0, HuBERT or WavLM encoder with the given dimensions."""

    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")

    def model(dims: SpeechEncoderDimensions, family: Family, *, device: str = "cpu") -> Any:
        with torch.device(device):
            return build_encoder(dims, family, attention="eager")

    return model


@pytest.fixture(scope="session")
def executed_by() -> Callable[[Callable[[], Any]], int]:
    """What torch's FlopCounterMode counts while a function runs."""
    pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    def count(function: Callable[[], Any]) -> int:
        counter = FlopCounterMode(display=False)
        with counter:
            function()
        return int(counter.get_total_flops())

    return count


@pytest.fixture(scope="session")
def peak_bytes() -> Callable[[Callable[[], Any]], int]:
    """The most bytes that torch's CPU allocator had handed out at one moment while a function ran."""
    torch = pytest.importorskip("torch")
    from torch.profiler import ProfilerActivity, profile

    def peak(function: Callable[[], Any]) -> int:
        with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            kept = function()
        events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
        alive = most = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            alive += event.nbytes()
            most = max(most, alive)
        del kept
        return most

    return peak
