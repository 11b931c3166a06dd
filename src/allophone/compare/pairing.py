"""Two runs paired: the same points by name, or two named ones, on the utterances that both runs have.

An utterance is the same in both where its id, its reference and its length are. What was measured before and after then
stands in one table of samples, so that every statistic of one run serves: the points before come first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.errors import UsageError
from allophone.export.card import Card
from allophone.frontier.emotion import EmotionSamples
from allophone.frontier.noise_floor import Noise
from allophone.frontier.recognition import RecognitionSamples
from allophone.frontier.run_state import is_busy
from allophone.frontier.samples import Samples
from allophone.frontier.summarise import summarise_run
from allophone.frontier.summary import RunSummary
from allophone.ledger.race_record import race_ended
from allophone.ledger.readers import connect
from allophone.ledger.run_record import RunRecord
from allophone.records.names import find_named
from allophone.records.point import Task

__all__ = ["PairedPoint", "RunPair", "other_machine", "pair_runs", "pair_samples"]

_SAME_LENGTH_S = 0.02  # durations are rounded in some manifests


@dataclass(frozen=True, slots=True)
class PairedPoint:
    """One operating point before and after: most often the same.

    Args:
        before: Its id in the run before.
        after: Its id in the run after.
        title: For people.
    """

    before: str
    after: str
    title: str


@dataclass(frozen=True, slots=True, eq=False)
class RunPair:
    """Two runs, ready to compare.

    Args:
        before: The run before, summarised.
        after: The run after.
        points: What is compared.
        samples: Measurements of both on their shared utterances: first all points before, then all after.
        other_machine: Why times must not be compared, in words; None where they may.
        in_progress: Folders of runs that are still being measured.
        notices: What a reader must know.
    """

    before: RunSummary
    after: RunSummary
    points: tuple[PairedPoint, ...]
    samples: Samples
    other_machine: str | None
    in_progress: tuple[str, ...]
    notices: tuple[str, ...]

    @property
    def busy(self) -> bool:
        """Whether other work ran on the machine while one of the runs was measured, so that its times are too long."""
        return any(is_busy(notice) for summary in (self.before, self.after) for notice in summary.notices)


def pair_runs(before: Path, after: Path, points: Sequence[str] = ()) -> RunPair:
    """Read two runs and pair them.

    Args:
        before: A run folder.
        after: Another, or with two points the same.
        points: Nothing compares all points that both have by id; one name compares that point, two names the first in
            the run before with the second in the run after.

    Raises:
        LedgerError: A folder is no run, or nothing is measured.
        UsageError: The runs differ in task, normaliser or reference, or share neither points nor utterances.
    """
    summaries = (summarise_run(before), summarise_run(after))
    _refuse_different(summaries[0].run, summaries[1].run, before, after)
    paired = _pair_points(summaries, (before, after), points)
    columns, changed = _shared_columns(
        summaries[0].samples,
        summaries[1].samples,
        _references(before, summaries[0].run),
        _references(after, summaries[1].run),
    )
    if not columns[0].size:
        raise UsageError(
            f"{before} and {after} share no utterance with the same id, reference and length, so they cannot be "
            "compared. Measure both on the same corpus."
        )
    samples = pair_samples(
        summaries[0].samples,
        summaries[1].samples,
        ([point.before for point in paired], [point.after for point in paired]),
        columns,
    )
    folders = (before,) if before == after else (before, after)
    compared = {before: {point.before for point in paired}, after: {point.after for point in paired}}
    in_progress = tuple(
        str(folder)
        for folder, summary in zip(folders, summaries, strict=False)
        if _in_progress(folder, summary.run, compared[folder])
    )
    return RunPair(
        before=summaries[0],
        after=summaries[1],
        points=paired,
        samples=samples,
        other_machine=other_machine(summaries[0].run, summaries[1].run),
        in_progress=in_progress,
        notices=tuple(_notices(summaries, len(columns[0]), changed, in_progress)),
    )


def pair_samples(
    before: Samples,
    after: Samples,
    points: tuple[Sequence[str], Sequence[str]],
    columns: tuple[IntArray, IntArray],
) -> Samples:
    """Return the measurements of both in one table: first the points before, then those after.

    Args:
        before: Of the run before.
        after: Of the run after, of the same task.
        points: Ids of the points before and after, equally many.
        columns: Where the shared utterances stand in either, shape (n_shared,) each.
    """
    rows = (
        np.array([before.points.index(name) for name in points[0]], dtype=np.intp),
        np.array([after.points.index(name) for name in points[1]], dtype=np.intp),
    )
    first, second = columns
    changes: dict[str, Any] = {
        "points": (*(f"before: {name}" for name in points[0]), *(f"after: {name}" for name in points[1])),
        "utterances": tuple(before.utterances[column] for column in first),
        "speakers": tuple(before.speakers[column] for column in first),
        "noise": _joint_noise(before.noise, after.noise),
    }
    changes |= _JOIN_OWN[before.task](before, after, rows)
    for field in fields(before):
        ours, theirs = getattr(before, field.name), getattr(after, field.name)
        if field.name in changes or not isinstance(ours, np.ndarray) or not isinstance(theirs, np.ndarray):
            continue
        if ours.ndim == 1:  # one per utterance: the same in both
            changes[field.name] = ours[first]
        else:
            changes[field.name] = np.concatenate([ours[np.ix_(rows[0], first)], theirs[np.ix_(rows[1], second)]])
    return replace(before, **changes)


def _join_recognition(
    before: RecognitionSamples, after: RecognitionSamples, rows: tuple[IntArray, IntArray]
) -> dict[str, Any]:
    return {"throughput": _joint_rounds(before.throughput, after.throughput, rows)}


def _join_emotion(before: EmotionSamples, after: EmotionSamples, rows: tuple[IntArray, IntArray]) -> dict[str, Any]:
    return {
        "confusion": np.concatenate([before.confusion[rows[0]], after.confusion[rows[1]]]),
        "training": (*(before.training[row] for row in rows[0]), *(after.training[row] for row in rows[1])),
    }


# What is no array per point and utterance, by task.
_JOIN_OWN: dict[Task, Callable[[Any, Any, tuple[IntArray, IntArray]], dict[str, Any]]] = {
    "asr": _join_recognition,
    "emotion": _join_emotion,
}


def _joint_noise(before: Mapping[str, Noise], after: Mapping[str, Noise]) -> dict[str, Noise]:
    """The greater noise of the two, by cost; unknown where one of them does not know it."""
    return {
        name: max(found, after[name], key=lambda noise: noise.deviation)
        for name, found in before.items()
        if name in after
    }


def _joint_rounds(
    before: FloatArray | None, after: FloatArray | None, rows: tuple[IntArray, IntArray]
) -> FloatArray | None:
    if before is None or after is None:
        return None
    n_rounds = min(before.shape[1], after.shape[1])
    return np.concatenate([before[rows[0], :n_rounds], after[rows[1], :n_rounds]])


def _refuse_different(one: RunRecord, other: RunRecord, before: Path, after: Path) -> None:
    if one.task != other.task:
        raise UsageError(
            f"{before} and {after}: field 'task': {one.task} and {other.task} cannot be compared. Name two runs of one "
            "task."
        )
    for name, (problem, remedy) in _MUST_AGREE.items():
        ours, theirs = getattr(one, name, None), getattr(other, name, None)
        if ours != theirs:
            raise UsageError(f"{before} and {after}: field '{name}': {problem(ours, theirs)}. {remedy}")


def _counted_against(point: str | None) -> str:
    return f"relative to {point}" if point else "against references"


# Fields of either task's record without which quality is another thing: what to say of two values, and the remedy.
_MUST_AGREE: dict[str, tuple[Callable[[Any, Any], str], str]] = {
    "labels": (lambda ours, theirs: "their classes differ", "Measure both with the same."),
    "normalizer": (
        lambda ours, theirs: (
            f"words were compared after {ours} and {theirs}, so their error rates are different things"
        ),
        "Sweep one of them again.",
    ),
    "relative_to": (
        lambda ours, theirs: f"errors are counted {_counted_against(ours)} and {_counted_against(theirs)}",
        "Measure both in the same way.",
    ),
}


def _pair_points(
    summaries: tuple[RunSummary, RunSummary], folders: tuple[Path, Path], asked: Sequence[str]
) -> tuple[PairedPoint, ...]:
    if len(asked) > 2:
        raise UsageError(f"--point was given {len(asked)} times; once names a point, twice one before and one after.")
    if asked:
        first, second = asked[0], asked[-1]
        one = find_named([first], [point.point for point in summaries[0].points], str(folders[0]))
        two = find_named([second], [point.point for point in summaries[1].points], str(folders[1]))
        if len(one) != 1 or len(two) != 1:
            raise UsageError("--point names one point at a time. Give it once, or twice for two different points.")
        if folders[0] == folders[1] and one[0].name == two[0].name:
            raise UsageError(f"{folders[0]}: {one[0].title} is compared with itself. Name two runs, or two points.")
        title = one[0].title if one[0].name == two[0].name else f"{one[0].title} → {two[0].title}"
        return (PairedPoint(one[0].name, two[0].name, title),)
    if folders[0].resolve() == folders[1].resolve():
        raise UsageError(f"{folders[0]} is compared with itself. Name two runs, or two points of it by --point.")
    theirs = {point.name for point in summaries[1].points}
    shared = tuple(
        PairedPoint(point.name, point.name, point.title) for point in summaries[0].points if point.name in theirs
    )
    if not shared:
        known = ["; ".join(point.title for point in summary.points[:5]) for summary in summaries]
        raise UsageError(
            f"{folders[0]} and {folders[1]} share no operating point ({known[0]}, and {known[1]}). Name one of each: "
            "--point BEFORE --point AFTER."
        )
    return shared


def _references(folder: Path, run: RunRecord) -> dict[str, str]:
    """The reference of every utterance: what was said, or the class."""
    with connect(folder) as connection:
        rows = connection.execute(
            f"SELECT utterance_id, any_value({run.reference}) FROM measurements WHERE error IS NULL "
            "GROUP BY utterance_id"
        ).fetchall()
    return {str(name): str(text) for name, text in rows}


def _shared_columns(
    before: Samples, after: Samples, ours: Mapping[str, str], theirs: Mapping[str, str]
) -> tuple[tuple[IntArray, IntArray], int]:
    """Where the shared utterances stand in either, and how many ids were left out as another utterance."""
    index = {name: column for column, name in enumerate(after.utterances)}
    both = [(column, index[name], name) for column, name in enumerate(before.utterances) if name in index]
    same = [
        (one, two)
        for one, two, name in both
        if ours.get(name) == theirs.get(name)
        and abs(float(before.duration_s[one]) - float(after.duration_s[two])) <= _SAME_LENGTH_S
    ]
    columns = np.array(same, dtype=np.intp).reshape(-1, 2)
    return (columns[:, 0], columns[:, 1]), len(both) - len(same)


def _in_progress(folder: Path, run: RunRecord, points: set[str]) -> bool:
    """Whether a compared point lacks rows that its sweep will still write."""
    if race_ended(folder):
        return False
    with connect(folder) as connection:
        rows = connection.execute("SELECT point, count(*) FROM measurements GROUP BY point").fetchall()
    counted = {str(name): int(count) for name, count in rows}
    return any(counted.get(name, 0) < run.n_rows for name in points)


def other_machine(one: RunRecord | Card, other: RunRecord | Card) -> str | None:
    """Return in what else than software two runs or their cards differ that times depend on; None where in nothing."""
    told = []
    for name, ours, theirs in (
        ("processor", one.machine.processor, other.machine.processor),
        ("cores", one.machine.cores, other.machine.cores),
        ("device", one.device, other.device),
        ("threads", one.threads, other.threads),
    ):
        if ours != theirs:
            told.append(f"{name} {ours or 'the engine’s choice'} and {theirs or 'the engine’s choice'}")
    return "; ".join(told) or None


def _notices(
    summaries: tuple[RunSummary, RunSummary],
    shared: int,
    changed: int,
    in_progress: Sequence[str],
) -> list[str]:
    notices = [
        f"{folder} is in progress: this compares what is measured so far, and a later look may say otherwise."
        for folder in in_progress
    ]
    total = len({*summaries[0].samples.utterances, *summaries[1].samples.utterances})
    if total > shared:
        notices.append(f"Compared on the {shared} utterances that both have, {total - shared} of {total} left out.")
    if changed:
        notices.append(f"{changed} ids stand for another reference or another recording in the two runs: left out.")
    if (one := summaries[0].run.corpus) != (other := summaries[1].run.corpus) and total > shared:
        notices.append(f"The corpora are {one} and {other}.")
    for role, summary in zip(("before", "after"), summaries, strict=True):
        notices += [f"{role}: {notice}" for notice in summary.notices if is_busy(notice)]
    return notices
