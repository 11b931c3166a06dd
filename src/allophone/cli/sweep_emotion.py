"""``allophone sweep --task emotion``: train and test emotion recognisers over a space of settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from allophone.cli.say import hint, say, tell
from allophone.cli.sweep_throughput import THROUGHPUT_OPTIONS

if TYPE_CHECKING:
    from allophone.sweeps.emotion.plan import EmotionPlan

__all__ = ["ASR_OPTIONS", "EMOTION_OPTIONS", "refuse_options", "run_emotion"]

ASR_OPTIONS = (
    *("point", "trials", "storage", "max_rtf", "max_gflops", "spend"),
    *("normalizer", "language", "reference_model", "speakers", "workers", "strict", "max_audio_s"),
    *("throughput", *THROUGHPUT_OPTIONS),
)
EMOTION_OPTIONS = ("split", "folds", "seeds", "epochs", "precision")


def refuse_options(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuse options of the other task that were given.

    Raises:
        UsageError: One was.
    """
    from allophone.errors import UsageError

    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} {why}. Leave it out.")


def run_emotion(
    corpus: str,
    out: Path,
    models: Sequence[str] | None,
    axes: Mapping[str, Sequence[str]],
    space_file: Path | None,
    *,
    dry_run: bool,
    **options: Any,
) -> None:
    """Sweep, or print what a sweep would train.

    Args:
        corpus: As the user names it.
        out: The run folder.
        models: Values of the axis ``model``, or None.
        axes: Values of other axes.
        space_file: A TOML file of axes, or None.
        dry_run: Whether nothing is trained.
        options: As :func:`allophone.sweeps.emotion.run.sweep_emotion` takes them.

    Raises:
        AllophoneError: As that.
    """
    from allophone.cli.show import show_progress
    from allophone.cli.stopping import interruptible
    from allophone.corpora.splits import read_splits
    from allophone.sweeps.emotion.plan import SPLIT_FILE, plan_emotion
    from allophone.sweeps.emotion.run import check_emotion_options, sweep_emotion
    from allophone.sweeps.emotion.space import read_emotion_space

    space = read_emotion_space(space_file, models, axes)
    if dry_run:
        check_emotion_options(options["cost"], options["precision"])
        planned = {name: value for name, value in options.items() if name not in ("precision", "idle_minutes")}
        _print_plan(plan_emotion(corpus, out=out, space=space, **planned), options["plan"], out)
        return
    with interruptible(out, "finished epochs are kept"), show_progress() as progress:
        result = sweep_emotion(corpus, out=out, space=space, progress=progress, **options)
    for warning in read_splits(out / SPLIT_FILE).warnings:
        tell(f"allophone: {warning}")
    for notice in result.notices:
        tell(notice)
    for name, reason in result.failures:
        say(f"skipped '{name}': {reason}", err=True)
    say(f"{result.points} points, {result.rows} rows in {out} ({result.wall_s:.0f} s this time).")
    hint(f"Next: allophone frontier {out}")


def _print_plan(planned: EmotionPlan, plan: str, out: Path) -> None:
    from allophone.cli.show import print_table
    from allophone.report.tables import Table

    left = planned.units_left(out)
    some = "" if len(left) == len(planned.units()) else f", {len(left)} of them left"
    seconds = sum(planned.unit_seconds(unit) for unit in left)
    times = len(planned.folds) * len(planned.seeds)
    rows = []
    for setting, first_s in planned.settings:
        cost = planned.forecasts[setting.name]
        total_s = first_s + cost.seconds * (times - 1)
        rows.append(
            (
                setting.title,
                f"{cost.trainable_params:,}",
                f"{cost.inference_gflops:.2f}",
                f"{cost.training_flops / 1e12:.3g}",
                str(planned.recipes[setting.name].epochs),
                f"{total_s / 60:.1f}",
            )
        )
    print_table(
        Table(
            title=f"{plan}: {len(rows)} points x {len(planned.folds)} folds x {len(planned.seeds)} seeds = "
            f"{len(rows) * times} trainings{some}, at most about {seconds / 60:.0f} min; nothing is trained",
            columns=(
                "point",
                "trained parameters",
                "GFLOPs/utt.",
                "TFLOPs per training",
                "epochs",
                "minutes, all folds",
            ),
            rows=tuple(rows),
            muted=(False,) * len(rows),
            notes=(
                *planned.splits.warnings,
                f"{planned.n_tested} of {len(planned.utterances)} utterances are tested on, by recognisers that never "
                "heard their speakers.",
                "Minutes are the FLOPs of the cost model over the rate of a short probe of the encoder's first layer, "
                "all epochs counted: early stopping spares some. States of frozen layers count at the first point "
                "that needs them.",
            ),
        )
    )
