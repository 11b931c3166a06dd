"""Saving and loading a recogniser: a folder with every trained parameter in it.

    emotion.json            setting, labels, temperature, precision, digests of the base model's weights and of these:
    head.safetensors        layer weights, linear layer, and the fixed numbers of the pooled statistics
    unfrozen.safetensors    weights of the unfrozen layers, by the base model's own names; absent where none were
    adapter/                low-rank adapters as ``peft`` saves them; absent at rank 0

The base model's frozen weights are not copied: they are found by name again and must have the digest.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, copytree, rmtree
from typing import Any

from allophone.emotion.card import (
    ADAPTER,
    ADAPTER_TENSORS,
    CARD,
    HEAD,
    UNFROZEN,
    EmotionCard,
    check_tensor_files,
    read_emotion_card,
    reading,
    tensor_digests,
)
from allophone.emotion.folders import check_merged_folder
from allophone.emotion.model import EmotionModel
from allophone.encoders.configs import quiet_transformers
from allophone.encoders.loading import load_speech_encoder
from allophone.errors import LedgerError, WeightsError
from allophone.files import write_whole

__all__ = ["SavedEmotion", "copy_emotion_model", "export_merged", "load_emotion_model", "save_emotion_model"]


def export_merged(folder: Path, out: Path, *, base: str | None = None, checked: bool = False) -> None:
    """Write the adapted encoder with its adapters merged, as a folder that ``transformers`` loads by itself.

    The head goes beside it as ``head.safetensors``.

    Args:
        folder: What :func:`allophone.emotion.store.save_emotion_model` wrote.
        out: Made where it is missing.
        base: As in :func:`allophone.emotion.store.load_emotion_model`.
        checked: Whether ``out`` passed :func:`allophone.emotion.folders.check_merged_folder` before the training.

    Raises:
        LedgerError: ``out`` cannot be written.
        UsageError: ``out`` holds anything but this recogniser's encoder, merged before.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if not checked:
        check_merged_folder(out, folder)
    saved = load_emotion_model(folder, base=base)
    encoder, model = saved.model.encoder, saved.model
    module = encoder.module if model.peft_model is None else model.peft_model.merge_and_unload()
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_file(model.head.state(), out / HEAD)  # first: what was killed here is known as its own
        with quiet_transformers():
            module.save_pretrained(out)
        if encoder.family != "whisper":
            fields = {
                "feature_extractor_type": "Wav2Vec2FeatureExtractor",
                "do_normalize": encoder.normalize,
                "sampling_rate": 16_000,
            }
            write_whole(out / "preprocessor_config.json", json.dumps(fields, indent=1) + "\n")
    except (OSError, SafetensorError) as error:  # the latter where a disk is full
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise LedgerError(f"{out}: cannot be written: {reason}. Free or choose another folder.") from None


_SAVING = ".saving"


@dataclass(frozen=True, slots=True)
class SavedEmotion:
    """A recogniser read from its folder."""

    card: EmotionCard
    model: EmotionModel


def save_emotion_model(folder: Path, model: EmotionModel, labels: tuple[str, ...], temperature: float) -> EmotionCard:
    """Write a recogniser; ``emotion.json`` comes last, so a folder that has it is whole.

    Args:
        folder: Made where it is missing; another model in it is replaced.
        model: Adapters not merged.
        labels: Classes in the order of the head's rows.
        temperature: Divides the logits for calibrated probabilities.

    Raises:
        LedgerError: The folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    unfrozen = {
        _plain(name): parameter.detach().cpu().contiguous()
        for name, parameter in model.trained().items()
        if not name.startswith("head.") and "lora_" not in name
    }
    new = folder / _SAVING  # the folder's own model stays whole until the new one is
    try:
        rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        save_file({name: value.cpu().contiguous() for name, value in model.head.state().items()}, new / HEAD)
        if unfrozen:
            save_file(unfrozen, new / UNFROZEN)
        if model.peft_model is not None:
            model.peft_model.peft_config["default"].base_model_name_or_path = model.setting.model
            model.peft_model.save_pretrained(new / ADAPTER, save_embedding_layers=False)
        card = EmotionCard(
            setting=model.setting,
            labels=labels,
            precision=model.precision,
            temperature=temperature,
            base_weights_sha256=model.encoder.weights_sha256,
            files_sha256=tensor_digests(new, model.setting),
        )
        write_whole(new / CARD, card.model_dump_json(indent=1) + "\n")
        for name in (CARD, UNFROZEN):
            (folder / name).unlink(missing_ok=True)
        rmtree(folder / ADAPTER, ignore_errors=True)
        for name in (ADAPTER, UNFROZEN, HEAD, CARD):
            if (new / name).exists():
                (new / name).replace(folder / name)
    except (OSError, SafetensorError) as error:  # the latter where a disk is full
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise LedgerError(f"{folder}: cannot be written: {reason}. Free or choose another folder.") from None
    finally:
        rmtree(new, ignore_errors=True)
    return card


def load_emotion_model(folder: Path, *, base: str | None = None) -> SavedEmotion:
    """Read a recogniser; its logits are those of the model that was saved, to the last bit on the same machine.

    Args:
        folder: What :func:`save_emotion_model` wrote.
        base: Where the base model lies now, if its name does not say.

    Raises:
        LedgerError: A file is missing, damaged or another recogniser's; the message names it.
        MissingExtraError: The extra ``torch`` is not installed.
        UsageError: It holds no recogniser.
        WeightsError: The base model has other weights than the one that was adapted.
    """
    card = read_emotion_card(folder)
    check_tensor_files(folder, card)
    encoder = load_speech_encoder(base or card.setting.model)
    if encoder.weights_sha256 != card.base_weights_sha256:
        raise WeightsError(
            f"{folder}: field 'base_weights_sha256': adapted from other weights than those of '{encoder.model}' "
            f"({card.base_weights_sha256[:12]}, found {encoder.weights_sha256[:12]}). Give its own base model."
        )
    from safetensors.torch import load_file

    model = EmotionModel(encoder, card.setting, len(card.labels), precision=card.precision)
    with reading(folder / HEAD):
        model.head.load(load_file(folder / HEAD))
    if card.setting.unfrozen_layers:
        with reading(folder / UNFROZEN):
            found = load_file(folder / UNFROZEN)
            for name, parameter in model.trained().items():
                if not name.startswith("head.") and "lora_" not in name:
                    parameter.data.copy_(found[_plain(name)])
    if model.peft_model is not None:
        with reading(folder / ADAPTER_TENSORS):
            _load_adapter(model, load_file(folder / ADAPTER_TENSORS))
    model.train(False)
    return SavedEmotion(card, model)


def copy_emotion_model(folder: Path, out: Path) -> None:
    """Copy a saved recogniser without whatever else lies in its folder, such as a training's checkpoints.

    Raises:
        LedgerError: It is not whole, or ``out`` cannot be written.
    """
    card = read_emotion_card(folder)
    check_tensor_files(folder, card)
    names = [HEAD]
    names += [UNFROZEN] if card.setting.unfrozen_layers else []
    names += [ADAPTER] if card.setting.lora_rank else []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in [*names, CARD]:
            copy = copytree if name == ADAPTER else copyfile
            copy(folder / name, out / name)
    except OSError as error:
        raise LedgerError(f"{folder}: cannot be copied to {out}: {error.strerror or error}.") from None


def _load_adapter(model: EmotionModel, state: dict[str, Any]) -> None:
    from peft import set_peft_model_state_dict

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        result = set_peft_model_state_dict(model.peft_model, state)
    strangers = [name for name in result.missing_keys if "lora_" in name] + list(result.unexpected_keys)
    if strangers:
        raise KeyError(f"adapter tensors {strangers}")


def _plain(name: str) -> str:
    """The base model's own name of a parameter that adapters may have moved."""
    return name.replace(".base_layer.", ".")
