"""``allophone sweep``: measure operating points on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allophone.cli.engine_options import Device, MaxAudio
from allophone.cli.quantities import LONGEST, Quantity, check_positive, minutes, quantity
from allophone.cli.say import hint, say, tell
from allophone.cli.sweep_emotion import ASR_OPTIONS, EMOTION_OPTIONS, refuse_options, run_emotion
from allophone.cli.sweep_throughput import THROUGHPUT_OPTIONS, run_throughput

if TYPE_CHECKING:
    from allophone.sweeps.recognition.worker import Settings
    from allophone.sweeps.space import SearchSpace

__all__ = ["sweep"]


def sweep(
    context: typer.Context,
    corpus: Annotated[str, typer.Argument(help="A .jsonl manifest, a folder of recordings, or hf:NAME?split=...")],
    out: Annotated[Path, typer.Option(help="The run folder; the same command continues a run that was stopped.")],
    task: Annotated[
        str, typer.Option(help="asr: transcribe; emotion: train and test speech emotion recognisers, fold by fold.")
    ] = "asr",
    models: Annotated[
        str | None, typer.Option(help="Models to compare, comma-separated: names, folders, hub repositories.")
    ] = None,
    plan: Annotated[
        str,
        typer.Option(
            help="star: one axis at a time round a centre; grid: every combination; "
            "isoflop: combinations of equal compute, see --budgets; "
            "race: every combination, given up once dominated, or once it will hardly be "
            "shown better; joint: Optuna chooses combinations."
        ),
    ] = "star",
    budgets: Annotated[
        str | None,
        typer.Option(
            help="For isoflop: executed GFLOPs per utterance (for emotion of one inference, or with --cost "
            "training_gflops of one training), comma-separated."
        ),
    ] = None,
    axis: Annotated[
        list[str] | None, typer.Option(help="Values of an axis, e.g. token_stride=1,2,4; may be repeated.")
    ] = None,
    space: Annotated[Path | None, typer.Option(help="A TOML file with one key an axis.")] = None,
    point: Annotated[
        Path | None, typer.Option(help="Measure this saved operating point again, instead of a plan's points.")
    ] = None,
    cost: Annotated[
        str,
        typer.Option(
            help="For race and joint: the cost that points are judged by (for isoflop of emotion see --budgets)."
        ),
    ] = "rtf",
    trials: Annotated[
        int | None, typer.Option(min=1, help="For joint: points to measure; else a fifth of the combinations.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="For joint: Optuna storage URL; else SQLite in the run folder.")
    ] = None,
    max_rtf: Annotated[float | None, typer.Option(help="For joint: prefer points with at most this RTF.")] = None,
    max_gflops: Annotated[
        float | None, typer.Option(help="For joint: prefer points with at most this many GFLOPs per utterance.")
    ] = None,
    spend: Annotated[
        float | None,
        typer.Option(min=0.001, max=1, help="For race and joint: share of the whole grid's engine time, e.g. 0.2."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="For race and joint: order of utterances, and draws. For emotion: folds, the first of --seeds."
        ),
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print points, compute and time, and measure nothing.")
    ] = False,
    normalizer: Annotated[
        str | None,
        typer.Option(
            help="english, basic, characters (each counts as a word) or none; else by --language: english for en, "
            "characters where words are not parted, basic for others."
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="Language code of the prompt, or auto.")] = "en",
    reference_model: Annotated[
        str | None, typer.Option(help="Without references: measure relative to this model's transcripts.")
    ] = None,
    speakers: Annotated[
        str,
        typer.Option(
            help="corpus: as the corpus names them; auto: infer those it does not name from voices (extra speakers)."
        ),
    ] = "corpus",
    device: Device = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of a worker; 0 chooses by the model's size.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes that may be busy at once.")] = 1,
    max_audio_s: MaxAudio = LONGEST,
    wait_for_idle: Annotated[
        Quantity | None,
        quantity(
            read=minutes,
            help="Wait so long at most (minutes, or 90s, 1h) until nothing else runs on this machine, then measure.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first recording that cannot be read.")] = False,
    extend: Annotated[
        bool,
        typer.Option("--extend", help="Add points (for emotion folds and seeds too) to a run; those it has stay."),
    ] = False,
    throughput: Annotated[
        bool, typer.Option("--throughput", help="Then also measure every point with many recordings at once.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=0, help="For --throughput: passes at once; 0 as many as the cores take.")
    ] = 0,
    batch_size: Annotated[
        int, typer.Option(min=0, help="For --throughput: windows in one pass; 0 takes 1, on a GPU 16.")
    ] = 0,
    throughput_minutes: Annotated[
        float, typer.Option(min=0.01, help="For --throughput: most audio; of a larger corpus recordings are drawn.")
    ] = 3.0,
    throughput_rounds: Annotated[
        int, typer.Option(min=1, help="For --throughput: measurements of each point, points taking turns.")
    ] = 3,
    split: Annotated[
        Path | None,
        typer.Option(help="For emotion: a split file; else folds of the speakers are made, five or --folds."),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=1, help="For emotion: splits to measure; else 3, or all of --split.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="For emotion: trainings of each point and fold.")] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="For emotion: most epochs of a training.")] = None,
    precision: Annotated[str, typer.Option(help="For emotion: float32, bfloat16, or auto: what is faster.")] = "auto",
) -> None:
    """Measure operating points on your audio, into a run folder."""
    from allophone.cli.show import show_progress
    from allophone.cli.stopping import interruptible
    from allophone.errors import UsageError
    from allophone.sweeps.recognition.run import sweep as run_sweep
    from allophone.sweeps.recognition.worker import Settings
    from allophone.sweeps.space import parse_axes, parse_numbers, read_space

    check_positive("--max-audio", max_audio_s, "a duration, such as 30m")
    names = [name.strip() for name in models.split(",") if name.strip()] if models else None
    if plan in ("star", "grid") or (plan == "isoflop" and task == "asr"):
        refuse_options(context, ("cost",), f"is what a search judges points by; --plan {plan} measures every cost")
    if task == "emotion":
        refuse_options(context, ASR_OPTIONS, "is for speech recognition (--task asr)")
        run_emotion(
            corpus,
            out,
            names,
            parse_axes(axis or []),
            space,
            dry_run=dry_run,
            plan=plan,
            budgets_gflops=parse_numbers("--budgets", budgets),
            split=split,
            folds=folds,
            seeds=seeds,
            seed=seed,
            cost=cost,
            epochs=epochs,
            precision=precision,
            device=device,
            threads=threads,
            extend=extend,
            idle_minutes=None if wait_for_idle is None else wait_for_idle / 60,
        )
        return
    if task != "asr":
        raise UsageError(f"--task '{task}': write asr or emotion.")
    refuse_options(context, EMOTION_OPTIONS, "is for emotion recognition (--task emotion)")
    if not throughput:
        refuse_options(context, THROUGHPUT_OPTIONS, "goes with --throughput")
    _refuse_foreign_plan(context, plan)
    search_space = read_space(space, names, parse_axes(axis or []))
    if point is not None:
        refuse_options(context, ("models", "axis", "space", "plan"), "does not go with --point, which is one point")
        search_space = _space_of_file(point)
    wanted = {"rtf": max_rtf, "executed_gflops": max_gflops}
    limits = {name: limit for name, limit in wanted.items() if limit is not None}
    budgets_gflops = parse_numbers("--budgets", budgets)
    if dry_run:
        settings = Settings(language=language, device=device, threads=threads)
        _print_plan(corpus, search_space, plan, budgets_gflops, settings, out if extend else None, reference_model)
        return
    with interruptible(out, "what is measured is kept"), show_progress() as progress:
        result = run_sweep(
            corpus,
            out=out,
            space=search_space,
            plan=plan,
            budgets_gflops=budgets_gflops,
            cost=cost,
            trials=trials,
            storage=storage,
            limits=limits,
            normalizer=normalizer,  # type: ignore[arg-type]
            language=language,
            reference_model=reference_model,
            speakers=speakers,
            device=device,
            threads=threads,
            workers=workers,
            strict=strict,
            extend=extend,
            seed=seed,
            spend=spend,
            max_audio_s=float(max_audio_s),
            idle_minutes=None if wait_for_idle is None else wait_for_idle / 60,
            progress=progress,
        )
    for notice in result.notices:
        tell(notice)
    for name, reason in result.failures:
        say(f"skipped '{name}': {reason}", err=True)
    say(f"{result.points} points, {result.rows} rows in {out} ({result.wall_s:.0f} s this time).")
    if result.failures:
        say(f"{len(result.failures)} recordings could not be read and were skipped; --strict stops at the first.")
    if throughput:
        with interruptible(out, "what is measured is kept"):
            run_throughput(
                corpus,
                out,
                jobs=jobs,
                batch_size=batch_size,
                minutes=throughput_minutes,
                rounds=throughput_rounds,
            )
    hint(f"Next: allophone frontier {out}{' --cost rtf_throughput' if throughput else ''}")


_PLANS = {  # options that only these plans read
    "trials": ("joint",),
    "storage": ("joint",),
    "max_rtf": ("joint",),
    "max_gflops": ("joint",),
    "spend": ("race", "joint"),
}


def _space_of_file(path: Path) -> SearchSpace:
    from allophone.errors import UsageError
    from allophone.records.saved_point import read_point
    from allophone.sweeps.space import space_of_point

    saved = read_point(path)
    if saved.policy is not None:
        raise UsageError(f"{path}: field 'policy': a policy is no point. Sweep its points, then route evaluate.")
    return space_of_point(saved.point)


def _refuse_foreign_plan(context: typer.Context, plan: str) -> None:
    for name, plans in _PLANS.items():
        if plan not in plans:
            refuse_options(context, (name,), f"is for --plan {' and '.join(plans)}; --plan {plan} does not read it")


def _print_plan(
    corpus: str,
    space: SearchSpace,
    plan: str,
    budgets: list[float],
    settings: Settings,
    extended: Path | None,
    reference_model: str | None,
) -> None:
    from allophone.cli.show import print_table
    from allophone.corpora.corpus import open_corpus
    from allophone.ledger.run_record import RecognitionRunRecord
    from allophone.report.tables import Table
    from allophone.sweeps.recognition.forecast import predict
    from allophone.sweeps.recognition.plans import plan_points
    from allophone.sweeps.recognition.references import reference_point, require_references
    from allophone.sweeps.recognition.twin import TWIN_UTTERANCES, predict_twin
    from allophone.sweeps.resume import existing_run, space_as_begun

    opened = open_corpus(corpus)
    earlier = existing_run(extended, RecognitionRunRecord) if extended else None
    planned = plan_points(space_as_begun(space, earlier), plan, corpus=opened, budgets_gflops=budgets)
    points = list(dict.fromkeys([*(earlier.points if earlier else []), *planned]))
    n_utterances = opened.scan().n_utterances
    names, n_points = [point.title for point in points], len(points)
    if reference_model is None:
        require_references(opened)
    else:  # its transcripts are made first, of the whole corpus
        stand_in = reference_point(reference_model)
        points, names = [stand_in, *points], [f"references: {stand_in.title}", *names]
    predictions = [predict(opened, n_utterances, [points[0]], settings)[0]] if reference_model is not None else []
    predictions += predict(opened, n_utterances, points[len(predictions) :], settings)
    twinned = min(n_utterances, TWIN_UTTERANCES)
    twin = predict_twin(predictions[-n_points:], n_utterances, extended)
    counts = [*(n_utterances for _ in predictions), twinned]
    predictions, names = [*predictions, twin], [*names, f"{twin.point.title}, again"]
    known = [prediction.engine_s for prediction in predictions if prediction.engine_s is not None]
    rows = tuple(
        (
            name,
            f"{prediction.executed_gflops / count:.1f}",
            f"{prediction.executed_gflops:.0f}",
            "unknown" if prediction.engine_s is None else f"{prediction.engine_s:.0f}",
        )
        for name, prediction, count in zip(names, predictions, counts, strict=True)
    )
    total = f"about {sum(known):.0f} s in all" if len(known) == len(predictions) else "time unknown"
    print_table(
        Table(
            title=f"{plan}: {n_points} points x {n_utterances} utterances, {total}; nothing is measured",
            columns=("point", "GFLOPs/utt.", "GFLOPs in all", "seconds"),
            rows=rows,
            muted=(False,) * len(rows),
            notes=(
                "Seconds are scaled from one utterance; an encoder pass shared by points counts at the first of them.",
                f"One point is measured again on {twinned} utterances, to tell noise from differences.",
            ),
        )
    )
