"""Stages against transformers' own forward, batches against single clips."""

import numpy as np
import pytest

from allophone.encoders.layers import embed_inputs, encoder_layers, n_layers, run_layers, width
from allophone.errors import AudioError
from emotion_builders import FAMILIES, tiny_encoder

torch = pytest.importorskip("torch")


def clip(n_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "whisper"])
def test_states_are_those_of_transformers(name):
    encoder, samples = tiny_encoder(name), clip(6400)
    normal = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    with torch.no_grad():
        theirs = encoder.module(torch.from_numpy(normal)[None], output_hidden_states=True)
        hidden = embed_inputs(encoder, samples)[None]
        ours = [hidden, *run_layers(encoder, hidden, None)]
    assert len(ours) == n_layers(encoder) + 1 == len(theirs.hidden_states)
    for our, their in zip(ours[:-1], theirs.hidden_states[:-1], strict=True):
        torch.testing.assert_close(our, their)
    torch.testing.assert_close(ours[-1], theirs.last_hidden_state)


def test_whisper_runs_the_clips_own_frames():
    from allophone.audio.mel import log_mel
    from allophone.encoders.torch_whisper import encode_windows

    encoder, samples = tiny_encoder("whisper"), clip(5000)  # 15.6 audio tokens of 320 samples
    with torch.no_grad():
        hidden = embed_inputs(encoder, samples)
        assert hidden.shape == (16, width(encoder))
        ours = run_layers(encoder, hidden[None], None)[-1]
        theirs = encode_windows(encoder.module, torch.from_numpy(log_mel(samples, 32, 80))[None])
    torch.testing.assert_close(ours, theirs)


def test_whisper_at_full_length_is_transformers_own_pass():
    from allophone.audio.mel import log_mel

    encoder, samples = tiny_encoder("whisper"), clip(30 * 16_000)
    with torch.no_grad():
        ours = run_layers(encoder, embed_inputs(encoder, samples)[None], None)[-1]
        theirs = encoder.module(torch.from_numpy(log_mel(samples, 3000, 80))[None]).last_hidden_state
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_clip_in_a_padded_batch_comes_out_as_alone(name):
    encoder = tiny_encoder(name)
    with torch.no_grad():
        fronts = [embed_inputs(encoder, clip(n, seed=n)) for n in (3200, 6400)]
        tokens = [len(front) for front in fronts]
        hidden = torch.nn.utils.rnn.pad_sequence(fronts, batch_first=True)
        inside = torch.arange(max(tokens)) < torch.tensor(tokens)[:, None]
        together = run_layers(encoder, hidden, inside)
        for place, front in enumerate(fronts):
            alone = run_layers(encoder, front[None], None)
            for joint, single in zip(together, alone, strict=True):
                torch.testing.assert_close(joint[place, : tokens[place]], single[0], atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_layers_can_be_run_in_stretches(name):
    encoder = tiny_encoder(name)
    with torch.no_grad():
        hidden = embed_inputs(encoder, clip(6400))[None]
        whole = run_layers(encoder, hidden, None)
        below = run_layers(encoder, hidden, None, 0, 2)
        above = run_layers(encoder, below[-1], None, 2)
        assert run_layers(encoder, hidden, None, 3) == []
    for ours, theirs in zip([*below, *above], whole, strict=True):
        assert torch.equal(ours, theirs)


def test_a_clip_without_an_audio_token_is_refused():
    with pytest.raises(AudioError, match="100 samples is too short"):
        embed_inputs(tiny_encoder("wav2vec2"), clip(100))


@pytest.mark.parametrize("name", [name for name in FAMILIES if "wavlm" not in name])
def test_plain_attention_gives_the_gradients_of_the_fused_kernel(name, monkeypatch):
    from allophone.encoders import layers as encoder_stages

    encoder = tiny_encoder(name)
    inside = torch.arange(20) < torch.tensor([20, 13])[:, None]
    used = set()

    def gradient(limit):
        monkeypatch.setattr(encoder_stages, "_PLAIN_ATTENTION_TOKENS", limit)
        hidden = torch.randn(2, 20, width(encoder), generator=torch.Generator().manual_seed(0)).requires_grad_()
        watch = encoder_layers(encoder)[0].register_forward_pre_hook(
            lambda *_: used.add(encoder.module.config._attn_implementation)
        )
        run_layers(encoder, hidden, inside)[-1][inside].square().sum().backward()
        watch.remove()
        return hidden.grad

    torch.testing.assert_close(gradient(20), gradient(0), atol=1e-5, rtol=1e-5)
    assert used == {"eager", "sdpa"}
    assert encoder.module.config._attn_implementation == "sdpa"
