"""Policies as operating points of a run, beside the static points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import UsageError
from allophone.frontier.recognition import RecognitionPointSummary, RecognitionRunSummary, add_shares
from allophone.ledger.readers import connect
from allophone.measure.wer import word_error_rate
from allophone.routing.calibration import policy_samples
from allophone.routing.replay import Outcome, replay

if TYPE_CHECKING:
    from allophone.records.point import OperatingPoint
    from allophone.routing.samples import RecognitionRouteSamples

__all__ = ["add_policies"]

_COUNTS = (
    *("hits", "substitutions", "insertions", "deletions", "text_tokens", "truncated_windows"),
    *("encode_s", "decode_s", "published_flops"),
)


def add_policies(summary: RecognitionRunSummary, run: Path, folders: Sequence[Path]) -> RecognitionRunSummary:
    """Return a summarised run with policies among its points, replayed at their thresholds.

    A policy's name is its folder's. Times and FLOPs are of all that ran; so are encoder and decoder seconds and the
    FLOPs of the published convention. Its peak memory is the sum of its models', an upper bound; the roofline share is
    unknown.

    Args:
        summary: The run, summarised.
        run: Its folder.
        folders: The policies' folders.

    Raises:
        UsageError: The run lacks a point of a policy, holds speakers that trained it, or two names are equal.
    """
    names = [point.name for point in summary.points]
    for folder in folders:
        name = folder.resolve().name
        if name in names:
            raise UsageError(f"{folder}: the run has a point or a policy called '{name}' already. Rename the folder.")
        names.append(name)
        summary = _add(summary, run, folder, name)
    return summary


def _add(summary: RecognitionRunSummary, run: Path, folder: Path, name: str) -> RecognitionRunSummary:
    router, measured, left_out = policy_samples(folder, [run])
    if left_out:
        raise UsageError(
            f"{folder}: {left_out} utterances of {run} are of speakers that trained this policy, so it cannot be "
            "compared there. Sweep a corpus of other speakers."
        )
    indices = {utterance: index for index, utterance in enumerate(measured.utterances)}
    order = np.array([indices[utterance] for utterance in summary.samples.utterances], np.intp)
    samples = measured.take(order)
    outcome = replay(samples, router.on(order), router.policy.threshold)
    counts, peaks = _counts(run, samples)
    ran = _ran(outcome, samples, cascade=router.order == "cascade")
    columns = np.arange(len(samples))
    kept = counts[outcome.kept, :, columns].T  # (counts, utterances)
    paid = np.einsum("pcu,pu->cu", np.nan_to_num(counts), ran)
    peak = np.full(len(samples), peaks.sum())
    point = _summary(samples, outcome, kept, paid, float(peak[0]), name)
    old = summary.samples
    joined = replace(
        old,
        points=(*old.points, name),
        errors=np.vstack([old.errors, outcome.errors]),
        latency_s=np.vstack([old.latency_s, outcome.seconds]),
        executed_flops=np.vstack([old.executed_flops, outcome.flops]),
        published_flops=np.vstack([old.published_flops, paid[8]]),
        peak_memory_bytes=np.vstack([old.peak_memory_bytes, peak]),
        characters=None,  # a policy's characters are not replayed
        character_errors=None,
        throughput=None if old.throughput is None else np.pad(old.throughput, ((0, 1), (0, 0)), constant_values=np.nan),
    )
    return replace(summary, points=add_shares((*summary.points, point), joined), samples=joined)


def _ran(outcome: Outcome, samples: RecognitionRouteSamples, *, cascade: bool) -> FloatArray:
    """Return which points ran to their end, shape (n_points, n_utterances)."""
    indices = np.arange(len(samples.points))[:, None]
    ran = indices <= outcome.reached if cascade else indices == outcome.reached
    return ran.astype(np.float64)


def _counts(run: Path, samples: RecognitionRouteSamples) -> tuple[FloatArray, FloatArray]:
    """Read the counts of every candidate, shape (n_points, n_counts, n_utterances), and its peak of memory.

    A peak is watched on some recordings only, so it is that of the whole run.
    """
    with connect(run) as connection:
        connection.execute("CREATE TEMP TABLE wanted AS SELECT unnest(?) AS id", [list(samples.utterances)])
        tables = [_table(connection, point) for point in samples.points]
        largest = "SELECT max(peak_memory_bytes) FROM measurements WHERE point = ?"
        peaks = [connection.execute(largest, [point.name]).fetchall()[0][0] for point in samples.points]
    counts = np.stack([np.array([table[name] for name in samples.utterances]).T for table in tables])
    return counts, np.array(peaks, dtype=np.float64)


def _table(connection: object, point: OperatingPoint) -> dict[str, list[float]]:
    query = f"SELECT utterance_id, {', '.join(_COUNTS)} FROM measurements WHERE point = ?"
    rows = connection.execute(query, [point.name]).fetchall()  # type: ignore[attr-defined]
    return {str(row[0]): [np.nan if value is None else float(value) for value in row[1:]] for row in rows}


def _summary(
    samples: RecognitionRouteSamples, outcome: Outcome, kept: FloatArray, paid: FloatArray, peak: float, name: str
) -> RecognitionPointSummary:
    hits, substitutions, insertions, deletions = (round(value) for value in kept[:4].sum(axis=1).tolist())
    audio_s, seconds = float(samples.duration_s.sum()), outcome.seconds
    p50, p95 = np.quantile(seconds, (0.5, 0.95), method="inverted_cdf").tolist()
    return RecognitionPointSummary(
        point=samples.points[0],
        n_utterances=len(samples),
        audio_s=audio_s,
        hits=hits,
        substitutions=substitutions,
        insertions=insertions,
        deletions=deletions,
        text_tokens=round(kept[4].sum()),
        truncated_windows=round(kept[5].sum()),
        wer=word_error_rate(hits, substitutions, insertions, deletions),
        rtf=float(seconds.sum()) / audio_s if audio_s else float("nan"),
        latency_mean_s=float(seconds.mean()),
        latency_p50_s=p50,
        latency_p95_s=p95,
        encode_s=float(paid[6].sum()),
        decode_s=float(paid[7].sum()),
        executed_gflops=float(outcome.flops.mean()) / 1e9,
        published_gflops=float(paid[8].mean()) / 1e9,
        roofline_share=float("nan"),
        peak_memory_bytes=peak,
        label=name,
    )
