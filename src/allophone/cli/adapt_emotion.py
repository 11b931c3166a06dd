"""``allophone adapt emotion``: train an emotion recogniser and test it on speakers it never heard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allophone.cli.say import hint, say, tell

if TYPE_CHECKING:
    from allophone.emotion.experiment import EmotionRun
    from allophone.emotion.results import EmotionSummary

__all__ = ["emotion"]


def emotion(
    context: typer.Context,
    corpus: Annotated[str, typer.Argument(help="A manifest with label and speaker, a CREMA-D or RAVDESS folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the model; the same command continues what was stopped.")],
    model: Annotated[str, typer.Option(help="Encoder: tiny.en, base, facebook/wav2vec2-base, a folder, ...")] = "base",
    duration_s: Annotated[float, typer.Option(help="Seconds heard from the start of each recording.")] = 3.0,
    lora_rank: Annotated[int, typer.Option(min=0, help="Rank of the adapters in all layers; 0 for none.")] = 0,
    unfrozen_layers: Annotated[str, typer.Option(help="Top layers whose own weights are trained, or all.")] = "0",
    split: Annotated[Path | None, typer.Option(help="Split file; made there where it is missing.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Folds of a split that is made; 5 unless said.")] = None,
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
    from allophone.cli.adapt_emotion_options import (
        check_folders,
        chosen_split,
        naming_options,
        parse_speakers,
        setting_and_recipe,
    )
    from allophone.cli.stopping import interruptible
    from allophone.corpora.corpus import open_corpus
    from allophone.emotion.checkpoint import Epoch
    from allophone.emotion.experiment import run_setting
    from allophone.emotion.results import summarise_rows
    from allophone.emotion.store import export_merged
    from allophone.encoders.device import check_torch_device
    from allophone.errors import UsageError
    from allophone.files import write_whole

    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"--precision '{precision}': write float32, bfloat16 or auto.")
    check_torch_device(device)
    given = {
        "epochs": epochs,
        "patience": patience,
        "batch_size": batch_size,
        "head_lr": head_lr,
        "encoder_lr": encoder_lr,
        "lora_lr": lora_lr,
    }
    knobs = {"model": model, "duration_s": duration_s, "lora_rank": lora_rank}
    setting, recipe = setting_and_recipe(knobs, unfrozen_layers, given, seed)
    speakers = parse_speakers(test_speakers, context)
    check_folders(out, merged)
    opened = open_corpus(corpus)
    splits, name = chosen_split(opened, split or out / "split.json", speakers, fold=fold, folds=folds, seed=seed)
    for warning in splits.warnings:
        tell(f"allophone: {warning}")

    def show(epoch: Epoch) -> None:
        line = f"epoch {epoch.number}: loss {epoch.loss:.3f}, validation UAR {100 * epoch.validation_uar:.1f} %"
        tell(f"{line}, {epoch.train_s:.1f} s")

    with naming_options(), interruptible(out, "finished epochs are kept"):
        run = run_setting(
            setting,
            opened,
            splits,
            name,
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
        export_merged(out, merged, checked=True)
    if as_json:
        say(f'{{"summary": {summary.model_dump_json()}, "record": {run.record.model_dump_json()}}}')
    else:
        _print(run, summary, out)
    if run.record.failed:
        _fail(run.record.stopped)


def _print(run: EmotionRun, summary: EmotionSummary, out: Path) -> None:
    record = run.record
    say(
        f"{record.setting.title}: UAR {100 * summary.uar:.1f} % "
        f"[{100 * summary.uar_low:.1f}, {100 * summary.uar_high:.1f}], WA {100 * summary.wa:.1f} %, "
        f"macro-F1 {100 * summary.macro_f1:.1f} %, on {summary.n_utterances} utterances of {summary.n_speakers} "
        "speakers that it never heard"
    )
    recalls = (
        f"{label} {'absent' if recall is None else f'{100 * recall:.0f} %'}"
        for label, recall in zip(summary.labels, summary.recalls, strict=True)
    )
    say(f"  recall: {', '.join(recalls)}")
    say(
        f"  confidence: temperature {record.temperature:.2f}, calibration error {100 * summary.calibration_error:.1f} %"
    )
    say(
        f"  executed: {record.inference_flops / 1e9:.2f} GFLOPs an inference; training "
        f"{record.training_flops / 1e12:.2f} TFLOPs, frozen layers {record.frozen_flops / 1e12:.2f} TFLOPs"
        f"{' once (0 where an earlier run left them)' if record.cached else ''}; "
        f"{record.trainable_params:,} trainable parameters"
    )
    latency = "" if record.latency_s is None else f", {1000 * record.latency_s:.0f} ms an inference"
    say(
        f"  measured: frozen states {record.states_s:.0f} s, training {record.train_s:.0f} s "
        f"({1000 * record.step_s:.0f} ms per step of {record.recipe.batch_size}){latency}; {record.precision}, "
        f"{record.threads} threads, {record.device}"
    )
    say(f"  best epoch {record.best_epoch} of {len(record.validation_uars)}; ended: {record.stopped}")
    if summary.failures or record.failures:
        say(f"allophone: {record.failures} recordings could not be used ({summary.failures} in test).", err=True)
    if summary.warning:
        tell(f"allophone: {summary.warning}")
    hint(f"Saved. Run it with: allophone classify --model {out} AUDIO...")


def _fail(stopped: str) -> None:
    say(
        f"allophone: training failed: {stopped}, and saved. Lower the learning rates and train into another folder.",
        err=True,
    )
    raise typer.Exit(1)
