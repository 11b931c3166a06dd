"""``allophone cost``: what a setting of the knobs executes, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

if TYPE_CHECKING:
    from allophone.costs import EmotionCost, MoonshineCost, WhisperCost
    from allophone.dimensions import SpeechEncoderDimensions
    from allophone.moonshine_dimensions import RecognitionDimensions
    from allophone.report.tables import Table

    Rows = list[tuple[str, ...]]

__all__ = ["cost"]

_RECOGNITION = (
    *(
        "audio_s",
        "window_s",
        "context",
        "margin_s",
        "floor_s",
        "tail",
        "token_stride",
        "speed",
        "beam_size",
        "text_tokens",
    ),
    *("prompt_tokens", "compute_type", "device"),
)
_NOT_MOONSHINE = ("context", "margin_s", "floor_s", "tail", "prompt_tokens", "compute_type")
_EMOTION = ("duration_s", "lora_rank", "unfrozen_layers", "classes")


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
    tail: Annotated[str, typer.Option(help="Silence after a fit context: none, all, every-N or last-N.")] = "none",
    token_stride: Annotated[int, typer.Option(help="Every n-th audio token reaches the decoder.")] = 1,
    speed: Annotated[float, typer.Option(help="Time compression, 0.5 to 4.")] = 1.0,
    beam_size: Annotated[int, typer.Option(help="Beams of the decoder; 1 is greedy.")] = 1,
    text_tokens: Annotated[int, typer.Option(help="Tokens generated in each window, end-of-text included.")] = 20,
    prompt_tokens: Annotated[int, typer.Option(help="Tokens given to the decoder before the first.")] = 4,
    compute_type: Annotated[str, typer.Option(help="int8, bfloat16, float32 ...")] = "int8",
    duration_s: Annotated[float, typer.Option(help="Emotion recognition: seconds of audio.")] = 4.0,
    lora_rank: Annotated[int, typer.Option(help="Emotion recognition: rank of the adapters, 0 for none.")] = 0,
    unfrozen_layers: Annotated[int, typer.Option(help="Emotion recognition: top layers that are trained.")] = 0,
    classes: Annotated[int, typer.Option(help="Emotion recognition: classes of the head.")] = 6,
    convention: Annotated[str, typer.Option(help="executed, or published (as in arXiv 2606.22790).")] = "executed",
    device: Annotated[str | None, typer.Option(help="Also bound the latency from below on this device.")] = None,
    reproduce: Annotated[str | None, typer.Option(help="Recompute a paper's costs: 2606.22790 or 2309.12712.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print FLOPs, parameters and bytes of a setting. Whisper with an emotion option costs its encoder and a head."""
    from allophone.errors import UsageError

    if reproduce is not None:
        if model is not None:
            raise UsageError("--reproduce takes no model: it goes through the paper's own")
        _print(_reproduction(reproduce), as_json=as_json)
        return
    if model is None:
        raise UsageError("give a model, or --reproduce 2606.22790")
    sources = {name: ctx.get_parameter_source(name) for name in (*_RECOGNITION, *_EMOTION)}
    given = {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}
    knobs = {name: ctx.params[name] for name in (*_RECOGNITION, *_EMOTION)}
    _print(_costs(model, knobs, given, convention), as_json=as_json)


def _dimensions(model: str) -> RecognitionDimensions | SpeechEncoderDimensions:
    from pathlib import Path

    from allophone.dimensions import dimensions
    from allophone.errors import UnknownModelError
    from allophone.moonshine_dimensions import MOONSHINE_MODELS

    if Path(model).expanduser().is_dir():
        from allophone.models.weights import locate_weights

        found = locate_weights(model)
        assert found is not None  # a folder either has weights or is an error
        return found.dimensions
    if model in MOONSHINE_MODELS:
        return MOONSHINE_MODELS[model]
    try:
        return dimensions(model)
    except UnknownModelError as error:
        raise UnknownModelError(f"{error}, {', '.join(MOONSHINE_MODELS)}") from None


def _costs(model: str, knobs: dict[str, Any], given: set[str], convention: str) -> tuple[dict[str, Any], list[Table]]:
    from dataclasses import asdict

    from allophone.costs import emotion_cost, moonshine_cost, whisper_cost
    from allophone.dimensions import SpeechEncoderDimensions
    from allophone.errors import UsageError
    from allophone.moonshine_dimensions import MoonshineDimensions

    dims = _dimensions(model)
    moonshine = isinstance(dims, MoonshineDimensions)
    emotion = not moonshine and (isinstance(dims, SpeechEncoderDimensions) or bool(given & set(_EMOTION)))
    foreign = _RECOGNITION if emotion else (*_EMOTION, *_NOT_MOONSHINE) if moonshine else _EMOTION
    wrong = sorted(given & set(foreign))
    if wrong:
        flags = ", ".join("--" + name.replace("_", "-") for name in wrong)
        task = "emotion recognition" if emotion else "speech recognition"
        raise UsageError(f"{flags}: no such knob in {task} with {model}")
    asked = cast("Literal['executed', 'published']", convention)
    record: dict[str, Any] = {"model": model, "task": "emotion" if emotion else "recognition"}
    costed: EmotionCost | WhisperCost | MoonshineCost
    if emotion:
        assert not isinstance(dims, MoonshineDimensions)
        used = {name: knobs[name] for name in _EMOTION}
        costed = emotion_cost(dims, **used, convention=asked)
        record |= used | asdict(costed) | {"flops_cross_kv": 0, "flops_decoder": 0, "kv_cache_bytes": 0}
    else:
        assert not isinstance(dims, SpeechEncoderDimensions)
        used = {name: knobs[name] for name in _RECOGNITION if name != "device"}
        if isinstance(dims, MoonshineDimensions):
            used = {name: value for name, value in used.items() if name not in _NOT_MOONSHINE}
            costed = moonshine_cost(dims, **used, convention=asked)
        else:
            costed = whisper_cost(dims, **used, convention=asked)
        record |= used | asdict(costed)
        if knobs["device"] is not None:
            record |= {"device": knobs["device"], "roofline_latency_s": _bound(dims, knobs, costed)}
    record |= {"flops_total": costed.flops_total, "macs_total": costed.macs_total}
    return record, [_table(f"{model}, {convention}", ("quantity", "value", ""), _lines(record))]


def _bound(dims: RecognitionDimensions, knobs: dict[str, Any], costed: WhisperCost | MoonshineCost) -> float:
    from allophone.costs import WhisperCost, device, recognition_roofline_latency_s

    return recognition_roofline_latency_s(
        dims,
        device(knobs["device"]),
        window_frames=costed.window_frames,
        window_tail=costed.window_tail if isinstance(costed, WhisperCost) else None,
        window_tokens=costed.window_tokens,
        **{name: knobs[name] for name in ("prompt_tokens", "token_stride", "beam_size", "compute_type")},
    )


def _lines(record: dict[str, Any]) -> Rows:
    # FLOPs with their share of the total, everything else as it is.
    lines: Rows = []
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


def _table(title: str, columns: tuple[str, ...], rows: Rows, notes: tuple[str, ...] = ()) -> Table:
    from allophone.report.tables import Table

    return Table(title, columns, tuple(rows), (False,) * len(rows), notes)


def _print(result: tuple[dict[str, Any], list[Table]], *, as_json: bool) -> None:
    import json

    from allophone.cli.show import print_table

    record, tables = result
    if as_json:
        typer.echo(json.dumps(record, indent=1, default=float))
        return
    for table in tables:
        print_table(table)


def _reproduction(paper: str) -> tuple[dict[str, Any], list[Table]]:
    from allophone.costs import PAPER, SELECTION_PAPER
    from allophone.errors import UsageError

    if paper == PAPER:
        return _allocation()
    if paper == SELECTION_PAPER:
        return _selection()
    raise UsageError(f"unknown paper '{paper}'; known ones: {PAPER}, {SELECTION_PAPER}")


def _giga(flops: Any) -> str:
    return f"{float(flops) / 1e9:.1f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _allocation() -> tuple[dict[str, Any], list[Table]]:
    from dataclasses import asdict

    from allophone.costs import PAPER, reproduce

    result = reproduce()
    record = {
        "paper": PAPER,
        **{name: [asdict(row) | {"ratio": row.ratio} for row in getattr(result, name)] for name in ("asr", "ser")},
        "claims": [asdict(claim) for claim in result.claims],
    }
    asr: Rows = [
        (
            *(row.model, str(row.audio_tokens), str(row.token_stride), row.printed_gflops, _giga(row.formula_flops)),
            *(str(row.text_tokens), _giga(row.executed_flops), f"{row.ratio:.2f}"),
        )
        for row in result.asr
    ]
    ser: Rows = [
        (
            *(row.model, row.duration_s, row.adaptation, row.printed_gflops, _giga(row.formula_flops)),
            *(_giga(row.executed_flops), f"{row.ratio:.2f}", f"{100 * row.stem_share:.1f}"),
        )
        for row in result.ser
    ]
    claims: Rows = [
        (claim.statement, *map(_number, (claim.stated, claim.tables, claim.executed))) for claim in result.claims
    ]
    compared = ("printed", "formula", "executed", "executed/formula")
    return record, [
        _table(
            f"arXiv {PAPER}, speech recognition, GFLOPs",
            ("model", "frames", "stride", *compared[:2], "text tokens", *compared[2:]),
            asr,
            (
                "formula: n(2Td(4d+T) + 16Td²) + n(2(T/s)d² + 10d²)L, L the text tokens that give the printed digits;",
                "executed: 1500 audio tokens in every row, since clipped audio is padded back to 30 s.",
            ),
        ),
        _table(
            f"arXiv {PAPER}, emotion recognition, GFLOPs",
            ("model", "seconds", "adaptation", *compared, "front end %"),
            ser,
            ("formula: 2 · parameters · 50 · seconds, blind to the convolutional front end.",),
        ),
        _table("Statements against tables and execution", ("statement", "stated", "tables", "executed"), claims),
    ]


def _selection() -> tuple[dict[str, Any], list[Table]]:
    from dataclasses import asdict

    from allophone.costs import SELECTION_PAPER, SHARES, select_between

    result = select_between()
    rows: Rows = [
        (
            *(row.cost.pipeline, f"{row.decider_flops / 2e9:.2f}", *map(_giga, row.mean_flops)),
            *(f"{100 * row.largest_saving:.1f}", "never" if (p := row.break_even_share) is None else f"{p:.3f}"),
        )
        for row in result.rows
    ]
    shares = tuple(f"{share:g} to big" for share in SHARES)
    return {"paper": SELECTION_PAPER, "shares": SHARES, **asdict(result)}, [
        _table(
            f"arXiv {SELECTION_PAPER}, {result.small} and {result.big}, executed GFLOPs an utterance of 30 s",
            ("pipeline", "decider GMAC", *shares, "saves at most %", "break-even share"),
            rows,
            (
                f"{result.big} alone: {_giga(result.big_flops)} ({100 * result.big_encoder_share:.0f} % encoder); "
                f"{result.small} alone: {_giga(result.small_flops)}; {result.text_tokens} text tokens.",
                "Below the break-even share a pipeline is cheaper than the big model alone.",
            ),
        )
    ]
