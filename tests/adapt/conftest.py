"""A Whisper of a few thousand weights in a CTranslate2 folder, with a tokenizer that knows a few tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders import tone, write_wav

WORDS = [f"w{number}" for number in range(40)]
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>"]


@pytest.fixture(scope="session")
def little_whisper(tmp_path_factory) -> Path:
    """Random weights, drawn so that the greedy text is short and depends on the audio."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from ctranslate2.converters.transformers import WhisperLoader
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = [*WORDS, *SPECIAL]
    config = transformers.WhisperConfig(
        vocab_size=len(vocabulary),
        num_mel_bins=80,
        d_model=64,
        encoder_layers=1,
        encoder_attention_heads=1,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=1,
        decoder_ffn_dim=64,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(1)
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name != "model.encoder.embed_positions.weight":  # norms too: the converter stores equal tensors once
                value.normal_(mean=float(name.endswith("norm.weight")), std=0.15)
        model.model.decoder.embed_tokens.weight[vocabulary.index("<|endoftext|>")] *= 3
    folder = tmp_path_factory.mktemp("little")
    spec = WhisperLoader().get_model_spec(model)
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [[0, 0]]
    spec.config.lang_ids = []
    spec.validate()
    spec.optimize("float32")
    spec.save(str(folder))
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> Path:
    """Twelve tones of four speakers, without a transcript."""
    folder = tmp_path_factory.mktemp("tones")
    lines = []
    for index in range(12):
        write_wav(folder / f"u{index}.wav", tone(1.0 + 0.3 * (index % 5), index))
        lines.append(json.dumps({"id": f"u{index}", "audio_filepath": f"u{index}.wav", "speaker": f"s{index % 4}"}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "manifest.jsonl"
