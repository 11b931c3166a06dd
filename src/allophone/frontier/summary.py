"""One row per operating point: rates over sums of the ledger's counts, on the utterances that all points share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from allophone.errors import LedgerError
from allophone.frontier.noise_floor import read_noise
from allophone.frontier.objectives import Task
from allophone.frontier.run_state import busy_notice, materialise_numbers, progress_notices, select_points
from allophone.frontier.samples import RunSamples, read_samples, share_utterances
from allophone.frontier.throughput import read_rounds, throughput_notice
from allophone.ledger.race_record import Elimination, race_ended, read_race
from allophone.ledger.readers import connect, failed_utterances
from allophone.ledger.run_record import RunRecord, read_run
from allophone.measure.wer import word_error_rate
from allophone.records.names import title_of
from allophone.records.point import OperatingPoint

if TYPE_CHECKING:
    import duckdb

__all__ = ["PointSummary", "RunSummary", "relative_notice", "summarise_run"]


@dataclass(frozen=True, slots=True)
class PointSummary:
    """What one operating point did over the shared utterances: counts first, then rates.

    Rates are fractions, times seconds. ``wer`` is the error sum over the reference words, ``rtf`` the latency sum over
    the audio sum, ``executed_gflops`` and ``published_gflops`` are means over utterances. ``roofline_share`` is the
    least time that the machine's rates allow over the time it took (1 is the peak; NaN where the rates are unknown).
    ``peak_memory_bytes`` is the largest resident size of the process, model included (NaN where the system tells none).
    ``cer`` is the character error rate (NaN in runs of before characters were counted).
    ``rtf_throughput`` is wall seconds over seconds of audio with many recordings at once (NaN where not measured).
    """

    task: ClassVar[Task] = "asr"

    point: OperatingPoint
    n_utterances: int
    audio_s: float
    hits: int
    substitutions: int
    insertions: int
    deletions: int
    text_tokens: int
    truncated_windows: int
    wer: float
    rtf: float
    latency_mean_s: float
    latency_p50_s: float
    latency_p95_s: float
    encode_s: float
    decode_s: float
    executed_gflops: float
    published_gflops: float
    roofline_share: float
    peak_memory_bytes: float
    label: str | None = None
    rtf_throughput: float = nan
    cer: float = nan

    @property
    def rtfx_throughput(self) -> float:
        """Seconds of audio over wall seconds with many recordings at once."""
        return 1 / self.rtf_throughput

    @property
    def name(self) -> str:
        """Id of the point, or the label of what is no single point, such as a policy."""
        return self.label or self.point.name

    @property
    def title(self) -> str:
        """Name of the point for people, or the label."""
        return self.label or self.point.title


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run, summarised.

    Args:
        run: What was asked.
        points: Points with measurements, in the plan's order.
        failures: Utterance id and reason of every recording that could not be measured.
        notices: What a reader must know: rows missing, utterances left out.
        samples: The same measurements utterance by utterance, points in the same order.
        eliminated: Points that a race gave up; they are not among ``points``.
        transcripts_sha256: Digest of the file of human transcripts that error rates are estimated from, or None.
    """

    task: ClassVar[Task] = "asr"

    run: RunRecord
    points: tuple[PointSummary, ...]
    failures: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]
    samples: RunSamples
    eliminated: tuple[Elimination, ...] = ()
    transcripts_sha256: str | None = None


_SUMMARY = """
SELECT point, count(*), sum(duration_s), sum(hits), sum(substitutions), sum(insertions), sum(deletions),
       sum(text_tokens), sum(truncated_windows), sum(latency_s), quantile_disc(latency_s, 0.5),
       quantile_disc(latency_s, 0.95), sum(encode_s), sum(decode_s), avg(executed_flops), avg(published_flops),
       sum(roofline_s), max(peak_memory_bytes),
       CASE WHEN count(character_hits) = count(*) THEN
            [sum(character_hits), sum(character_substitutions), sum(character_insertions), sum(character_deletions)] END
FROM measurements SEMI JOIN shared USING (utterance_index) WHERE point IN (SELECT name FROM asked) GROUP BY point
"""


def summarise_run(folder: Path) -> RunSummary:
    """Summarise a run, finished or in progress.

    Raises:
        LedgerError: The folder is not a run, nothing is measured, or the points share no utterance.
    """
    run = read_run(folder)
    eliminated = read_race(folder)[1]
    given_up = {item.point for item in eliminated}
    by_name = {point.name: point for point in run.points if point.name not in given_up}
    reading = connect(folder)
    with reading as connection:
        materialise_numbers(connection)
        started = select_points(connection, folder, list(by_name))
        share_utterances(connection, len(started))
        rows = {str(row[0]): row for row in connection.execute(_SUMMARY).fetchall()}
        names = tuple(name for name in by_name if name in rows)
        if not names:
            raise LedgerError(f"{folder}: no utterance is measured at every point yet. Let its sweep go on.")
        samples = replace(read_samples(connection, names), noise=read_noise(connection, folder))
        busy = busy_notice(connection)
        failures = failed_utterances(folder)
        notices = _notices(
            connection, run, len(by_name), started, len(failures), gone=len(given_up), ended=race_ended(folder)
        )
    notices = (*reading.notices, *notices)
    points = tuple(_point(by_name[name], rows[name]) for name in names)
    if (rounds := read_rounds(folder, names)) is not None:
        samples = replace(samples, throughput=rounds)
        medians = np.median(rounds, axis=1).tolist()
        points = tuple(replace(point, rtf_throughput=rtf) for point, rtf in zip(points, medians, strict=True))
    notices = (*notices, *(notice for notice in (throughput_notice(folder), busy) if notice is not None))
    return RunSummary(run, points, failures, notices, samples, tuple(eliminated))


def relative_notice(relative_to: str) -> str:
    """Return what a reader of error rates without references must know."""
    return f"Errors are counted relative to {title_of(relative_to)}, not against references: they are not WER."


def _point(point: OperatingPoint, row: tuple[Any, ...]) -> PointSummary:
    _, n, audio_s, hits, subs, ins, dels, tokens, truncated, latency, p50, p95, encode, decode, *costs = row
    flops, published, roofline, memory, characters = costs
    return PointSummary(
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


def _notices(
    connection: duckdb.DuckDBPyConnection,
    run: RunRecord,
    n_points: int,
    started: dict[str, int],
    failed: int,
    *,
    gone: int,
    ended: bool,
) -> tuple[str, ...]:
    notices = []
    if run.relative_to is not None:
        notices.append(relative_notice(run.relative_to))
    if run.speakers is not None:
        notices.append(
            f"Speakers whom the corpus does not name were inferred from voices by {run.speakers}: intervals are as "
            f"good as that guess ({run.n_speakers} speakers)."
        )
    if run.plan == "joint":  # what it leaves out was not asked for
        notices.append(f"A joint search: {len(started) + gone} of the space's {n_points + gone} points are measured.")
        n_points = len(started)
    shared = connection.execute("SELECT count(*) FROM shared").fetchall()[0][0]
    if ended:
        if failed:
            notices.append(f"{failed} recordings could not be read and are left out.")
        notices.append(
            f"The race ended when its time was spent: survivors have {shared} of {run.n_utterances} utterances."
        )
        return tuple(notices)
    notices += progress_notices(
        rows=(sum(started.values()), n_points * run.n_utterances),
        points=(len(started), n_points),
        shared=(shared, run.n_utterances),
        failed=failed,
        done_with="read",
    )
    return tuple(notices)
