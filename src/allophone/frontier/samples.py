"""The measurements that statistics need, utterance by utterance, and every objective resampled from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import SpaceError
from allophone.frontier.emotion_samples import EmotionSamples, resample_emotion
from allophone.frontier.noise_floor import TIMED, Noise, resample_time, with_noise
from allophone.frontier.objectives import Task
from allophone.frontier.throughput import resample_throughput
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates, resample_mean, resample_ratio
from allophone.measure.linearised import Linearised, resample_linearised

if TYPE_CHECKING:
    import duckdb

__all__ = ["AnySamples", "RunSamples", "read_samples", "resample_objective", "share_utterances"]


@dataclass(frozen=True, slots=True, eq=False)
class RunSamples:
    """One value per point and utterance, on the utterances that all points share.

    Args:
        points: Names of the points, in the order of the arrays' rows.
        utterances: Ids of the utterances, in the order of the arrays' columns.
        speakers: Speaker of every utterance, or None.
        words: Reference words, shape (n_utterances,): they do not depend on the point.
        duration_s: Seconds of audio, shape (n_utterances,).
        errors: Word errors, shape (n_points, n_utterances), as the arrays below.
        latency_s: Seconds from samples to text.
        executed_flops: FLOPs that ran.
        published_flops: FLOPs as the published formula bills them.
        peak_memory_bytes: Peak resident bytes; NaN where not measured.
        characters: Characters of the references, shape (n_utterances,); NaN in runs of before they were counted.
        character_errors: Character errors, shape (n_points, n_utterances); NaN likewise.
        throughput: From :func:`allophone.frontier.throughput.read_rounds`, shape (n_points, n_rounds), or None.
        noise: From :func:`allophone.frontier.noise_floor.read_noise`, by cost; without a cost, its noise is unknown.
        transcribed: Word error rates against human transcripts of a sample; they then stand in for errors per word.
    """

    task: ClassVar[Task] = "asr"
    quality: ClassVar[str] = "wer"

    points: tuple[str, ...]
    utterances: tuple[str, ...]
    speakers: tuple[str | None, ...]
    words: FloatArray
    duration_s: FloatArray
    errors: FloatArray
    latency_s: FloatArray
    executed_flops: FloatArray
    published_flops: FloatArray
    peak_memory_bytes: FloatArray
    throughput: FloatArray | None = None
    characters: FloatArray | None = None
    character_errors: FloatArray | None = None
    noise: Mapping[str, Noise] = field(default_factory=dict)
    transcribed: Linearised | None = None

    @property
    def noise_floors(self) -> dict[str, float]:
        """Relative difference below which points are not told apart, by cost of which the noise is known."""
        return {name: known.floor for name, known in self.noise.items()}

    def equal(self, one: int, other: int) -> bool:
        """Whether two points make equally many errors in every utterance."""
        return bool(np.array_equal(self.errors[one], self.errors[other]))

    @property
    def weight(self) -> float:
        """How many decisions a point's quality rests on: the reference words."""
        return float(self.words.sum())


AnySamples = RunSamples | EmotionSamples

_COLUMNS = {
    "errors": "substitutions + insertions + deletions",
    "latency_s": "latency_s",
    "executed_flops": "executed_flops",
    "published_flops": "published_flops",
    "peak_memory_bytes": "peak_memory_bytes",
    "character_errors": "character_substitutions + character_insertions + character_deletions",
}


# An utterance counts where every asked point has a row without error: comparisons are paired.
_SHARED = """
CREATE TEMP TABLE shared AS
SELECT utterance_index FROM measurements WHERE point IN (SELECT name FROM asked)
GROUP BY utterance_index HAVING count(*) = ? AND count(error) = 0
"""


def share_utterances(connection: duckdb.DuckDBPyConnection, n_points: int) -> None:
    """Make the table ``shared`` of utterances measured at all ``n_points`` points named in the table ``asked``."""
    connection.execute(_SHARED, [n_points])


def read_samples(connection: duckdb.DuckDBPyConnection, points: tuple[str, ...]) -> RunSamples:
    """Read the arrays through a connection that holds the view ``measurements`` and the table ``shared``.

    Args:
        connection: As :func:`allophone.frontier.summary.summarise_run` prepares it.
        points: Names of the points, all of them measured on every shared utterance.
    """
    joined = "FROM measurements SEMI JOIN shared USING (utterance_index) WHERE point = ? ORDER BY utterance_index"
    listed = ", ".join(f"({expression})::DOUBLE AS {name}" for name, expression in _COLUMNS.items())
    arrays: dict[str, list[FloatArray]] = {name: [] for name in _COLUMNS}
    for point in points:
        found = connection.execute(f"SELECT {listed} {joined}", [point]).fetchnumpy()
        for name, rows in arrays.items():
            rows.append(np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan))
    characters = "(character_hits + character_substitutions + character_deletions)::DOUBLE"
    common = f"SELECT utterance_id, speaker, hits + substitutions + deletions, duration_s, {characters} {joined}"
    rows_of_one = connection.execute(common, [points[0]]).fetchall()
    return RunSamples(
        points=points,
        utterances=tuple(str(row[0]) for row in rows_of_one),
        speakers=tuple(row[1] for row in rows_of_one),
        words=np.array([row[2] for row in rows_of_one], dtype=np.float64),
        duration_s=np.array([row[3] for row in rows_of_one], dtype=np.float64),
        noise={},
        transcribed=None,
        characters=np.array([row[4] for row in rows_of_one], dtype=np.float64),  # None becomes NaN
        **{name: np.array(rows) for name, rows in arrays.items()},
    )


def resample_objective(samples: AnySamples, name: str, resample: Resample) -> Replicates:
    """Return an objective in every replicate, in base units: fractions, seconds, GFLOPs, bytes.

    Emotion runs go to :func:`allophone.frontier.emotion_samples.resample_emotion`. The peak of memory is a property of
    the process, not of the utterances drawn: it is the same in every replicate. Throughput draws its rounds instead.
    Times and peaks hold the machine's noise too, as far as the samples know it.

    Args:
        samples: The measurements.
        name: One of :data:`allophone.frontier.objectives.OBJECTIVES`.
        resample: From :func:`allophone.measure.blocks.draw_blocks` over the samples' speakers.

    Raises:
        SpaceError: No such objective.
    """
    if isinstance(samples, EmotionSamples):
        return resample_emotion(samples, name, resample)
    if name in ("wer", "cer"):
        return _resample_wer(samples, resample) if name == "wer" else _resample_cer(samples, resample)
    if name in TIMED:
        return resample_time(samples.latency_s, samples.duration_s, name, samples.noise, resample)
    if name in {"executed_gflops", "published_gflops"}:
        flops = samples.executed_flops if name == "executed_gflops" else samples.published_flops
        return resample_mean(flops / 1e9, resample)
    if name == "peak_memory_bytes":
        peaks = np.where(np.isnan(samples.peak_memory_bytes).all(axis=1), np.nan, _peaks(samples.peak_memory_bytes))
        found = Replicates(resample, peaks, np.broadcast_to(peaks, (resample.n_replicates, len(peaks))))
        return with_noise(found, samples.noise.get(name))
    if name == "rtf_throughput":
        return resample_throughput(samples.throughput, resample)
    raise SpaceError(f"objective '{name}' cannot be resampled.")


def _resample_cer(samples: RunSamples, resample: Resample) -> Replicates:
    if samples.characters is None or samples.character_errors is None or np.isnan(samples.character_errors).any():
        raise SpaceError("character errors were not counted of all points here. Sweep again into a new folder.")
    return resample_ratio(samples.character_errors, samples.characters, resample)


def _resample_wer(samples: RunSamples, resample: Resample) -> Replicates:
    if samples.transcribed is not None:
        # No transcript tells of speakers who were not heard: a limit allows for them by the errors of all utterances.
        allowance = resample_ratio(samples.errors, samples.words, resample).allowance
        return replace(resample_linearised(samples.transcribed, resample), allowance=allowance)
    return resample_ratio(samples.errors, samples.words, resample)


def _peaks(values: FloatArray) -> FloatArray:
    peaks: FloatArray = np.nan_to_num(values, nan=-np.inf).max(axis=1)
    return peaks
