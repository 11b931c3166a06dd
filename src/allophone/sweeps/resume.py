"""Resuming a sweep: the record of what is asked, and whether a run folder may be continued with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from allophone.corpora.corpus import CorpusSummary
from allophone.errors import LedgerError, UsageError
from allophone.ledger.readers import MEASUREMENTS, connect
from allophone.ledger.run_record import (
    LOCK_FILE,
    RUN_FILE,
    EmotionRunRecord,
    MachineStamp,
    RecognitionRunRecord,
    RunRecord,
    read_run,
)
from allophone.models.weights_digest import hub_revision, weights_digest
from allophone.records.point import OperatingPoint, Task
from allophone.sweeps.recognition.worker import Settings
from allophone.sweeps.space import SearchSpace

__all__ = ["SEARCHES", "describe_run", "existing_run", "resume_run", "space_as_begun"]

SEARCHES = ("race", "joint")  # plans with a cost to judge by and an order to draw; all others have seed 0

Record = TypeVar("Record", bound=RunRecord)

_SETTINGS = {
    "asr": ("normalizer", "language", "relative_to", "speakers", "device", "threads", "cost", "seed"),
    "emotion": ("labels", "split_fingerprint", "precision", "device", "threads", "cost", "seed"),
}
_FORMER_DEFAULTS: dict[str, list[Any]] = {"tail": ["all"], "beam_size": [1, 5]}  # of a sweep before tails were learned
_PACKAGES = {"asr": ("ctranslate2", "whisper-normalizer", "jiwer"), "emotion": ("torch", "transformers", "peft")}


def describe_run(
    summary: CorpusSummary,
    points: list[OperatingPoint],
    plan: str,
    space: SearchSpace,
    settings: Settings,
    machine: MachineStamp,
    cost: str,
    speakers: str | None = None,
) -> RecognitionRunRecord:
    """Return the record of what is asked now; the cost belongs to the searches alone, ``speakers`` to inferred ones."""
    models = tuple(dict.fromkeys(point.model for point in points))
    revisions = {model: hub_revision(model) for model in models}
    return RecognitionRunRecord(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        corpus=summary.source,
        fingerprint=summary.fingerprint,
        n_utterances=summary.n_utterances,
        n_speakers=summary.n_speakers,
        duration_s=summary.duration_s,
        plan=plan,
        space=space.axes(),
        points=points,
        normalizer=settings.normalizer,
        language=settings.language,
        relative_to=settings.relative_to,
        speakers=speakers,
        weights={model: weights_digest(model) for model in models},
        revisions={model: revision for model, revision in revisions.items() if revision is not None},
        device=settings.device,
        threads=settings.threads,
        cost=cost if plan in SEARCHES else None,
        seed=settings.seed,
        machine=machine,
    )


def space_as_begun(space: SearchSpace, earlier: RunRecord | None) -> SearchSpace:
    """Return a space whose axes that nobody asked for are as a run was begun that an earlier version began.

    Args:
        space: What is asked.
        earlier: The run that its folder holds, or None.
    """
    former = {
        name: earlier.space[name]
        for name, values in _FORMER_DEFAULTS.items()
        if earlier is not None and name not in space.model_fields_set and earlier.space.get(name) == values
    }
    return SearchSpace.model_validate({**space.axes(), **former}) if former else space


def existing_run(folder: Path, kind: type[Record]) -> Record | None:
    """Return the record of the run of this task that a folder holds, whose points an extension keeps and goes on with.

    Raises:
        LedgerError: The record is damaged.
    """
    if not (folder / RUN_FILE).exists() or _is_empty(folder):
        return None
    try:
        return read_run(folder, kind)
    except UsageError:  # of the other task: the sweep itself refuses it
        return None


def resume_run(folder: Path, wanted: Record, *, extend: bool = False) -> Record:
    """Return the record to measure under: the one in the folder if it asks for the same, else the wanted one.

    A run that stopped before its first row, as one does that asks for what a model lacks, binds to nothing.

    Args:
        folder: The run folder; may be missing.
        wanted: What is asked now; where a run is extended its points too, since none is ever left out.
        extend: Whether points, folds and seeds may be added to a run that is already there.

    Raises:
        LedgerError: The folder holds a run of another task or corpus, other settings, another machine, or, without
            ``extend``, another space; the message names what changed.
    """
    if not (folder / RUN_FILE).exists() or _is_empty(folder):
        return wanted
    found = read_run(folder)
    if found.task != wanted.task:
        raise LedgerError(f"{folder}: holds a run of task '{found.task}', not '{wanted.task}'. Choose another --out.")
    if found.fingerprint != wanted.fingerprint:
        raise LedgerError(
            f"{folder}: the corpus changed since this run began ({found.corpus}: {found.n_utterances} utterances then, "
            f"{wanted.n_utterances} now, or other ids, transcripts or recordings). Restore it, or choose another --out."
        )
    for name in _SETTINGS[wanted.task]:
        before, now = getattr(found, name), getattr(wanted, name)
        if before != now:
            raise LedgerError(
                f"{folder}: '{name}' was {before!r} and is {now!r} now. Ask for the same, or choose another --out."
            )
    machine = wanted.machine
    if difference := _machine_difference(found, wanted):
        if not _is_finished(folder, found, wanted):
            raise LedgerError(f"{folder}: {difference}, so times would not compare. Choose another --out.")
        machine = found.machine  # nothing is left to measure here
    if set(found.points) != set(wanted.points) and not extend:
        raise LedgerError(
            f"{folder}: the search space changed: {_space_difference(found, wanted)}. "
            "Ask for the same space, add --extend to measure new points too, or choose another --out."
        )
    _CHECKS[wanted.task](folder, found, wanted, extend)
    space = _joined(found.space, wanted.space) if extend else wanted.space
    return wanted.model_copy(update={"created": found.created, "space": space, "machine": machine})


def _is_finished(folder: Path, found: RunRecord, wanted: RunRecord) -> bool:
    """Whether every point asked for has all its rows, so that nothing is left that another machine could measure."""
    if set(found.points) != set(wanted.points):
        return False
    with connect(folder) as connection:
        rows = dict(connection.execute("SELECT point, count(*) FROM measurements GROUP BY point").fetchall())
    return all(rows.get(point.name) == wanted.n_rows for point in wanted.points)


def _is_empty(folder: Path) -> bool:
    measurements = folder / MEASUREMENTS
    begun = {path.name for path in folder.iterdir()} - {RUN_FILE, LOCK_FILE, MEASUREMENTS}
    return not begun and measurements.is_dir() and not any(measurements.iterdir())


def _check_weights(folder: Path, found: RecognitionRunRecord, wanted: RecognitionRunRecord, extend: bool) -> None:
    del extend
    for model, digest in wanted.weights.items():
        if found.weights.get(model, digest) != digest:
            raise LedgerError(
                f"{folder}: field 'weights': {model} has changed since this run began. Put the old weights back, "
                "or choose another --out."
            )


def _check_trainings(folder: Path, found: EmotionRunRecord, wanted: EmotionRunRecord, extend: bool) -> None:
    for name in ("folds", "seeds"):
        before, now = getattr(found, name), getattr(wanted, name)
        if before != now and not (extend and now[: len(before)] == before):
            raise LedgerError(
                f"{folder}: '{name}' were {_listed(before)} and are {_listed(now)} now. Ask for the same, add some to "
                "them with --extend, or choose another --out."
            )
    for point, recipe in wanted.recipes.items():
        before = found.recipes.get(point, recipe)
        changed = [name for name in {**before, **recipe} if before.get(name) != recipe.get(name)]
        if changed:
            name = changed[0]
            raise LedgerError(
                f"{folder}: {point} was trained with {name} {before.get(name)} and now it is {recipe.get(name)}. Ask "
                "for the same, or choose another --out."
            )


_CHECKS: dict[Task, Callable[[Path, Any, Any, bool], None]] = {"asr": _check_weights, "emotion": _check_trainings}


def _joined(before: Mapping[str, list[Any]], now: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    axes = dict.fromkeys([*before, *now])
    return {axis: list(dict.fromkeys([*before.get(axis, []), *now.get(axis, [])])) for axis in axes}


def _space_difference(found: RunRecord, wanted: RunRecord) -> str:
    if found.plan != wanted.plan:
        return f"plan was {found.plan} and is {wanted.plan} now"
    for axis in dict.fromkeys([*found.space, *wanted.space]):
        before, now = found.space.get(axis), wanted.space.get(axis)
        if before != now:
            return f"axis '{axis}' was {_listed(before)} and is {_listed(now)} now"
    return f"{len(found.points)} points then, {len(wanted.points)} now"


def _listed(values: Sequence[Any] | None) -> str:
    return ",".join(str(value) for value in values or ["not there"])


def _machine_difference(found: RunRecord, wanted: RunRecord) -> str:
    before, now = found.machine, wanted.machine
    for name in ("processor", "cores"):
        if getattr(before, name) != getattr(now, name):
            return f"the run began on another machine ({name} {getattr(before, name)}, here {getattr(now, name)})"
    for package in _PACKAGES[wanted.task]:
        if before.packages.get(package) != now.packages.get(package):
            return f"the run began with {package} {before.packages.get(package)}, here is {now.packages.get(package)}"
    return ""
