"""Runs of speech recognition: their samples, the row of a point, and what a reader of the run must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import SpaceError
from allophone.frontier.groups import Groups, resample_worst
from allophone.frontier.noise_floor import with_noise
from allophone.frontier.run_state import RunState, progress_notices
from allophone.frontier.samples import Samples
from allophone.frontier.shares import have_errors, have_more_errors, reference_index
from allophone.frontier.summary import PointSummary, RunSummary
from allophone.frontier.throughput import read_rounds, resample_throughput, throughput_notice
from allophone.ledger.race_record import race_ended
from allophone.ledger.run_record import RecognitionRunRecord, RunRecord
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates, resample_mean, resample_ratio
from allophone.measure.linearised import Linearised, resample_linearised
from allophone.measure.wer import word_error_rate
from allophone.records.names import title_of
from allophone.records.point import OperatingPoint, Task

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "RecognitionPointSummary",
    "RecognitionReader",
    "RecognitionRunSummary",
    "RecognitionSamples",
    "add_shares",
    "read_recognition_samples",
    "relative_notice",
]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecognitionSamples(Samples):
    """Word errors and costs per point and utterance.

    Fields as of :class:`allophone.frontier.samples.Samples`, and these.

    Args:
        words: Reference words, shape (n_utterances,): they do not depend on the point.
        errors: Word errors, shape (n_points, n_utterances), as the two arrays below.
        published_flops: FLOPs as the published formula bills them.
        peak_memory_bytes: Peak resident bytes; NaN where not measured.
        throughput: From :func:`allophone.frontier.throughput.read_rounds`, shape (n_points, n_rounds), or None.
        characters: Characters of the references, shape (n_utterances,); NaN in runs of before they were counted.
        character_errors: Character errors, shape (n_points, n_utterances); NaN likewise.
        transcribed: Word error rates against human transcripts of a sample; they then stand in for errors per word.
        snr_db: Estimated signal-to-noise ratio, shape (n_utterances,); NaN where there is none.
        reference: Index of the point that others are worse than, or not, utterance by utterance.
        groups: Of utterances, whose worst counts, or None where none were asked for.
    """

    task: ClassVar[Task] = "asr"
    quality: ClassVar[str] = "wer"

    words: FloatArray
    errors: FloatArray
    published_flops: FloatArray
    peak_memory_bytes: FloatArray
    throughput: FloatArray | None = None
    characters: FloatArray | None = None
    character_errors: FloatArray | None = None
    transcribed: Linearised | None = None
    snr_db: FloatArray | None = None
    reference: int = 0
    groups: Groups | None = None

    def equal(self, one: int, other: int) -> bool:
        """Whether two points make equally many errors in every utterance."""
        return bool(np.array_equal(self.errors[one], self.errors[other]))

    @property
    def speed(self) -> str:
        """The objective that a price rests on: throughput where it was measured, else the real-time factor."""
        return "rtf" if self.throughput is None else "rtf_throughput"

    @property
    def weight(self) -> float:
        """How many decisions a point's quality rests on: the reference words."""
        return float(self.words.sum())

    def _resample_own(self, name: str, draws: Resample) -> Replicates | None:
        if name in ("wer", "cer"):
            return self._resample_wer(draws) if name == "wer" else self._resample_cer(draws)
        if name == "published_gflops":
            return resample_mean(self.published_flops / 1e9, draws)
        if name == "peak_memory_bytes":
            peaks = np.where(np.isnan(self.peak_memory_bytes).all(axis=1), np.nan, _peaks(self.peak_memory_bytes))
            found = Replicates(draws, peaks, np.broadcast_to(peaks, (draws.n_replicates, len(peaks))))
            return with_noise(found, self.noise.get(name))
        if name in ("error_share", "p_worse"):
            return self._resample_share(name, draws)
        if name == "worst_group_wer":
            return self._resample_worst(draws)
        return resample_throughput(self.throughput, draws) if name == "rtf_throughput" else None

    def _resample_worst(self, draws: Resample) -> Replicates:
        if self.groups is None:
            raise SpaceError("which group is the worst is unknown. Give --worst-group speaker, snr or duration.")
        return resample_worst(self.errors, self.words, self.groups, draws)

    def _resample_share(self, name: str, draws: Resample) -> Replicates:
        if self.transcribed is not None:
            raise SpaceError(f"{name} takes a reference for every utterance. Leave --labels out, or limit wer.")
        if name == "error_share":
            return resample_ratio(have_errors(self.errors), np.ones(len(self.utterances)), draws)
        worse = have_more_errors(self.errors, self.reference)
        return resample_ratio(worse, np.ones(len(self.utterances)), draws)

    def _resample_wer(self, draws: Resample) -> Replicates:
        if self.transcribed is not None:
            # No transcript tells of speakers who were not heard: a limit allows for them by the errors of all
            # utterances.
            allowance = resample_ratio(self.errors, self.words, draws).allowance
            return replace(resample_linearised(self.transcribed, draws), allowance=allowance)
        return resample_ratio(self.errors, self.words, draws)

    def _resample_cer(self, draws: Resample) -> Replicates:
        if self.characters is None or self.character_errors is None or np.isnan(self.character_errors).any():
            raise SpaceError("character errors were not counted of all points here. Sweep again into a new folder.")
        return resample_ratio(self.character_errors, self.characters, draws)

    def sums(self, name: str) -> tuple[FloatArray, FloatArray] | None:
        """Return what an objective is the ratio of, as :meth:`allophone.frontier.samples.Samples.sums`."""
        if name == "wer":
            return self.errors, self.words
        if name == "cer" and self.character_errors is not None and self.characters is not None:
            return self.character_errors, self.characters
        if name == "published_gflops":
            return self.published_flops / 1e9, np.ones(len(self.utterances))
        if name == "error_share":
            return have_errors(self.errors), np.ones(len(self.utterances))
        return Samples.sums(self, name)

    def linearised_difference(self, name: str, chosen: int) -> Linearised | None:
        """Return the word error rate of every point minus a chosen one's, where transcripts of a sample tell it."""
        return None if name != "wer" or self.transcribed is None else self.transcribed.difference(chosen)


def _peaks(values: FloatArray) -> FloatArray:
    peaks: FloatArray = np.nan_to_num(values, nan=-np.inf).max(axis=1)
    return peaks


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionPointSummary(PointSummary):
    """What one operating point did over the shared utterances: counts first, then rates.

    Rates are fractions, times seconds. ``wer`` is the error sum over the reference words, ``rtf`` the latency sum over
    the audio sum, ``executed_gflops`` and ``published_gflops`` are means over utterances. ``roofline_share`` is the
    least time that the machine's rates allow over the time it took (1 is the peak; NaN where the rates are unknown).
    ``peak_memory_bytes`` is the largest resident size of the process, model included (NaN where the system tells none).
    ``cer`` is the character error rate (NaN in runs of before characters were counted).
    ``rtf_throughput`` is wall seconds over seconds of audio with many recordings at once (NaN where not measured).
    ``error_share`` is the share of utterances with an error, ``p_worse`` of those with more errors than at the point
    with the most FLOPs, ``worst_group_wer`` the WER of the worst group (NaN until groups are asked for).
    """

    task: ClassVar[Task] = "asr"

    point: OperatingPoint
    hits: int
    substitutions: int
    insertions: int
    deletions: int
    text_tokens: int
    truncated_windows: int
    wer: float
    encode_s: float
    decode_s: float
    published_gflops: float
    roofline_share: float
    peak_memory_bytes: float
    rtf_throughput: float = nan
    cer: float = nan
    error_share: float = nan
    p_worse: float = nan
    worst_group_wer: float = nan

    @property
    def rtfx_throughput(self) -> float:
        """Seconds of audio over wall seconds with many recordings at once."""
        return 1 / self.rtf_throughput

    @property
    def derived(self) -> dict[str, float]:
        """Figures that follow from the fields, by their names in JSON."""
        return {"rtfx_throughput": self.rtfx_throughput}


@dataclass(frozen=True, slots=True, repr=False)
class RecognitionRunSummary(RunSummary):
    """A run of speech recognition, summarised.

    Fields as of :class:`allophone.frontier.summary.RunSummary`, and one more.

    Args:
        transcripts_sha256: Digest of the file of human transcripts that error rates are estimated from, or None.
    """

    task: ClassVar[Task] = "asr"
    record: ClassVar[type[RunRecord]] = RecognitionRunRecord

    run: RecognitionRunRecord
    points: tuple[RecognitionPointSummary, ...]
    samples: RecognitionSamples
    transcripts_sha256: str | None = None


_COLUMNS = {
    "errors": "substitutions + insertions + deletions",
    "latency_s": "latency_s",
    "executed_flops": "executed_flops",
    "published_flops": "published_flops",
    "peak_memory_bytes": "peak_memory_bytes",
    "character_errors": "character_substitutions + character_insertions + character_deletions",
}
_SUMMARY = """
SELECT point, count(*), sum(duration_s), sum(hits), sum(substitutions), sum(insertions), sum(deletions),
       sum(text_tokens), sum(truncated_windows), sum(latency_s), quantile_disc(latency_s, 0.5),
       quantile_disc(latency_s, 0.95), sum(encode_s), sum(decode_s), avg(executed_flops), avg(published_flops),
       sum(roofline_s), max(peak_memory_bytes),
       CASE WHEN count(character_hits) = count(*) THEN
            [sum(character_hits), sum(character_substitutions), sum(character_insertions), sum(character_deletions)] END
FROM measurements SEMI JOIN shared USING (utterance_index) WHERE point IN (SELECT name FROM asked) GROUP BY point
"""


def read_recognition_samples(connection: duckdb.DuckDBPyConnection, points: tuple[str, ...]) -> RecognitionSamples:
    """Read the arrays through a connection that holds the view ``measurements`` and the table ``shared``.

    Args:
        connection: As :func:`allophone.frontier.run_state.share_rows` leaves it.
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
    common = (
        f"SELECT utterance_id, speaker, hits + substitutions + deletions, duration_s, {characters}, snr_db {joined}"
    )
    rows_of_one = connection.execute(common, [points[0]]).fetchall()
    return RecognitionSamples(
        points=points,
        utterances=tuple(str(row[0]) for row in rows_of_one),
        speakers=tuple(row[1] for row in rows_of_one),
        words=np.array([row[2] for row in rows_of_one], dtype=np.float64),
        duration_s=np.array([row[3] for row in rows_of_one], dtype=np.float64),
        characters=np.array([row[4] for row in rows_of_one], dtype=np.float64),  # None becomes NaN
        snr_db=np.array([row[5] for row in rows_of_one], dtype=np.float64),
        reference=reference_index(np.array(arrays["executed_flops"])),
        **{name: np.array(rows) for name, rows in arrays.items()},  # type: ignore[arg-type]
    )


def add_shares(
    points: Sequence[RecognitionPointSummary], samples: RecognitionSamples
) -> tuple[RecognitionPointSummary, ...]:
    """Return points with what their samples say beyond sums: shares of utterances, and the 99th percentile of latency.

    Args:
        points: In the samples' order.
        samples: The measurements.
    """
    wrong = have_errors(samples.errors).mean(axis=1).tolist()
    worse = have_more_errors(samples.errors, samples.reference).mean(axis=1).tolist()
    p99 = np.quantile(samples.latency_s, 0.99, axis=1, method="inverted_cdf").tolist()
    return tuple(
        replace(point, error_share=wrong[k], p_worse=worse[k], latency_p99_s=p99[k]) for k, point in enumerate(points)
    )


@dataclass(frozen=True, slots=True)
class RecognitionReader:
    """What summarising a run of speech recognition adds to :func:`allophone.frontier.summarise.summarise_run`.

    Args:
        folder: The run folder.
        run: Its record.
    """

    folder: Path
    run: RecognitionRunRecord

    @property
    def counted(self) -> None:
        """The only points that count: all that have rows."""

    def read_samples(self, connection: duckdb.DuckDBPyConnection, names: tuple[str, ...]) -> RecognitionSamples:
        """Read the samples of the points named, their throughput included."""
        return replace(read_recognition_samples(connection, names), throughput=read_rounds(self.folder, names))

    def summarise_points(
        self, connection: duckdb.DuckDBPyConnection, settings: Sequence[OperatingPoint], samples: RecognitionSamples
    ) -> tuple[RecognitionPointSummary, ...]:
        """Return a row per point, in the samples' order."""
        rows = {str(row[0]): row for row in connection.execute(_SUMMARY).fetchall()}
        points = add_shares([_summarise_point(point, rows[point.name]) for point in settings], samples)
        if samples.throughput is None:
            return points
        medians = np.median(samples.throughput, axis=1).tolist()
        return tuple(replace(point, rtf_throughput=rtf) for point, rtf in zip(points, medians, strict=True))

    def list_notices(self, connection: duckdb.DuckDBPyConnection, state: RunState) -> list[str]:
        """Say what error rates are counted against, how far the run is, and on what its throughput was measured."""
        del connection
        throughput = throughput_notice(self.folder)
        return [*_notices(self.run, state, ended=race_ended(self.folder)), *([throughput] if throughput else [])]


def relative_notice(relative_to: str) -> str:
    """Return what a reader of error rates without references must know."""
    return f"Errors are counted relative to {title_of(relative_to)}, not against references: they are not WER."


def _summarise_point(point: OperatingPoint, row: tuple[Any, ...]) -> RecognitionPointSummary:
    _, n, audio_s, hits, subs, ins, dels, tokens, truncated, latency, p50, p95, encode, decode, *costs = row
    flops, published, roofline, memory, characters = costs
    return RecognitionPointSummary(
        point=point,
        n_utterances=int(n),
        audio_s=audio_s,
        hits=int(hits),
        substitutions=int(subs),
        insertions=int(ins),
        deletions=int(dels),
        text_tokens=int(tokens),
        truncated_windows=int(truncated),
        wer=word_error_rate(int(hits), int(subs), int(ins), int(dels)),
        rtf=latency / audio_s if audio_s else float("nan"),
        latency_mean_s=latency / n,
        latency_p50_s=p50,
        latency_p95_s=p95,
        encode_s=encode,
        decode_s=decode,
        executed_gflops=flops / 1e9,
        published_gflops=published / 1e9,
        roofline_share=float("nan") if roofline is None else roofline / latency,
        peak_memory_bytes=float("nan") if memory is None else float(memory),
        cer=nan if characters is None else word_error_rate(*map(int, characters)),
    )


def _notices(run: RecognitionRunRecord, state: RunState, *, ended: bool) -> list[str]:
    notices = []
    if run.relative_to is not None:
        notices.append(relative_notice(run.relative_to))
    if run.speakers is not None:
        notices.append(
            f"Speakers whom the corpus does not name were inferred from voices by {run.speakers}: intervals are as "
            f"good as that guess ({run.n_speakers} speakers)."
        )
    if run.plan == "joint":  # what it leaves out was not asked for
        of_space = f"{len(state.rows) + state.n_given_up} of the space's {state.n_points + state.n_given_up} points"
        notices.append(f"A joint search: {of_space} are measured.")
        state = replace(state, n_points=len(state.rows))
    if not ended:
        return notices + progress_notices(state, run.n_rows, run.n_utterances, done_with="read")
    if state.n_failed:
        notices.append(f"{state.n_failed} recordings could not be read and are left out.")
    notices.append(
        f"The race ended when its time was spent: survivors have {state.n_shared} of {run.n_utterances} utterances."
    )
    return notices
