"""Training a policy from ledger runs: label, fold by speaker, choose a regressor, fit it on all, export it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from allophone.errors import UsageError
from allophone.files import finite_or_null
from allophone.ledger.run_record import RecognitionRunRecord, read_run
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio_difference
from allophone.measure.intervals import intervals
from allophone.routing.audio_features import (
    AudioView,
    audio_features,
)
from allophone.routing.feature_store import audio_views
from allophone.routing.network import export_models, export_network, measured_fields
from allophone.routing.policy_file import PolicyFile, PolicyKind, Training, policy_card, write_policy
from allophone.routing.regression import Candidate, fit_candidate, speaker_folds
from allophone.routing.routers import Order
from allophone.routing.samples import RecognitionRouteSamples, read_route_samples
from allophone.routing.scoring import OnnxModel, Scorer, step_costs
from allophone.routing.selection import CANDIDATES, Selected, select_choice, select_regressor
from allophone.routing.transcript_features import pair_features, reading_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEAST_SPEAKERS", "LEAST_UTTERANCES", "check_enough", "train_policy", "trained_places"]

LEAST_UTTERANCES = 100
LEAST_SPEAKERS = 5
FOLDS = 10


def train_policy(
    runs: Sequence[str | Path],
    points: Sequence[str],
    out: str | Path,
    *,
    kind: PolicyKind = "cascade",
    reads: Literal["encoder", "mel"] = "encoder",
    choice: bool = True,
    hold_out: float = 0.2,
    candidates: Sequence[Candidate] = CANDIDATES,
    seed: int = 0,
    force: bool = False,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PolicyFile:
    """Train a policy and write its folder: ``policy.json`` and one ONNX model a step.

    The label of a step is the word errors it saves, negative where the dearer point is worse, limited either way; where
    a cascade chooses between transcripts, those saved with the choice of models that have not seen the speaker.
    Speakers to calibrate on are left out; the others are dealt to folds, and the regressor that recovers most of the
    oracle's gain on speakers it has not seen is fitted again on all of them. The threshold is 0 until calibrated:
    escalate where errors are predicted to be saved.

    Args:
        runs: Runs that measured all candidate points.
        points: Names of two or more points, cheap to dear.
        out: The policy's folder.
        kind: ``cascade`` decides on a finished cheap transcript, ``decider`` before any decoding.
        reads: What a decider looks at: the first point's encoder output and the log-mel, or the log-mel alone.
        choice: Whether a cascade may go back to the cheaper transcript once both exist, if that saves errors.
        hold_out: Share of the utterances whose speakers are left for calibration.
        candidates: Regressors to choose among.
        seed: Of folds and networks.
        force: Train on less than 100 utterances or 5 speakers.
        threads: CPU threads of the encoder, where audio is looked at.
        progress: Called with utterances looked at and wanted.

    Raises:
        UsageError: Too little to train on, or labels that are all equal.
        LedgerError: A run cannot be read, or the folder cannot be written.
        MissingExtraError: torch or onnx is missing.
    """
    folders, out = [Path(run) for run in runs], Path(out)
    everything = read_route_samples(folders, points)
    check_enough(everything, force=force)
    if kind == "decider" and everything.points[0].guard:
        raise UsageError(
            f"{everything.points[0].title}: a decider's first point cannot have a guard. Name one without (sweep "
            "--axis guard=false), or use --kind cascade."
        )
    records = [read_run(folder, RecognitionRunRecord) for folder in folders]
    if len({record.language for record in records}) > 1:
        raise UsageError("the runs transcribed different languages. Train one policy a language.")
    rest = trained_places(everything, hold_out, seed)
    samples = everything.take(rest)
    _check_labels(samples)
    views = audio_views(everything, threads=threads, progress=progress) if kind == "decider" else []
    views = [views[index] for index in rest.tolist()] if views else []
    features = _features(samples, views, reads)
    folds = speaker_folds(samples.speakers, FOLDS, seed)
    policy = policy_card(everything, samples, kind, reads, folds=FOLDS, seed=seed)
    costs = step_costs(policy.model_copy(update={"per_gflop": True}), samples.duration_s)
    picked, kept, pairs = None, None, []
    if kind == "cascade" and choice:
        pairs = [_pairs(samples, step) for step in range(len(samples.points) - 1)]
        picked, kept = select_choice(pairs, samples.errors, folds, candidates, seed)
    order: Order = "cascade" if kind == "cascade" else "small_first" if reads == "encoder" else "direct"
    left = samples.errors if kept is None else np.take_along_axis(samples.errors, kept, axis=0)
    saved = left[:-1] - left[1:]  # by what will be kept: where a choice goes back, escalating saves nothing
    selected = select_regressor(
        samples, features, saved, folds, order, costs, kept=kept, candidates=candidates, seed=seed
    )
    steps = [
        fit_candidate(selected.candidate, seen, labels, seed=seed) for seen, labels in zip(features, saved, strict=True)
    ]
    choices = (
        [
            fit_candidate(picked, seen, labels, seed=seed)
            for seen, labels in zip(pairs, samples.errors[:-1] - samples.errors[1:], strict=True)
        ]
        if picked is not None
        else []
    )
    policy = policy.model_copy(update={"per_gflop": selected.per_gflop, **export_models(out, steps, choices)})
    scorer = Scorer(policy, *([OnnxModel(export_network(item)) for item in items] for items in (steps, choices)))
    policy = policy.model_copy(update=measured_fields(scorer, samples, views))
    policy = policy.model_copy(update={"training": _chosen(policy.training, selected, picked)})
    return write_policy(out, policy)


def check_enough(samples: RecognitionRouteSamples, *, force: bool = False) -> None:
    """Refuse to train or calibrate on too little.

    Raises:
        UsageError: Fewer than 100 utterances or 5 speakers; the message shows how little is known from them.
    """
    if force or (len(samples) >= LEAST_UTTERANCES and samples.n_speakers >= LEAST_SPEAKERS):
        return
    resample = draw_blocks(samples.speakers, n_replicates=2000)
    difference = resample_ratio_difference(samples.errors, samples.weights, resample, 0)
    interval = intervals(difference)[-1]
    raise UsageError(
        f"{len(samples)} utterances of {samples.n_speakers} speakers: a router needs {LEAST_UTTERANCES} of "
        f"{LEAST_SPEAKERS}. From so few, all that is known is the WER of {samples.points[-1].title} "
        f"less that of {samples.points[0].title}: {100 * interval.estimate:+.2f} points, 95 % interval "
        f"[{100 * interval.low:+.2f}, {100 * interval.high:+.2f}]. Measure more, or pass --force."
    )


def trained_places(samples: RecognitionRouteSamples, hold_out: float, seed: int) -> NDArray[np.intp]:
    """Return the places of the utterances to train on; the speakers of the others are left for calibration.

    Raises:
        UsageError: A share outside 0 to 0.5.
    """
    if not 0 <= hold_out <= 0.5:
        raise UsageError(f"--hold-out {hold_out:g}: leave between 0 and 0.5 of the utterances for calibration.")
    everywhere = np.arange(len(samples))
    if hold_out == 0:
        return everywhere
    return np.setdiff1d(everywhere, speaker_folds(samples.speakers, max(2, round(1 / hold_out)), seed)[0])


def _check_labels(samples: RecognitionRouteSamples) -> None:
    for step, saved in enumerate(samples.errors[:-1] - samples.errors[1:]):
        if (saved == saved[0]).all():
            names = f"{samples.points[step].title} and {samples.points[step + 1].title}"
            raise UsageError(
                f"all {len(samples)} utterances have one label: between {names} the difference is always "
                f"{saved[0]:.0f} word errors. There is nothing to learn; use a fixed point."
            )


def _features(
    samples: RecognitionRouteSamples, views: Sequence[AudioView], reads: Literal["encoder", "mel"]
) -> list[NDArray[np.float32]]:
    if views:
        seen = np.stack([view.mel if reads == "mel" else audio_features(view) for view in views])
        return [seen] * (len(samples.points) - 1)
    return [np.stack([reading_features(reading) for reading in line]) for line in samples.readings[:-1]]


def _pairs(samples: RecognitionRouteSamples, step: int) -> NDArray[np.float32]:
    both = zip(samples.readings[step], samples.readings[step + 1], strict=True)
    return np.stack([pair_features(cheap, dear) for cheap, dear in both])


def _chosen(training: Training, selected: Selected, picked: Candidate | None) -> Training:
    regressor = selected.candidate.name + (", per GFLOP" if selected.per_gflop else "")
    if picked is not None:
        regressor += f"; chooses between transcripts by {picked.name}"
    interval = selected.recovery.interval
    return training.model_copy(
        update={
            "regressor": regressor,
            "candidates": finite_or_null(selected.shares),
            "recovered_share": finite_or_null(selected.recovery.share),
            "recovered_interval": (finite_or_null(interval.low), finite_or_null(interval.high)),
        }
    )
