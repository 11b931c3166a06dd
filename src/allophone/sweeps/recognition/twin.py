"""The A/A pair of a sweep: one point that is measured twice, in turns with all others, to learn what noise alone does.

The twin is the cheapest point, since noise weighs most on short times and costs least there, and it is measured on 200
utterances at most. A race measures it on what the race measures; where its point is given up, the cheapest of the
others takes over from the next utterance on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from allophone.corpora.corpus import Corpus
from allophone.ledger.race_record import read_race
from allophone.ledger.twin_record import TwinRow, add_twins, read_twins
from allophone.records.measurement import Measurement
from allophone.records.point import OperatingPoint
from allophone.sweeps.isoflop import predicted_flops
from allophone.sweeps.race import race_order
from allophone.sweeps.recognition.forecast import Prediction
from allophone.sweeps.recognition.plans import model_dimensions

__all__ = ["TWIN_UTTERANCES", "Twin", "cheapest_point", "predict_twin", "twin_places"]

TWIN_UTTERANCES = 200  # the noise of a total then is known to a twentieth, and a longer run has less of it
_NOMINAL_S = 8.0  # length that points are compared at


class Twin:
    """What the twin of a run is, and what is measured of it; only the process that holds the run's ledger may use it.

    Args:
        folder: The run folder.
        indices: Utterances that it is measured on, by place in the corpus.
        cheapest: Chooses among points.
    """

    def __init__(
        self,
        folder: Path,
        indices: Collection[int],
        cheapest: Callable[[Sequence[OperatingPoint]], OperatingPoint],
    ) -> None:
        self._folder = folder
        self._places = indices
        self._cheapest = cheapest
        self._done = {(point, index) for point, index, _ in read_twins(folder)}
        self._twinned = {point for point, _ in self._done}

    def among(self, points: Sequence[OperatingPoint]) -> OperatingPoint | None:
        """Return which of the points to measure next has the twin; None where another one has it."""
        gone = {item.point for item in read_race(self._folder)[1]}
        left = self._twinned - gone
        if left:
            return next((point for point in points if point.name in left), None)
        return self._cheapest(points) if points else None

    def is_due(self, point: OperatingPoint, index: int) -> bool:
        """Return whether an utterance's twin is still to be measured."""
        return index in self._places and (point.name, index) not in self._done

    def append(self, row: Measurement) -> None:
        """Write a measurement of the twin down.

        Raises:
            LedgerError: The folder cannot be written.
        """
        if (row.point, row.utterance_index) in self._done:
            return
        if row.error is None:
            costs = (row.latency_s, row.cpu_s, row.load_average, row.peak_memory_bytes)
            add_twins(self._folder, [TwinRow(row.point, row.utterance_index, *costs)])
            self._twinned.add(row.point)
        self._done.add((row.point, row.utterance_index))


def twin_places(corpus: Corpus, n_utterances: int, seed: int) -> Collection[int]:
    """Return which utterances the twin is measured on: all, or of many those that a race hears first.

    Args:
        corpus: The corpus.
        n_utterances: How many utterances it has.
        seed: Of the run.
    """
    if n_utterances <= TWIN_UTTERANCES:
        return range(n_utterances)
    return frozenset(race_order(list(corpus), seed)[:TWIN_UTTERANCES])


def cheapest_point(points: Sequence[OperatingPoint]) -> OperatingPoint:
    """Return the point that executes the fewest FLOPs on 8 s of audio, the first of equals.

    Raises:
        UnknownModelError: A model is neither here nor in the table.
    """
    dimensions = model_dimensions(tuple(dict.fromkeys(point.model for point in points)))
    return min(points, key=lambda point: predicted_flops(dimensions[point.model], _NOMINAL_S, point))


def predict_twin(predictions: Sequence[Prediction], n_utterances: int, folder: Path | None = None) -> Prediction:
    """Return what the twin of a run costs, with an encoder pass of its own.

    Args:
        predictions: Of all points.
        n_utterances: How many utterances the corpus has.
        folder: The run that is extended, whose twin stays; None: a new one.
    """
    points = [prediction.point for prediction in predictions]
    there = {point for point, *_ in read_twins(folder)} if folder is not None else set()
    chosen = cheapest_point([point for point in points if point.name in there] or points)
    found = next(prediction for prediction in predictions if prediction.point == chosen)
    share = min(1.0, TWIN_UTTERANCES / n_utterances)
    alone_s = None if found.alone_s is None else share * found.alone_s
    return Prediction(chosen, share * found.executed_gflops, alone_s, alone_s)
