"""Every trained parameter survives; adapters and merged models load elsewhere; another base model is refused."""

import json
import os
import warnings

import numpy as np
import pytest

from allophone.errors import LedgerError, UsageError, WeightsError
from builders import small_files
from emotion_builders import FAMILIES, save_encoder

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file

from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import EmotionSetting
from allophone.emotion.store import copy_emotion_model, load_emotion_model, save_emotion_model
from allophone.encoders.layers import embed_inputs, run_layers
from allophone.encoders.loading import load_speech_encoder

LABELS = ("a", "b", "c")
CLIP = (0.1 * np.random.default_rng(0).standard_normal(6400)).astype(np.float32)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {name: save_encoder(folder / name, name) for name in FAMILIES}


def trained_model(base, rank, unfrozen):
    """A model whose every trained number has moved."""
    setting = EmotionSetting(model=base, lora_rank=rank, unfrozen_layers=unfrozen)
    model = EmotionModel(load_speech_encoder(base), setting, 3, precision="float32")
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.trained().values():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.head.standardise_on(torch.randn(5, 32))
    return model


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("rank", "unfrozen"), [(0, 0), (2, 0), (0, 2), (2, 1), (0, "all")])
def test_a_reload_gives_identical_logits(name, rank, unfrozen, bases, tmp_path):
    model = trained_model(bases[name], rank, unfrozen)
    card = save_emotion_model(tmp_path, model, LABELS, 1.5)
    loaded = load_emotion_model(tmp_path)
    assert loaded.card == card
    for parameter_name, parameter in model.trained().items():
        assert torch.equal(loaded.model.trained()[parameter_name], parameter), parameter_name
    assert torch.equal(loaded.model.clip_logits(CLIP), model.clip_logits(CLIP))


@pytest.mark.parametrize("name", ["whisper", "wav2vec2", "wavlm"])
def test_adapters_load_with_peft_alone(name, bases, tmp_path):
    from peft import PeftModel

    model = trained_model(bases[name], 2, 0)
    save_emotion_model(tmp_path, model, LABELS, 1.0)
    plain = load_speech_encoder(bases[name])
    with torch.no_grad():
        hidden = embed_inputs(plain, CLIP)[None]
        before = run_layers(plain, hidden, None)[-1]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            PeftModel.from_pretrained(plain.module, tmp_path / "adapter")
        adapted, ours = (run_layers(encoder, hidden, None)[-1] for encoder in (plain, model.encoder))
    assert torch.equal(adapted, ours)
    assert not torch.allclose(adapted, before, atol=1e-3)


def test_another_base_model_is_refused(bases, tmp_path):
    save_emotion_model(tmp_path / "m", trained_model(bases["hubert"], 2, 0), LABELS, 1.0)
    other = save_encoder(tmp_path / "other", "hubert", seed=7)
    with pytest.raises(WeightsError, match="'base_weights_sha256': adapted from other weights"):
        load_emotion_model(tmp_path / "m", base=other)
    same = save_encoder(tmp_path / "same", "hubert")
    assert load_emotion_model(tmp_path / "m", base=same).card.labels == LABELS


def test_a_model_saved_again_leaves_nothing_of_the_old_one(bases, tmp_path):
    save_emotion_model(tmp_path, trained_model(bases["whisper"], 2, 1), LABELS, 1.0)
    save_emotion_model(tmp_path, trained_model(bases["whisper"], 0, 0), LABELS, 2.0)
    assert not (tmp_path / "unfrozen.safetensors").exists()
    assert load_emotion_model(tmp_path).card.temperature == 2.0


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (lambda f: (f / "emotion.json").unlink(), UsageError, "'allophone adapt emotion' wrote"),
        (lambda f: (f / "emotion.json").write_text("{"), LedgerError, "not valid JSON"),
        (lambda f: (f / "emotion.json").write_text('{"schema_version": 9}'), LedgerError, "'schema_version' is 9"),
        (lambda f: (f / "emotion.json").write_text('{"schema_version": 1}'), LedgerError, "field 'setting'"),
    ],
)
def test_folders_without_a_card_that_can_be_read(bases, tmp_path, spoil, kind, message):
    save_emotion_model(tmp_path, trained_model(bases["whisper"], 2, 1), LABELS, 1.0)
    spoil(tmp_path)
    with pytest.raises(kind, match=message):
        load_emotion_model(tmp_path)


@pytest.mark.parametrize("digests", [True, False], ids=["card", "card of before"])
@pytest.mark.parametrize("name", ["head.safetensors", "unfrozen.safetensors", "adapter/adapter_model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_a_file_that_is_not_the_recognisers_is_named(bases, tmp_path, digests, name, damage):
    save_emotion_model(tmp_path / "m", trained_model(bases["whisper"], 2, 1), LABELS, 1.0)
    if not digests:
        forget_digests(tmp_path / "m")
    path = tmp_path / "m" / name
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    else:
        save_file({"other": torch.zeros(3)}, path)
    with pytest.raises(LedgerError, match=rf"m/{name}: .*(Copy the whole folder|train the model) again") as caught:
        load_emotion_model(tmp_path / "m")
    assert "\n" not in str(caught.value)
    if digests or damage != "foreign":  # which tensors there should be is known when they are loaded
        with pytest.raises(LedgerError, match=rf"m/{name}: "):
            copy_emotion_model(tmp_path / "m", tmp_path / "copy")
        assert not (tmp_path / "copy").exists()


def test_tensors_of_the_same_shape_are_told_apart(bases, tmp_path):
    for place, unfrozen in (("a", 1), ("b", 1)):
        save_emotion_model(tmp_path / place, trained_model(bases["whisper"], 0, unfrozen), LABELS, 1.0)
    head = load_file(tmp_path / "b/head.safetensors")
    save_file({name: value + 1 for name, value in head.items()}, tmp_path / "a/head.safetensors")
    with pytest.raises(
        LedgerError, match=r"a/head\.safetensors: not the file that .*'files_sha256'.*another recogniser"
    ):
        load_emotion_model(tmp_path / "a")


def test_a_card_of_before_still_loads(bases, tmp_path):
    model = trained_model(bases["whisper"], 2, 1)
    save_emotion_model(tmp_path, model, LABELS, 1.0)
    forget_digests(tmp_path)
    assert torch.equal(load_emotion_model(tmp_path).model.clip_logits(CLIP), model.clip_logits(CLIP))


def test_a_copy_is_the_recogniser_and_nothing_else(bases, tmp_path):
    model = trained_model(bases["whisper"], 2, 1)
    save_emotion_model(tmp_path / "m", model, LABELS, 1.0)
    (tmp_path / "m/checkpoint.pt").write_bytes(b"left behind")
    copy_emotion_model(tmp_path / "m", tmp_path / "copy")
    assert not (tmp_path / "copy/checkpoint.pt").exists()
    assert torch.equal(load_emotion_model(tmp_path / "copy").model.clip_logits(CLIP), model.clip_logits(CLIP))


def forget_digests(folder):
    fields = json.loads((folder / "emotion.json").read_text())
    del fields["files_sha256"]
    (folder / "emotion.json").write_text(json.dumps(fields))


def test_the_adapter_names_its_base(bases, tmp_path):
    save_emotion_model(tmp_path, trained_model(bases["whisper"], 2, 0), LABELS, 1.0)
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"]) == (bases["whisper"], 2)


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
@pytest.mark.parametrize("n_bytes", [0, 100, 3000])
@pytest.mark.parametrize(("rank", "unfrozen"), [(0, 2), (2, 0)])
def test_a_full_disk_leaves_the_recogniser_that_was_there(rank, unfrozen, n_bytes, bases, tmp_path):
    first = trained_model(bases["whisper"], 0, 1)
    card = save_emotion_model(tmp_path / "m", first, LABELS, 1.5)
    before = sorted(path.name for path in (tmp_path / "m").iterdir())
    other = trained_model(bases["whisper"], rank, unfrozen)
    with small_files(n_bytes), pytest.raises(LedgerError, match="m: cannot be written: "):
        save_emotion_model(tmp_path / "m", other, LABELS, 1.0)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == before
    assert load_emotion_model(tmp_path / "m").card == card
    new = save_emotion_model(tmp_path / "m", other, LABELS, 1.0)
    loaded = load_emotion_model(tmp_path / "m")
    assert loaded.card == new
    assert torch.equal(loaded.model.clip_logits(CLIP), other.clip_logits(CLIP))
    assert (tmp_path / "m/unfrozen.safetensors").exists() == bool(unfrozen)
    assert (tmp_path / "m/adapter").exists() == bool(rank)
