"""``allophone cost``: what a setting of the knobs executes, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from allophone.cli.cost_reproduction import plain_table, reproduction
from allophone.cli.say import say
from allophone.cli.show import Wide

if TYPE_CHECKING:
    from allophone.costs import RecognitionCost
    from allophone.dimensions.moonshine import RecognitionDimensions
    from allophone.report.tables import Table


__all__ = ["cost"]


def cost(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="A name in the dimensions table, or a CTranslate2 folder.")
    ] = None,
    audio_s: Annotated[float, typer.Option(help="Seconds of audio.")] = 30.0,
    window_s: Annotated[float, typer.Option(help="Seconds of audio in one encoder pass, at most 30.")] = 30.0,
    context: Annotated[str, typer.Option(help="full (padded to 30 s) or fit (the audio, margin and floor).")] = "full",
    margin_s: Annotated[float, typer.Option(help="Seconds of silence after the audio, in a fit context.")] = 0.0,
    floor_s: Annotated[float, typer.Option(help="Least seconds that the encoder runs on, in a fit context.")] = 0.0,
    tail: Annotated[str, typer.Option(help="Behind a fit context: none, all, every-N, last-N or learned-N.")] = "none",
    token_stride: Annotated[int, typer.Option(help="Every n-th audio token reaches the decoder.")] = 1,
    speed: Annotated[float, typer.Option(help="Time compression, 0.5 to 4.")] = 1.0,
    beam_size: Annotated[int, typer.Option(help="Beams of the decoder; 1 is greedy.")] = 1,
    text_tokens: Annotated[int, typer.Option(help="Tokens generated in each window, end-of-text included.")] = 20,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens given to the decoder before the first; else the model's prompt."),
    ] = None,
    compute_type: Annotated[str, typer.Option(help="int8, bfloat16, float32 ...")] = "int8",
    duration_s: Annotated[float, typer.Option(help="Emotion recognition: seconds of audio.")] = 4.0,
    lora_rank: Annotated[int, typer.Option(help="Emotion recognition: rank of the adapters, 0 for none.")] = 0,
    unfrozen_layers: Annotated[int, typer.Option(help="Emotion recognition: top layers that are trained.")] = 0,
    classes: Annotated[int, typer.Option(help="Emotion recognition: classes of the head.")] = 6,
    convention: Annotated[str, typer.Option(help="executed, or published (as in arXiv 2606.22790).")] = "executed",
    device: Annotated[str | None, typer.Option(help="Also bound the latency from below on this device.")] = None,
    reproduce: Annotated[str | None, typer.Option(help="Recompute a paper's costs: 2606.22790 or 2309.12712.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    wide: Wide = False,
) -> None:
    """Print FLOPs, parameters and bytes of a setting. Whisper with an emotion option costs its encoder and a head."""
    from allophone.errors import UsageError
    from allophone.model_cost import EMOTION_KNOBS, RECOGNITION_KNOBS

    if reproduce is not None:
        if model is not None:
            raise UsageError("--reproduce takes no model: it goes through the paper's own")
        _print(reproduction(reproduce), as_json=as_json, wide=wide)
        return
    if model is None:
        raise UsageError("give a model, or --reproduce 2606.22790")
    names = (*RECOGNITION_KNOBS, *EMOTION_KNOBS, "device")
    sources = {name: ctx.get_parameter_source(name) for name in names}
    given = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    knobs = {name: ctx.params[name] for name in names}
    _print(_costs(model, knobs, given, convention), as_json=as_json, wide=wide)


def _costs(model: str, knobs: dict[str, Any], given: set[str], convention: str) -> tuple[dict[str, Any], list[Table]]:
    from dataclasses import asdict

    from allophone.costs import EmotionCost, WhisperCost
    from allophone.costs.recognition import prompt_length
    from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
    from allophone.errors import UsageError
    from allophone.model_cost import EMOTION_KNOBS, MOONSHINE_KNOBS, RECOGNITION_KNOBS, find_dimensions
    from allophone.model_cost import cost as cost_of

    asked = {name: knobs[name] for name in given if name != "device"}
    try:
        costed = cost_of(model, convention=cast("Literal['executed', 'published']", convention), **asked)
    except UsageError as error:
        names, no_knob, rest = str(error).partition(": no such knob")
        flags = ", ".join("--" + name.replace("_", "-") for name in names.split(", "))
        raise UsageError(f"{flags}{no_knob}{rest}") if no_knob else error from None
    emotion = isinstance(costed, EmotionCost)
    record: dict[str, Any] = {"model": model, "task": "emotion" if emotion else "recognition"}
    if isinstance(costed, EmotionCost):
        if "device" in given:
            raise UsageError(f"--device: no such knob in emotion recognition with {model}.")
        record |= {name: knobs[name] for name in EMOTION_KNOBS} | asdict(costed)
        record |= {"flops_cross_kv": 0, "flops_decoder": 0, "kv_cache_bytes": 0}
    else:
        dims = find_dimensions(model)
        assert not isinstance(dims, SpeechEncoderDimensions)
        if knobs["prompt_tokens"] is None:
            knobs["prompt_tokens"] = prompt_length(dims)
        used = RECOGNITION_KNOBS if isinstance(costed, WhisperCost) else MOONSHINE_KNOBS
        record |= {name: knobs[name] for name in used} | asdict(costed)
        if knobs["device"] is not None:
            record |= {"device": knobs["device"], "roofline_latency_s": _bound(dims, knobs, costed)}
    record |= {"flops_total": costed.flops_total, "macs_total": costed.macs_total}
    return record, [plain_table(f"{model}, {convention}", ("quantity", "value", ""), _lines(record))]


def _bound(dims: RecognitionDimensions, knobs: dict[str, Any], costed: RecognitionCost) -> float:
    from allophone.costs import WhisperCost, device, recognition_roofline_latency_s

    return recognition_roofline_latency_s(
        dims,
        device(knobs["device"]),
        window_frames=costed.window_frames,
        window_tail=costed.window_tail if isinstance(costed, WhisperCost) else None,
        window_tokens=costed.window_tokens,
        **{name: knobs[name] for name in ("prompt_tokens", "token_stride", "beam_size", "compute_type")},
    )


def _lines(record: dict[str, Any]) -> list[tuple[str, ...]]:
    # FLOPs with their share of the total, everything else as it is.
    lines: list[tuple[str, ...]] = []
    for name, value in record.items():
        if value is None or name in {"model", "task", "convention"}:
            continue
        shown = f"{value:,}" if isinstance(value, int) else f"{value}"
        note = ""
        if isinstance(value, tuple):
            shown = f"{len(value)} x {value[0]}" if len(set(value)) == 1 else " ".join(map(str, value))
        elif name.startswith("flops_") and name not in {"flops_total", "flops_training"} and record["flops_total"]:
            note = f"{100 * value / record['flops_total']:.1f} %"
        elif name == "roofline_latency_s":
            note = "at least"
        lines.append((name, shown, note))
    return lines


def _print(result: tuple[dict[str, Any], list[Table]], *, as_json: bool, wide: bool) -> None:
    import json

    from allophone.cli.show import print_table

    record, tables = result
    if as_json:
        say(json.dumps(record, indent=1, default=float))
        return
    for table in tables:
        print_table(table, wide=wide)
