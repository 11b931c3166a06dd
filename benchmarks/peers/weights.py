"""The same weights for every peer: a CTranslate2 folder as openai-whisper's checkpoint and as whisper.cpp's ggml file.

Nothing is taken on trust: :func:`prepare` transcribes three utterances with every conversion and with CTranslate2 in
float32, and a peer whose words differ is left out of the benchmark with the reason. The q8_0 file, whose numbers are
rounded, may differ in one word of twenty.

The ggml format is that of whisper.cpp's ``models/convert-pt-to-ggml.py``; q8_0 that of ``examples/quantize``: every
matrix in blocks of 32 numbers with one float16 scale, the positions and convolutions left as they are.
"""

from __future__ import annotations

import json
import struct
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np

from allophone.audio.decode import load_audio
from allophone.corpora.corpus import open_corpus
from allophone.encoders.torch_whisper import load_torch_whisper
from allophone.measure.wer import count_word_errors
from allophone.models.ct2_format import whisper_dimensions_of
from allophone.models.weights import resolve_weights
from allophone.records.point import OperatingPoint
from benchmarks.peers.systems import SYSTEMS, Allophone, import_failure, load_system
from benchmarks.shared.recording import SPEECH

CHECKED_UTTERANCES = 3
MOST_Q8_WORDS = 0.05  # share of words in which rounding to 8 bits may change a text

_MAGIC = 0x67676D6C
_GGML_F32, _GGML_F16, _GGML_Q8_0 = 0, 1, 8  # tensor types of ggml.h
_FILE_TYPES = {"f16": 1, "q8_0": 2007}  # GGML_FTYPE_MOSTLY_F16; GGML_FTYPE_MOSTLY_Q8_0 of quantisation version 2
_Q8_BLOCK = 32
_KEPT_F32 = ("encoder.positional_embedding", "decoder.positional_embedding")

# transformers' names to openai/whisper's, applied in this order.
_RENAMED = (
    ("model.", ""),
    ("layers.", "blocks."),
    ("embed_positions.weight", "positional_embedding"),
    ("embed_tokens", "token_embedding"),
    ("self_attn_layer_norm", "attn_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("self_attn", "attn"),
    ("encoder_attn", "cross_attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("final_layer_norm", "mlp_ln"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
)


def openai_checkpoint(folder: Path) -> dict[str, Any]:
    """Return what openai-whisper's ``load_model`` reads: dimensions, and float32 tensors by its names."""
    dims = whisper_dimensions_of(folder)
    state = {}
    for key, value in load_torch_whisper(folder).state_dict().items():
        if key != "proj_out.weight":  # tied to the embeddings
            for ours, theirs in _RENAMED:
                key = key.replace(ours, theirs)  # noqa: PLW2901
            state[key] = value.contiguous()
    names = ("n_mels", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_vocab", "n_text_ctx")
    names += ("n_text_state", "n_text_head", "n_text_layer")
    return {"dims": {name: getattr(dims, name) for name in names}, "model_state_dict": state}


def write_ggml(checkpoint: dict[str, Any], path: Path, number_format: str) -> None:
    """Write a checkpoint as whisper.cpp's ggml file; mel filters and vocabulary are openai-whisper's assets."""
    import whisper

    assets = Path(whisper.__file__).parent / "assets"
    dims = checkpoint["dims"]
    order = ("n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_text_ctx", "n_text_state")
    order += ("n_text_head", "n_text_layer", "n_mels")
    filters = np.load(assets / "mel_filters.npz")[f"mel_{dims['n_mels']}"].astype("<f4")
    vocabulary = assets / ("multilingual.tiktoken" if dims["n_vocab"] >= 51865 else "gpt2.tiktoken")
    words = [b64decode(line.split()[0]) for line in vocabulary.read_bytes().splitlines() if line]
    with path.open("wb") as file:
        file.write(struct.pack("<12i", _MAGIC, *(dims[name] for name in order), _FILE_TYPES[number_format]))
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        file.write(struct.pack("<i", len(words)))
        for word in words:
            file.write(struct.pack("<i", len(word)) + word)
        for name, tensor in checkpoint["model_state_dict"].items():
            values = tensor.numpy()
            if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
                values = values[:, None]
            kind, data = _ggml_tensor(name, values, number_format)
            encoded = name.encode()
            file.write(struct.pack("<3i", values.ndim, len(encoded), kind))
            file.write(struct.pack(f"<{values.ndim}i", *reversed(values.shape)) + encoded + data)


def _ggml_tensor(name: str, values: Any, number_format: str) -> tuple[int, bytes]:
    if values.ndim < 2 or name in _KEPT_F32 or name.endswith(".bias"):
        return _GGML_F32, values.astype("<f4").tobytes()
    if number_format == "f16" or values.ndim > 2:
        return _GGML_F16, values.astype("<f2").tobytes()
    blocks = values.astype("<f4").reshape(-1, _Q8_BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    integers = np.rint(np.divide(blocks, scales, out=np.zeros_like(blocks), where=scales > 0)).astype(np.int8)
    packed = np.concatenate([scales.astype("<f2").view(np.uint8), integers.view(np.uint8)], axis=1)
    return _GGML_Q8_0, packed.tobytes()


def prepare(model: str, folder: Path) -> dict[str, str | None]:
    """Convert and check; return for every peer system why it is left out, or None.

    Args:
        model: Name of the weights.
        folder: Where the converted files go, and ``checked.json`` with what was found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left_out = {name: import_failure(name) for name in SYSTEMS}
    if left_out["openai-whisper"] is None:
        import torch

        checkpoint = openai_checkpoint(resolve_weights(model).folder)
        torch.save(checkpoint, folder / "openai.pt")
        for number_format in _FILE_TYPES:
            write_ggml(checkpoint, folder / f"ggml-{number_format}.bin", number_format)
    elif left_out["whisper.cpp f16"] is None:
        left_out |= {n: "its vocabulary is read from openai-whisper" for n in SYSTEMS if n.startswith("whisper.cpp")}
    clean = [one for one in open_corpus(SPEECH / "librispeech-train-clean-5") if one.duration_s < 15]
    audio = [load_audio(one.audio_filepath) for one in clean[:: len(clean) // CHECKED_UTTERANCES][:CHECKED_UTTERANCES]]
    exact = OperatingPoint(model=model, compute_type="float32")
    expected = _texts(Allophone(exact), audio)
    found = {}
    for name in ("openai-whisper lean", "transformers", "whisper.cpp f16 lean", "whisper.cpp q8_0 lean"):
        if left_out[name] is None:
            system: Any = load_system(name, model, folder, 1)
            texts = _texts(getattr(system, "one_window", system), audio)
            pairs = [count_word_errors(a, b) for a, b in zip(expected, texts, strict=True)]
            share = sum(pair.errors for pair in pairs) / sum(pair.reference_words for pair in pairs)
            found[name] = {"differing_words": share, "texts": texts, "expected": expected}
            if share > (MOST_Q8_WORDS if "q8_0" in name else 0):
                family = name.removesuffix(" lean")
                reason = f"{100 * share:.1f} % of words differ from CTranslate2's float32, so its weights are not ours"
                left_out |= {other: reason for other in SYSTEMS if other.startswith(family)}
    builds = {}
    if left_out["whisper.cpp f16"] is None:
        from pywhispercpp.model import Model

        builds["pywhispercpp"] = str(Model.system_info()).strip()  # which instructions its binary uses
    record = {"left_out": left_out, "found": found, "builds": builds}
    (folder / "checked.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return left_out


def _texts(system: Any, audio: list[Any]) -> list[str]:
    return [system(samples).text for samples in audio]


if __name__ == "__main__":  # a process of its own, so that no worker's memory holds a conversion
    prepare(sys.argv[1], Path(sys.argv[2]))
