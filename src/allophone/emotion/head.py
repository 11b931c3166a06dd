"""Classification head: weighted layer sum, masked mean and standard deviation over time, one linear layer.

Hidden states are brought to mean 0 and variance 1 at every audio token first, without learned scales, as layers differ
in size by orders of magnitude; the pooled statistics are standardised with fixed numbers from training clips, so that
one learning rate suits all. Neither trains anything: the head has ``n + 1 + 2·d·C + C`` parameters.

Pooling a weighted sum needs no audio token once the moments of the hidden states are known: its mean is the weighted
sum of their means, its variance ``wᵀ C w`` with their covariances ``C`` over time. A frozen encoder is therefore probed
on ``(n + 1) + (n + 1)(n + 2)/2`` numbers per channel and clip, whatever the clip's length.
"""

from __future__ import annotations

from typing import Any

__all__ = ["EmotionHead", "state_moments"]

_VARIANCE_FLOOR = 1e-5


class EmotionHead:
    """Parameters and fixed numbers of the head, and its two ways forward.

    Args:
        width: ``d``, width of every hidden state.
        layers: ``n``, layers of the encoder; hidden states are one more.
        classes: ``C``.
        seed: Fixes the initial linear layer.
    """

    def __init__(self, width: int, layers: int, classes: int, *, seed: int = 0) -> None:
        import torch

        generator = torch.Generator().manual_seed(seed)
        self.parameters = {
            "layer_weights": torch.nn.Parameter(torch.zeros(layers + 1)),
            "weight": torch.nn.Parameter(0.01 * torch.randn(classes, 2 * width, generator=generator)),
            "bias": torch.nn.Parameter(torch.zeros(classes)),
        }
        self.fixed = {"center": torch.zeros(2 * width), "scale": torch.ones(2 * width)}

    def to(self, device: Any) -> None:
        """Move everything to a device."""
        for parameter in self.parameters.values():
            parameter.data = parameter.data.to(device)
        self.fixed = {name: value.to(device) for name, value in self.fixed.items()}

    def pool_states(self, states: list[Any], inside: Any) -> Any:
        """Pool all hidden states.

        Args:
            states: ``n + 1`` tensors of shape ``(batch, audio tokens, d)``.
            inside: Which audio tokens belong to their clip, boolean, shape ``(batch, audio tokens)``; None: all.

        Returns:
            Mean and standard deviation over time, float32, shape ``(batch, 2·d)``.
        """
        import torch

        weights = torch.softmax(self.parameters["layer_weights"], 0)
        mixed = sum(weight * _normed(state) for weight, state in zip(weights, states, strict=True))
        if inside is None:
            mean, variance = mixed.mean(1), mixed.var(1, correction=0)
        else:
            count = inside.sum(1, keepdim=True)
            kept = inside[..., None]
            mean = (mixed * kept).sum(1) / count
            variance = ((mixed - mean[:, None]).square() * kept).sum(1) / count
        return torch.cat([mean, (variance + _VARIANCE_FLOOR).sqrt()], dim=1)

    def pool_moments(self, means: Any, covariances: Any) -> Any:
        """Pool clips whose moments are known; equal to :meth:`pool_states` on their states.

        Args:
            means: Shape ``(batch, n + 1, d)``.
            covariances: Of every pair of states, shape ``(batch, (n + 1)(n + 2)/2, d)``, as :func:`state_moments`.

        Returns:
            Mean and standard deviation over time, float32, shape ``(batch, 2·d)``.
        """
        import torch

        weights = torch.softmax(self.parameters["layer_weights"], 0)
        rows, columns = torch.triu_indices(len(weights), len(weights), device=weights.device)
        pairs = weights[rows] * weights[columns] * torch.where(rows == columns, 1.0, 2.0)
        mean = (weights[:, None] * means.float()).sum(1)
        variance = (pairs[:, None] * covariances.float()).sum(1).clamp_min(0.0)
        return torch.cat([mean, (variance + _VARIANCE_FLOOR).sqrt()], dim=1)

    def classify(self, pooled: Any) -> Any:
        """Logits of shape ``(batch, C)`` from pooled statistics, float32."""
        import torch

        standard = (pooled - self.fixed["center"]) / self.fixed["scale"]
        return torch.nn.functional.linear(standard, self.parameters["weight"], self.parameters["bias"])

    def standardise_on(self, pooled: Any) -> None:
        """Fix centre and scale of every statistic from pooled training clips, shape ``(clips, 2·d)``."""
        self.fixed["center"] = pooled.mean(0)
        self.fixed["scale"] = pooled.std(0, correction=0).clamp_min(1e-4)

    def state(self) -> dict[str, Any]:
        """Every number of the head, as detached tensors by name."""
        trained = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        return trained | {name: value.clone() for name, value in self.fixed.items()}

    def load(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state` gave."""
        for name, parameter in self.parameters.items():
            parameter.data.copy_(state[name])
        self.fixed = {name: state[name].to(self.fixed[name].device) for name in self.fixed}


def state_moments(states: list[Any], inside: Any) -> tuple[Any, Any]:
    """Means and covariances over time of normed hidden states.

    Args:
        states: ``n + 1`` tensors of shape ``(batch, audio tokens, d)``.
        inside: As in :meth:`EmotionHead.pool_states`.

    Returns:
        Means of shape ``(batch, n + 1, d)``, and covariances of shape ``(batch, (n + 1)(n + 2)/2, d)`` of the pairs of
        ``torch.triu_indices``.
    """
    import torch

    normed = [_normed(state) for state in states]
    kept = torch.ones(normed[0].shape[:2], dtype=torch.bool, device=normed[0].device) if inside is None else inside
    count = kept.sum(1, keepdim=True)
    means = [(state * kept[..., None]).sum(1) / count for state in normed]
    centered = [(state - mean[:, None]) * kept[..., None] for state, mean in zip(normed, means, strict=True)]
    rows, columns = torch.triu_indices(len(states), len(states)).tolist()
    pairs = [(centered[a] * centered[b]).sum(1) / count for a, b in zip(rows, columns, strict=True)]
    return torch.stack(means, 1), torch.stack(pairs, 1)


def _normed(state: Any) -> Any:
    import torch

    return torch.nn.functional.layer_norm(state.float(), state.shape[-1:])
