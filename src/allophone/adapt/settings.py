"""What one short-context adaptation was asked to do, and the folder that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from allophone.dimensions.whisper import TRAINED_CONTEXT_S
from allophone.errors import LedgerError, UsageError
from allophone.files import write_whole

__all__ = ["SETTINGS_FILE", "ContextSettings", "claim_folder", "parse_settings"]

SETTINGS_FILE = "adaptation.json"


class ContextSettings(BaseModel):
    """Everything that the adapted weights depend on; a run continues only with equal settings.

    ``tail`` is what the decoder sees behind a short window in training: nothing, or the student's own outputs of
    silence at all positions that are left. ``source_sha256`` is of the source's ``model.bin``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    model: str
    source_sha256: str
    corpus_fingerprint: str
    margin_s: float = Field(ge=0, lt=TRAINED_CONTEXT_S - 1)
    tail: Literal["none", "all"]
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0, le=1)
    seed: int = Field(ge=0)
    held_out: int = Field(ge=1)
    language: str


def parse_settings(fields: dict[str, object]) -> ContextSettings:
    """Check what a user asked for.

    Raises:
        UsageError: A value is impossible; the message names it.
    """
    try:
        return ContextSettings.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        raise UsageError(f"{name} '{first['input']}': {first['msg']}.") from None


def claim_folder(folder: Path, settings: ContextSettings) -> None:
    """Make the folder of an adaptation, or check that it is the folder of this very one.

    Raises:
        LedgerError: It holds an adaptation with other settings, something that is no adaptation, or cannot be written.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise LedgerError(f"{folder}: is not empty and holds no {SETTINGS_FILE}. Choose another folder.")
        write_whole(path, settings.model_dump_json(indent=1) + "\n")
        return
    try:
        found = ContextSettings.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # pydantic's error is a ValueError
        reason = str(error).partition("\n")[0]
        raise LedgerError(f"{path}: cannot be read ({reason}). Remove the folder or choose another.") from None
    for name, asked in settings:
        if getattr(found, name) != asked:
            raise LedgerError(
                f"{folder}: was begun with {name} {getattr(found, name)}, now asked with {asked}. "
                "Continue with the same settings, or choose another folder."
            )
