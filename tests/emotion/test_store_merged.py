"""Merged encoders load without this package, and overwrite nothing."""

import numpy as np
import pytest

from allophone.errors import UsageError
from allophone.records.point import EmotionSetting
from emotion_builders import FAMILIES, save_encoder, save_recogniser

pytest.importorskip("torch")

import torch

from allophone.emotion.store import export_merged, load_emotion_model
from allophone.encoders.layers import embed_inputs, run_layers
from allophone.encoders.loading import load_speech_encoder

CLIP = (0.1 * np.random.default_rng(0).standard_normal(6400)).astype(np.float32)


def recogniser(folder, base, seed=0, **knobs):
    return save_recogniser(folder, EmotionSetting(model=base, **knobs), seed=seed)


@pytest.mark.parametrize("name", FAMILIES)
def test_merged_models_load_with_transformers_alone(name, tmp_path):
    base = save_encoder(tmp_path / "base", name)
    recogniser(tmp_path / "m", base, lora_rank=2, unfrozen_layers=1)
    model = load_emotion_model(tmp_path / "m").model
    export_merged(tmp_path / "m", tmp_path / "merged")
    merged = type(load_speech_encoder(base).module).from_pretrained(tmp_path / "merged").eval()
    again = load_speech_encoder(str(tmp_path / "merged"))
    assert again.normalize == model.encoder.normalize
    with torch.no_grad():
        ours = run_layers(model.encoder, model.front(CLIP)[None], None)[-1]
        theirs = run_layers(again, embed_inputs(again, CLIP)[None], None)[-1]
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)
        if name != "whisper":
            normal = torch.from_numpy((CLIP - CLIP.mean()) / np.sqrt(CLIP.var() + 1e-7))
            torch.testing.assert_close(merged(normal[None]).last_hidden_state, ours, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["whisper", "wav2vec2"])
def test_the_same_recogniser_is_merged_again_and_no_other(tmp_path, family):
    base = save_encoder(tmp_path / "base", family)
    recogniser(tmp_path / "m", base, lora_rank=2)
    for _ in range(2):
        export_merged(tmp_path / "m", tmp_path / "merged")
    before = {path.name: path.read_bytes() for path in (tmp_path / "merged").iterdir()}
    recogniser(tmp_path / "other", base, seed=1, lora_rank=2)
    with pytest.raises(UsageError, match=r"--merged .*merged: holds another model \(config\.json\)"):
        export_merged(tmp_path / "other", tmp_path / "merged")
    assert {path.name: path.read_bytes() for path in (tmp_path / "merged").iterdir()} == before


def test_another_recogniser_is_not_overwritten(tmp_path):
    base = save_encoder(tmp_path / "base", "wav2vec2")
    mine, other = (recogniser(tmp_path / name, base, unfrozen_layers=n) for name, n in (("m", 1), ("other", 2)))
    before = load_emotion_model(other).model.clip_logits(CLIP)
    with pytest.raises(UsageError, match=r"other: holds another recogniser \(emotion\.json\)"):
        export_merged(mine, other)
    assert torch.equal(load_emotion_model(other).model.clip_logits(CLIP), before)
