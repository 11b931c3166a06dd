"""What tests of emotion recognition build: tones with labels, encoders of a few thousand random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import SAMPLE_RATE, WhisperDimensions
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

    from allophone.encoders.configs import build_encoder
    from allophone.encoders.loading import SpeechEncoder, weights_sha256

    dims, family = dims_of(name), name.partition("-")[0]
    torch.manual_seed(seed)
    module = build_encoder(dims, family, attention=attention).requires_grad_(False)  # type: ignore[arg-type]
    return SpeechEncoder(name, family, module, dims, family != "whisper", weights_sha256(module))  # type: ignore[arg-type]


def save_encoder(folder: Path, name: str, *, seed: int = 0) -> str:
    """A fresh encoder as a folder of transformers; its path is a model name."""
    from allophone.encoders.configs import quiet_transformers

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


@contextmanager
def emotion_place(folder: Path, encoder: str, *, n_speakers: int) -> Iterator[Path]:
    """Yield a folder with a corpus in ``c``, an encoder in ``base``, and the cache in ``cache`` while it is open."""
    write_emotions(folder / "c", n_speakers=n_speakers)
    save_encoder(folder / "base", encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLOPHONE_CACHE", str(folder / "cache"))
        yield folder


def tiny_model(name: str = "whisper", *, rank: int = 0, unfrozen: int | str = 0, classes: int = 2, **knobs: Any) -> Any:
    """A model of three layers, fresh and in float32."""
    from allophone.emotion.model import EmotionModel
    from allophone.emotion.recipe import EmotionSetting

    setting = EmotionSetting(model=name, lora_rank=rank, unfrozen_layers=unfrozen, **{"duration_s": 0.3, **knobs})  # type: ignore[arg-type]
    return EmotionModel(tiny_encoder(name), setting, classes, precision="float32")


def emotion_row(setting: Any, index: int, **changes: Any) -> Any:
    """A ledger row: one of four utterances a speaker, two a class, recognised, with changes."""
    from allophone.records.measurement import EmotionMeasurement

    label = ("high", "low")[index % 2]
    row: dict[str, Any] = {
        "point": setting.name,
        "utterance_index": index,
        "utterance_id": f"u{index}",
        "speaker": f"s{index // 4}",
        "label": label,
        "predicted": label,
        "correct": True,
        "posterior": [0.9, 0.1] if label == "high" else [0.2, 0.8],
        "fold": "fold-0",
        "seed": 0,
        "duration_s": 2.0,
        "heard_s": min(setting.duration_s, 2.0),
        "latency_s": 0.1,
        "executed_flops": 2_000_000_000,
        "error": None,
    }
    if changes.get("correct", True) is False:
        row |= {"predicted": "low" if label == "high" else "high", "posterior": row["posterior"][::-1]}
    if changes.get("error"):
        row |= {"predicted": None, "correct": False, "posterior": [], "latency_s": None, "executed_flops": 0}
    return EmotionMeasurement(**{**row, **changes})


def emotion_record(settings: Any, n_utterances: int, **changes: Any) -> Any:
    """What an emotion run of one fold that tests everything says of itself."""
    from allophone.ledger.run_record import EmotionRunRecord, machine_stamp

    fields: dict[str, Any] = {
        "created": "2026-01-01T00:00:00+00:00",
        "corpus": "corpus",
        "fingerprint": "f" * 64,
        "n_utterances": n_utterances,
        "n_speakers": n_utterances // 4,
        "duration_s": 2.0 * n_utterances,
        "plan": "grid",
        "space": {"model": ["tiny.en"]},
        "device": "cpu",
        "threads": 1,
        "machine": machine_stamp(),
        "points": list(settings),
        "labels": ("high", "low"),
        "split_fingerprint": "5" * 64,
        "folds": ("fold-0",),
        "seeds": (0,),
        "n_tested": n_utterances,
        "recipes": {setting.name: {"epochs": 2} for setting in settings},
        "precision": "float32",
    }
    return EmotionRunRecord(**{**fields, **changes})


def trained_unit(point: str, **changes: Any) -> Any:
    """A line of ``units.jsonl``."""
    from allophone.ledger.trained_units import TrainedUnit

    fields: dict[str, Any] = {
        "point": point,
        "fold": "fold-0",
        "seed": 0,
        "trainable_params": 4000,
        "training_flops": 3_000_000_000,
        "frozen_flops": 0,
        "train_s": 5.0,
        "states_s": 1.0,
        "wall_s": 8.0,
        "epochs": 2,
        "best_epoch": 1,
        "validation_uar": 0.5,
        "temperature": 1.0,
        "precision": "float32",
        "base_weights_sha256": "0" * 64,
        "n_train": 10,
        "stopped": "all epochs are done",
        "failed": False,
    }
    return TrainedUnit(**{**fields, **changes})


def write_emotion_run(folder: Path, rows: dict[Any, Any], *, units: Any = None, **changes: Any) -> Path:
    """A run folder holding one row per given change set, in order, and one training a point."""
    from allophone.ledger.ledger import Ledger
    from allophone.ledger.trained_units import add_unit

    n_utterances = changes.pop("n_utterances", max(len(changed) for changed in rows.values()))
    with Ledger(folder, emotion_record(rows, n_utterances, **changes)) as ledger:
        for setting, changed in rows.items():
            ledger.append([emotion_row(setting, index, **change) for index, change in enumerate(changed)])
            for unit in (units or {}).get(setting, [{}]):
                add_unit(folder, trained_unit(setting.name, **unit))
    return folder


def write_cascade_run(folder: Path, small: Any, big: Any, *, telling: bool = True, n: int = 400) -> Path:
    """A run whose big point is always right; the small one misses every fourth, and its posterior shows that or not."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(n):
        right = index % 8 not in (1, 6)
        top = (0.55 if not right else 0.95) if telling else float(rng.uniform(0.5, 1))
        first = (index % 2 == 0) == right  # whether the label 'high' is the more probable one
        rows.append({"correct": right, "posterior": [top, 1 - top] if first else [1 - top, top]})
    dear = [{"executed_flops": 20_000_000_000, "latency_s": 0.5}] * n
    return write_emotion_run(folder, {small: rows, big: dear})


def save_recogniser(folder: Path, setting: Any, *, labels: tuple[str, ...] = ("high", "low"), seed: int = 0) -> Path:
    """A recogniser whose every trained number is random, as ``adapt emotion`` saves one."""
    import torch

    from allophone.emotion.model import EmotionModel
    from allophone.emotion.store import save_emotion_model
    from allophone.encoders.loading import load_speech_encoder

    model = EmotionModel(load_speech_encoder(setting.model), setting, len(labels), precision="float32")
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.trained().values():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    save_emotion_model(folder, model, labels, 1.0)
    return folder


def judged_cascade(folder: Path) -> Any:
    """A run of a short and a longer point, its candidates, what judged their cascade, and a recogniser for each."""
    from allophone.records.point import EmotionSetting
    from allophone.routing.emotion import read_candidates, route_emotion
    from allophone.routing.thresholds import CalibrationTarget

    base = save_encoder(folder / "base", "wav2vec2")
    settings = [EmotionSetting(model=base, duration_s=seconds) for seconds in (0.2, 0.4)]
    run = write_cascade_run(folder / "run", *settings)
    candidates = read_candidates(run, [setting.name for setting in settings])
    found = route_emotion(candidates, CalibrationTarget("big_share", 0.3), n_replicates=200)
    return run, candidates, found, [save_recogniser(folder / str(place), one) for place, one in enumerate(settings)]
