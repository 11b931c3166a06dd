"""Routing samples: every candidate point on every utterance, read from ledger runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray, IntArray
from allophone.costs.recognition import recognition_flops
from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.errors import UsageError
from allophone.frontier.run_state import share_rows
from allophone.ledger.readers import connect
from allophone.ledger.run_record import RecognitionRunRecord, read_run
from allophone.models.weights import point_dimensions
from allophone.records.names import find_named
from allophone.records.point import OperatingPoint, Setting
from allophone.routing.transcript_features import TranscriptFeatures

__all__ = [
    "RecognitionRouteSamples",
    "RouteSamples",
    "SamplesT",
    "find_points",
    "point_dimensions",
    "read_route_samples",
]


SamplesT = TypeVar("SamplesT", bound="RouteSamples")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RouteSamples:
    """Candidate points on the utterances that all of them have, from one run or several of either task.

    Args:
        points: The candidates, cheap to dear.
        runs: The runs, one domain each.
        domains: Run of every utterance, shape (n_utterances,).
        utterances: Their ids.
        speakers: Their speakers, or None.
        weights: What errors are divided by, shape (n_utterances,), float as all that follow: the sum of the errors over
            that of the weights is the quality objective.
        duration_s: Seconds of audio.
        errors: Weighted errors, shape (n_points, n_utterances), as all that follow.
        flops: Executed FLOPs.
        latency_s: Seconds from samples to the result.
        confidence_s: Seconds that reading how sure a point is took, no part of the latency.
    """

    per_point: ClassVar[tuple[str, ...]] = ("errors", "flops", "latency_s", "confidence_s")

    points: tuple[Setting, ...]
    runs: tuple[Path, ...]
    domains: IntArray
    utterances: tuple[str, ...]
    speakers: tuple[str | None, ...]
    weights: FloatArray
    duration_s: FloatArray
    errors: FloatArray
    flops: FloatArray
    latency_s: FloatArray
    confidence_s: FloatArray

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.utterances)

    @property
    def n_speakers(self) -> int:
        """How many speakers; an utterance that names none counts as one of its own."""
        return len(set(self.speakers) - {None}) + self.speakers.count(None)

    def encoding(self, index: int) -> tuple[FloatArray, FloatArray]:
        """Return FLOPs and seconds until a point's encoder is through: all of it, unless a decoder follows.

        Args:
            index: The point's.
        """
        return self.flops[index], self.latency_s[index]

    def take(self: SamplesT, indices: npt.NDArray[np.intp]) -> SamplesT:
        """Return some utterances only, in the order given."""
        chosen = indices.tolist()
        return replace(
            self,
            domains=self.domains[indices],
            utterances=tuple(self.utterances[index] for index in chosen),
            speakers=tuple(self.speakers[index] for index in chosen),
            weights=self.weights[indices],
            duration_s=self.duration_s[indices],
            **{name: getattr(self, name)[:, indices] for name in self.per_point},
        )

    def take_points(self: SamplesT, indices: Sequence[int]) -> SamplesT:
        """Return some points only, in the order given."""
        return replace(
            self,
            points=tuple(self.points[index] for index in indices),
            **{name: getattr(self, name)[list(indices)] for name in self.per_point},
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecognitionRouteSamples(RouteSamples):
    """Candidate points of speech recognition: errors are word errors, weights reference words.

    Fields as of :class:`RouteSamples`, and these.

    Args:
        encoder_flops: The part of the FLOPs that stem and encoder take, shape (n_points, n_utterances), as that below.
        before_s: The part of the latency before decoding: preparation and encoder.
        readings: What each transcript shows, by point, then by utterance.
    """

    per_point: ClassVar[tuple[str, ...]] = (*RouteSamples.per_point, "encoder_flops", "before_s")

    points: tuple[OperatingPoint, ...]
    encoder_flops: FloatArray
    before_s: FloatArray
    readings: tuple[tuple[TranscriptFeatures, ...], ...]

    def encoding(self, index: int) -> tuple[FloatArray, FloatArray]:
        """Return FLOPs and seconds until a point's encoder is through."""
        return self.encoder_flops[index], self.before_s[index]

    def take(self, indices: npt.NDArray[np.intp]) -> RecognitionRouteSamples:
        """Return some utterances only, in the order given."""
        chosen = indices.tolist()
        readings = tuple(tuple(line[index] for index in chosen) for line in self.readings)
        return replace(RouteSamples.take(self, indices), readings=readings)

    def take_points(self, indices: Sequence[int]) -> RecognitionRouteSamples:
        """Return some points only, in the order given."""
        readings = tuple(self.readings[index] for index in indices)
        return replace(RouteSamples.take_points(self, indices), readings=readings)


def find_points(run: RecognitionRunRecord, folder: Path, names: Sequence[str]) -> tuple[OperatingPoint, ...]:
    """Find points of a run by names as :func:`allophone.records.names.find_named` understands them.

    Raises:
        UsageError: The run has no such point or several, or fewer than two different ones are named.
    """
    found = find_named(names, run.points, str(folder))
    if len(set(found)) < max(2, len(found)):
        raise UsageError(f"{', '.join(names) or 'no point'}: a router chooses among two or more different points.")
    return tuple(found)


_ROWS = """
SELECT utterance_id, speaker, duration_s, hits + substitutions + deletions, substitutions + insertions + deletions,
       executed_flops, latency_s, prepare_s + encode_s, confidence_s, window_frames, prompt_tokens,
       hypothesis, text_tokens, truncated_windows, avg_logprob, no_speech_prob, compression_ratio, token_logprobs,
       token_entropies
FROM measurements SEMI JOIN shared USING (utterance_index) WHERE point = ? ORDER BY utterance_index
"""


def read_route_samples(folders: Sequence[Path], names: Sequence[str]) -> RecognitionRouteSamples:
    """Read the candidate points of one or more runs, finished or in progress, on the utterances that all have.

    Args:
        folders: Run folders.
        names: Names of points, cheap to dear, as :func:`find_points` takes them.

    Raises:
        LedgerError: A folder is not a run, or nothing is measured.
        UsageError: A run lacks a candidate or measured none of its utterances at all candidates, runs differ in what
            they count errors against, or a later point costs less than an earlier one.
    """
    parts = [_read_run(folder, names) for folder in folders]
    first = parts[0]
    if any(part.points != first.points for part in parts):
        raise UsageError(f"{', '.join(names)}: the runs mean different points by these names. Give full names.")
    counted = {
        (record.normalizer, record.relative_to)
        for record in [read_run(folder, RecognitionRunRecord) for folder in folders]
    }
    if len(counted) > 1:
        raise UsageError("the runs count errors against different references. Sweep them alike.")
    joined = RecognitionRouteSamples(
        points=first.points,
        runs=tuple(folders),
        domains=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        utterances=sum((part.utterances for part in parts), ()),
        speakers=sum((part.speakers for part in parts), ()),
        readings=tuple(
            tuple(reading for part in parts for reading in part.readings[index]) for index in range(len(first.points))
        ),
        **{
            name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
            for name in (
                *("weights", "duration_s", "errors", "flops", "encoder_flops"),
                *("latency_s", "before_s", "confidence_s"),
            )
        },
    )
    means = joined.flops.mean(axis=1)
    for earlier, later in zip(range(len(means)), range(1, len(means)), strict=False):
        if means[later] <= means[earlier]:
            raise UsageError(
                f"{joined.points[later].title} runs fewer FLOPs than {joined.points[earlier].title}: name points from "
                "cheap to dear."
            )
    return joined


def _read_run(folder: Path, names: Sequence[str]) -> RecognitionRouteSamples:
    points = find_points(read_run(folder, RecognitionRunRecord), folder, names)
    with connect(folder) as connection:
        listed = [point.name for point in points]
        connection.execute("CREATE TEMP TABLE asked AS SELECT unnest(?) AS name", [listed])
        share_rows(connection, RecognitionRunRecord.keys, len(points))
        tables = [connection.execute(_ROWS, [name]).fetchall() for name in listed]
    if not tables[0]:
        raise UsageError(f"{folder}: no utterance is measured at all of {', '.join(listed)} yet. Let its sweep go on.")
    arrays = np.array([[row[4:9] for row in table] for table in tables], np.float64)
    return RecognitionRouteSamples(
        points=points,
        runs=(folder,),
        domains=np.zeros(len(tables[0]), np.intp),
        utterances=tuple(str(row[0]) for row in tables[0]),
        speakers=tuple(row[1] for row in tables[0]),
        weights=np.array([row[3] for row in tables[0]], np.float64),
        duration_s=np.array([row[2] for row in tables[0]], np.float64),
        errors=arrays[:, :, 0],
        flops=arrays[:, :, 1],
        encoder_flops=np.array(
            [_encoder_flops(point_dimensions(point), table) for point, table in zip(points, tables, strict=True)]
        ),
        latency_s=arrays[:, :, 2],
        before_s=arrays[:, :, 3],
        confidence_s=arrays[:, :, 4],
        readings=tuple(tuple(_reading(row) for row in table) for table in tables),
    )


def _encoder_flops(dims: RecognitionDimensions, table: Sequence[tuple[object, ...]]) -> list[float]:
    return [encoder_flops(dims, row[9]) for row in table]  # type: ignore[arg-type]


def encoder_flops(dims: RecognitionDimensions, window_frames: Sequence[int]) -> float:
    """Return the FLOPs of stem and encoder on these windows: an utterance whose decoder never started.

    Passes without frames, where the decoder alone ran again, encode nothing.
    """
    encoded = [frames for frames in window_frames if frames]
    nothing = [0] * len(encoded)
    return float(recognition_flops(dims, window_frames=encoded, window_tokens=nothing, prompt_tokens=0).total)


def _reading(row: tuple[object, ...]) -> TranscriptFeatures:
    return TranscriptFeatures(str(row[11]), float(row[2]), *row[12:])  # type: ignore[arg-type]
