"""Training the published decider from ledger runs: states, labels, torch, one ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from allophone.audio.mel import context_frames, log_mel
from allophone.audio.utterance_audio import load_utterance
from allophone.costs.decider import DECIDER_BLOCKS
from allophone.dimensions.whisper import FRAME_S, TRAINED_CONTEXT_S, WhisperDimensions
from allophone.errors import UsageError
from allophone.ledger.run_record import RecognitionRunRecord, read_run
from allophone.models.onnx_session import OnnxSession
from allophone.models.weights import resolve_weights
from allophone.records.point import OperatingPoint
from allophone.routing.audio_features import TIMED_NOISE_S, measure_overhead, mel_channels, timed_noise
from allophone.routing.feature_store import utterances_of
from allophone.routing.policy_file import PolicyFile, policy_card, write_models, write_policy
from allophone.routing.published.network import PUBLISHED_THRESHOLDS, predict_decider, train_decider
from allophone.routing.published.onnx_graph import decider_graph, states_graph
from allophone.routing.published.policy import PublishedDecider, decider_flops, encoder_point
from allophone.routing.samples import RecognitionRouteSamples, point_dimensions, read_route_samples
from allophone.routing.training import check_enough, trained_places
from allophone.transcription.recording import cut_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ENCODERS", "FaithfulEncoder", "train_faithful"]

FaithfulEncoder = Literal["small", "big", "log-mel"]
ENCODERS: dict[FaithfulEncoder, Literal["encoder", "big_encoder", "mel"]] = {
    "small": "encoder",
    "big": "big_encoder",
    "log-mel": "mel",
}
_GRAPH = "decider.onnx"


def train_faithful(
    runs: Sequence[Path],
    points: Sequence[str],
    out: Path,
    *,
    encoder: FaithfulEncoder = "big",
    epochs: int = 8,
    hold_out: float = 0.2,
    seed: int = 0,
    force: bool = False,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PolicyFile:
    """Train the decider of arXiv 2309.12712 between two points and write its policy folder.

    The label is 1 where the first point makes more errors, as published; speakers to calibrate on are left out. Hidden
    states of all training audio are held in memory at half precision: ``(n_layers + 1) · d · 100`` bytes per second of
    audio, 0.36 MB for base. The threshold is 0.5 until calibrated; the paper's other one is 0.3.

    Args:
        runs: Runs that measured both points.
        points: Names of two points, cheap to dear.
        out: The policy's folder; it holds one graph, encoder included (89 MB for base, float32).
        encoder: Whose hidden states are read: the dear point's model as published, the cheap point's, or a log-mel.
        epochs: Passes over the training utterances.
        hold_out: Share of the utterances whose speakers are left for calibration.
        seed: Of folds and of the network.
        force: Train on less than 100 utterances or 5 speakers.
        threads: CPU threads.
        progress: Called with utterances looked at and wanted.

    Raises:
        UsageError: Not two points, a guard at the point that is read, no hidden states to be had, too little to train
            on, or labels that are all equal.
        LedgerError: A run cannot be read, or the folder cannot be written.
        CorpusError: A corpus is no longer where its run says.
        MissingExtraError: torch or onnx is missing.
    """
    everything = read_route_samples(runs, points)
    check_enough(everything, force=force)
    records = [read_run(folder, RecognitionRunRecord) for folder in runs]
    if len({record.language for record in records}) > 1:
        raise UsageError("the runs transcribed different languages. Train one policy a language.")
    reads = ENCODERS[encoder]
    samples = everything.take(trained_places(everything, hold_out, seed))
    policy = policy_card(everything, samples, "faithful", reads, folds=0, seed=seed)
    point = _point_to_read(policy)
    whisper = _load_encoder(point) if encoder != "log-mel" else None
    states, owners = _states(samples, point, whisper, threads, progress)
    labels = samples.errors[0] > samples.errors[1]
    network = _trained(states, labels[owners], epochs, seed, threads)
    (name,) = write_models(out, {_GRAPH: decider_graph(network, whisper)}).values()
    scores = predict_decider(network, states)
    described = f"published decider on {encoder}, {len(DECIDER_BLOCKS)} blocks, {epochs} epochs"
    policy = policy.model_copy(
        update={
            "steps": [name],
            "threshold": PUBLISHED_THRESHOLDS[-1],
            "score_range": [tuple(np.quantile(scores, (0.005, 0.995)).tolist())],
            "training": policy.training.model_copy(update={"regressor": described}),
            **_billed(point, reads != "mel"),
        }
    )
    policy = policy.model_copy(update={"overhead_s_per_audio_s": _timed(policy, out, samples, threads)})
    return write_policy(out, policy)


def _point_to_read(policy: PolicyFile) -> OperatingPoint:
    if len(policy.points) != 2:
        raise UsageError(f"the published decider chooses between two points, not {len(policy.points)}. Name two.")
    point = policy.points[encoder_point(policy)]
    if point.guard:
        raise UsageError(
            f"{point.title}: a point whose encoder is read cannot have a guard. Name one without (sweep --axis "
            "guard=false), or use --kind cascade."
        )
    if policy.reads != "mel" and not isinstance(point_dimensions(point), WhisperDimensions):
        raise UsageError(
            f"{point.model}: no hidden states are to be had of it. Use --encoder log-mel, or the encoder of a Whisper."
        )
    return point


def _load_encoder(point: OperatingPoint) -> Any:
    from allophone.encoders.torch_whisper import load_torch_whisper

    return load_torch_whisper(resolve_weights(point.model).folder, encoder_only=True)


def _states(
    samples: RecognitionRouteSamples,
    point: OperatingPoint,
    encoder: Any | None,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[NDArray[np.float16]], NDArray[np.intp]]:
    """Return the states of every window, shape (n_states, positions, width), and whose utterance each is."""
    session = None
    if encoder is not None:
        session = OnnxSession(states_graph(encoder), "Train the policy again.", threads=threads)
    channels = mel_channels(point_dimensions(point))
    states, owners = [], []
    audio = [utterances_of(run, _names(samples, domain)) for domain, run in enumerate(samples.runs)]
    for index, (domain, name) in enumerate(zip(samples.domains.tolist(), samples.utterances, strict=True)):
        windows, _ = cut_windows(load_utterance(audio[domain][name]), point)
        for window in windows:
            mel = log_mel(window.audio, context_frames(window.audio.size, point), channels)
            found = mel.T[None] if session is None else session.run({"mel": mel[None]})[0]
            states.append(found.astype(np.float16))
            owners.append(index)
        if progress is not None:
            progress(index + 1, len(samples))
    return states, np.array(owners, np.intp)


def _names(samples: RecognitionRouteSamples, domain: int) -> list[str]:
    return [samples.utterances[index] for index in np.flatnonzero(samples.domains == domain).tolist()]


def _trained(
    states: Sequence[NDArray[np.float16]], labels: NDArray[np.bool_], epochs: int, seed: int, threads: int
) -> Any:
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        return train_decider(states, labels, epochs=epochs, seed=seed)
    finally:
        torch.set_num_threads(before)


def _billed(point: OperatingPoint, reads_encoder: bool) -> dict[str, float]:
    """Return the decider's FLOPs: so many at no audio (the margin), so many more a second."""
    dims = point_dimensions(point)
    per_s = decider_flops(dims, [round(TRAINED_CONTEXT_S / FRAME_S)], reads_encoder=reads_encoder) / TRAINED_CONTEXT_S
    if point.context == "full":
        return {"overhead_flops": per_s * TRAINED_CONTEXT_S}
    return {"overhead_flops": per_s * point.margin_s, "overhead_flops_per_audio_s": per_s / point.speed}


def _timed(policy: PolicyFile, out: Path, samples: RecognitionRouteSamples, threads: int) -> float:
    """Return seconds per second of audio that deciding takes beyond the encoder pass that the order is charged for.

    The graph brings the encoder in float32; the charge is that of the point's own encoder as the runs measured it.
    """
    decider = PublishedDecider(policy, out, threads=threads)
    noise = timed_noise()
    taken = measure_overhead(lambda: decider.look(noise), 5) / TIMED_NOISE_S
    if policy.reads == "mel":
        return taken
    index = encoder_point(policy)
    return max(0.0, taken - float(samples.before_s[index].sum() / samples.duration_s.sum()))
