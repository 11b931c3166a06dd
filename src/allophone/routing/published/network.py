"""Decider network of arXiv 2309.12712: hidden states, learned layer weights, three residual blocks, BCE.

Hidden states of a frozen Whisper encoder, all layers and the input of the first, are combined by learned weights, pass
three residual blocks (256 channels, kernel 3, strides 2, 3, 3; :data:`allophone.costs.decider.DECIDER_BLOCKS`), are
averaged over time and end in one number, whose sigmoid is the probability that the small model is worse. With one state
and no layer weights to learn it reads a log-mel instead. It is trained here, with torch; CTranslate2 gives no hidden
states, so a policy runs it with an encoder of its own (:mod:`allophone.routing.published.onnx_graph`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from allophone.costs.decider import DECIDER_BLOCKS, DECIDER_KERNEL
from allophone.errors import UsageError
from allophone.extras import importing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allophone.arrays import FloatArray

__all__ = [
    "PUBLISHED_THRESHOLDS",
    "build_decider",
    "hidden_states",
    "predict_decider",
    "train_decider",
]

PUBLISHED_THRESHOLDS = (0.3, 0.5)
States = Sequence["NDArray[np.floating]"]
"""One array an utterance, shape (n_states, positions, width); positions differ between utterances."""


def build_decider(n_states: int, width: int, *, seed: int = 0) -> Any:
    """Return the untrained network: states of shape (batch, n_states, positions, width) to logits (batch,).

    Args:
        n_states: Hidden states, the encoder's layers and one; 1 for a log-mel.
        width: Channels of each.
        seed: Of its first weights.

    Raises:
        MissingExtraError: torch is missing.
    """
    torch = _torch()
    module: Any = torch.nn.Module

    class Block(module):  # type: ignore[misc]
        """Two convolutions, and a pointwise one beside them, since width or length changes."""

        def __init__(self, c_in: int, channels: int, stride: int) -> None:
            super().__init__()
            padding = DECIDER_KERNEL // 2
            self.first = torch.nn.Conv1d(c_in, channels, DECIDER_KERNEL, stride, padding)
            self.second = torch.nn.Conv1d(channels, channels, DECIDER_KERNEL, 1, padding)
            self.beside = torch.nn.Conv1d(c_in, channels, 1, stride)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.second(torch.relu(self.first(x))) + self.beside(x))

    class Decider(module):  # type: ignore[misc]
        """Layer weights, blocks, mean over time, one output."""

        def __init__(self) -> None:
            super().__init__()
            self.layer_weights = torch.nn.Parameter(torch.zeros(n_states))
            widths = [width, *(channels for channels, _ in DECIDER_BLOCKS)]
            self.blocks = torch.nn.Sequential(
                *(
                    Block(c_in, channels, stride)
                    for c_in, (channels, stride) in zip(widths, DECIDER_BLOCKS, strict=False)
                )
            )
            self.output = torch.nn.Linear(widths[-1], 1)

        def forward(self, states: Any) -> Any:
            weights = torch.softmax(self.layer_weights, 0)
            combined = torch.einsum("s,bspw->bwp", weights, states)
            return self.output(self.blocks(combined).mean(dim=-1))[:, 0]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Decider()


def hidden_states(encoder: Any, mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the embedding and every layer's output of a torch Whisper encoder for one window.

    Args:
        encoder: From :func:`allophone.encoders.torch_whisper.load_torch_whisper` with ``encoder_only``.
        mel: Shape (n_mels, n_frames), an even number of frames.

    Returns:
        Shape (n_layers + 1, n_frames / 2, d), float32.
    """
    torch = _torch()
    from allophone.encoders.torch_whisper import encode_windows

    kept: list[Any] = []

    def keep(module: Any, given: tuple[Any, ...], output: Any) -> None:
        del module
        if not kept:
            kept.append(given[0])
        kept.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(keep) for layer in encoder.layers]
    try:
        with torch.no_grad():
            encode_windows(encoder, torch.from_numpy(mel)[None])
    finally:
        for hook in hooks:
            hook.remove()
    states: NDArray[np.float32] = torch.stack([state.reshape(-1, state.shape[-1]) for state in kept]).numpy()
    return states


def train_decider(
    states: States,
    small_worse: NDArray[np.bool_],
    *,
    epochs: int = 8,
    batch: int = 16,
    learning_rate: float = 3e-4,
    seed: int = 0,
) -> Any:
    """Train the network with Adam on binary cross-entropy; its first output is the labels' own log-odds.

    Args:
        states: Of every training utterance.
        small_worse: The label: the small model makes more errors, shape (n,).
        epochs: Passes over the utterances.
        batch: Utterances a step; lengths differ, so they pass one by one and their gradients are averaged.
        learning_rate: Adam's.
        seed: Of weights and order.

    Raises:
        UsageError: All labels are equal.
    """
    torch = _torch()
    share = float(small_worse.mean())
    if not 0 < share < 1:
        raise UsageError(f"all {len(small_worse)} labels are equal: there is nothing to learn.")
    network = build_decider(states[0].shape[0], states[0].shape[2], seed=seed)
    with torch.no_grad():
        network.output.bias.fill_(np.log(share / (1 - share)))
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(len(states)).tolist()
        for start in range(0, len(order), batch):
            indices = order[start : start + batch]
            optimizer.zero_grad()
            for index in indices:
                label = torch.tensor([float(small_worse[index])])
                logit = network(torch.from_numpy(states[index])[None].float())
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label)
                (loss / len(indices)).backward()
            optimizer.step()
    return network.eval()


def predict_decider(network: Any, states: States) -> FloatArray:
    """Return the probability that the small model is worse, shape (n,)."""
    torch = _torch()
    with torch.no_grad():
        logits = [float(network(torch.from_numpy(state)[None].float())) for state in states]
    probabilities: FloatArray = (1 + np.tanh(np.array(logits) / 2)) / 2  # the sigmoid, without overflow
    return probabilities


def _torch() -> Any:
    with importing("torch", "torch"):
        import torch
    return torch
