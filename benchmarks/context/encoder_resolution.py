"""Fewer audio tokens inside the encoder, without training: what merging, dropping and speed cost and save."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from allophone.audio.decode import load_audio
from allophone.audio.mel import log_mel, window_frames
from allophone.audio.stretch import compress_time
from allophone.audio.tail import tail_positions
from allophone.costs.formulas import encoder_flops, stem_flops
from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, SAMPLE_RATE
from allophone.encoders.torch_whisper import load_torch_whisper
from allophone.frontier.confidence import draw_replicates
from allophone.measure.bootstrap import resample_ratio_difference
from allophone.measure.intervals import intervals
from allophone.measure.wer import count_word_errors
from allophone.models.engine import load_engine, text_token_cap
from allophone.models.weights import resolve_weights
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import SPEECH, markdown_table, stamp_line, write_result

CORPUS = "librispeech-train-clean-5"
LONGEST_S = 15.0
COLUMNS = ("model", "inside the encoder", "WER %", "against none", "encoder GFLOPs of none %", "encoder time of none %")


def variants(layers: int) -> dict[str, dict[str, Any]]:
    """What is tried on a model with so many layers, the baseline first."""
    half = layers // 2
    return {
        "none": {},
        f"pairs merged after layer {half}, doubled at the end": {"after": half, "merge": True},
        f"pairs merged after layer {layers - 1}, doubled at the end": {"after": layers - 1, "merge": True},
        f"20 % least attended dropped after layer {half}": {"after": half, "keep": 0.8},
        f"40 % least attended dropped after layer {half}": {"after": half, "keep": 0.6},
        "speed 1.1": {"speed": 1.1},
        "speed 1.25": {"speed": 1.25},
    }


def main() -> None:
    """Run every variant on the same utterances, in turns."""
    parser = command_line(__doc__)
    parser.add_argument("--utterances", type=int, default=sized(80, 4))
    parser.add_argument("--models", nargs="+", default=sized(["tiny.en", "base"], ["tiny.en"]))
    asked = begin(parser)
    rows, figures = [], {}
    recordings = draw_recordings(asked.utterances)
    for model in asked.models:
        figures[model] = measure(model, recordings)
        for name, found in figures[model].items():
            change = [100 * found["change"][key] for key in ("estimate", "low", "high")]
            rows.append(
                [
                    *(model, name, f"{100 * found['wer']:.2f}", "{:+.2f} [{:+.2f}, {:+.2f}]".format(*change)),
                    *(f"{100 * found['flops_of_none']:.0f}", f"{100 * found['time_of_none']:.0f}"),
                ]
            )
    speakers = len({row["speaker"] for row, _ in recordings})
    page = "\n\n".join(
        [
            "# Resolution inside the encoder",
            f"Written by `benchmarks/context/encoder_resolution.py`: {len(recordings)} utterances of {CORPUS} under "
            f"{LONGEST_S:g} s, {speakers} speakers. Fit context, 1 s margin, whole tail; encoder in torch (float32, "
            "one thread), decoder int8, greedy. Nothing is trained. Differences in points of WER with 95 % intervals, "
            "speakers resampled as blocks. Times are medians over utterances, all variants in turns. FLOPs are the "
            f"closed form's, stem included. {stamp_line()}.",
            markdown_table(COLUMNS, rows),
        ]
    )
    settings = {"corpus": CORPUS, "utterances": len(recordings), "longest_s": LONGEST_S}
    write_result("encoder_resolution", settings, figures, page)


def draw_recordings(count: int) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Return a seeded draw of short recordings with their manifest rows."""
    folder = SPEECH / CORPUS
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    short = [row for row in map(json.loads, lines) if row["duration"] < LONGEST_S]
    random.Random(12).shuffle(short)
    return [(row, load_audio(folder / row["audio_filepath"])) for row in short[:count]]


def measure(name: str, recordings: list[tuple[dict[str, Any], np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Return error rate, its change with an interval, FLOPs and time of every variant."""
    import ctranslate2
    import torch

    torch.set_num_threads(1)
    engine = load_engine(name, "int8", threads=1)
    dims = engine.dimensions
    encoder = load_torch_whisper(resolve_weights(name).folder, encoder_only=True)
    encoder.set_attn_implementation("eager")  # the others return no attention
    tried = variants(dims.n_audio_layer)
    silence = encode(encoder, log_mel(np.zeros(0, np.float32), 3000, dims.n_mels), {})[0]
    errors = np.zeros((len(tried), len(recordings)))
    words = np.zeros(len(recordings))
    flops = np.zeros_like(errors)
    seconds = np.zeros_like(errors)
    for column, (row, audio) in enumerate(recordings):
        for index, how in enumerate(tried.values()):
            heard = compress_time(audio, how.get("speed", 1.0))
            frames = window_frames(heard.size, context="fit", margin_s=1.0, floor_s=0.0)
            mel = log_mel(heard, frames, dims.n_mels)
            started = perf_counter()
            output, late = encode(encoder, mel, how)
            seconds[index, column] = perf_counter() - started
            tail = silence[:, list(tail_positions(frames, "all", dims.n_audio_ctx))]
            shown = np.ascontiguousarray(np.concatenate([output, tail], axis=1))
            decoded = engine.decode(
                ctranslate2.StorageView.from_array(shown),
                token_stride=1,
                beam_size=1,
                max_tokens=text_token_cap(audio.size / SAMPLE_RATE),
                language="en",
            )
            counts = count_word_errors(row["text"], decoded.text, "english")
            errors[index, column] = counts.substitutions + counts.insertions + counts.deletions
            words[column] = counts.hits + counts.substitutions + counts.deletions
            early = how.get("after", dims.n_audio_layer)
            whole, fewer = (
                encoder_flops(dims, tokens) / dims.n_audio_layer for tokens in (frames // FRAMES_PER_AUDIO_TOKEN, late)
            )
            flops[index, column] = stem_flops(dims, frames) + early * whole + (dims.n_audio_layer - early) * fewer
    resample = draw_replicates([row["speaker"] for row, _ in recordings], 0.95)
    changes = intervals(resample_ratio_difference(errors, words, resample, 0))
    return {
        variant: {
            "wer": float(errors[index].sum() / words.sum()),
            "change": {key: getattr(changes[index], key) for key in ("estimate", "low", "high")},
            "flops_of_none": float(flops[index].sum() / flops[0].sum()),
            "time_of_none": float(np.median(seconds[index] / seconds[0])),
        }
        for index, variant in enumerate(tried)
    }


def encode(encoder: Any, mel: np.ndarray, how: dict[str, Any]) -> tuple[np.ndarray, int]:
    """Run the encoder, thinning its tokens after a layer; return its output and the tokens of the later layers."""
    import torch
    from torch.nn.functional import gelu

    with torch.no_grad():
        hidden = gelu(encoder.conv2(gelu(encoder.conv1(torch.from_numpy(mel[None]))))).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        tokens = hidden.shape[1]
        for number, layer in enumerate(encoder.layers):
            if number == how.get("after") and how.get("merge"):
                padded = torch.cat([hidden, hidden[:, -1:]], 1) if tokens % 2 else hidden
                hidden = padded.reshape(1, -1, 2, padded.shape[2]).mean(2)
            hidden, attention = run(layer, hidden)
            if number + 1 == how.get("after") and "keep" in how:
                received = attention.mean((0, 1, 2))  # over heads and asking positions
                kept = received.topk(round(how["keep"] * tokens)).indices.sort().values
                hidden = hidden[:, kept]
        late = hidden.shape[1]
        hidden = encoder.layer_norm(hidden)
        if how.get("merge"):
            hidden = hidden.repeat_interleave(2, dim=1)[:, :tokens]
        return hidden.numpy(), late


def run(layer: Any, hidden: Any) -> tuple[Any, Any]:
    """Return a layer's output and its attention, shape ``(1, heads, tokens, tokens)``."""
    seen: list[Any] = []
    watch: Callable[..., None] = lambda module, given, made: seen.append(made[1])  # noqa: E731
    hook = layer.self_attn.register_forward_hook(watch)
    try:
        result = layer(hidden, None)
    finally:
        hook.remove()
    return (result[0] if isinstance(result, tuple) else result), seen[0]


if __name__ == "__main__":
    main()
