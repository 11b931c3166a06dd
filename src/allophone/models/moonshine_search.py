"""Greedy and beam search over Moonshine's ONNX decoder, one window at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allophone.dimensions.moonshine import MoonshineDimensions
from allophone.models.onnx_session import OnnxSession

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["END_OF_TEXT", "Hypothesis", "OnnxDecoder", "search"]

START, END_OF_TEXT = 1, 2
_SAMPLES_PER_TOKEN = 384  # the decoder takes the mask over samples and keeps every 384th of its entries


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A finished transcript.

    Args:
        tokens: Text tokens, end-of-text left out.
        ended: Whether end-of-text was reached before the cap.
        log_probability: Sum over all generated tokens, end-of-text included.
        rows: Logits that each generated token was drawn from, shape ``(n_vocab,)``; only greedy search keeps them.
    """

    tokens: tuple[int, ...]
    ended: bool
    log_probability: float
    rows: tuple[NDArray[np.float32], ...] = ()

    @property
    def mean_log_probability(self) -> float:
        """A generated token's share: what beams are compared by."""
        return self.log_probability / (len(self.tokens) + self.ended) if self.tokens or self.ended else 0.0


class OnnxDecoder:
    """The decoder on one window's audio tokens, a step at a time.

    Args:
        session: Of ``decoder_model_merged``; several threads may use one.
        dims: The model.
        states: Audio tokens that the decoder sees, shape ``(1, n_positions, d)``.
    """

    def __init__(self, session: OnnxSession, dims: MoonshineDimensions, states: NDArray[np.float32]) -> None:
        self._session, self._states = session, states
        self._mask = np.ones((1, states.shape[1] * _SAMPLES_PER_TOKEN), np.int64)
        width = dims.n_text_state // dims.n_text_head
        self._names = [
            f"{layer}.{side}.{kind}"
            for side in ("decoder", "encoder")
            for layer in range(dims.n_text_layer)
            for kind in ("key", "value")
        ]
        lengths = {"decoder": 0, "encoder": states.shape[1]}
        self._past = {
            name: np.zeros((1, dims.n_text_head, lengths[name.split(".")[1]], width), np.float32)
            for name in self._names
        }
        self._started = False

    def step(self, tokens: list[int], parents: list[int]) -> NDArray[np.float32]:
        """Feed one token a beam and return logits of shape ``(n_beams, n_vocab)``.

        Args:
            tokens: One per beam; the first call takes the start token of one beam.
            parents: Which beam of the call before each continues.
        """
        beams = len(tokens)
        if beams != len(self._states):
            self._states = np.repeat(self._states[:1], beams, axis=0)
            self._mask = np.repeat(self._mask[:1], beams, axis=0)
        if parents != list(range(self._past[self._names[0]].shape[0])):
            self._past = {name: array[parents] for name, array in self._past.items()}
        # Keys and values of the audio are made by the first call and come back empty from the others.
        wanted = [name for name in self._names if not self._started or ".decoder." in name]
        logits, *present = self._session.run(
            {
                "input_ids": np.array(tokens, np.int64)[:, None],
                "encoder_attention_mask": self._mask,
                "encoder_hidden_states": self._states,
                "use_cache_branch": np.array([self._started]),
                **{f"past_key_values.{name}": array for name, array in self._past.items()},
            },
            ["logits", *(f"present.{name}" for name in wanted)],
        )
        self._past.update(zip(wanted, present, strict=True))
        self._started = True
        scores: NDArray[np.float32] = logits[:, -1]
        return scores


def search(decoder: OnnxDecoder, beam_size: int, max_tokens: int) -> Hypothesis:
    """Return the best transcript: the likeliest token each step, or the likeliest of so many beams.

    Beams are followed until as many hypotheses have ended or the cap is reached, and compared by their mean
    log-probability. The decoder quantises over all beams of a step at once, so a hypothesis scores slightly differently
    alone.

    Args:
        decoder: At its start.
        beam_size: Beams; 1 is greedy.
        max_tokens: Most text tokens, at least 1.
    """
    return _greedy(decoder, max_tokens) if beam_size == 1 else _beams(decoder, beam_size, max_tokens)


def _greedy(decoder: OnnxDecoder, max_tokens: int) -> Hypothesis:
    tokens: list[int] = []
    rows: list[NDArray[np.float32]] = []
    total, token = 0.0, START
    while len(tokens) < max_tokens:
        row = decoder.step([token], [0])[0]
        token = int(row.argmax())
        rows.append(row)
        total += float(_log_probabilities(row)[token])
        if token == END_OF_TEXT:
            return Hypothesis(tuple(tokens), True, total, tuple(rows))
        tokens.append(token)
    return Hypothesis(tuple(tokens), False, total, tuple(rows))


def _beams(decoder: OnnxDecoder, beam_size: int, max_tokens: int) -> Hypothesis:
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    parents, fed = [0], [START]
    ended: list[Hypothesis] = []
    for length in range(max_tokens):
        scores = _log_probabilities(decoder.step(fed, parents)) + np.array([score for _, score in live])[:, None]
        # Each beam can end once, so twice as many candidates always leave enough that go on.
        best = np.argsort(scores, axis=None)[: -2 * beam_size - 1 : -1].tolist()
        grown: list[tuple[tuple[int, ...], float, int]] = []
        for index in best:
            parent, token = divmod(index, scores.shape[1])
            score = float(scores[parent, token])
            if token == END_OF_TEXT:
                ended.append(Hypothesis(live[parent][0], True, score))
            elif len(grown) < beam_size:
                grown.append(((*live[parent][0], token), score, parent))
        live = [(tokens, score) for tokens, score, _ in grown]
        parents, fed = [parent for *_, parent in grown], [tokens[-1] for tokens, _, _ in grown]
        if len(ended) >= beam_size or length == max_tokens - 1:
            break
    open_ones = [] if len(ended) >= beam_size else [Hypothesis(tokens, False, score) for tokens, score in live]
    return max([*ended, *open_ones], key=lambda found: found.mean_log_probability)


def _log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    found: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found
