"""Model card of a saved recogniser, and whether the files beside it are those it was saved with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from allophone.emotion.recipe import EmotionSetting, Precision
from allophone.errors import LedgerError
from allophone.extras import importing
from allophone.files import file_sha256, read_record

__all__ = [
    "ADAPTER",
    "ADAPTER_TENSORS",
    "CARD",
    "HEAD",
    "UNFROZEN",
    "EmotionCard",
    "check_tensor_files",
    "read_emotion_card",
    "reading",
    "tensor_digests",
    "tensor_files",
]

SCHEMA_VERSION = 1
CARD, HEAD, UNFROZEN, ADAPTER = "emotion.json", "head.safetensors", "unfrozen.safetensors", "adapter"
ADAPTER_TENSORS = f"{ADAPTER}/adapter_model.safetensors"
_REMEDY = "Copy the whole folder again, or train the model again into another one."


class EmotionCard(BaseModel):
    """What a folder's tensors mean.

    ``files_sha256`` has the SHA-256 of every file of tensors by its path in the folder; cards of before lack it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    setting: EmotionSetting
    labels: tuple[str, ...]
    precision: Precision
    temperature: float
    base_weights_sha256: str
    files_sha256: dict[str, str] | None = None


def read_emotion_card(folder: Path) -> EmotionCard:
    """Read what a saved recogniser says of itself.

    Raises:
        LedgerError: A field is wrong.
        UsageError: No recogniser lies there.
    """
    remedy = "Give a folder that 'allophone adapt emotion' wrote, or train the model again."
    return read_record(folder / CARD, EmotionCard, SCHEMA_VERSION, remedy, error=LedgerError)


def tensor_files(setting: EmotionSetting) -> tuple[str, ...]:
    """Return the files of tensors that a recogniser of a setting has, as paths in its folder."""
    unfrozen = (UNFROZEN,) if setting.unfrozen_layers else ()
    adapters = (ADAPTER_TENSORS,) if setting.lora_rank else ()
    return (HEAD, *unfrozen, *adapters)


def tensor_digests(folder: Path, setting: EmotionSetting) -> dict[str, str]:
    """Return the SHA-256 of every file of tensors, as the card keeps it.

    Raises:
        OSError: One cannot be read.
    """
    return {name: file_sha256(folder / name) for name in tensor_files(setting)}


def check_tensor_files(folder: Path, card: EmotionCard) -> None:
    """Refuse a folder whose tensors are not all there, whole, and those that the card was written with.

    Of a card of before, without digests, files are only looked at for being there and whole.

    Raises:
        LedgerError: A file is missing, cut, or another recogniser's; the message names it.
        MissingExtraError: The extra ``torch`` is not installed.
    """
    for name in tensor_files(card.setting):
        path = folder / name
        if card.files_sha256 is None:
            _check_whole(path)
            continue
        try:
            found = file_sha256(path)
        except OSError as error:
            raise LedgerError(f"{path}: cannot be read ({error.strerror}). {_REMEDY}") from None
        if found != card.files_sha256.get(name):
            raise LedgerError(
                f"{path}: not the file that {folder / CARD} was written with (field 'files_sha256'): it is cut, "
                f"changed, or of another recogniser. {_REMEDY}"
            )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in what goes wrong while its tensors are read and put in their places.

    Raises:
        LedgerError: It is missing or damaged, or its tensors are none that the recogniser has.
    """
    from safetensors import SafetensorError

    try:
        yield
    except FileNotFoundError:
        raise LedgerError(f"{path}: is missing. {_REMEDY}") from None
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise LedgerError(f"{path}: damaged, or of another recogniser ({reason}). {_REMEDY}") from None


def _check_whole(path: Path) -> None:
    with importing("safetensors", "torch"):
        from safetensors import safe_open
    with reading(path), safe_open(path, "pt"):  # the header says how long the file is
        pass
