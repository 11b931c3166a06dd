"""An encoder run in stages: the frozen front end on one clip, then any stretch of its layers on a batch.

Hidden state 0 is what the first layer reads; state ``l`` is what layer ``l`` left; the last one has passed the
encoder's last normalisation where it has one, so it is the ``last_hidden_state`` of transformers. A clip keeps its own
length: front ends run on one clip at a time, because normalisation over time and padding would
leak between the clips of a batch, and attention is masked.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from allophone.audio.mel import log_mel, window_frames
from allophone.dimensions.whisper import WhisperDimensions
from allophone.encoders.loading import SpeechEncoder
from allophone.errors import AudioError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["embed_inputs", "encoder_layers", "n_layers", "run_layers", "width"]

_VARIANCE_FLOOR = 1e-7  # as Wav2Vec2FeatureExtractor
_PLAIN_ATTENTION_TOKENS = 192  # beyond, moving the stored scores costs what the kernel loses


def n_layers(encoder: SpeechEncoder) -> int:
    """Layers of the encoder."""
    return len(encoder_layers(encoder))


def width(encoder: SpeechEncoder) -> int:
    """Width of every hidden state."""
    dims = encoder.dimensions
    return dims.n_audio_state if isinstance(dims, WhisperDimensions) else dims.hidden_size


def encoder_layers(encoder: SpeechEncoder) -> Any:
    """The list of layer modules; adapters, where there are any, sit inside them."""
    return encoder.module.layers if encoder.family == "whisper" else encoder.module.encoder.layers


def embed_inputs(encoder: SpeechEncoder, samples: NDArray[np.float32]) -> Any:
    """Run everything before the first layer on one clip: nothing there is ever trained.

    Whisper's stem runs on the clip's own frames, rounded up to whole audio tokens, with the first positions of its
    table; what lies behind the clip is neither padded nor run.

    Args:
        encoder: The encoder.
        samples: Shape ``(n_samples,)``, 16 kHz; at most 30 s for Whisper.

    Returns:
        Hidden state 0, a tensor of shape ``(audio tokens, width)`` on the encoder's device.

    Raises:
        AudioError: The clip is shorter than one audio token of the front end.
    """
    import torch

    module = encoder.module
    device = next(module.parameters()).device
    if isinstance(encoder.dimensions, WhisperDimensions):
        frames = window_frames(samples.size, context="fit", margin_s=0.0, floor_s=0.0)
        mel = torch.from_numpy(log_mel(samples, frames, encoder.dimensions.n_mels)).to(device)
        hidden = torch.nn.functional.gelu(module.conv1(mel[None]))
        hidden = torch.nn.functional.gelu(module.conv2(hidden))[0].T
        return hidden + module.embed_positions.weight[: hidden.shape[0]]
    if int(module._get_feat_extract_output_lengths(samples.size)) < 1:
        raise AudioError(f"a clip of {samples.size} samples is too short for one audio token. Leave it out.")
    if encoder.normalize:
        samples = (samples - samples.mean()) / (samples.var() + _VARIANCE_FLOOR) ** 0.5
    features = module.feature_extractor(torch.from_numpy(samples).to(device)[None]).transpose(1, 2)
    projected = module.feature_projection(features)
    hidden = projected[0] if isinstance(projected, tuple) else projected  # HuBERT returns no second value
    hidden = hidden + module.encoder.pos_conv_embed(hidden)
    if not encoder.dimensions.stable_layer_norm:
        hidden = module.encoder.layer_norm(hidden)
    return hidden[0]


def run_layers(encoder: SpeechEncoder, hidden: Any, inside: Any, first: int = 0, last: int | None = None) -> list[Any]:
    """Run layers ``first`` to ``last - 1`` on a padded batch; differentiable.

    Args:
        encoder: The encoder.
        hidden: Hidden state ``first``, shape ``(batch, audio tokens, width)``.
        inside: Which audio tokens belong to their clip, boolean, shape ``(batch, audio tokens)``; None where all do.
        first: Number of the first layer to run, from 0.
        last: Number after the last one; None runs to the end.

    Returns:
        Hidden states ``first + 1`` to ``last``, each of the shape of ``hidden``; meaningless outside of clips.
    """
    layers = encoder_layers(encoder)
    last = len(layers) if last is None else last
    if encoder.family == "wavlm":
        arguments = _wavlm_arguments(layers[0].attention, hidden, inside)
    else:
        arguments = {"attention_mask": None if inside is None else _additive(inside)}
    states = []
    with warnings.catch_warnings(), _attention(encoder, hidden):
        warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)  # WavLM's own mix
        for number in range(first, last):
            result = layers[number](hidden, **arguments)
            hidden = result[0] if isinstance(result, tuple) else result  # WavLM hands its position bias on
            states.append(hidden)
    if last == len(layers) and states:
        states[-1] = _last_norm(encoder, states[-1])
    return states


@contextmanager
def _attention(encoder: SpeechEncoder, hidden: Any) -> Iterator[None]:
    # On a CPU the fused kernel is quick forward but several times slower backward than the plain products.
    import torch

    plain = torch.is_grad_enabled() and hidden.device.type == "cpu" and hidden.shape[1] <= _PLAIN_ATTENTION_TOKENS
    if not plain or encoder.family == "wavlm":
        yield
        return
    config = encoder.module.config
    usual, config._attn_implementation = config._attn_implementation, "eager"
    try:
        yield
    finally:
        config._attn_implementation = usual


def _additive(inside: Any) -> Any:
    # Plain attention adds its mask to the scores, where the fused kernel takes either kind.
    import torch

    scores = torch.zeros(inside.shape, device=inside.device)
    return scores.masked_fill_(~inside, torch.finfo(scores.dtype).min)[:, None, None, :]


def _wavlm_arguments(attention: Any, hidden: Any, inside: Any) -> dict[str, Any]:
    # Only the first layer has the table of the relative position bias; the others get what it looks up.
    batch, tokens, _ = hidden.shape
    bias = attention.compute_bias(tokens, tokens).repeat(batch, 1, 1)
    return {"attention_mask": None if inside is None else inside.long(), "position_bias": bias}


def _last_norm(encoder: SpeechEncoder, hidden: Any) -> Any:
    if encoder.family == "whisper":
        return encoder.module.layer_norm(hidden)
    if encoder.dimensions.stable_layer_norm:  # type: ignore[union-attr]
        return encoder.module.encoder.layer_norm(hidden)
    return hidden
