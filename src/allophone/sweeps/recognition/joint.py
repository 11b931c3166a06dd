"""The joint search: Optuna chooses which combination of all axes to try next, for quality and one cost at once.

A trial measures its point on the first look of a race only, so that many combinations are tried for the price of a few;
the points tried then race each other to the end of the corpus (:mod:`allophone.sweeps.race`). All trials hear the same
utterances, so what the sampler is told compares. A corpus too small for looks is measured whole by every trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from allophone.errors import LawError, SpaceError, UsageError
from allophone.frontier.objectives import find_cost
from allophone.frontier.recognition import RecognitionPointSummary, RecognitionRunSummary
from allophone.frontier.summarise import summarise_run
from allophone.law.law import fit_law
from allophone.law.search import propose
from allophone.ledger.ledger import Ledger
from allophone.ledger.race_record import read_race, write_race
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.race import look_sizes, race_order
from allophone.sweeps.recognition.executor import WeightsKey
from allophone.sweeps.recognition.plans import ARMS
from allophone.sweeps.recognition.race_loop import run_race, tasks_for
from allophone.sweeps.recognition.study import Study, open_study, reaching_storage
from allophone.sweeps.recognition.twin import Twin
from allophone.sweeps.recognition.worker import Task

__all__ = ["JointSearch", "run_joint"]

_LAW_EVERY = 3  # every third point is the law's to propose, once a law can be fitted
_REPEATS = 3  # suggestions of measured points in a row, after which one is drawn from the others


@dataclass(frozen=True, slots=True)
class JointSearch:
    """How a joint search goes.

    Args:
        trials: Points to try.
        cost: The cost objective beside the word error rate.
        limits: Largest value wanted by objective name, in base units; the sampler prefers points that keep them.
        storage: Optuna storage URL; SQLite in the run folder where None.
        seed: Of the sampler and of the order in which utterances join.
        spend: Share of the engine time of all candidates that may be spent, as :func:`run_race` has it.
    """

    trials: int
    cost: str = "rtf"
    limits: Mapping[str, float] = field(default_factory=dict)
    storage: str | None = None
    seed: int = 0
    spend: float | None = None


def run_joint(
    search: JointSearch,
    candidates: Sequence[OperatingPoint],
    utterances: Sequence[Utterance],
    folder: Path,
    ledger: Ledger,
    measure: Callable[[Iterator[tuple[WeightsKey, Task]]], None],
    give_up: Callable[[int], None],
    gflops: Mapping[OperatingPoint, float],
    twin: Twin | None = None,
) -> list[OperatingPoint]:
    """Try points one after another, race those tried, and return them; a search that was stopped goes on.

    Trials are suggested by Optuna's multi-objective TPE (Ozaki et al., "Multiobjective tree-structured Parzen
    estimator", 2022). Once a scaling law fits the points tried so far, every third point is the law's proposal. Points
    added to a search that has raced before make all that are left race again, from the first look.

    Args:
        search: What to search for.
        candidates: The points of the space.
        utterances: The corpus, in its order.
        folder: The run folder.
        ledger: Knows what is measured.
        measure: Runs tasks and writes their rows.
        give_up: Is told how many rows will never be measured.
        gflops: Predicted executed GFLOPs per utterance of every candidate. A limit on them is kept before anything is
            measured; limits on what only a measurement can tell are the sampler's to learn.
        twin: The point that is measured twice: the first one tried.

    Raises:
        UsageError: The storage cannot be opened.
        SpaceError: Unknown cost, fewer than one trial, or a spend that is no share.
    """
    find_cost(search.cost)
    if search.trials < 1:
        raise SpaceError(f"trials is {search.trials}; a search needs at least one.")
    everything = sum(gflops[point] for point in candidates)
    most = search.limits.get("executed_gflops", inf)
    candidates = [point for point in candidates if gflops[point] <= most]
    if not candidates:
        raise SpaceError(f"no point of the space costs {most:g} GFLOPs per utterance or less. Widen the space.")
    identity = sha256(f"{ledger.run.created} {ledger.run.fingerprint}".encode()).hexdigest()[:12]
    study = open_study(folder, search.storage, identity, _choices(candidates), search.seed)
    with reaching_storage(folder, search.storage):
        tried = _try_points(search, study, candidates, utterances, folder, ledger, measure, gflops, twin)
    points = [point for point in candidates if point.name in tried]
    run_race(
        utterances,
        points,
        folder,
        search.cost,
        ledger,
        measure,
        give_up,
        seed=search.seed,
        spend=search.spend,
        weight=everything / sum(gflops[point] for point in points),
        twin=twin,
    )
    return points


def _race_again(folder: Path) -> None:
    looks_done, eliminated = read_race(folder)
    if looks_done:
        write_race(folder, 0, eliminated)


def _try_points(
    search: JointSearch,
    study: Study,
    candidates: Sequence[OperatingPoint],
    utterances: Sequence[Utterance],
    folder: Path,
    ledger: Ledger,
    measure: Callable[[Iterator[tuple[WeightsKey, Task]]], None],
    gflops: Mapping[OperatingPoint, float],
    twin: Twin | None,
) -> set[str]:
    """Measure the first look of as many points as the search wants; return the names of those tried."""
    first_look = race_order(utterances, search.seed)[: look_sizes(len(utterances))[0]]
    by_parameters = {tuple(_parameters(point).values()): point for point in candidates}
    if study.is_new:
        for centre in _centres(candidates):
            study.enqueue(_parameters(centre))
    tried = {point.name for point in candidates if all(ledger.is_done(point.name, index) for index in first_look)}
    for parameters in study.take_up_stopped():  # measured, perhaps, but its trial has not ended
        if (point := by_parameters.get(tuple(parameters[name] for name in _parameters(candidates[0])))) is not None:
            tried.discard(point.name)
    in_a_row = study.repeats
    while len(tried) < min(search.trials, len(candidates)):
        free = not study.has_queue
        if free and in_a_row >= _REPEATS:
            waiting = [other for other in candidates if other.name not in tried]
            rng = np.random.default_rng((search.seed, len(tried)))
            study.enqueue(_parameters(waiting[rng.integers(len(waiting))]))
        elif free and in_a_row == 0 and tried and len(tried) % _LAW_EVERY == 0:
            _enqueue_proposal(study, folder, candidates, gflops)
        trial, values = study.suggest()
        point = by_parameters.get(values)
        if point is None:  # the values of no candidate: a space that leaves combinations out, or a limit
            study.tell(trial, None, repeated=True)
            in_a_row += 1
            continue
        new = point.name not in tried
        in_a_row = 0 if new else in_a_row + 1
        if new:
            _race_again(folder)
            measure(tasks_for([(index, utterances[index]) for index in first_look], [point], ledger, twin))
            tried.add(point.name)
        found = _summary_of(folder, point)
        if found is None:  # a race has given it up already, so its trial is known
            study.tell(trial, None, repeated=not new)
            continue
        trial.set_user_attr("point", point.name)
        for name, limit in search.limits.items():
            trial.set_constraint(name, getattr(found, name) / limit - 1)
        study.tell(trial, [found.wer, getattr(found, search.cost)], repeated=not new)
    return tried


def _centres(candidates: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """The first point of every model: the centre of its star."""
    firsts: dict[str, OperatingPoint] = {}
    for point in candidates:
        firsts.setdefault(point.model, point)
    return list(firsts.values())


def _parameters(point: OperatingPoint) -> dict[str, Any]:
    """A point as Optuna's parameters; the context's axes are one, so that every combination is a point."""
    return {"model": point.model, "context": point.context_name, **{arm: getattr(point, arm) for arm in ARMS}}


def _choices(candidates: Sequence[OperatingPoint]) -> dict[str, list[Any]]:
    """The values of every parameter, in the candidates' order."""
    listed = [_parameters(point) for point in candidates]
    return {name: list(dict.fromkeys(parameters[name] for parameters in listed)) for name in listed[0]}


def _enqueue_proposal(
    study: Study,
    folder: Path,
    candidates: Sequence[OperatingPoint],
    gflops: Mapping[OperatingPoint, float],
) -> None:
    try:
        law = fit_law(summarise_run(folder, RecognitionRunSummary))
        costs = [gflops[point] for point in candidates]
        for point in propose(law, candidates, costs, [gflops[point] for point in law.points], 1):
            study.enqueue(_parameters(point))
    except (LawError, UsageError):  # too few points, a law not to be believed, or a model of unknown size
        return


def _summary_of(folder: Path, point: OperatingPoint) -> RecognitionPointSummary | None:
    return next(
        (found for found in summarise_run(folder, RecognitionRunSummary).points if found.name == point.name), None
    )
