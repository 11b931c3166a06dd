"""The sweep of emotion recognition: every point trained and tested in every fold, fold by fold, quick points first.

After a fold all points have rows of the same utterances, so a run can be read long before it is finished. A race gives
points up after a fold, by the judgement of :mod:`allophone.sweeps.race`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from allophone.corpora.splits import write_splits
from allophone.emotion.recipe import Precision
from allophone.errors import AllophoneError, SpaceError
from allophone.frontier.objectives import find_cost
from allophone.frontier.summarise import summarise_run
from allophone.ledger.ledger import Ledger
from allophone.ledger.race_record import read_race, write_race
from allophone.ledger.readers import failed_utterances
from allophone.ledger.run_record import EmotionRunRecord, machine_stamp
from allophone.ledger.trained_units import read_units
from allophone.sweeps.emotion.jobs import JobRunner, TrainingJob
from allophone.sweeps.emotion.plan import SPLIT_FILE, EmotionPlan, plan_emotion
from allophone.sweeps.emotion.space import EmotionSpace
from allophone.sweeps.race import judge
from allophone.sweeps.recognition.run import Progress, SweepResult, await_idle
from allophone.sweeps.resume import resume_run

__all__ = ["check_emotion_options", "sweep_emotion"]

_BELIEVED_S = 30.0  # what the forecast counts for beside the pace of this sitting


def sweep_emotion(
    corpus: str | Path,
    *,
    out: str | Path,
    space: EmotionSpace | None = None,
    plan: str = "star",
    budgets_gflops: Sequence[float] = (),
    split: Path | None = None,
    folds: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    cost: str = "rtf",
    epochs: int | None = None,
    precision: Precision | str = "auto",
    device: str = "cpu",
    threads: int = 0,
    extend: bool = False,
    idle_minutes: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SweepResult:
    """Train and test a plan's points on speakers they never hear; the same call continues a run that was stopped.

    Args:
        corpus: A JSONL manifest or a folder, with a label and a speaker for every utterance.
        out: The run folder.
        space: The axes; the default space of :class:`EmotionSpace` where None.
        plan: ``star``, ``grid``, ``race``: ``grid`` that gives points up after a fold, or ``isoflop``: of ``grid`` what
            meets a budget.
        budgets_gflops: For ``isoflop``: predicted executed GFLOPs of one inference, or of one training where ``cost``
            is ``training_gflops``.
        split: A split file; where None, five folds of the speakers are made (fewer speakers: as many folds).
        folds: How many of its splits are measured, the first ones; where None three, or all of ``split``.
        seeds: Trainings of each point and fold, from other initial weights and in another order.
        seed: The first of them; also of the folds that are made.
        cost: The cost by which ``race`` judges points.
        epochs: Most epochs, instead of the recipes'.
        precision: ``float32``, ``bfloat16``, or ``auto``: what is faster here.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads; 0 leaves torch's own choice.
        extend: Allow adding points, folds and seeds to an existing run; its points stay, and get the folds and seeds.
        idle_minutes: Longest wait until nothing else runs on this machine; None does not wait.
        progress: Called after every epoch.

    Returns:
        A summary; ``failures`` also names trainings that broke before their first epoch was finished.

    Raises:
        AllophoneError: See :mod:`allophone.errors`; what is measured is kept.
    """
    started = time.monotonic()
    space, folder = space or EmotionSpace(), Path(out)
    precision = check_emotion_options(cost, precision)
    planned = plan_emotion(
        corpus,
        out=out,
        space=space,
        plan=plan,
        budgets_gflops=budgets_gflops,
        cost=cost,
        split=split,
        folds=folds,
        seeds=seeds,
        seed=seed,
        epochs=epochs,
        device=device,
        threads=threads,
        extend=extend,
    )
    summary = planned.corpus.scan()
    asked = EmotionRunRecord(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        corpus=summary.source,
        fingerprint=summary.fingerprint,
        n_utterances=summary.n_utterances,
        n_speakers=summary.n_speakers,
        duration_s=sum(planned.durations_s.values()),
        plan=plan,
        space=space.axes(),
        device=device,
        threads=threads,
        cost=cost if plan == "race" else None,
        seed=seed,
        machine=machine_stamp(),
        points=list(planned.points),
        labels=planned.splits.labels,
        split_fingerprint=planned.splits.fingerprint,
        folds=planned.folds,
        seeds=planned.seeds,
        n_tested=planned.n_tested,
        recipes={name: recipe.model_dump(exclude={"seed"}) for name, recipe in planned.recipes.items()},
        precision=precision,
    )
    record = resume_run(folder, asked, extend=extend)
    with Ledger(folder, record) as ledger:
        write_splits(folder / SPLIT_FILE, planned.splits)
        runner = JobRunner(
            corpus=planned.corpus,
            utterances=planned.utterances,
            durations_s=planned.durations_s,
            splits=planned.splits,
            recipes=planned.recipes,
            precision=precision,
            device=device,
            threads=threads,
            ledger=ledger,
            units=read_units(folder),
        )
        if idle_minutes is not None and not all(runner.is_done(unit) for unit in planned.units()):
            await_idle(idle_minutes, progress)
        broken = _train_all(planned, runner, record, progress)
        rows = sum(ledger.count_done(point.name) for point in record.points)
        trained = {unit.point for unit in runner.units.values()}
    if not trained:
        raise AllophoneError(f"not one training was finished; the first: {broken[0][1] if broken else 'none was due'}")
    failures = failed_utterances(folder)
    wall_s = time.monotonic() - started
    return SweepResult(
        folder, len(record.points), rows, (*failures, *broken), wall_s, wall_s, (*summary.notices, *ledger.notices)
    )


def check_emotion_options(cost: str, precision: Precision | str) -> Precision | Literal["auto"]:
    """Return the precision; refuse a cost or a precision that there is not.

    Raises:
        SpaceError: The message lists the known ones.
    """
    find_cost(cost, "emotion")
    if precision not in ("auto", "float32", "bfloat16"):
        raise SpaceError(f"precision '{precision}': write float32, bfloat16 or auto.")
    return precision


def _train_all(
    planned: EmotionPlan, runner: JobRunner, record: EmotionRunRecord, progress: Callable[[Progress], None] | None
) -> list[tuple[str, str]]:
    """Run what is not done yet: seed by seed, fold by fold, quick points first; return what broke, with the reason."""
    folder = runner.ledger.folder
    looks_done, eliminated = read_race(folder)
    broken: list[tuple[str, str]] = []
    gone = {item.point for item in eliminated}
    meter = _Meter(planned, [unit for unit in planned.units() if unit.setting.name not in gone], runner, progress)
    rounds = [(seed, fold) for seed in planned.seeds for fold in planned.folds]
    for number, (seed, fold) in enumerate(rounds):
        for setting, _ in planned.settings:
            unit = TrainingJob(setting, fold, seed)
            if setting.name in gone or runner.is_done(unit):
                continue
            try:
                runner.run(unit, lambda epoch, unit=unit: meter.epoch(unit, epoch.number))  # type: ignore[misc]
            except AllophoneError as error:
                if type(error) is not AllophoneError:  # only a loss that is no number is the point's own matter
                    raise
                broken.append((unit.name, str(error)))
            meter.finish(unit)
        if record.plan != "race" or number + 1 >= len(planned.folds) or number < looks_done:
            continue
        losers = judge(summarise_run(folder).samples, record.cost or "rtf", len(planned.folds) - 1, record.n_tested)
        eliminated += losers
        gone |= {item.point for item in losers}
        write_race(folder, number + 1, eliminated)
        meter.give_up(gone)
    return broken


class _Meter:
    """Counts trainings, and estimates the rest from the forecast and this sitting's pace against it."""

    def __init__(
        self,
        planned: EmotionPlan,
        units: Sequence[TrainingJob],
        runner: JobRunner,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._planned, self._progress = planned, progress
        self._waiting = {unit.key: planned.unit_seconds(unit) for unit in units if not runner.is_done(unit)}
        self._total = len(units)
        self._spent = 0.0  # forecast seconds of what this sitting finished
        self._started = time.monotonic()

    def epoch(self, unit: TrainingJob, number: int) -> None:
        """Report an epoch of a unit in flight."""
        share = min(1.0, number / self._planned.recipes[unit.setting.name].epochs)
        self._report(share * self._waiting[unit.key])

    def finish(self, unit: TrainingJob) -> None:
        """Count a unit."""
        self._spent += self._waiting.pop(unit.key)
        self._report(0.0)

    def give_up(self, points: set[str]) -> None:
        """Take points that will not be trained again off the total."""
        for key in [key for key in self._waiting if key[0] in points]:
            del self._waiting[key]
            self._total -= 1

    def _report(self, inside: float) -> None:
        if self._progress is None:
            return
        spent = self._spent + inside
        pace = (time.monotonic() - self._started + _BELIEVED_S) / (spent + _BELIEVED_S)
        left = max(0.0, sum(self._waiting.values()) - inside)
        self._progress(Progress("trainings", self._total - len(self._waiting), self._total, pace * left))
