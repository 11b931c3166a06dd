"""Teacher and losses of short-context adaptation: the same model at full context teaches its encoder at short ones.

The idea of learning from one's own full context, without transcripts, is FUTO's (github.com/futo-org/whisper-acft,
which matches all decoder states of a model trained whole, on reference transcripts). Here the teacher writes its own
transcripts, only the encoder learns, and what is matched is what the decoder makes of its output: the distribution of
every next token, end of text included. That is where a short context fails; the decoder does not find the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allophone.adapt.windows import Window
from allophone.audio.mel import TRAINED_FRAMES, log_mel
from allophone.dimensions.whisper import (
    FRAMES_PER_AUDIO_TOKEN,
    HOP_SAMPLES,
    SAMPLE_RATE,
    WhisperDimensions,
    prompt_names,
)
from allophone.encoders.torch_whisper import encode_windows
from allophone.errors import UsageError, WeightsError
from allophone.models.engine import Engine, text_token_cap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Losses",
    "Prompt",
    "TeacherTargets",
    "decode_states",
    "distil",
    "encode_silence",
    "read_prompt",
    "teacher_targets",
]

_HIDDEN_WEIGHT = 1.0
_PADDING = 1.25  # a batch may be padded to this share of its shortest window


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens before the text, and the one that ends it."""

    start: tuple[int, ...]
    end: int


@dataclass(frozen=True, slots=True)
class TeacherTargets:
    """A window with what the teacher makes of it at full context.

    Args:
        window: The student's audio.
        states: The teacher's encoder output, shape ``(1500, n_audio_state)``.
        tokens: Prompt and the teacher's greedy text; empty where the teacher itself looped, or heard silence.
    """

    window: Window
    states: NDArray[np.float32]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses over some windows, the parts as sums not yet divided.

    Args:
        total: What is stepped on: KL a token plus the hidden loss a window.
        kl: Sum over tokens of the KL divergence of the student's next-token distribution from the teacher's, in nats.
        n_tokens: Tokens in that sum.
        hidden: Sum over windows of the squared error of encoder outputs where there is audio, over the squares of the
            teacher's.
        n_windows: Windows in that sum.
    """

    total: float
    kl: float
    n_tokens: int
    hidden: float
    n_windows: int


def read_prompt(folder: Path, dims: WhisperDimensions, language: str) -> Prompt:
    """Read the prompt of plain transcription off a model's tokenizer (openai/whisper, ``tokenizer.py``).

    Raises:
        UsageError: The vocabulary has no such language, or the model knows English only.
        WeightsError: The tokenizer has no Whisper tokens.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    names = (*prompt_names(dims, language), "<|endoftext|>")
    if dims.multilingual and tokenizer.token_to_id(names[1]) is None:
        raise UsageError(f"language '{language}' is not in this model's vocabulary; use a code such as en or de.")
    ids = []
    for name in names:
        token = tokenizer.token_to_id(name)
        if token is None:
            raise WeightsError(f"{folder}: its tokenizer.json has no {name}. Give a converted Whisper model.")
        ids.append(token)
    return Prompt(tuple(ids[:-1]), ids[-1])


def teacher_targets(engine: Engine, window: Window, prompt: Prompt, language: str) -> TeacherTargets:
    """Run the teacher on one window at full context, and let it write its transcript.

    A transcript that the token cap ended is a loop and no example to follow: the lesson then has encoder outputs only.
    """
    mel = engine.prepare(window.samples, TRAINED_FRAMES)
    encoded = engine.encode(mel)
    tokens: tuple[int, ...] = ()
    if window.samples.size:
        cap = text_token_cap(window.samples.size / SAMPLE_RATE)
        decoded = engine.decode(encoded, token_stride=1, beam_size=1, max_tokens=cap, language=language)
        if not decoded.truncated:
            tokens = (*prompt.start, *decoded.tokens)
    return TeacherTargets(window, engine.features(encoded), tokens)


def distil(
    model: Any,
    examples: Sequence[TeacherTargets],
    prompt: Prompt,
    *,
    tail: str,
    learned: Any = None,
    backward: bool = False,
) -> Losses:
    """Compute the student's losses on some lessons, windows of like lengths together.

    Args:
        model: The student; the decoder's weights are the teacher's.
        examples: What the teacher made of the windows.
        prompt: Of all lessons.
        tail: ``all`` lets the decoder see the student's outputs of silence behind short windows, ``none`` nothing.
        learned: Vectors of shape ``(n_vectors, n_audio_state)`` that the decoder sees behind short windows instead.
        backward: Also add the gradients of ``total`` to those of what is trained, batch by batch so that memory stays
            small.
    """
    import torch

    n_tokens = sum(len(targets.tokens) - len(prompt.start) + 1 for targets in examples if targets.tokens)
    silence = encode_silence(model) if tail == "all" else None
    total, kl, hidden = 0.0, 0.0, 0.0
    with torch.set_grad_enabled(backward):
        for group in _alike(examples):
            group_hidden, group_kl = _losses(model, group, prompt, silence, learned)
            loss = _HIDDEN_WEIGHT * group_hidden / len(examples) + group_kl / max(n_tokens, 1)
            if backward and loss.requires_grad:  # a learned tail has no part in windows without a transcript
                loss.backward()
            total, kl, hidden = total + loss.item(), kl + group_kl.item(), hidden + group_hidden.item()
    return Losses(total, kl, n_tokens, hidden, len(examples))


def decode_states(model: Any, states: Any, n_states: Any, ids: Any) -> Any:
    """Run the decoder on text that is given, over audio tokens that end at different places.

    ``transformers`` masks no audio tokens, hence the layers one by one.

    Args:
        model: A ``WhisperForConditionalGeneration``.
        states: Audio tokens, shape ``(batch, positions, n_audio_state)``.
        n_states: How many of them each text may see, shape ``(batch,)``.
        ids: Text tokens, shape ``(batch, n_text)``.

    Returns:
        The decoder's last hidden states, shape ``(batch, n_text, n_text_state)``.
    """
    import torch

    decoder, n_text = model.model.decoder, ids.shape[1]
    causal = torch.ones(n_text, n_text, dtype=torch.bool, device=ids.device).tril()[None, None]
    seen = (torch.arange(states.shape[1], device=ids.device) < n_states[:, None])[:, None, None]
    hidden = decoder.embed_tokens(ids) + decoder.embed_positions.weight[:n_text]
    for layer in decoder.layers:
        result = layer(hidden, causal, encoder_hidden_states=states, encoder_attention_mask=seen, use_cache=False)
        hidden = result[0] if isinstance(result, tuple) else result  # a tuple before transformers 5
    return decoder.layer_norm(hidden)


def _losses(
    model: Any, examples: Sequence[TeacherTargets], prompt: Prompt, silence: Any, learned: Any
) -> tuple[Any, Any]:
    """Return the sums over windows of the hidden loss and over tokens of the KL divergence."""
    import torch
    from torch.nn.functional import kl_div, log_softmax

    device = model.proj_out.weight.device
    longest = max(targets.window.frames for targets in examples)
    n_mels = model.model.encoder.conv1.in_channels
    mels = torch.stack([torch.from_numpy(log_mel(x.window.samples, longest, n_mels)) for x in examples]).to(device)
    frames = torch.tensor([targets.window.frames for targets in examples], device=device)
    encoded = encode_windows(model.model.encoder, mels, frames)
    teacher = torch.stack([torch.from_numpy(targets.states) for targets in examples]).to(device)
    ends = torch.tensor([_audio_tokens(targets.window) for targets in examples], device=device)
    heard = (torch.arange(encoded.shape[1], device=device) < ends[:, None])[..., None]
    target = teacher[:, : encoded.shape[1]]
    hidden = (heard * (encoded - target).square()).sum((1, 2)) / (heard * target.square()).sum((1, 2))
    rows = [row for row, targets in enumerate(examples) if targets.tokens]
    if not rows:
        return hidden.sum(), hidden.new_zeros(())
    longest_text = max(len(examples[row].tokens) for row in rows)
    ids = torch.full((len(rows), longest_text), prompt.end, device=device)
    for index, row in enumerate(rows):
        ids[index, : len(examples[row].tokens)] = torch.tensor(examples[row].tokens)
    lengths = torch.tensor([len(examples[row].tokens) for row in rows], device=device)
    # The last prompt token predicts the first of the text, the last of the text predicts the end.
    index = torch.arange(longest_text, device=device)
    scored = (index >= len(prompt.start) - 1) & (index < lengths[:, None])
    n_states = frames[rows] // FRAMES_PER_AUDIO_TOKEN
    states = encoded[rows]
    if silence is not None:
        states, n_states = _with_tail(states, n_states, silence)
    if learned is not None:
        states, n_states = _with_learned(states, n_states, learned, teacher.shape[1])
    student = decode_states(model, states, n_states, ids)[scored]
    with torch.no_grad():
        whole = torch.full_like(lengths, teacher.shape[1])
        expected = log_softmax(model.proj_out(decode_states(model, teacher[rows], whole, ids)[scored]), -1)
    divergence = kl_div(log_softmax(model.proj_out(student), -1), expected, reduction="sum", log_target=True)
    return hidden.sum(), divergence


def _with_tail(states: Any, n_states: Any, silence: Any) -> tuple[Any, Any]:
    """Put the silence's outputs at every position behind each window's end."""
    import torch

    trained = silence.shape[0]
    padded = torch.nn.functional.pad(states, (0, 0, 0, trained - states.shape[1]))
    inside = (torch.arange(trained, device=states.device) < n_states[:, None])[..., None]
    return torch.where(inside, padded, silence), torch.full_like(n_states, trained)


def _with_learned(states: Any, n_states: Any, learned: Any, trained: int) -> tuple[Any, Any]:
    """Put learned vectors behind each window's end; a full context has no room for them, as in the engine."""
    import torch

    n_vectors = learned.shape[0] * (n_states < trained)
    padded = torch.nn.functional.pad(states, (0, 0, 0, learned.shape[0]))
    place = torch.arange(padded.shape[1], device=states.device) - n_states[:, None]
    behind = (place >= 0) & (place < n_vectors[:, None])
    vectors = learned[place.clamp(0, learned.shape[0] - 1)]
    return torch.where(behind[..., None], vectors, padded), n_states + n_vectors


def encode_silence(model: Any) -> Any:
    """Return the student's encoder outputs for 30 s of silence, shape ``(1500, n_audio_state)``."""
    import numpy as np
    import torch

    encoder = model.model.encoder
    mel = log_mel(np.zeros(0, np.float32), TRAINED_FRAMES, encoder.conv1.in_channels)
    with torch.no_grad():
        return encode_windows(encoder, torch.from_numpy(mel)[None].to(encoder.conv1.weight.device))[0]


def _audio_tokens(window: Window) -> int:
    """Audio tokens that the hidden loss counts: those with audio; of an anchor all."""
    if window.frames == TRAINED_FRAMES:
        return TRAINED_FRAMES // FRAMES_PER_AUDIO_TOKEN
    return ceil(window.samples.size / (HOP_SAMPLES * FRAMES_PER_AUDIO_TOKEN))


def _alike(examples: Sequence[TeacherTargets]) -> list[list[TeacherTargets]]:
    groups: list[list[TeacherTargets]] = []
    for targets in sorted(examples, key=lambda targets: targets.window.frames):
        if groups and targets.window.frames <= _PADDING * groups[-1][0].window.frames:
            groups[-1].append(targets)
        else:
            groups.append([targets])
    return groups
