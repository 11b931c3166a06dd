"""The joint search: Optuna chooses which combination of all axes to measure next, for quality and one cost at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allophone.errors import LawError, LedgerError, SpaceError, UsageError
from allophone.frontier.law import fit_run_law
from allophone.frontier.law_search import propose
from allophone.frontier.objectives import find_cost
from allophone.frontier.summary import PointSummary, summarise_run
from allophone.ledger.ledger import Ledger
from allophone.records import OperatingPoint
from allophone.sweeps.plans import ARMS

if TYPE_CHECKING:
    import optuna

__all__ = ["STUDY_FILE", "JointSearch", "run_joint"]

STUDY_FILE = "study.db"
_STUDY = "joint"
_LAW_EVERY = 3  # every third point is the law's to propose, once a law can be fitted
_REPEATS = 3  # suggestions of measured points in a row, after which one is drawn from the others


@dataclass(frozen=True, slots=True)
class JointSearch:
    """How a joint search goes.

    Args:
        trials: Points to measure.
        cost: The cost objective beside the word error rate.
        limits: Largest value wanted by objective name, in base units; the sampler prefers points that keep them.
        storage: Optuna storage URL; SQLite in the run folder where None.
        seed: Of the sampler.
    """

    trials: int
    cost: str = "rtf"
    limits: Mapping[str, float] = field(default_factory=dict)
    storage: str | None = None
    seed: int = 0


def run_joint(
    search: JointSearch,
    candidates: Sequence[OperatingPoint],
    folder: Path,
    ledger: Ledger,
    measure: Callable[[OperatingPoint], None],
    gflops: Mapping[OperatingPoint, float],
) -> Iterator[OperatingPoint]:
    """Measure points one after another until as many as asked for are whole, yielding each; a stopped search goes on.

    Trials are suggested by Optuna's multi-objective TPE (Ozaki et al., "Multiobjective tree-structured Parzen
    estimator", 2022). Once a scaling law fits the points measured so far, every third point is the law's proposal.

    Args:
        search: What to search for.
        candidates: The points of the space.
        folder: The run folder.
        ledger: Knows what is measured.
        measure: Measures what is missing of a point.
        gflops: Predicted executed GFLOPs an utterance of every candidate. A limit on them is kept before anything is
            measured; limits on what only a measurement can tell are the sampler's to learn.

    Raises:
        UsageError: The storage cannot be opened.
        SpaceError: Unknown cost, or fewer than one trial.
    """
    import optuna

    find_cost(search.cost)
    if search.trials < 1:
        raise SpaceError(f"trials is {search.trials}; a search needs at least one.")
    most = search.limits.get("executed_gflops", inf)
    candidates = [point for point in candidates if gflops[point] <= most]
    if not candidates:
        raise SpaceError(f"no point of the space costs {most:g} GFLOPs an utterance or less. Widen the space.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _open_study(search, folder)
    for stopped in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        study.tell(stopped.number, state=optuna.trial.TrialState.FAIL)  # its rows are in the ledger; they are not lost
    if not study.trials:
        for point in _centres(candidates):
            study.enqueue_trial(_parameters(point))
    by_parameters = {tuple(_parameters(point).values()): point for point in candidates}
    rng = np.random.default_rng(search.seed)
    whole = {point.name for point in candidates if ledger.count_done(point.name) == ledger.run.n_utterances}
    in_a_row = 0  # suggestions that were measured before
    while len(whole) < min(search.trials, len(candidates)):
        if in_a_row >= _REPEATS:
            waiting = [point for point in candidates if point.name not in whole]
            study.enqueue_trial(_parameters(waiting[rng.integers(len(waiting))]))
        elif in_a_row == 0 and whole and len(whole) % _LAW_EVERY == 0:
            _enqueue_proposal(study, folder, candidates, gflops)
        trial = study.ask()
        point = by_parameters[_suggest(trial, candidates)]
        new = point.name not in whole
        in_a_row = 0 if new else in_a_row + 1
        if new:
            measure(point)
            whole.add(point.name)
        measured = _summary_of(folder, point)
        trial.set_user_attr("point", point.name)
        for name, limit in search.limits.items():
            trial.set_constraint(name, getattr(measured, name) / limit - 1)
        study.tell(trial, [measured.wer, getattr(measured, search.cost)])
        if new:
            yield point


def _open_study(search: JointSearch, folder: Path) -> optuna.Study:
    import optuna

    storage = search.storage or f"sqlite:///{folder / STUDY_FILE}"
    sampler = optuna.samplers.TPESampler(seed=search.seed)
    try:
        return optuna.create_study(
            storage=storage,
            study_name=_STUDY if search.storage is None else f"{_STUDY}-{folder.resolve().name}",
            sampler=sampler,
            directions=["minimize", "minimize"],
            load_if_exists=True,
        )
    except Exception as error:  # SQLAlchemy raises many kinds: bad URL, missing driver, refused connection
        reason = str(error).partition("\n")[0]
        raise UsageError(f"storage '{storage}' cannot be opened: {reason}. Give an SQLAlchemy URL.") from None


def _centres(candidates: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """The first point of every model: the centre of its star."""
    firsts: dict[str, OperatingPoint] = {}
    for point in candidates:
        firsts.setdefault(point.model, point)
    return list(firsts.values())


def _parameters(point: OperatingPoint) -> dict[str, Any]:
    """A point as Optuna's parameters; context, margin and floor are one, so that every combination is a point."""
    context = f"{point.context}+{point.margin_s:g}f{point.floor_s:g}"
    return {"model": point.model, "context": context, **{arm: getattr(point, arm) for arm in ARMS}}


def _suggest(trial: optuna.Trial, candidates: Sequence[OperatingPoint]) -> tuple[Any, ...]:
    listed = [_parameters(point) for point in candidates]
    return tuple(
        trial.suggest_categorical(name, list(dict.fromkeys(parameters[name] for parameters in listed)))
        for name in listed[0]
    )


def _enqueue_proposal(
    study: optuna.Study,
    folder: Path,
    candidates: Sequence[OperatingPoint],
    gflops: Mapping[OperatingPoint, float],
) -> None:
    try:
        law = fit_run_law(summarise_run(folder))
        costs = [gflops[point] for point in candidates]
        for point in propose(law, candidates, costs, [gflops[point] for point in law.points], 1):
            study.enqueue_trial(_parameters(point))
    except (LawError, UsageError):  # too few points, a law not to be believed, or a model of unknown size
        return


def _summary_of(folder: Path, point: OperatingPoint) -> PointSummary:
    for summary in summarise_run(folder).points:
        if summary.name == point.name:
            return summary
    raise LedgerError(f"{folder}: point {point.name} was measured and is not there. Was the run changed meanwhile?")
