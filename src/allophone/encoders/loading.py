"""Speech encoders for emotion recognition, by name: Whisper's, and those of transformers on raw samples.

A name is looked for in this order: ``random:NAME`` (a size of the dimensions tables
with random weights: for checks of speed and cost, never of quality), a folder of
transformers (``config.json`` beside its weights), a Whisper model as everywhere else (a name, a CTranslate2 folder),
a short name of an encoder on samples (``wav2vec2-base``), a repository of the hub.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allophone.dimensions.speech_encoders import SPEECH_ENCODERS, SpeechEncoderDimensions, speech_encoder_dimensions
from allophone.dimensions.whisper import WHISPER_MODELS, WhisperDimensions
from allophone.encoders.configs import Family, build_encoder, encoder_dimensions, family_of, quiet_transformers
from allophone.errors import UnknownModelError, WeightsError
from allophone.extras import importing
from allophone.files import read_json

__all__ = ["HUB_NAMES", "SpeechEncoder", "load_speech_encoder", "weights_sha256"]

_RANDOM = "random:"
_UNUSED = "masked_spec_embed"  # for pretraining only; checkpoints may lack it

# Where the short names of the dimensions table lie on the hub.
HUB_NAMES = {
    "wav2vec2-base": "facebook/wav2vec2-base",
    "wav2vec2-large": "facebook/wav2vec2-large",
    "wav2vec2-large-robust": "facebook/wav2vec2-large-robust",
    "hubert-base": "facebook/hubert-base-ls960",
    "hubert-large": "facebook/hubert-large-ll60k",
    "wavlm-base": "microsoft/wavlm-base",
    "wavlm-base-plus": "microsoft/wavlm-base-plus",
    "wavlm-large": "microsoft/wavlm-large",
}


@dataclass(frozen=True, slots=True)
class SpeechEncoder:
    """An encoder in memory.

    Args:
        model: The name it was asked for by.
        family: Whose architecture it has.
        module: ``WhisperEncoder``, ``Wav2Vec2Model``, ``HubertModel`` or ``WavLMModel``, float32, in evaluation mode.
        dimensions: Its sizes, read off its configuration.
        normalize: Whether samples are brought to mean 0 and variance 1 first; never for Whisper.
        weights_sha256: Digest of all its parameters as loaded; an adapter belongs to one of these.
    """

    model: str
    family: Family
    module: Any
    dimensions: WhisperDimensions | SpeechEncoderDimensions
    normalize: bool
    weights_sha256: str


def load_speech_encoder(model: str) -> SpeechEncoder:
    """Load an encoder with its weights, without Whisper's decoder.

    Args:
        model: As the module's docstring says, e.g. ``base``, ``facebook/wav2vec2-base``, ``models/ct2``.

    Raises:
        MissingExtraError: The extra ``torch`` is not installed.
        UnknownModelError: No such name or folder, or an architecture that is none of the families.
        WeightsError: The weights are damaged or cannot be fetched.
    """
    with importing("torch", "torch"):
        import peft
        import torch
        import transformers
    del peft, torch, transformers
    if model.startswith(_RANDOM):
        return _random_encoder(model.removeprefix(_RANDOM))
    folder = Path(os.path.expanduser(model))
    if (
        model not in WHISPER_MODELS
        and os.path.isfile(folder / "config.json")
        and not os.path.isfile(folder / "model.bin")
    ):
        return _from_transformers(model, str(folder))
    if model in HUB_NAMES:
        return _from_transformers(model, HUB_NAMES[model])
    if model in WHISPER_MODELS or os.path.isdir(folder):
        return _from_ctranslate2(model)
    if "/" in model and not model.startswith((".", "/", "~")):
        return _from_transformers(model, model)
    known = ", ".join([*WHISPER_MODELS, *SPEECH_ENCODERS])
    raise UnknownModelError(f"unknown speech encoder '{model}'; known ones: {known}; or give a folder.")


def _random_encoder(name: str) -> SpeechEncoder:
    import torch

    dims = WHISPER_MODELS.get(name) or speech_encoder_dimensions(name)
    family: Family = "whisper" if isinstance(dims, WhisperDimensions) else family_of(name.partition("-")[0], name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # equal names are equal weights
        module = build_encoder(dims, family)
    return _encoder(_RANDOM + name, family, module, dims, normalize=family != "whisper")


def weights_sha256(module: Any) -> str:
    """Digest of names, shapes and float32 values of all parameters that run, in the order of their names."""
    from hashlib import sha256

    digest = sha256()
    for name, parameter in sorted(module.named_parameters()):
        if name.endswith(_UNUSED):
            continue
        values = parameter.detach().float().cpu().contiguous().numpy()
        digest.update(f"{name}{values.shape}".encode())
        digest.update(values)
    return digest.hexdigest()


def _from_ctranslate2(model: str) -> SpeechEncoder:
    from allophone.encoders.torch_whisper import load_torch_whisper
    from allophone.models.weights import resolve_weights

    weights = resolve_weights(model)
    module = load_torch_whisper(weights.folder, encoder_only=True)
    return _encoder(model, "whisper", module, weights.dimensions, normalize=False)


def _from_transformers(model: str, source: str) -> SpeechEncoder:
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    try:
        with quiet_transformers():
            config = transformers.AutoConfig.from_pretrained(source)
            family = family_of(config.model_type, model)
            alone = family == "whisper" and "WhisperEncoder" in (config.architectures or ())
            loader = WhisperEncoder if alone else transformers.AutoModel
            own = {} if family == "wavlm" else {"attn_implementation": "sdpa"}
            loaded, report = loader.from_pretrained(source, output_loading_info=True, **own)
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"model '{model}': cannot be loaded ({reason}). Give a folder, or reach the hub.") from None
    if missing := sorted(name for name in report["missing_keys"] if not name.endswith(_UNUSED)):
        raise WeightsError(
            f"model '{model}': its weights lack '{missing[0]}' and {len(missing) - 1} more, which would be random. "
            "Give a whole checkpoint of its architecture."
        )
    module = loaded.encoder if family == "whisper" and not alone else loaded
    return _encoder(
        model, family, module.float().eval(), encoder_dimensions(config), normalize=_normalizes(family, source)
    )


def _encoder(model: str, family: Family, module: Any, dims: Any, *, normalize: bool) -> SpeechEncoder:
    module.requires_grad_(False)
    return SpeechEncoder(model, family, module, dims, normalize, weights_sha256(module))


def _normalizes(family: Family, source: str) -> bool:
    # What the checkpoint's own feature extractor does; a folder without its file was trained like most: normalised.
    if family == "whisper":
        return False
    path = Path(source) / "preprocessor_config.json"
    if not path.is_file():
        from transformers.utils import cached_file

        found = (
            None
            if Path(source).is_dir()
            else cached_file(
                source,
                path.name,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            )
        )
        if found is None:
            return True
        path = Path(found)
    remedy = "Copy the file from the checkpoint again, or delete it."
    fields = read_json(path, remedy, error=WeightsError, unreadable=WeightsError)
    if not isinstance(fields, dict):
        raise WeightsError(f"{path}: holds no object. {remedy}")
    return bool(fields.get("do_normalize", True))
