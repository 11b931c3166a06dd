"""The tail: what the decoder is shown behind a fit context, the encoder's outputs for silence or learned vectors."""

from __future__ import annotations

from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN

__all__ = ["learned_vectors", "tail_positions", "thin_tail"]


def tail_positions(frames: int, tail: str, n_audio_ctx: int) -> range:
    """Return the encoder positions that a tail appends to a window.

    Args:
        frames: Log-mel frames that the encoder ran on.
        tail: ``none``, ``all``, ``every-N`` (the first position behind the window, then every N-th), ``last-N`` (the
            last N of the trained context, fewer where the window reaches into them) or ``learned-N`` (N learned vectors
            in the place of those).
        n_audio_ctx: Positions that the encoder was trained on.

    Returns:
        Positions from the end of the window to the end of the trained context, in order; none behind a whole one.
    """
    first = frames // FRAMES_PER_AUDIO_TOKEN
    kind, _, count = tail.partition("-")
    if kind == "none":
        return range(0)
    if kind in ("last", "learned"):
        return range(max(first, n_audio_ctx - int(count)), n_audio_ctx)
    return range(first, n_audio_ctx, int(count) if kind == "every" else 1)


def learned_vectors(tail: str) -> int:
    """Return N of a tail ``learned-N``, and 0 of every other."""
    kind, _, count = tail.partition("-")
    return int(count) if kind == "learned" else 0


def thin_tail(tail: str) -> bool:
    """Whether a tail leaves silence out that the decoder would end at: neither whole nor learned to be as good."""
    return tail != "all" and not learned_vectors(tail)
