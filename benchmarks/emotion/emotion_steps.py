"""What depth and caching save in emotion training: steps of top-k against full fine-tuning, epochs with and without.

Two base encoders: wav2vec2-base (random weights: speed does not depend on them; 12 layers and the convolutions on
samples) and Whisper base (6 layers). Every variant trains the same clips in the same small batches; variants alternate
within a round. A step is forward, backward and optimizer. Without the cache a step also runs everything below the
trained layers, from samples in memory: decoding is left out on both sides.
"""

from __future__ import annotations

import tempfile
import wave
from pathlib import Path

import numpy as np

from allophone.costs.adaptation import frozen_flops, training_step_flops
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.emotion.experiment import faster_precision
from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import EmotionSetting, Recipe
from allophone.emotion.state_cache import CachedStates
from allophone.emotion.states import FreshStates
from allophone.emotion.training import Examples, train
from allophone.encoders.loading import load_speech_encoder
from allophone.records.utterance import Utterance
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import spread, write_result

MODELS = ("random:wav2vec2-base", "random:base")
CLIPS, BATCH, DURATION_S = sized((8, 4, 3.0), (4, 2, 2.5))
WARM_UP, ROUNDS = sized((1, 5), (0, 1))
DEPTHS: tuple[int | str, ...] = (2, 4, "all")
SEED = 0


def write_clips(folder: Path) -> list[Utterance]:
    """Noise of 2 to 3 s, as long as most clips of CREMA-D."""
    rng = np.random.default_rng(SEED)
    utterances = []
    for number in range(CLIPS):
        samples = rng.normal(0, 3000, round(rng.uniform(2, DURATION_S) * SAMPLE_RATE)).astype("<i2")
        path = folder / f"{number}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
        utterances.append(Utterance(str(number), path, label="ab"[number % 2], speaker=str(number)))
    return utterances


def measure(name: str, folder: Path, rounds: int) -> dict[str, object]:
    """Seconds of a step of every variant, and their ratios within a round."""
    utterances = write_clips(folder)
    recipe = Recipe(epochs=1, batch_size=BATCH, seed=SEED)
    training = Examples(tuple(range(CLIPS)), tuple(number % 2 for number in range(CLIPS)))
    held_out = Examples((0, 1), (0, 1))
    precision = faster_precision(load_speech_encoder(name))
    variants, flops = {}, {}
    for depth in DEPTHS:
        setting = EmotionSetting(model=name, duration_s=DURATION_S, unfrozen_layers=depth)
        for cached in (True, False):
            model = EmotionModel(load_speech_encoder(name), setting, 2, precision=precision)
            source = (
                CachedStates(model, utterances, name, DURATION_S, root=folder / "states")
                if cached
                else FreshStates(model, utterances, DURATION_S)
            )
            key = f"top{depth}" if depth != "all" else "full"
            variants[f"{key}, {'cached' if cached else 'not cached'}"] = model, source
        tokens = max(source.tokens(row) for row in range(CLIPS))
        flops[key] = {
            "cached_gflops_a_clip": training_step_flops(model.encoder.dimensions, model.adaptation, tokens=tokens)
            / 1e9,
            "frozen_layers_gflops_a_clip": frozen_flops(model.encoder.dimensions, tokens=tokens, layers=model.first)
            / 1e9,
        }
    steps: dict[str, list[float]] = {variant: [] for variant in variants}
    for turn in range(WARM_UP + rounds):
        for variant, (model, source) in variants.items():
            epoch = train(model, source, training, held_out, recipe, labels=("a", "b")).epochs[0]
            if turn >= WARM_UP:
                steps[variant].append(epoch.train_s / epoch.steps)

    def ratio(above: str, below: str) -> dict[str, float]:
        return spread([a / b for a, b in zip(steps[above], steps[below], strict=True)])

    return {
        "precision": precision,
        "flops": flops,
        "step_s": {variant: spread(seconds) for variant, seconds in steps.items()},
        "top4_step_over_full_step": ratio("top4, cached", "full, not cached"),
        "top4_step_over_full_step_both_cached": ratio("top4, cached", "full, cached"),
        "epoch_without_cache_over_with": {
            key: ratio(f"{key}, not cached", f"{key}, cached") for key in ("top2", "top4")
        },
    }


def main() -> None:
    """Measure and write ``docs/results/emotion_steps.json``; one argument sets the number of rounds."""
    import torch

    parser = command_line(__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=ROUNDS)
    rounds: int = begin(parser).rounds
    figures = {}
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = measure(name, Path(folder), rounds)
    settings = {
        "clips": CLIPS,
        "batch_size": BATCH,
        "clip_s": [2.0, DURATION_S],
        "warm_up_rounds": WARM_UP,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    write_result("emotion_steps", settings, figures)


if __name__ == "__main__":
    main()
