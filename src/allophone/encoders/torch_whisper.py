"""Whisper as a torch model (``transformers``) with the weights of a CTranslate2 folder, and back again.

torch is for training and for checks; transcription runs on CTranslate2. The map of names below is the inverse of
CTranslate2's ``WhisperLoader`` (``python/ctranslate2/converters/transformers.py``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN
from allophone.errors import UsageError, WeightsError
from allophone.extras import importing
from allophone.models.ct2_format import whisper_dimensions_of
from allophone.models.ct2_weights import read_aliases, read_tensors, replace_tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["encode_windows", "load_torch_whisper", "save_ct2_whisper"]

_HEAD = "decoder/projection/weight"  # in every Whisper release an alias of the embeddings


def load_torch_whisper(folder: Path, *, encoder_only: bool = False) -> Any:
    """Build the torch model of a CTranslate2 folder.

    The folder may be in float32, float16, bfloat16, or in int8 or int16 (multiplied out). Attention is PyTorch's
    ``scaled_dot_product_attention``. Run the encoder through :func:`encode_windows`, which takes any length; the
    model's own ``forward`` insists on 30 s.

    Args:
        folder: Holds ``model.bin``.
        encoder_only: Leave the decoder out.

    Returns:
        A ``transformers.WhisperForConditionalGeneration``, or with ``encoder_only`` its ``WhisperEncoder``: float32, on
        the CPU, in evaluation mode. The position encodings of the encoder take no gradient, as in Whisper's own
        training. Prompt and suppressed tokens stay with the folder's ``config.json``; ``generate`` knows none of them.

    Raises:
        MissingExtraError: The extra ``torch`` is not installed.
        WeightsError: The folder holds no Whisper model, or one in an unknown number format.
    """
    with importing("torch", "torch"):
        import torch
        from transformers import WhisperConfig, WhisperForConditionalGeneration
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

    dims = whisper_dimensions_of(folder)
    tensors = read_tensors(folder / "model.bin", ("encoder/",) if encoder_only else ("encoder/", "decoder/"))
    untied = _HEAD in tensors and _HEAD not in read_aliases(folder / "model.bin")
    if not untied:
        tensors.pop(_HEAD, None)
    try:
        config = WhisperConfig(
            vocab_size=dims.n_vocab,
            num_mel_bins=dims.n_mels,
            d_model=dims.n_audio_state,
            encoder_layers=dims.n_audio_layer,
            encoder_attention_heads=dims.n_audio_head,
            encoder_ffn_dim=tensors["encoder/layer_0/ffn/linear_0/bias"].size,
            max_source_positions=dims.n_audio_ctx,
            decoder_layers=dims.n_text_layer,
            decoder_attention_heads=dims.n_text_head,
            decoder_ffn_dim=1 if encoder_only else tensors["decoder/layer_0/ffn/linear_0/bias"].size,
            max_target_positions=dims.n_text_ctx,
            tie_word_embeddings=not untied,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="sdpa",
        )
        state = {key: torch.from_numpy(value) for key, value in _torch_state(tensors, untied=untied)}
    except KeyError as error:
        raise WeightsError(f"{folder}: its model.bin has no {error}. Convert the Whisper model again.") from None
    with torch.device("meta"):  # random weights would only be thrown away
        model = WhisperEncoder(config) if encoder_only else WhisperForConditionalGeneration(config)
    if encoder_only:
        state = {key.removeprefix("model.encoder."): value for key, value in state.items()}
    elif not untied:
        state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{folder}: its model.bin is not a whole Whisper model: {error}. Convert it again."
        ) from None
    if not encoder_only:
        model.tie_weights()
    return model.eval()


def encode_windows(encoder: Any, mels: Any, n_frames: Any = None) -> Any:
    """Run a Whisper encoder on windows of any length; differentiable.

    Equal to CTranslate2's encoder: a window of ``n`` frames takes the first ``n / 2`` position encodings, and nothing
    behind it is seen. Windows of different lengths go in one batch when ``n_frames`` says where each ends: what lies
    behind is hidden from the convolutions and from attention, so each comes out as it would alone.

    Args:
        encoder: A ``WhisperEncoder``, also one whose layers an adapter has replaced in place.
        mels: Log-mel, tensor of shape ``(batch, n_mels, frames)``, an even number of frames up to the trained 3000.
        n_frames: Even lengths, integer tensor of shape ``(batch,)``; None where all windows fill the batch.

    Returns:
        Tensor of shape ``(batch, frames / 2, n_audio_state)``; rows behind a window's end are meaningless.

    Raises:
        ValueError: The number of frames is odd or more than the model was trained on.
    """
    import torch
    from torch.nn.functional import gelu

    tokens, odd = divmod(mels.shape[-1], FRAMES_PER_AUDIO_TOKEN)
    trained = encoder.embed_positions.weight.shape[0]
    if odd or tokens > trained:
        raise ValueError(f"{mels.shape[-1]} frames: give an even number up to {trained * FRAMES_PER_AUDIO_TOKEN}")
    seen = None
    if n_frames is None:
        hidden = gelu(encoder.conv1(mels))
    else:
        inside = torch.arange(mels.shape[-1], device=mels.device) < n_frames[:, None]
        # Both convolutions pad with zeros, so a window ends in zeros before either of them.
        hidden = gelu(encoder.conv1(mels * inside[:, None])) * inside[:, None]
        seen = inside[:, None, None, ::FRAMES_PER_AUDIO_TOKEN]
    hidden = gelu(encoder.conv2(hidden)).transpose(1, 2) + encoder.embed_positions.weight[:tokens]
    for layer in encoder.layers:
        result = layer(hidden, seen)
        hidden = result[0] if isinstance(result, tuple) else result  # a tuple before transformers 5
    return encoder.layer_norm(hidden)


def save_ct2_whisper(model: Any, source_folder: Path, out_folder: Path) -> None:
    """Write a model as a CTranslate2 folder: a copy of the source with the changed tensors replaced.

    Tensors that are equal to the source's keep their bytes, changed ones their number format. ``model.bin`` comes last
    and by renaming, so the folder holds the whole model or none.

    Args:
        model: What :func:`load_torch_whisper` returned for ``source_folder``, trained on; adapters merged. An
            encoder alone keeps the source's decoder.
        source_folder: The folder that it was loaded from; its other files are copied.
        out_folder: Made where it is missing; files that it has stay as they are.

    Raises:
        UsageError: ``out_folder`` already holds a ``model.bin``.
        WeightsError: The model is not the source's, holds values that are not numbers, or cannot be written.
    """
    if (out_folder / "model.bin").exists():
        raise UsageError(f"{out_folder}: already holds a model.bin. Give another folder, or remove it first.")
    whole = hasattr(model, "proj_out")
    before = read_tensors(source_folder / "model.bin", ("encoder/", "decoder/") if whole else ("encoder/",))
    state = {
        key if whole else f"model.encoder.{key}": value.detach().float().cpu().numpy()
        for key, value in model.state_dict().items()
    }
    try:
        after = {name: _ct2_tensor(name, value, state) for name, value in before.items()}
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{source_folder}: not the source of this model ({error}). Give the folder that it was loaded from, and "
            "merge adapters first."
        ) from None
    changed = {name: value for name, value in after.items() if not _equal(value, before[name])}
    partial = out_folder / f".partial.{os.getpid()}"
    try:
        partial.mkdir(parents=True)
        for path in source_folder.iterdir():
            if path.is_file() and path.name != "model.bin" and not (out_folder / path.name).exists():
                shutil.copyfile(path, partial / path.name)
        replace_tensors(source_folder / "model.bin", partial / "model.bin", changed)
        for path in sorted(partial.iterdir(), key=lambda path: path.name == "model.bin"):  # False comes first
            path.replace(out_folder / path.name)
    except OSError as error:
        raise WeightsError(f"{out_folder}: cannot be written ({error.strerror}). Give a folder with room.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _equal(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return a.shape == b.shape and bool((a == b).all())


_ATTENTIONS = {"self_attention": "self_attn", "attention": "encoder_attn"}
_PROJECTIONS = {
    ("self_attention", "linear_0"): ("q_proj", "k_proj", "v_proj"),
    ("self_attention", "linear_1"): ("out_proj",),
    ("attention", "linear_0"): ("q_proj",),
    ("attention", "linear_1"): ("k_proj", "v_proj"),
    ("attention", "linear_2"): ("out_proj",),
}


def _torch_names(name: str) -> tuple[str, ...]:
    """Return the torch tensors that one CTranslate2 tensor holds, one under the other.

    The bias of a key projection shifts all scores of a query alike, which softmax does not see; Whisper has none and
    CTranslate2 stores zeros, so ``k_proj.bias`` is named here though the torch model has no such tensor.
    """
    side, *middle, kind = name.split("/")
    kind = {"gamma": "weight", "beta": "bias", "encodings": "weight"}.get(kind, kind)
    parts: tuple[str, ...]
    match middle:
        case ["projection"]:
            return (f"proj_out.{kind}",)
        case ["embeddings"]:
            parts = ("embed_tokens",)
        case ["position_encodings"]:
            parts = ("embed_positions",)
        case [layer, "ffn", part]:
            part = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}[part]
            parts = (f"layers.{layer.removeprefix('layer_')}.{part}",)
        case [layer, attention, "layer_norm"]:
            parts = (f"layers.{layer.removeprefix('layer_')}.{_ATTENTIONS[attention]}_layer_norm",)
        case [layer, attention, part]:
            base = f"layers.{layer.removeprefix('layer_')}.{_ATTENTIONS[attention]}"
            parts = tuple(f"{base}.{projection}" for projection in _PROJECTIONS[attention, part])
        case _:  # conv1, conv2 and the last layer_norm have the same names
            parts = (".".join(middle),)
    return tuple(f"model.{side}.{part}.{kind}" for part in parts)


def _torch_state(tensors: dict[str, NDArray[np.float32]], *, untied: bool) -> Iterator[tuple[str, Any]]:
    import numpy as np

    for name, value in tensors.items():
        keys = _torch_names(name)
        for key, part in zip(keys, np.split(value, len(keys)), strict=True):
            if not key.endswith("k_proj.bias"):
                yield key, np.ascontiguousarray(part)


def _ct2_tensor(name: str, source: NDArray[np.float32], state: dict[str, Any]) -> NDArray[np.float32]:
    import numpy as np

    keys = _torch_names(name)
    parts = [
        part if key.endswith("k_proj.bias") else state[key]
        for key, part in zip(keys, np.split(source, len(keys)), strict=True)
    ]
    return np.concatenate(parts)
