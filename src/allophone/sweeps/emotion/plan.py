"""Plan of an emotion sweep: folds, points, recipes, forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from allophone.audio.utterance_audio import load_utterance
from allophone.corpora.corpus import Corpus, open_corpus
from allophone.corpora.labels import labelled_utterances
from allophone.corpora.splits import SplitFile, make_folds, read_splits
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.emotion.recipe import Recipe, default_recipe
from allophone.errors import AudioError, CorpusError, LedgerError, SpaceError
from allophone.ledger.race_record import read_race
from allophone.ledger.run_record import EmotionRunRecord
from allophone.ledger.trained_units import read_units
from allophone.records.point import EmotionSetting
from allophone.records.utterance import Utterance
from allophone.sweeps.emotion.forecast import JobForecast, forecast_job, order_settings, probe_encoder
from allophone.sweeps.emotion.jobs import TrainingJob
from allophone.sweeps.emotion.space import EmotionSpace, distinct_settings, plan_settings
from allophone.sweeps.isoflop import check_budgets, meet_budgets
from allophone.sweeps.resume import existing_run

__all__ = ["SPLIT_FILE", "EmotionPlan", "plan_emotion"]

SPLIT_FILE = "split.json"
FOLDS, MEASURED_FOLDS = 5, 3  # of five folds three are measured unless more are asked for


@dataclass(frozen=True, slots=True)
class EmotionPlan:
    """What a sweep will train, and what that will likely cost.

    Args:
        corpus: The corpus.
        utterances: The same, in its order.
        durations_s: Length of every recording, by utterance id; 0 where it cannot be read.
        splits: Who trains and is tested.
        folds: Names of the splits that are measured.
        seeds: Of initial weights and order.
        points: The points, in the plan's order: the centre of a star first.
        settings: The same, quick ones first, each with the predicted seconds of its first training.
        recipes: How each point is trained, by name.
        forecasts: Of one training of each point, by name.
    """

    corpus: Corpus
    utterances: tuple[Utterance, ...]
    durations_s: Mapping[str, float]
    splits: SplitFile
    folds: tuple[str, ...]
    seeds: tuple[int, ...]
    points: tuple[EmotionSetting, ...]
    settings: tuple[tuple[EmotionSetting, float], ...]
    recipes: Mapping[str, Recipe]
    forecasts: Mapping[str, JobForecast]

    @property
    def n_tested(self) -> int:
        """Utterances of the test speakers of all folds."""
        return sum(len(self.splits.split(fold).select(self.utterances, "test")) for fold in self.folds)

    def units(self) -> list[TrainingJob]:
        """Return the trainings in their order: seed by seed, fold by fold, quick points first."""
        rounds = [(seed, fold) for seed in self.seeds for fold in self.folds]
        return [TrainingJob(setting, fold, seed) for seed, fold in rounds for setting, _ in self.settings]

    def unit_seconds(self, unit: TrainingJob) -> float:
        """Predicted seconds of one of them; the first of a point may be the one that runs its frozen layers."""
        if unit.fold == self.folds[0] and unit.seed == self.seeds[0]:
            return next(seconds for setting, seconds in self.settings if setting == unit.setting)
        return self.forecasts[unit.setting.name].seconds

    def units_left(self, out: Path) -> list[TrainingJob]:
        """Return those that a run has neither trained nor, as a race, given up; all where there is no run yet.

        Raises:
            LedgerError: A file of the run is damaged.
        """
        trained, gone = read_units(out), {item.point for item in read_race(out)[1]}
        return [unit for unit in self.units() if unit.key not in trained and unit.setting.name not in gone]


def plan_emotion(
    corpus: str | Path,
    *,
    out: str | Path,
    space: EmotionSpace | None = None,
    plan: str = "star",
    budgets_gflops: Sequence[float] = (),
    cost: str = "rtf",
    split: Path | None = None,
    folds: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "cpu",
    threads: int = 0,
    extend: bool = False,
) -> EmotionPlan:
    """Decide what :func:`sweep_emotion` would train, with the same arguments; nothing is written.

    A run that is extended keeps the points that it has: they come first, and in the folds and seeds added too.

    Raises:
        AllophoneError: As :func:`sweep_emotion`.
    """
    check_budgets(plan, budgets_gflops)
    space = space or EmotionSpace()
    opened = open_corpus(corpus)
    splits, measured = _choose_folds(opened, Path(out) / SPLIT_FILE, split, folds, seed)
    utterances = tuple(labelled_utterances(opened, splits.labels))
    run = existing_run(Path(out), EmotionRunRecord) if extend else None
    earlier = run.points if run else []
    models = dict.fromkeys([*space.model, *(setting.model for setting in earlier)])
    facts = {model: probe_encoder(model, threads=threads, device=device) for model in models}
    dimensions = {model: found.dimensions for model, found in facts.items()}
    settings = plan_settings(space, plan, dimensions)
    changes = {} if epochs is None else {"epochs": epochs}
    recipes = {
        setting.name: default_recipe(setting, seed=seed).model_copy(update=changes) for setting in [*earlier, *settings]
    }
    durations_s = {utterance.id: _duration(utterance) for utterance in utterances}
    forecasts = {
        setting.name: forecast_job(
            setting, recipes[setting.name], facts[setting.model], utterances, durations_s, splits, measured[0]
        )
        for setting in dict.fromkeys([*earlier, *settings])
    }
    if plan == "isoflop":
        settings = _meet_budgets(settings, forecasts, budgets_gflops, training=cost == "training_gflops")
    settings = distinct_settings([*earlier, *settings], dimensions)
    kept = {setting.name for setting in settings}
    return EmotionPlan(
        corpus=opened,
        utterances=utterances,
        durations_s=durations_s,
        splits=splits,
        folds=measured,
        seeds=tuple(range(seed, seed + seeds)),
        points=tuple(settings),
        settings=tuple(order_settings(settings, forecasts)),
        recipes={name: recipe for name, recipe in recipes.items() if name in kept},
        forecasts={name: forecast for name, forecast in forecasts.items() if name in kept},
    )


def _meet_budgets(
    settings: Sequence[EmotionSetting],
    forecasts: Mapping[str, JobForecast],
    budgets_gflops: Sequence[float],
    *,
    training: bool,
) -> list[EmotionSetting]:
    if training:
        trained = {setting: forecasts[setting.name].training_flops / 1e9 for setting in settings}
        return meet_budgets(trained, budgets_gflops, "a training")
    heard = {setting: forecasts[setting.name].inference_gflops for setting in settings}
    return meet_budgets(heard, budgets_gflops, "an inference")


def _choose_folds(
    corpus: Corpus, kept: Path, given: Path | None, folds: int | None, seed: int
) -> tuple[SplitFile, tuple[str, ...]]:
    """Return the splits and the names of those that are measured; the run's own file goes before a new one."""
    path = given or (kept if kept.is_file() else None)
    if path is not None:
        splits = read_splits(path, corpus)
    else:
        speakers = max(1, corpus.scan().n_speakers)
        splits = make_folds(corpus, folds=max(folds or 0, min(FOLDS, speakers)), seed=seed)
    if given is not None and kept.is_file() and read_splits(kept, corpus).fingerprint != splits.fingerprint:
        raise LedgerError(f"{kept}: this run began with another split than {given}. Choose another --out.")
    known = tuple(split.name for split in splits.splits)
    count = folds or (len(known) if given is not None else min(MEASURED_FOLDS, len(known)))
    if count > len(known):
        raise SpaceError(
            f"{count} folds are asked for and {path} has {len(known)}. Ask for fewer, or make a new split."
        )
    measured = known[:count]
    tested = [speaker for name in measured for speaker in splits.split(name).test]
    if len(set(tested)) < len(tested):
        raise CorpusError(
            f"{path}: a speaker is tested in two of {', '.join(measured)}, so an utterance would count twice. "
            "Give a split file whose test speakers differ."
        )
    return splits, measured


def _duration(utterance: Utterance) -> float:
    if utterance.duration_s is not None:
        return utterance.duration_s
    try:
        return load_utterance(utterance).size / SAMPLE_RATE
    except AudioError:
        return 0.0
