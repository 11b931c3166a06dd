from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from allophone.audio.mel import log_mel
from allophone.dimensions.whisper import HOP_SAMPLES
from allophone.encoders.torch_whisper import encode_windows, load_torch_whisper, save_ct2_whisper
from allophone.errors import UsageError, WeightsError
from allophone.models.engine import load_engine
from allophone.models.weights import locate_weights

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tiny_folder() -> Path:
    weights = locate_weights("tiny.en")
    if weights is None:
        pytest.skip("the weight package is not installed")
    return weights.folder


@pytest.fixture(scope="module")
def random_model():
    """A model of odd sizes whose every tensor is drawn, biases and norms too."""
    config = transformers.WhisperConfig(
        vocab_size=70,
        num_mel_bins=8,
        d_model=128,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=96,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=80,
        max_source_positions=30,
        max_target_positions=20,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(config).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.1)
    return model


def convert(model, folder: Path, quantization: str) -> Path:
    """CTranslate2's own converter, without a tokenizer."""
    from ctranslate2.converters.transformers import WhisperLoader

    spec = WhisperLoader().get_model_spec(deepcopy(model))  # quantising scales the values in place
    spec.register_vocabulary([str(token) for token in range(model.config.vocab_size)])
    spec.validate()
    spec.optimize(quantization)
    folder.mkdir()
    spec.save(str(folder))
    return folder


@pytest.mark.parametrize(
    # Half a step: 127 steps for a row's greatest magnitude (0.5 at most here), 1024 for a tensor's.
    ("quantization", "off_by"),
    [("float32", 0), ("float16", 3e-4), ("bfloat16", 3e-3), ("int8", 3e-3), ("int8_float16", 3e-3), ("int16", 4e-4)],
)
def test_the_converter_is_undone(random_model, tmp_path, quantization, off_by):
    loaded = load_torch_whisper(convert(random_model, tmp_path / "model", quantization))
    expected, found = random_model.state_dict(), loaded.state_dict()
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert (value - found[key]).abs().max() <= off_by, key
    assert loaded.proj_out.weight is loaded.model.decoder.embed_tokens.weight
    assert not loaded.model.encoder.embed_positions.weight.requires_grad


@pytest.mark.parametrize("quantization", ["float32", "float16", "int8", "int16"])
def test_a_round_trip_is_byte_identical_and_a_change_comes_back(random_model, tmp_path, quantization):
    source = convert(random_model, tmp_path / "model", quantization)
    (source / "tokenizer.json").write_text("{}")
    (source / "README.md").write_text("of the source")
    model = load_torch_whisper(source)
    save_ct2_whisper(model, source, tmp_path / "same")
    assert sorted(path.name for path in (tmp_path / "same").iterdir()) == sorted(path.name for path in source.iterdir())
    for path in source.iterdir():
        assert (tmp_path / "same" / path.name).read_bytes() == path.read_bytes()
    changed = {"encoder.layers.1.self_attn.v_proj.weight", "encoder.conv1.bias", "decoder.layers.0.fc2.weight"}
    changed |= {"encoder.layers.0.self_attn.q_proj.bias", "decoder.layers.0.encoder_attn_layer_norm.weight"}
    for key in changed:
        model.model.get_parameter(key).data += 0.25
    (tmp_path / "other").mkdir()
    (tmp_path / "other/README.md").write_text("of the copy")
    save_ct2_whisper(model, source, tmp_path / "other")
    assert (tmp_path / "other/README.md").read_text() == "of the copy"
    original, back = load_torch_whisper(source), load_torch_whisper(tmp_path / "other")
    for key, value in model.model.state_dict().items():
        moved = not torch.equal(back.model.state_dict()[key], original.model.state_dict()[key])
        # Projections that share a tensor share its rounding: per row in int8, in all in int16.
        shared = quantization == "int16" and key.startswith("encoder.layers.1.self_attn.")
        assert moved == (key in changed) or shared, key
        assert torch.allclose(back.model.state_dict()[key], value, atol=4e-3), key


def test_a_fresh_model_whose_equal_tensors_are_stored_once(random_model, tmp_path):
    model = transformers.WhisperForConditionalGeneration(random_model.config)  # all biases zero, all norms one
    source = convert(model, tmp_path / "model", "float32")
    loaded = load_torch_whisper(source)
    for key, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key]), key
    save_ct2_whisper(loaded, source, tmp_path / "same")
    assert (tmp_path / "same/model.bin").read_bytes() == (source / "model.bin").read_bytes()
    with torch.no_grad():
        loaded.model.encoder.layers[0].fc1.bias += 1
    with pytest.raises(WeightsError, match="as one tensor, and they are no longer equal"):
        save_ct2_whisper(loaded, source, tmp_path / "other")


def test_an_untied_head_stays_its_own(random_model, tmp_path):
    model = deepcopy(random_model)
    model.proj_out.weight = torch.nn.Parameter(model.proj_out.weight.detach() * 2)
    loaded = load_torch_whisper(convert(model, tmp_path / "model", "float32"))
    assert torch.equal(loaded.proj_out.weight, model.proj_out.weight)
    assert torch.equal(loaded.model.decoder.embed_tokens.weight, random_model.proj_out.weight)


def test_an_encoder_alone_is_the_same_and_keeps_the_decoder(random_model, tmp_path):
    source = convert(random_model, tmp_path / "model", "float32")
    encoder = load_torch_whisper(source, encoder_only=True)
    for key, value in random_model.model.encoder.state_dict().items():
        assert torch.equal(value, encoder.state_dict()[key])
    encoder.layers[0].fc1.weight.data.zero_()
    save_ct2_whisper(encoder, source, tmp_path / "out")
    back = load_torch_whisper(tmp_path / "out")
    assert not back.model.encoder.layers[0].fc1.weight.any()
    for key, value in random_model.model.decoder.state_dict().items():
        assert torch.equal(value, back.model.decoder.state_dict()[key])


def test_the_full_window_is_what_transformers_computes(random_model):
    mel = torch.randn(2, 8, 60)
    with torch.no_grad():
        expected = random_model.model.encoder(mel).last_hidden_state
        assert torch.allclose(encode_windows(random_model.model.encoder, mel), expected, atol=1e-5)


def test_windows_of_a_batch_are_what_they_are_alone(random_model):
    mels, lengths = torch.randn(3, 8, 60), [2, 34, 60]
    encoder = random_model.model.encoder
    with torch.no_grad():
        together = encode_windows(encoder, mels, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone = encode_windows(encoder, mels[row : row + 1, :, :length])
            assert alone.shape == (1, length // 2, 128)
            assert torch.allclose(together[row, : length // 2], alone[0], atol=1e-5)


def test_gradients_reach_every_part_of_the_encoder(random_model):
    encoder = random_model.model.encoder
    encode_windows(encoder, torch.randn(2, 8, 20), torch.tensor([12, 20]))[0, :6].square().sum().backward()
    for key, value in encoder.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, key
            assert value.grad.abs().sum() > 0, key
    encoder.zero_grad()


@pytest.mark.parametrize("frames", [5, 62])
def test_odd_and_too_long_windows_are_refused(random_model, frames):
    with pytest.raises(ValueError, match=f"{frames} frames: give an even number up to 60"):
        encode_windows(random_model.model.encoder, torch.zeros(1, 8, frames))


@pytest.mark.parametrize(("name", "lengths"), [("tiny.en", (400, 1234, 3000)), ("base", (400,))])
def test_real_weights_encode_as_ctranslate2_does(name, lengths, speech):
    weights = locate_weights(name)
    if weights is None:
        pytest.skip("the weight package is not installed")
    engine = load_engine(name, "float32", threads=1)
    encoder = load_torch_whisper(weights.folder, encoder_only=True)
    samples = np.concatenate([recording.samples for recording in speech[:2]])[: 400 * HOP_SAMPLES]
    for frames in lengths:
        mel = log_mel(samples, frames, 80)
        expected = engine.features(engine.encode(mel))
        with torch.no_grad():
            found = encode_windows(encoder, torch.from_numpy(mel)[None])[0].numpy()
        assert found.shape == expected.shape == (frames // 2, weights.dimensions.n_audio_state)
        assert np.abs(found - expected).max() < 1e-3  # of values up to 25


def test_a_real_model_goes_around_unchanged_and_changed(tiny_folder, tmp_path, speech):
    model = load_torch_whisper(tiny_folder)
    save_ct2_whisper(model, tiny_folder, tmp_path / "same")
    for path in tiny_folder.iterdir():
        assert (tmp_path / "same" / path.name).read_bytes() == path.read_bytes()
    with torch.no_grad():  # a new encoder that engines must hear: everything turned round before the last norm
        model.model.encoder.layer_norm.weight.neg_()
        model.model.encoder.layer_norm.bias.neg_()
    save_ct2_whisper(model, tiny_folder, tmp_path / "other")
    mel = log_mel(speech[0].samples, 400, 80)
    before = np.asarray(load_engine(str(tmp_path / "same"), "int8", threads=1).encode(mel))
    after = np.asarray(load_engine(str(tmp_path / "other"), "int8", threads=1).encode(mel))
    assert np.allclose(after, -before, atol=1e-4)


def test_faster_whisper_loads_what_was_saved(tiny_folder, tmp_path, speech):
    from faster_whisper import WhisperModel

    save_ct2_whisper(load_torch_whisper(tiny_folder), tiny_folder, tmp_path / "saved")
    model = WhisperModel(str(tmp_path / "saved"), device="cpu", compute_type="int8", cpu_threads=1)
    segments, _ = model.transcribe(speech[1].samples, beam_size=1)
    assert "letter" in "".join(segment.text for segment in segments)


def test_a_model_of_another_source_is_refused_and_nothing_stays(random_model, tiny_folder, tmp_path):
    with pytest.raises(WeightsError, match="not the source of this model"):
        save_ct2_whisper(random_model.model.encoder, tiny_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_value_that_is_no_number_leaves_nothing(random_model, tmp_path):
    source = convert(random_model, tmp_path / "model", "float32")
    model = load_torch_whisper(source, encoder_only=True)
    model.layers[0].fc1.bias.data[0] = torch.nan
    with pytest.raises(WeightsError, match="encoder/layer_0/ffn/linear_0/bias' holds a value that is no number"):
        save_ct2_whisper(model, source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_model_is_not_written_over(random_model, tmp_path):
    source = convert(random_model, tmp_path / "model", "float32")
    with pytest.raises(UsageError, match=r"already holds a model\.bin"):
        save_ct2_whisper(load_torch_whisper(source), source, source)


def test_a_model_without_a_tensor_is_named(tmp_path, random_model):
    source = convert(random_model, tmp_path / "model", "float32")
    whole = (source / "model.bin").read_bytes()
    (source / "model.bin").write_bytes(whole.replace(b"encoder/conv2/bias", b"encoder/conv9/bias"))  # as long
    with pytest.raises(WeightsError, match="not a whole Whisper model"):
        load_torch_whisper(source)
