"""Optuna's study of a joint search: its storage and name, what it knows from before, how a stopped one goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allophone.errors import LedgerError, UsageError

if TYPE_CHECKING:
    import optuna

__all__ = ["STUDY_FILE", "Study", "open_study", "reaching_storage"]

STUDY_FILE = "study.db"
_STUDY = "joint"
_REPEATED = "repeated"  # attribute of every trial that was told; one that a kill cut off has none

_URL = "Give an SQLAlchemy URL, such as sqlite:///study.db."

Parameters = Mapping[str, Any]


class Study:
    """A study whose next suggestion depends on the seed and on its trials alone: not on how often it was stopped.

    Args:
        study: Optuna's.
        choices: The values of every parameter.
        seed: Of the sampler.
    """

    def __init__(self, study: optuna.Study, choices: Mapping[str, Sequence[Any]], seed: int) -> None:
        self._study = study
        self._choices = choices
        self._seed = seed

    def take_up_stopped(self) -> list[dict[str, Any]]:
        """Put trials that a kill cut off back into the queue, and return their parameters."""
        from optuna.trial import TrialState

        stopped = []
        for trial in self._study.get_trials(states=[TrialState.RUNNING]):
            self._study.tell(trial.number, state=TrialState.FAIL)
            if set(trial.params) == set(self._choices):  # else it was stopped before it was suggested
                self._study.enqueue_trial(trial.params)
                stopped.append(dict(trial.params))
        return stopped

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever suggested or queued."""
        return not self._study.get_trials(deepcopy=False)

    @property
    def has_queue(self) -> bool:
        """Whether a queued trial comes next."""
        from optuna.trial import TrialState

        return bool(self._study.get_trials(deepcopy=False, states=[TrialState.WAITING]))

    @property
    def repeats(self) -> int:
        """How many suggestions at the end were of points tried before."""
        count = 0
        for trial in reversed(self._ended()):
            if not trial.user_attrs.get(_REPEATED):
                break
            count += 1
        return count

    def enqueue(self, parameters: Parameters) -> None:
        """Queue parameters, to be suggested before the sampler is asked again."""
        self._study.enqueue_trial(dict(parameters))

    def suggest(self) -> tuple[optuna.Trial, tuple[Any, ...]]:
        """Return a trial and its parameters' values: those queued, or what the sampler draws from the trials so far."""
        import optuna

        seed = int.from_bytes(sha256(f"{self._seed}/{len(self._ended())}".encode()).digest()[:4], "big")
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        trial = self._study.ask()
        return trial, tuple(trial.suggest_categorical(name, list(values)) for name, values in self._choices.items())

    def tell(self, trial: optuna.Trial, values: Sequence[float] | None, *, repeated: bool) -> None:
        """End a trial with its objectives, or without where they are not known."""
        from optuna.trial import TrialState

        trial.set_user_attr(_REPEATED, repeated)
        if values is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, list(values))

    def _ended(self) -> list[optuna.trial.FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.values is not None or _REPEATED in trial.user_attrs]


def open_study(
    folder: Path, storage: str | None, identity: str, choices: Mapping[str, Sequence[Any]], seed: int
) -> Study:
    """Open the study of a run, or begin it.

    A study's values of a parameter cannot change in Optuna. Where a run was extended or is limited otherwise, a study
    with the values of now begins, and the trials of the earlier ones that fit are told to it.

    Args:
        folder: The run folder.
        storage: Optuna storage URL; SQLite in the run folder where None.
        identity: Tells the run from all others that use the storage.
        choices: The values of every parameter.
        seed: Of the sampler.

    Raises:
        UsageError: The URL is none that Optuna can open.
        LedgerError: The database cannot be reached, or is damaged.
    """
    import optuna
    from sqlalchemy.engine import URL

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    own = URL.create("sqlite", database=str((folder / STUDY_FILE).absolute())).render_as_string(hide_password=False)
    name = _STUDY if storage is None else f"{_STUDY}-{folder.resolve().name}-{identity}"
    with reaching_storage(folder, storage):
        try:
            opened = optuna.storages.get_storage(storage or own)
        except (ImportError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"--storage: cannot be opened: {_reason(error)}. {_URL}") from None
        ours = re.compile(re.escape(name) + r"(@\d+)?")
        names = [found for found in optuna.get_all_study_names(opened) if ours.fullmatch(found)]
        earlier = sorted(names, key=lambda found: int(found[len(name) + 1 :] or 0))
        last = optuna.load_study(study_name=earlier[-1], storage=opened) if earlier else None
        if last is not None and _fits(last, choices):
            return Study(last, choices, seed)
        made = optuna.create_study(
            storage=opened,
            study_name=f"{name}@{len(earlier)}" if earlier else name,
            directions=["minimize", "minimize"],
        )
        for trial in last.get_trials(deepcopy=False) if last is not None else ():
            if trial.state.is_finished() and all(trial.params.get(key) in values for key, values in choices.items()):
                made.add_trial(_copied(trial, choices))
        return Study(made, choices, seed)


@contextmanager
def reaching_storage(folder: Path, storage: str | None) -> Iterator[None]:
    """Turn what databases raise into an error that says what to do.

    Raises:
        UsageError: The URL names no database that SQLAlchemy knows.
        LedgerError: The database is locked, damaged, or cannot be reached.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        yield
    except ArgumentError as error:
        raise UsageError(f"--storage: cannot be opened: {_reason(error)}. {_URL}") from None
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ or error
        remedy = "End what locks it (a dashboard, another search), or wait; the same command continues"
        if storage is None:
            where, damaged = str(folder / STUDY_FILE), "; where it is damaged, delete it: points measured are kept"
        else:
            where, damaged = "--storage", "; or choose another --storage"
        raise LedgerError(f"{where}: cannot be used: {_reason(cause)}. {remedy}{damaged}.") from None


def _fits(study: optuna.Study, choices: Mapping[str, Sequence[Any]]) -> bool:
    """Whether every value list that the study knows is the one of now."""
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            if tuple(getattr(distribution, "choices", ())) != tuple(choices.get(name, ())):
                return False
    return True


def _copied(trial: optuna.trial.FrozenTrial, choices: Mapping[str, Sequence[Any]]) -> optuna.trial.FrozenTrial:
    import optuna

    return optuna.trial.create_trial(
        state=trial.state,
        params={name: trial.params[name] for name in choices},
        distributions={name: optuna.distributions.CategoricalDistribution(list(choices[name])) for name in choices},
        values=trial.values,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
    )


def _reason(error: BaseException) -> str:
    return str(error).partition("\n")[0]
