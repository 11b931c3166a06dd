"""Vocabulary check of a CTranslate2 folder: another model's tokenizer would write nonsense without an error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from allophone.errors import WeightsError
from allophone.files import load_json

__all__ = ["check_alignment_heads", "check_languages", "check_vocabulary", "read_vocabulary"]

_SLACK = 128  # embedding rows that a conversion may have added behind the last token


def read_vocabulary(folder: Path) -> list[str] | None:
    """Read the tokens of ``vocabulary.json`` or ``vocabulary.txt``, in order; None where there is neither.

    Raises:
        WeightsError: The file is damaged.
    """
    try:
        if (path := folder / "vocabulary.json").exists():
            tokens = load_json(path)
            if not isinstance(tokens, list):
                raise ValueError("no list")
            return [str(token) for token in tokens]
        if (path := folder / "vocabulary.txt").exists():
            return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: damaged ({error}). Convert or fetch the model again.") from None
    return None


def check_vocabulary(folder: Path, tokenizer: Any, n_vocab: int) -> None:
    """Refuse a folder whose vocabulary, tokenizer and embeddings are not of one model.

    Args:
        folder: The model's folder.
        tokenizer: What its ``tokenizer.json`` holds, as ``tokenizers`` reads it.
        n_vocab: Rows of the embeddings.

    Raises:
        WeightsError: They are not; the message names the file.
    """
    vocabulary = read_vocabulary(folder)
    if vocabulary is None:
        return  # CTranslate2 has said so
    if len(vocabulary) < n_vocab - _SLACK:
        raise WeightsError(
            f"{folder}: its vocabulary has {len(vocabulary)} tokens and its model.bin {n_vocab}: it is cut, or of "
            "another model. Convert or fetch the model again."
        )
    known = tokenizer.get_vocab(with_added_tokens=True)
    for index, token in enumerate(vocabulary):
        if known.get(token, index) != index:
            raise WeightsError(
                f"{folder}: its tokenizer.json is of another vocabulary ({json.dumps(token)} is token {known[token]} "
                f"there and {index} in the model). Put the model's own tokenizer.json there."
            )
    missing = sum(token not in known for token in vocabulary[: min(len(vocabulary), len(known))])
    if missing > _SLACK:
        raise WeightsError(
            f"{folder}: its tokenizer.json lacks {missing} of the model's tokens: it is of another vocabulary. Put the "
            "model's own tokenizer.json there."
        )


def check_alignment_heads(folder: Path) -> None:
    """Refuse to find word times where ``config.json`` names no heads to find them by.

    Raises:
        WeightsError: It does not; the message says what still works.
    """
    remedy = "Write text without times (--format text), or convert the model again with its generation_config.json."
    _require_field(folder, "alignment_heads", "words have no times", remedy)


def check_languages(folder: Path) -> None:
    """Refuse to detect a language where ``config.json`` lists none; CTranslate2 would read past the list's end.

    Raises:
        WeightsError: It does not; the message says what still works.
    """
    remedy = "Name it (--language de), or convert the model again with its generation_config.json."
    _require_field(folder, "lang_ids", "cannot detect the language", remedy)


def _require_field(folder: Path, field: str, lacking: str, remedy: str) -> None:
    path = folder / "config.json"
    try:
        config = load_json(path)
    except FileNotFoundError:
        raise WeightsError(f"{path}: missing, so {lacking}. {remedy}") from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: damaged ({error}). Convert or fetch the model again.") from None
    found: Sequence[Any] | None = config.get(field) if isinstance(config, dict) else None
    if not found:
        raise WeightsError(f"{path}: field '{field}' is empty, so {lacking}. {remedy}")
