"""``allophone adapt emotion``: train an emotion recogniser and test it on speakers it never heard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from allophone.adapt.emotion_run import EmotionRun
    from allophone.adapt.emotion_summary import EmotionSummary
    from allophone.audio.corpus import Corpus
    from allophone.audio.splits import SplitFile

__all__ = ["emotion"]


def emotion(
    corpus: Annotated[str, typer.Argument(help="A manifest with label and speaker, a CREMA-D or RAVDESS folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the model; the same command continues what was stopped.")],
    model: Annotated[str, typer.Option(help="Encoder: tiny.en, base, facebook/wav2vec2-base, a folder, ...")] = "base",
    duration_s: Annotated[float, typer.Option(help="Seconds heard from the start of each recording.")] = 3.0,
    lora_rank: Annotated[int, typer.Option(min=0, help="Rank of the adapters in all layers; 0 for none.")] = 0,
    unfrozen_layers: Annotated[str, typer.Option(help="Top layers whose own weights are trained, or all.")] = "0",
    split: Annotated[Path | None, typer.Option(help="Split file; made there where it is missing.")] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds of a split that is made.")] = 5,
    fold: Annotated[str, typer.Option(help="Which split of the file: its test speakers are reported.")] = "fold-0",
    test_speakers: Annotated[
        str | None, typer.Option(help="Make one split that tests these speakers, comma-separated.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Most epochs.")] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Epochs without a better validation UAR.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Clips a step.")] = None,
    head_lr: Annotated[float | None, typer.Option(help="Learning rate of the head.")] = None,
    encoder_lr: Annotated[float | None, typer.Option(help="Learning rate of unfrozen layers.")] = None,
    lora_lr: Annotated[float | None, typer.Option(help="Learning rate of adapters.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of initial weights, order of clips, and a split that is made.")] = 0,
    precision: Annotated[str, typer.Option(help="float32, bfloat16, or auto: what is faster here.")] = "auto",
    cached: Annotated[bool, typer.Option("--cache/--no-cache", help="Compute frozen layers once.")] = True,
    merged: Annotated[Path | None, typer.Option(help="Also write the merged encoder for transformers here.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes the default.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary and training record as JSON.")] = False,
) -> None:
    """Train an emotion recogniser, stop on validation speakers, report on test speakers, and save it."""
    from pydantic import ValidationError

    from allophone.adapt.emotion_checkpoint import Epoch
    from allophone.adapt.emotion_run import run_setting
    from allophone.adapt.emotion_setting import EmotionSetting, default_recipe
    from allophone.adapt.emotion_store import export_merged
    from allophone.adapt.emotion_summary import summarise_rows
    from allophone.audio.corpus import open_corpus
    from allophone.cli.stopping import stoppable
    from allophone.errors import UsageError
    from allophone.files import write_whole

    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"--precision '{precision}': write float32, bfloat16 or auto.")
    given: dict[str, Any] = {
        "epochs": epochs,
        "patience": patience,
        "batch_size": batch_size,
        "head_lr": head_lr,
        "encoder_lr": encoder_lr,
        "lora_lr": lora_lr,
    }
    try:
        setting = EmotionSetting(
            model=model, duration_s=duration_s, lora_rank=lora_rank, unfrozen_layers=_layers(unfrozen_layers)
        )
        changes = {name: value for name, value in given.items() if value is not None}
        standard = default_recipe(setting, seed=seed)
        recipe = type(standard).model_validate(standard.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"{option} {first['input']}: {first['msg']}.") from None
    opened = open_corpus(corpus)
    named = [speaker.strip() for speaker in test_speakers.split(",")] if test_speakers else []
    splits = _splits(opened, split or out / "split.json", named, folds, seed)
    for warning in splits.warnings:
        typer.echo(f"allophone: {warning}", err=True)

    def show(epoch: Epoch) -> None:
        line = f"epoch {epoch.number}: loss {epoch.loss:.3f}, validation UAR {100 * epoch.validation_uar:.1f} %"
        typer.echo(f"{line}, {epoch.train_s:.1f} s", err=True)

    with stoppable(out, "finished epochs are kept"):
        run = run_setting(
            setting,
            opened,
            splits,
            splits.splits[0].name if named else fold,
            recipe=recipe,
            precision=precision,  # type: ignore[arg-type]
            out=out,
            cached=cached,
            timed_rows=32,
            device=device,
            threads=threads,
            on_epoch=show,
        )
    summary = summarise_rows(run.rows, splits.labels)
    write_whole(out / "summary.json", summary.model_dump_json(indent=1) + "\n")
    if merged is not None:
        export_merged(out, merged)
    if as_json:
        typer.echo(f'{{"summary": {summary.model_dump_json()}, "record": {run.record.model_dump_json()}}}')
    else:
        _print(run, summary, out)
    if run.record.failed:
        _fail(run.record.stopped)


def _layers(text: str) -> Any:
    return text if text == "all" else int(text) if text.lstrip("-").isdigit() else text


def _splits(corpus: Corpus, path: Path, test_speakers: list[str], folds: int, seed: int) -> SplitFile:
    from allophone.audio.splits import fixed_split, make_folds, read_splits, write_splits
    from allophone.errors import UsageError

    if path.is_file():
        splits = read_splits(path, corpus)
        if test_speakers and set(test_speakers) != set(splits.splits[0].test):
            raise UsageError(f"{path}: tests other speakers than --test-speakers. Name another split file or folder.")
        return splits
    if test_speakers:
        splits = fixed_split(corpus, test=test_speakers, seed=seed)
    else:
        splits = make_folds(corpus, folds=folds, seed=seed)
    write_splits(path, splits)
    return splits


def _print(run: EmotionRun, summary: EmotionSummary, out: Path) -> None:
    record = run.record
    typer.echo(
        f"{record.setting.name}: UAR {100 * summary.uar:.1f} % "
        f"[{100 * summary.uar_low:.1f}, {100 * summary.uar_high:.1f}], WA {100 * summary.wa:.1f} %, "
        f"macro-F1 {100 * summary.macro_f1:.1f} %, on {summary.n_utterances} utterances of {summary.n_speakers} "
        "speakers that it never heard"
    )
    recalls = (
        f"{label} {'absent' if recall is None else f'{100 * recall:.0f} %'}"
        for label, recall in zip(summary.labels, summary.recalls, strict=True)
    )
    typer.echo(f"  recall: {', '.join(recalls)}")
    typer.echo(
        f"  confidence: temperature {record.temperature:.2f}, calibration error {100 * summary.calibration_error:.1f} %"
    )
    typer.echo(
        f"  executed: {record.inference_flops / 1e9:.2f} GFLOPs an inference; training "
        f"{record.training_flops / 1e12:.2f} TFLOPs, frozen layers {record.frozen_flops / 1e12:.2f} TFLOPs"
        f"{' once (0 where an earlier run left them)' if record.cached else ''}; "
        f"{record.trainable_params:,} trainable parameters"
    )
    latency = "" if record.latency_s is None else f", {1000 * record.latency_s:.0f} ms an inference"
    typer.echo(
        f"  measured: frozen states {record.states_s:.0f} s, training {record.train_s:.0f} s "
        f"({1000 * record.step_s:.0f} ms a step of {record.recipe.batch_size}){latency}; {record.precision}, "
        f"{record.threads} threads, {record.device}"
    )
    typer.echo(f"  best epoch {record.best_epoch} of {len(record.validation_uars)}; ended: {record.stopped}")
    if summary.failures or record.failures:
        typer.echo(f"allophone: {record.failures} recordings could not be used ({summary.failures} in test).", err=True)
    if summary.warning:
        typer.echo(f"allophone: {summary.warning}", err=True)
    typer.echo(f"Saved. Run it with: allophone classify --model {out} AUDIO...")


def _fail(stopped: str) -> None:
    typer.echo(
        f"allophone: training failed: {stopped}, and saved. Lower the learning rates and train into another folder.",
        err=True,
    )
    raise typer.Exit(1)
