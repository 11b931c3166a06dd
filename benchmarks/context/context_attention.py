"""Why the silence tail works: where the decoder looks, and how sure it is of the end, with and without silence."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from allophone.audio.decode import load_audio
from allophone.audio.mel import context_frames, log_mel
from allophone.audio.tail import tail_positions
from allophone.dimensions.whisper import HOP_SAMPLES
from allophone.encoders.torch_whisper import encode_windows, load_torch_whisper
from allophone.models.engine import load_engine
from allophone.models.weights import resolve_weights
from allophone.records.point import OperatingPoint
from allophone.transcription.recording import transcribe_points
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RESULTS, SPEECH, markdown_table, stamp_line, write_result

CORPUS = "librispeech-train-clean-5"
LONGEST_S = 10.0
SHOWN = 8  # last steps of an utterance that the plot shows
MARGIN = {"context": "fit", "margin_s": 1.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "full": {},
    "fit, tail all": {**MARGIN, "tail": "all"},
    "fit, tail every-4": {**MARGIN, "tail": "every-4"},
    "fit, tail last-300": {**MARGIN, "tail": "last-300"},
    "fit, no tail": MARGIN,
}


def main() -> None:
    """Follow every setting through the transcript that full context gives, and draw what it attends to."""
    parser = command_line(__doc__)
    parser.add_argument("--utterances", type=int, default=sized(40, 3))
    parser.add_argument("--models", nargs="+", default=sized(["tiny.en", "base"], ["tiny.en"]))
    asked = begin(parser)
    recordings = draw_recordings(asked.utterances)
    found = {model: follow(model, recordings) for model in asked.models}
    figures = {
        model: {setting: average(runs) for setting, runs in settings.items()} for model, settings in found.items()
    }
    rows = [
        [
            *(model, setting),
            f"{100 * mean['silence_while_speaking']:.1f}",
            f"{100 * mean['silence'][-1]:.1f}",
            f"{mean['median_p_end']:.3f}",
            f"{100 * mean['ends_not_found']:.0f}",
        ]
        for model, settings in figures.items()
        for setting, mean in settings.items()
    ]
    columns = (
        *("model", "setting", "attention on silence while speaking %", "at the end %"),
        *("median P(end of text) at the end", "ends not found %"),
    )
    page = "\n\n".join(
        [
            "# Where the decoder looks",
            f"Written by `benchmarks/context/context_attention.py`: {len(recordings)} utterances of {CORPUS} under "
            f"{LONGEST_S:g} s. Each setting is led through the tokens that full context gives; cross-attention is the "
            "mean over layers and heads of the mass on positions behind the audio; an end is not found where end of "
            f"text has less than half the probability. {stamp_line()}; float32.",
            "![attention](context_attention.svg)",
            markdown_table(columns, rows),
        ]
    )
    draw(figures)
    settings = {"corpus": CORPUS, "utterances": len(recordings), "longest_s": LONGEST_S, "settings": SETTINGS}
    write_result("context_attention", settings, figures, page)


def draw_recordings(count: int) -> list[np.ndarray]:
    """Return a seeded draw of short recordings."""
    folder = SPEECH / CORPUS
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    short = [row for row in rows if row["duration"] < LONGEST_S]
    random.Random(11).shuffle(short)
    return [load_audio(folder / row["audio_filepath"]) for row in short[:count]]


def follow(name: str, recordings: list[np.ndarray]) -> dict[str, list[dict[str, Any]]]:
    """Lead every setting through the transcripts of full context."""
    import torch

    folder = resolve_weights(name).folder
    model = load_torch_whisper(folder)
    model.set_attn_implementation("eager")  # the others return no attention
    engine = load_engine(name, "int8", threads=1)
    dims = engine.dimensions
    names = ("<|en|>", "<|transcribe|>") if dims.multilingual else ()
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompt = [vocabulary.token_to_id(token) for token in ("<|startoftranscript|>", *names, "<|notimestamps|>")]
    end = vocabulary.token_to_id("<|endoftext|>")
    found: dict[str, list[dict[str, Any]]] = {setting: [] for setting in SETTINGS}

    def encode(mel: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            return encode_windows(model.model.encoder, torch.from_numpy(mel[None]))

    silence = encode(log_mel(np.zeros(0, np.float32), 3000, dims.n_mels))
    for audio in recordings:
        (transcript,) = transcribe_points(engine, audio, [OperatingPoint(model=name)])
        tokens = [token for segment in transcript.segments for token in segment.tokens]
        said = torch.tensor([[*prompt, *tokens]])
        for setting, knobs in SETTINGS.items():
            point = OperatingPoint(model=name, **knobs)
            frames = context_frames(audio.size, point)
            shown = encode(log_mel(audio, frames, dims.n_mels))
            positions = tail_positions(frames, point.tail, dims.n_audio_ctx)
            shown = torch.cat([shown, silence[:, list(positions)]], dim=1)
            with torch.no_grad():
                out = model.model.decoder(input_ids=said, encoder_hidden_states=shown, output_attentions=True)
                logits = model.proj_out(out.last_hidden_state)[0, len(prompt) - 1 :]
            reached = -(-audio.size // (2 * HOP_SAMPLES))
            mass = torch.stack(out.cross_attentions)[:, 0, :, len(prompt) - 1 :, reached:].sum(-1).mean((0, 1))
            p_end = torch.softmax(logits, -1)[:, end]
            found[setting].append(
                {
                    "silence_while_speaking": float(mass[:-1].mean()) if len(mass) > 1 else 0.0,
                    "silence": [round(float(value), 4) for value in mass[-SHOWN:]],
                    "p_end": [round(float(value), 4) for value in p_end[-SHOWN:]],
                }
            )
    return found


def average(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Average utterances; the curves over those that are long enough for the plot."""
    curves = {
        quantity: [round(float(value), 4) for value in np.mean(whole, axis=0)]
        for quantity in ("silence", "p_end")
        if (whole := [run[quantity] for run in runs if len(run[quantity]) == SHOWN])
    }
    ends = [run["p_end"][-1] for run in runs]
    return {
        "silence_while_speaking": float(np.mean([run["silence_while_speaking"] for run in runs])),
        "median_p_end": float(np.median(ends)),
        "ends_not_found": float(np.mean(np.array(ends) < 0.5)),
        **curves,
    }


def draw(figures: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Draw both quantities over the last steps of an utterance."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "allophone"
    drawn, grid = plt.subplots(2, len(figures), figsize=(5 * len(figures), 6), sharex=True, squeeze=False)
    for column, (model, settings) in enumerate(figures.items()):
        for row, (quantity, title) in enumerate((("silence", "attention on silence"), ("p_end", "P(end of text)"))):
            axes = grid[row][column]
            for setting, mean in settings.items():
                axes.plot(range(1 - SHOWN, 1), mean[quantity], marker="o", ms=3, label=setting)
            axes.set_title(f"{model}: {title}", fontsize=9)
            axes.grid(alpha=0.3)
            axes.set_ylim(0, 1.02)
        grid[1][column].set_xlabel("decoding step (0: end of text is due)")
    grid[1][0].legend(fontsize=7)
    drawn.tight_layout()
    RESULTS.mkdir(parents=True, exist_ok=True)
    drawn.savefig(RESULTS / "context_attention.svg", metadata={"Date": None})
    plt.close(drawn)


if __name__ == "__main__":
    main()
