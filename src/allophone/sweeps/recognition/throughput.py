"""Throughput: how long the points of a run take for many recordings at once, as ``allophone transcribe`` runs them.

A sweep's latency is one recording after another. Here all recordings of a sample go through
:meth:`allophone.transcription.transcriber.Transcriber.transcribe_many`: several at once, from files to texts. Every
point takes its turn before the next round begins, so that a slow minute of the machine falls on few repeats of any of
them, and the points of a model follow each other, so that one model is in memory at a time. In every turn the shortest
recordings run once unmeasured.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from allophone.corpora.corpus import open_corpus
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import AudioError, LedgerError, UsageError
from allophone.ledger.race_record import read_race
from allophone.ledger.readers import connect
from allophone.ledger.run_record import RecognitionRunRecord, machine_stamp, read_run
from allophone.ledger.throughput_record import (
    THROUGHPUT_FILE,
    ThroughputPass,
    ThroughputRecord,
    read_throughput,
    write_throughput,
    writing,
)
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.recognition.run import Progress
from allophone.transcription.transcriber import Transcriber

__all__ = ["measure_throughput"]


def measure_throughput(
    corpus: str | Path,
    *,
    out: str | Path,
    jobs: int = 0,
    batch_size: int = 0,
    minutes: float = 3.0,
    rounds: int = 3,
    progress: Callable[[Progress], None] | None = None,
) -> ThroughputRecord:
    """Measure the throughput of every point of a run; the same call continues what was stopped.

    Points that a race gave up, or that have no rows yet, are left out. A measurement is written down when it is made.

    Args:
        corpus: The run's corpus.
        out: The run folder.
        jobs: Batches that run at once; 0 as many as the cores take.
        batch_size: Most windows in a batch; 0 takes 1, on a GPU 16.
        minutes: Most audio; a larger corpus is sampled, recordings being drawn by the run's seed.
        rounds: How often each point is measured.
        progress: Called after every pass.

    Returns:
        All that is measured.

    Raises:
        UsageError: A setting below its least value.
        LedgerError: Not a run of speech recognition, another corpus or machine, other settings than it was begun with,
            nothing measured yet, or the folder cannot be written.
        AudioError: A recording that could be read cannot be read now.
    """
    if jobs < 0 or batch_size < 0 or minutes <= 0 or rounds < 1:
        raise UsageError(
            f"throughput with {jobs} jobs, batches of {batch_size}, {minutes:g} minutes, {rounds} rounds: none may be "
            "negative, and there is no measurement without audio and a round."
        )
    folder = Path(out)
    run = read_run(folder, RecognitionRunRecord)
    opened = open_corpus(corpus)
    _check(folder, run, opened.scan().fingerprint)
    points = _points(folder, run)
    with writing(folder):
        record = _begin(folder, run, points, jobs, batch_size, minutes)
        wanted = frozenset(record.utterances)
        chosen = [one for index, one in enumerate(opened) if index in wanted]
        left = [(turn, group) for turn in range(rounds) for group in _turns(run.seed, turn, points, record)]
        total = rounds * len(points)
        done = before = total - sum(len(group) for _, group in left)
        started = time.monotonic()
        for turn, group in left:
            loaded = Transcriber(group[0], language=run.language, threads=run.threads, device=run.device)
            for point in group:
                record = record.add(_pass(loaded.at(point), turn, chosen, record))
                write_throughput(folder, record)
                done += 1
                if progress is not None:
                    pace = (time.monotonic() - started) / (done - before)
                    progress(Progress("throughput", done, total, pace * (total - done)))
            del loaded  # before the next model is loaded
    return record


def _check(folder: Path, run: RecognitionRunRecord, fingerprint: str) -> None:
    if run.fingerprint != fingerprint:
        raise LedgerError(f"{folder}: the corpus is not the one that this run was measured on ({run.corpus}).")
    here = machine_stamp()
    if (here.processor, here.cores) != (run.machine.processor, run.machine.cores):
        raise LedgerError(
            f"{folder}: the run was measured on {run.machine.cores} cores of {run.machine.processor}, here are "
            f"{here.cores} of {here.processor}, so times would not compare. Sweep into another --out."
        )


def _points(folder: Path, run: RecognitionRunRecord) -> list[OperatingPoint]:
    """The points that have rows and were not given up."""
    given_up = {item.point for item in read_race(folder)[1]}
    with connect(folder) as ledger:
        started = {str(row[0]) for row in ledger.execute("SELECT DISTINCT point FROM measurements").fetchall()}
    return [point for point in run.points if point.name in started and point.name not in given_up]


def _begin(
    folder: Path,
    run: RecognitionRunRecord,
    points: Sequence[OperatingPoint],
    jobs: int,
    batch_size: int,
    minutes: float,
) -> ThroughputRecord:
    found = read_throughput(folder)
    if found is None:
        utterances, audio_s = _sample(folder, run, points, minutes)
        return ThroughputRecord(
            jobs=jobs, batch_size=batch_size, minutes=minutes, utterances=utterances, audio_s=audio_s
        )
    for name, now in (("jobs", jobs), ("batch_size", batch_size), ("minutes", minutes)):
        if (before := getattr(found, name)) != now:
            raise LedgerError(
                f"{folder / THROUGHPUT_FILE}: throughput was measured with {name} {before:g}, and now it is {now:g}. "
                "Ask for the same, or delete the file to measure anew."
            )
    return found


def _sample(
    folder: Path, run: RecognitionRunRecord, points: Sequence[OperatingPoint], minutes: float
) -> tuple[tuple[int, ...], float]:
    """Places of readable recordings, drawn until there is enough audio, and their seconds."""
    with connect(folder) as ledger:
        rows = ledger.execute(
            "SELECT utterance_index, max(duration_s) FROM measurements GROUP BY utterance_index "
            "HAVING count(error) = 0 AND max(duration_s) > 0 ORDER BY utterance_index"
        ).fetchall()
    if not rows:
        raise LedgerError(f"{folder}: no recording that can be read is measured yet. Let its sweep go on.")
    random.Random(run.seed).shuffle(rows)
    chosen: list[tuple[int, float]] = []
    for index, seconds in rows:
        if chosen and sum(one[1] for one in chosen) + seconds > 60 * minutes:
            break
        chosen.append((int(index), float(seconds)))
    return tuple(sorted(index for index, _ in chosen)), sum(seconds for _, seconds in chosen)


def _turns(
    seed: int, turn: int, points: Sequence[OperatingPoint], record: ThroughputRecord
) -> list[list[OperatingPoint]]:
    """What a round has still to measure, models and their points in an order drawn anew in each round."""
    order = random.Random(f"{seed} {turn}")
    left = [point for point in points if (turn, point.name) not in record.done]
    order.shuffle(left)
    key = {point.name: (point.model, point.compute_type) for point in left}
    models = list(dict.fromkeys(key.values()))
    left.sort(key=lambda point: models.index(key[point.name]))  # stable: points stay shuffled
    return [list(group) for _, group in groupby(left, key=lambda point: key[point.name])]


def _pass(transcriber: Transcriber, turn: int, chosen: Sequence[Utterance], record: ThroughputRecord) -> ThroughputPass:
    workers, windows = transcriber.at_once(record.jobs, record.batch_size)
    smallest = sorted(chosen, key=_size)[:workers]
    _run(transcriber, smallest, workers, windows)  # first passes pay for lazy set-up
    started = time.perf_counter()
    _run(transcriber, chosen, workers, windows)
    wall_s = time.perf_counter() - started
    return ThroughputPass(point=transcriber.point.name, round=turn, workers=workers, batch_size=windows, wall_s=wall_s)


def _size(utterance: Utterance) -> float:
    """Bytes of a recording; of a part of one about as many as 16 bits at 16 kHz take."""
    if utterance.offset_s is not None and utterance.duration_s is not None:
        return 2 * SAMPLE_RATE * utterance.duration_s
    return utterance.audio_filepath.stat().st_size


def _run(transcriber: Transcriber, chosen: Sequence[Utterance], jobs: int, batch_size: int) -> None:
    for found in transcriber.transcribe_many(chosen, jobs=jobs, batch_size=batch_size):
        if isinstance(found, AudioError):
            raise found
