"""What tests of emotion recognition build: tones with labels, encoders of a few thousand random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from allophone.dimensions import SAMPLE_RATE, SpeechEncoderDimensions, WhisperDimensions
from builders import write_wav

PITCHES = {"high": 900.0, "low": 150.0, "middle": 400.0}
WHISPER = WhisperDimensions(80, 1500, 16, 4, 3, 20, 40, 16, 4, 2, True)
FAMILIES = ("whisper", "wav2vec2", "wav2vec2-stable", "hubert", "wavlm", "wavlm-stable")


def dims_of(name: str) -> WhisperDimensions | SpeechEncoderDimensions:
    """Three layers of width 16; on samples, one audio token every 320 samples."""
    if name == "whisper":
        return WHISPER
    stable = name.endswith("-stable")
    return SpeechEncoderDimensions(
        conv_dim=(6, 5),
        conv_kernel=(40, 3),
        conv_stride=(80, 4),
        conv_bias=False,
        feat_extract_norm="layer" if stable else "group",
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        num_buckets=16 if name.startswith("wavlm") else 0,
        stable_layer_norm=stable,
    )


def tiny_encoder(name: str, *, attention: str = "sdpa", seed: int = 0) -> Any:
    """A fresh encoder, equal for equal seeds."""
    import torch

    from allophone.models.encoder_config import build_encoder
    from allophone.models.speech_encoders import SpeechEncoder, weights_sha256

    dims, family = dims_of(name), name.partition("-")[0]
    torch.manual_seed(seed)
    module = build_encoder(dims, family, attention=attention).requires_grad_(False)  # type: ignore[arg-type]
    return SpeechEncoder(name, family, module, dims, family != "whisper", weights_sha256(module))  # type: ignore[arg-type]


def save_encoder(folder: Path, name: str, *, seed: int = 0) -> str:
    """A fresh encoder as a folder of transformers; its path is a model name."""
    from allophone.models.encoder_config import quiet_transformers

    with quiet_transformers():
        tiny_encoder(name, seed=seed).module.save_pretrained(folder)
    return str(folder)


def write_emotions(
    folder: Path, *, n_speakers: int = 5, per_label: int = 2, labels: tuple[str, ...] = ("high", "low"), seed: int = 0
) -> Path:
    """A manifest of short tones of each label's pitch, 0.2 to 0.4 s long, from several speakers."""
    rng = np.random.default_rng(seed)
    lines = []
    for speaker in range(n_speakers):
        for number in range(per_label):
            for label in labels:
                name = f"{speaker}-{label}-{number}"
                time = np.arange(round(rng.uniform(0.2, 0.4) * SAMPLE_RATE)) / SAMPLE_RATE
                sound = 0.3 * np.sin(2 * np.pi * PITCHES[label] * time) + 0.02 * rng.standard_normal(time.size)
                write_wav(folder / f"audio/{name}.wav", sound * rng.uniform(0.5, 1))
                row = {"id": name, "audio_filepath": f"audio/{name}.wav", "label": label, "speaker": f"s{speaker}"}
                lines.append(json.dumps(row))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def tiny_model(name: str = "whisper", *, rank: int = 0, unfrozen: int | str = 0, classes: int = 2, **knobs: Any) -> Any:
    """A model of three layers, fresh and in float32."""
    from allophone.adapt.emotion_model import EmotionModel
    from allophone.adapt.emotion_setting import EmotionSetting

    setting = EmotionSetting(model=name, lora_rank=rank, unfrozen_layers=unfrozen, **{"duration_s": 0.3, **knobs})  # type: ignore[arg-type]
    return EmotionModel(tiny_encoder(name), setting, classes, precision="float32")
