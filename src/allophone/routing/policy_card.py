"""A policy's card before its models: what it was trained on, and what its points cost by duration."""

from __future__ import annotations

from typing import Literal

import numpy as np

from allophone.ledger.run_record import read_run
from allophone.measure.blocks import draw_blocks
from allophone.models.weights_digest import weights_digest
from allophone.routing.policy_file import PolicyFile, PolicyKind, Training
from allophone.routing.samples import FloatArray, RouteSamples

__all__ = ["policy_card"]


def policy_card(
    everything: RouteSamples,
    samples: RouteSamples,
    kind: PolicyKind,
    reads: Literal["encoder", "mel", "big_encoder"],
    *,
    folds: int,
    seed: int,
) -> PolicyFile:
    """Return a policy's card without its models: what it was trained on, what its points cost by duration.

    Args:
        everything: All utterances of the runs.
        samples: Those that train.
        kind: As in :class:`PolicyFile`.
        reads: Likewise; a cascade's is its transcripts.
        folds: Of the cross-validation.
        seed: Of folds and networks.
    """
    saved = samples.errors[0] - samples.errors[-1]
    trained = sorted({speaker for speaker in samples.speakers if speaker is not None})
    held = sorted({speaker for speaker in everything.speakers if speaker is not None} - set(trained))
    flops = np.concatenate([samples.flops, samples.encoder_flops[:1]]) / 1e9
    warning = draw_blocks(samples.speakers, n_replicates=1).warning
    return PolicyFile(
        kind=kind,
        reads="reading" if kind == "cascade" else reads,
        points=list(samples.points),
        language=read_run(samples.runs[0]).language,
        weights={point.model: weights_digest(point.model) for point in samples.points},
        steps=[],
        per_gflop=False,
        gflops_by_duration=[_quadratic(samples.duration_s, line) for line in flops],
        overhead_flops=0.0,
        overhead_s=0.0,
        duration_s=(float(samples.duration_s.min()), float(samples.duration_s.max())),
        score_range=[],
        training=Training(
            runs=[str(folder) for folder in samples.runs],
            fingerprints=[read_run(folder).fingerprint for folder in samples.runs],
            n_utterances=len(samples),
            speakers=trained,
            held_out=held,
            folds=folds,
            seed=seed,
            regressor="",
            candidates={},
            recovered_share=None,
            recovered_interval=(None, None),
            label_shares=(float((saved > 0).mean()), float((saved == 0).mean()), float((saved < 0).mean())),
            warnings=[warning] if warning else [],
        ),
    )


def _quadratic(duration_s: FloatArray, gflops: FloatArray) -> tuple[float, float, float]:
    """Fit GFLOPs as a polynomial of seconds: windows, encoder layers, attention."""
    powers = np.stack([np.ones_like(duration_s), duration_s, duration_s**2], axis=1)
    fitted = np.linalg.lstsq(powers, gflops, rcond=None)[0].tolist()
    return (fitted[0], fitted[1], fitted[2])
