"""The sweep: measure every point of a plan on every utterance of a corpus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import cast

from allophone.audio.decode import LONGEST_S
from allophone.audio.voice import require_voice_encoder
from allophone.corpora.corpus import Corpus, CorpusSummary, open_corpus
from allophone.corpora.speakers import INFERRED_BY, InferredCorpus, infer_speakers
from allophone.errors import AudioError, CorpusError, SpaceError
from allophone.frontier.objectives import find_cost, find_objective
from allophone.ledger.ledger import Ledger
from allophone.ledger.readers import failed_utterances
from allophone.ledger.run_record import MachineStamp, RecognitionRunRecord, machine_stamp
from allophone.measure.device import MeasuredDevice
from allophone.measure.wer import Normalizer, default_normalizer, load_normalizer
from allophone.models.engine import FAKE_PREFIX, require_weights
from allophone.models.learned_tail import require_learned_tail
from allophone.models.threads import choose_threads
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.idle import wait_for_idle
from allophone.sweeps.isoflop import mean_gflops
from allophone.sweeps.recognition.executor import LocalExecutor, MakeExecutor, WeightsKey
from allophone.sweeps.recognition.forecast import sample_durations
from allophone.sweeps.recognition.joint import JointSearch, run_joint
from allophone.sweeps.recognition.plans import model_dimensions, plan_points
from allophone.sweeps.recognition.race_loop import run_race, tasks_for
from allophone.sweeps.recognition.references import (
    reference_point,
    require_references,
    transcribe_references,
    with_references,
)
from allophone.sweeps.recognition.roofline import device_rates
from allophone.sweeps.recognition.twin import Twin, cheapest_point, twin_places
from allophone.sweeps.recognition.worker import Settings, Task
from allophone.sweeps.resume import SEARCHES, describe_run, existing_run, resume_run, space_as_begun
from allophone.sweeps.space import SearchSpace

__all__ = ["Progress", "SweepResult", "await_idle", "sweep"]

_LEAST_TRIALS = 12


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

    Args:
        stage: ``speakers``, ``references``, ``waiting`` for an idle machine, ``measuring`` or ``throughput``.
        done: Units finished, those of earlier sittings included: rows, utterances for speakers and references,
            seconds waited, or passes over the sample for throughput.
        total: Units in all.
        remaining_s: Estimate from this sitting's pace; None until there is one.
    """

    stage: str
    done: int
    total: int
    remaining_s: float | None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep measured.

    Args:
        folder: The run.
        points: Points measured.
        rows: Rows in the ledger, over all points.
        failures: Utterance id and reason of every recording that could not be measured.
        engine_s: Seconds inside the workers during this sitting.
        wall_s: Seconds of this sitting.
        notices: What a reader must know, such as damaged lines that were measured again.
    """

    folder: Path
    points: int
    rows: int
    failures: tuple[tuple[str, str], ...]
    engine_s: float
    wall_s: float
    notices: tuple[str, ...] = ()


def sweep(
    corpus: str | Path,
    *,
    out: str | Path,
    models: Sequence[str] | None = None,
    space: SearchSpace | None = None,
    plan: str = "star",
    budgets_gflops: Sequence[float] = (),
    cost: str = "rtf",
    trials: int | None = None,
    limits: Mapping[str, float] | None = None,
    storage: str | None = None,
    normalizer: Normalizer | None = None,
    language: str = "en",
    reference_model: str | None = None,
    device: str = "cpu",
    threads: int = 0,
    workers: int = 1,
    strict: bool = False,
    extend: bool = False,
    keep: Callable[[OperatingPoint], bool] | None = None,
    speakers: str = "corpus",
    seed: int = 0,
    spend: float | None = None,
    max_audio_s: float = LONGEST_S,
    idle_minutes: float | None = None,
    executor: MakeExecutor = LocalExecutor,
    progress: Callable[[Progress], None] | None = None,
) -> SweepResult:
    """Measure a plan's points on a corpus, into a run folder; the same call continues a run that was stopped.

    Args:
        corpus: A JSONL manifest, a folder, or ``hf:NAME?split=...``.
        out: The run folder.
        models: Models to compare; a shorthand for a space with only this axis set.
        space: The axes; the default space of :class:`SearchSpace` where None.
        plan: ``star``, ``grid``, ``isoflop``, ``race`` or ``joint``.
        budgets_gflops: Executed GFLOPs per utterance that the compositions of ``isoflop`` have to meet.
        cost: The cost by which ``race`` and ``joint`` judge points.
        trials: Points that ``joint`` tries; a fifth of the combinations where None, 12 at least.
        limits: Largest value wanted by objective name, in base units; ``joint`` prefers points that keep them.
        storage: Optuna storage URL of ``joint``; SQLite in the run folder where None.
        normalizer: How texts are normalised before words are counted. Where None: as the run in the folder has it,
            else by the language (:func:`allophone.measure.wer.default_normalizer`), which a notice says.
        language: Language of the prompt, or ``auto``.
        reference_model: Transcribe with this model first and measure relative to its transcripts.
        device: ``cpu``, ``cuda`` or ``auto``.
        threads: CPU threads of each worker; 0 shares the cores among the workers.
        workers: Worker processes that may be busy at once; more than one makes times less exact.
        strict: Stop at the first recording that cannot be read instead of skipping it.
        extend: Allow adding points to an existing run; those it has stay, and are measured to the end too.
        keep: Which of the plan's points to measure; all of them where None.
        speakers: ``corpus``: as the corpus names them; ``auto``: those that it does not name are inferred from voices.
        seed: Of the order in which utterances join a ``race`` or ``joint`` search, and of what ``joint`` draws.
        spend: Share of the whole grid's engine time that ``race`` or ``joint`` may take; None lets survivors be
            measured on the whole corpus.
        max_audio_s: Most seconds of a recording; a longer one is reported and skipped.
        idle_minutes: Longest wait until nothing else runs on this machine; None does not wait.
        executor: Makes what measures the tasks, from their settings and the number of workers.
        progress: Called after every utterance.

    Returns:
        A summary; the measurements are in the folder.

    Raises:
        AllophoneError: See :mod:`allophone.errors`; what is measured is kept.
    """
    started = time.monotonic()
    folder = Path(out)
    opened = open_corpus(corpus)
    summary = opened.scan()
    there = existing_run(folder, RecognitionRunRecord)
    space = space_as_begun(
        (space or SearchSpace()).model_copy(update={"model": tuple(models)} if models else {}), there
    )
    earlier = there if extend else None
    normalizer, notices = _normalizer(normalizer, language, there, summary.notices)
    points = _kept(plan_points(space, plan, corpus=opened, budgets_gflops=budgets_gflops), keep, earlier)
    models = tuple(dict.fromkeys(point.model for point in points))
    real = [model for model in models if not model.startswith(FAKE_PREFIX)]
    _check_asked([*real, *([reference_model] if reference_model else [])], normalizer, cost, limits or {})
    for model, tail in dict.fromkeys((point.model, point.tail) for point in points):
        require_learned_tail(model, tail)
    machine = machine_stamp()
    stand_in = reference_point(reference_model) if reference_model else None
    if stand_in is None:
        require_references(opened)
    settings = Settings(
        normalizer=normalizer,
        language=language,
        relative_to=stand_in.name if stand_in else None,
        device=device,
        threads=_threads(threads, workers, machine),
        rates=_rates(real, threads, workers, machine) if device == "cpu" else None,
        seed=seed if plan in SEARCHES else 0,
        workers=workers,
        max_audio_s=max_audio_s,
    )
    opened, record, inferred = _infer_speakers(
        opened,
        resume_run(
            folder,
            describe_run(summary, points, plan, space, settings, machine, cost, _inferred_by(opened, speakers)),
            extend=extend,
        ),
        folder,
        settings,
        progress,
    )
    with Ledger(folder, record) as ledger:
        utterances: Callable[[], Iterator[Utterance]] = opened.__iter__
        if stand_in is not None:
            _make_references(opened, summary, stand_in, folder, settings, progress)
            utterances = lambda: with_references(opened, folder)  # noqa: E731
        meter = _Meter(len(points) * summary.n_utterances, sum(ledger.count_done(point.name) for point in points))
        await_idle(idle_minutes if meter.done < meter.total else None, progress)
        with executor(settings, workers) as running:
            twin = Twin(folder, twin_places(opened, summary.n_utterances, record.seed), cheapest_point)

            def measure(tasks: Iterator[tuple[WeightsKey, Task]]) -> None:
                for result in running.run(tasks):
                    if result.twin is not None:
                        twin.append(result.twin)
                    ledger.append(result.rows)
                    if strict and (reason := result.rows[0].error):
                        raise AudioError(f"utterance '{result.rows[0].utterance_id}': {reason}")
                    meter.advance(len(result.rows), result.seconds, progress)

            if plan == "joint":
                wanted = trials if trials is not None else max(_LEAST_TRIALS, ceil(len(points) / 5))
                search = JointSearch(
                    trials=wanted, cost=cost, limits=limits or {}, storage=storage, seed=seed, spend=spend
                )
                meter.total = min(wanted, len(points)) * summary.n_utterances
                gflops = mean_gflops(points, sample_durations(opened)[0], model_dimensions(models))
                run_joint(search, points, list(utterances()), folder, ledger, measure, meter.give_up, gflops, twin)
            elif plan == "race":
                run_race(
                    list(utterances()),
                    points,
                    folder,
                    cost,
                    ledger,
                    measure,
                    meter.give_up,
                    seed=seed,
                    spend=spend,
                    twin=twin,
                )
            else:
                measure(tasks_for(enumerate(utterances()), points, ledger, twin))
        rows = sum(ledger.count_done(point.name) for point in points)
    failures = failed_utterances(folder)
    if len(failures) == summary.n_utterances:
        raise CorpusError(
            f"{opened.path}: not one of the {len(failures)} recordings could be read; the first: {failures[0][1]}"
        )
    return SweepResult(
        folder,
        len(points),
        rows,
        failures,
        meter.engine_s,
        time.monotonic() - started,
        (*inferred, *notices, *ledger.notices),
    )


def _normalizer(
    asked: Normalizer | None, language: str, there: RecognitionRunRecord | None, notices: tuple[str, ...]
) -> tuple[Normalizer, tuple[str, ...]]:
    """What was asked for, what the run that is there has, or what suits the language; and what is to be said of it."""
    if asked is not None:
        return asked, notices
    if there is not None:
        return cast(Normalizer, there.normalizer), notices
    chosen = default_normalizer(language)
    said = f"Texts are compared by the {chosen} normaliser, as the language is {language} (--normalizer)."
    return chosen, notices if chosen == "english" else (*notices, said)


def await_idle(minutes: float | None, progress: Callable[[Progress], None] | None) -> None:
    """Wait until nothing else runs on this machine, as :func:`allophone.sweeps.idle.wait_for_idle` does it.

    Args:
        minutes: Longest wait; None does not wait.
        progress: Called now and then.
    """
    if minutes is None:
        return
    total_s = int(60 * minutes)

    def report(waited_s: float) -> None:
        if progress is not None:
            progress(Progress("waiting", int(waited_s), total_s, None))

    wait_for_idle(minutes, report)


def _check_asked(models: Sequence[str], normalizer: Normalizer, cost: str, limits: Mapping[str, float]) -> None:
    load_normalizer(normalizer)
    for model in dict.fromkeys(models):
        require_weights(model)
    if find_cost(cost).name == "rtf_throughput":
        raise SpaceError("a search cannot judge by rtf_throughput, which is measured behind it. Judge by rtf.")
    for name in limits:
        find_objective(name)


def _inferred_by(corpus: Corpus, speakers: str) -> str | None:
    """What infers the speakers that a corpus does not name; None where there are none, or they are not asked for."""
    if speakers not in {"corpus", "auto"}:
        raise SpaceError(f"--speakers '{speakers}': write corpus or auto.")
    if speakers == "corpus" or all(utterance.speaker is not None for utterance in corpus):
        return None
    require_voice_encoder()
    return INFERRED_BY


def _infer_speakers(
    corpus: Corpus,
    record: RecognitionRunRecord,
    folder: Path,
    settings: Settings,
    progress: Callable[[Progress], None] | None,
) -> tuple[Corpus, RecognitionRunRecord, tuple[str, ...]]:
    """Return corpus and record with inferred speakers, and what was inferred in words, where the record asks for it."""
    if record.speakers is None:
        return corpus, record, ()

    def report(done: int) -> None:
        if progress is not None:
            progress(Progress("speakers", done, record.n_utterances, None))

    inferred = infer_speakers(corpus, folder, report, settings.max_audio_s)
    n_speakers = record.n_speakers + inferred.n_inferred
    record = record.model_copy(update={"n_speakers": n_speakers})
    return InferredCorpus(corpus, inferred), record, (inferred.describe(),)


def _kept(
    points: list[OperatingPoint], keep: Callable[[OperatingPoint], bool] | None, earlier: RecognitionRunRecord | None
) -> list[OperatingPoint]:
    kept = [point for point in points if keep is None or keep(point)]
    if not kept:
        raise SpaceError("not one point of the plan is kept. Widen the space, or what 'keep' lets through.")
    return list(dict.fromkeys([*(earlier.points if earlier else []), *kept]))


def _threads(threads: int, workers: int, machine: MachineStamp) -> int:
    """CPU threads of each worker; 0 leaves the choice to the model's size."""
    return threads or (0 if workers == 1 else max(1, machine.cores // workers))


def _rates(
    models: Sequence[str], threads: int, workers: int, machine: MachineStamp
) -> dict[int, MeasuredDevice] | None:
    """The machine's rates at every number of threads that a model runs on."""
    given = _threads(threads, workers, machine)
    counts = {given} if given else {choose_threads(dims) for dims in model_dimensions(models).values()}
    return {count: device_rates(machine, count) for count in sorted(counts)} if models else None


class _Meter:
    """Counts rows and engine seconds, and estimates the rest from this sitting's pace."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.before = total, done, done
        self.engine_s = 0.0
        self._started = time.monotonic()

    def advance(self, rows: int, seconds: float, progress: Callable[[Progress], None] | None) -> None:
        self.done += rows
        self.engine_s += seconds
        if progress is not None:
            pace = (time.monotonic() - self._started) / (self.done - self.before)
            progress(Progress("measuring", self.done, self.total, pace * (self.total - self.done)))

    def give_up(self, rows: int) -> None:
        """Take rows that will never be measured off the total."""
        self.total -= rows


def _make_references(
    corpus: Corpus,
    summary: CorpusSummary,
    point: OperatingPoint,
    folder: Path,
    settings: Settings,
    progress: Callable[[Progress], None] | None,
) -> None:
    def report(done: int) -> None:
        if progress is not None:
            progress(Progress("references", done, summary.n_utterances, None))

    transcribe_references(corpus, summary.n_utterances, point, folder, settings, report)
