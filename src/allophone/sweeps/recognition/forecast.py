"""Forecast of a sweep: executed FLOPs from the cost model, seconds from a short probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from allophone.audio.utterance_audio import load_utterance
from allophone.corpora.corpus import Corpus
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import AudioError
from allophone.models.engine import Engine, load_engine
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.isoflop import predicted_flops
from allophone.sweeps.recognition.worker import Settings, warm_up
from allophone.transcription.recording import transcribe_points

__all__ = ["Prediction", "predict", "sample_durations"]

_SAMPLED = 200  # utterances that stand for the corpus
_FALLBACK_S = 8.0  # an utterance whose length is not stated and whose file cannot be read


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted cost of one point over the whole corpus.

    Args:
        point: The operating point.
        executed_gflops: Executed GFLOPs of all utterances, under an assumed speaking rate.
        engine_s: Seconds in the engine, from running one utterance; None where the weights could not be run. A shared
            encoder pass is counted once, at the first point that needs it.
        alone_s: The same with an encoder pass of its own.
    """

    point: OperatingPoint
    executed_gflops: float
    engine_s: float | None
    alone_s: float | None = None


def predict(
    corpus: Corpus, n_utterances: int, points: Sequence[OperatingPoint], settings: Settings
) -> list[Prediction]:
    """Predict every point's compute and time by running the corpus's first readable utterance once.

    Args:
        corpus: The corpus; lengths it does not state are read from the first 200 files.
        n_utterances: How many utterances it has.
        points: The points of a plan.
        settings: Device, threads and language.

    Raises:
        WeightsError: A model's weights cannot be found.
    """
    durations, probe = sample_durations(corpus)
    scale = n_utterances / len(durations)
    predictions: dict[str, Prediction] = {}
    by_weights: dict[tuple[str, str], list[OperatingPoint]] = {}
    for point in points:
        by_weights.setdefault(point.weights_key, []).append(point)
    for (model, compute_type), members in by_weights.items():
        engine = load_engine(model, compute_type, threads=settings.threads, device=settings.device)
        probed = _probe(engine, probe, members, settings) if probe else {}
        for point in members:
            flops = sum(predicted_flops(engine.dimensions, duration_s, point) for duration_s in durations) * scale
            shared, alone = probed.get(point.name, (None, None))
            predictions[point.name] = Prediction(
                point,
                flops / 1e9,
                None if shared is None else flops * shared,
                None if alone is None else flops * alone,
            )
    return [predictions[point.name] for point in points]


def sample_durations(corpus: Corpus) -> tuple[list[float], Utterance | None]:
    """Return the lengths of the first 200 utterances in seconds, and the first one whose recording is there."""
    durations: list[float] = []
    probe: Utterance | None = None
    for utterance in islice(corpus, _SAMPLED):
        stated = utterance.duration_s
        durations.append(stated if stated is not None else _measured_duration(utterance))
        if probe is None and utterance.audio_filepath.is_file():
            probe = utterance
    return durations, probe


def _measured_duration(utterance: Utterance) -> float:
    try:
        return load_utterance(utterance).size / SAMPLE_RATE
    except AudioError:
        return _FALLBACK_S


def _probe(
    engine: Engine, utterance: Utterance, points: Sequence[OperatingPoint], settings: Settings
) -> dict[str, tuple[float, float]]:
    """Return seconds per FLOP of each point: passes shared with an earlier point not counted again, and counted."""
    try:
        samples = load_utterance(utterance)
    except AudioError:
        return {}
    warm_up(engine, settings.language)
    rates: dict[str, tuple[float, float]] = {}
    encoded: set[tuple[object, ...]] = set()
    for point in points:
        transcript = transcribe_points(engine, samples, [point], language=settings.language)[0]
        seconds = transcript.decode_s
        if point.encode_key not in encoded:
            encoded.add(point.encode_key)
            seconds = transcript.latency_s
        flops = predicted_flops(engine.dimensions, samples.size / SAMPLE_RATE, point)
        rates[point.name] = (seconds / flops, transcript.latency_s / flops)
    return rates
