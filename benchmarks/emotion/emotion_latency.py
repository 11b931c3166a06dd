"""Milliseconds of one emotion inference over encoder and clip duration, beside what the cost model counts.

    python -m benchmarks.emotion.emotion_latency [rounds]

Clips are noise of exactly the duration, in memory; an inference is everything from samples to logits, one clip at a
time. Depth and rank cost nothing here: adapters are merged. All encoders and durations take turns within a round, so
that whatever else the machine does slows all of them; ratios are taken within rounds.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from allophone.costs.emotion import inference_flops
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.emotion.experiment import faster_precision
from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import EmotionSetting
from allophone.encoders.loading import load_speech_encoder
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import markdown_table, spread, stamp_line, write_result

MODELS = ("tiny.en", "base", "random:wav2vec2-base")
DURATIONS_S = sized((1.0, 2.0, 3.0, 4.0, 6.0), (1.0, 3.0))
CENTRE = ("base", 3.0)
WARM_UP, ROUNDS = sized((2, 15), (0, 1))
CLASSES = 6


def measure(rounds: int) -> dict[str, object]:
    """Seconds of every encoder and duration, their ratios to the centre, and executed GFLOPs."""
    models, precisions = {}, {}
    for name in MODELS:
        encoder = load_speech_encoder(name)
        precisions[name] = faster_precision(encoder)
        models[name] = EmotionModel(encoder, EmotionSetting(model=name), CLASSES, precision=precisions[name])
        models[name].train(False)
    rng = np.random.default_rng(0)
    clips = {s: (0.1 * rng.standard_normal(round(s * SAMPLE_RATE))).astype(np.float32) for s in DURATIONS_S}
    seconds: dict[tuple[str, float], list[float]] = {(name, s): [] for name in MODELS for s in DURATIONS_S}
    for turn in range(WARM_UP + rounds):
        for (name, duration_s), taken in seconds.items():
            started = perf_counter()
            models[name].clip_logits(clips[duration_s])
            if turn >= WARM_UP:
                taken.append(perf_counter() - started)
    return {
        f"{name} {duration_s:g} s": {
            "model": name,
            "duration_s": duration_s,
            "precision": precisions[name],
            "executed_gflops": inference_flops(
                models[name].encoder.dimensions, CLASSES, samples=round(duration_s * SAMPLE_RATE)
            )
            / 1e9,
            "latency_s": spread(taken),
            "over_centre": spread([a / b for a, b in zip(taken, seconds[CENTRE], strict=True)]),
        }
        for (name, duration_s), taken in seconds.items()
    }


def page(figures: dict[str, dict[str, object]], settings: dict[str, object]) -> str:
    """Return the page of the results."""
    centre = figures[f"{CENTRE[0]} {CENTRE[1]:g} s"]["executed_gflops"]
    columns = ("encoder", "seconds", "GFLOPs", "of base at 3 s", "ms, median", "of base at 3 s")
    rows = [
        (
            *(str(item["model"]), f"{item['duration_s']:g}"),
            *(f"{item['executed_gflops']:.2f}", f"{item['executed_gflops'] / centre:.2f}"),  # type: ignore[operator]
            f"{1000 * item['latency_s']['median']:.1f}",  # type: ignore[index]
            f"{item['over_centre']['median']:.2f}",  # type: ignore[index]
        )
        for item in figures.values()
    ]
    text = (
        "One inference from samples to logits, one clip of exactly that length at a time, all settings in turns, "
        f"{settings['rounds']} rounds, {settings['threads']} thread(s); ratios within rounds. Rank and depth of the "
        f"adaptation cost nothing here. {stamp_line()}."
    )
    return "\n".join(["# Latency of emotion recognition", "", text, "", markdown_table(columns, rows), ""])


def main() -> None:
    """Measure and write ``docs/results/emotion_latency.json`` and ``.md``; one argument sets the number of rounds."""
    import torch

    parser = command_line(__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=ROUNDS)
    rounds: int = begin(parser).rounds
    figures = measure(rounds)
    settings = {"warm_up_rounds": WARM_UP, "rounds": rounds, "threads": torch.get_num_threads()}
    write_result("emotion_latency", settings, figures, page(figures, settings))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
