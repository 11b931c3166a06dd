"""An adapted encoder with its adapters merged, as ``transformers`` loads it by itself."""

from __future__ import annotations

import json
from pathlib import Path

from allophone.emotion.card import HEAD
from allophone.emotion.folders import check_merged_folder
from allophone.emotion.store import load_emotion_model
from allophone.encoders.configs import quiet_transformers
from allophone.errors import LedgerError
from allophone.files import write_whole

__all__ = ["export_merged"]


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
