"""The cost model's peak of one window against what resident memory grows by, in processes that hold nothing else.

Each figure is a process of its own, which loads a model, warms up on a second of noise, and transcribes one window of
noise of a given length with the decoder kept from ending before it has written 20 tokens. Twice: with an allocator that
hands every freed block back at once, which shows what is in use, and as a user's process runs, where glibc and MKL keep
some. ``--worker`` is what those processes run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from typing import Any

from allophone.costs.memory import whisper_peak_activation_bytes
from allophone.costs.recognition import prompt_length
from allophone.dimensions.whisper import whisper_dimensions
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import ROOT, markdown_table, stamp_line, write_result

MODELS = sized(("tiny.en", "base"), ("tiny.en",))
SECONDS = sized((1, 4, 14, 29), (1,))  # and a second of margin behind each, so up to full context
TAILS = ("all", "none")
OTHERS: tuple[dict[str, Any], ...] = (  # beside greedy int8 without a stride
    {"seconds": 4, "tail": "all", "beam_size": 5},
    {"seconds": 4, "tail": "none", "beam_size": 5},
    {"seconds": 4, "tail": "all", "token_stride": 2},
    {"seconds": 4, "tail": "all", "compute_type": "float32"},
    {"seconds": 4, "tail": "all", "compute_type": "int16"},
    {"seconds": 29, "tail": "all", "compute_type": "float32"},
)
TOKENS = 20
# Every block of 64 KiB or more in a mapping of its own, and none kept by MKL.
RETURNED_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MKL_DISABLE_FAST_MM": "1"}


def main() -> None:
    """Measure every setting, or in a process of its own the one asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--worker", help="a setting as JSON; prints the bytes")
    asked = begin(parser)
    if asked.worker:
        print(growth(**json.loads(asked.worker)))
        return
    settings = [{"seconds": seconds, "tail": tail} for tail, seconds in product(TAILS, SECONDS)]
    rows = [row(model, setting) for model in MODELS for setting in (*settings, *OTHERS[: sized(len(OTHERS), 1)])]
    figures = {"rows": rows, "ratios": {kind: ratios(rows, kind) for kind in ("in_use", "resident")}}
    write_result("peak_memory", {"tokens": TOKENS, "repeats": 1, "threads": 1}, figures, page(figures))


def row(model: str, setting: dict[str, Any]) -> dict[str, Any]:
    """Predict and measure one setting."""
    full = {"compute_type": "int8", "beam_size": 1, "token_stride": 1, **setting}
    dims, frames = whisper_dimensions(model), 100 * (full["seconds"] + 1)
    predicted = whisper_peak_activation_bytes(
        dims,
        frames=frames,
        tail_tokens=dims.n_audio_ctx - frames // 2 if full["tail"] == "all" else 0,
        text_tokens=TOKENS,
        prompt_tokens=prompt_length(dims),
        **{name: full[name] for name in ("compute_type", "beam_size", "token_stride")},
    )
    found = {"model": model, **full, "predicted": predicted}
    for kind, extra in (("in_use", RETURNED_AT_ONCE), ("resident", {})):
        command = [
            sys.executable,
            "-m",
            "benchmarks.costs.peak_memory",
            "--worker",
            json.dumps({"model": model, **full}),
        ]
        done = subprocess.run(
            command, env={**os.environ, **extra}, cwd=ROOT, capture_output=True, text=True, check=True
        )
        found[kind] = int(done.stdout)
    return found


def growth(model: str, seconds: int, tail: str, compute_type: str, beam_size: int, token_stride: int) -> int:
    """Return the bytes by which resident memory grows at most over one window, weights and the silence's tail there."""
    import numpy as np

    from allophone.audio.tail import tail_positions
    from allophone.dimensions.whisper import SAMPLE_RATE
    from allophone.measure.memory import PeakMemory, resident_bytes
    from allophone.models.ctranslate2_engine import CTranslate2Engine
    from allophone.models.weights import resolve_weights

    engine = CTranslate2Engine(resolve_weights(model), compute_type, threads=1)
    noise = np.random.default_rng(0).standard_normal((seconds + 1) * SAMPLE_RATE).astype(np.float32) / 10

    def window(mel: Any, frames: int, tokens: int) -> None:
        encoded = engine.encode(mel)
        shown = engine.append_tail(encoded, tail_positions(frames, tail, engine.dimensions.n_audio_ctx))
        engine.decode_batch(shown, token_stride=token_stride, beam_size=beam_size, max_tokens=tokens, languages=["en"])

    engine.append_tail(engine.encode(engine.prepare(noise[:SAMPLE_RATE], 100)), range(1))  # silence is encoded once
    window(engine.prepare(noise[:SAMPLE_RATE], 100), 100, 2)
    mel = engine.prepare(noise, 100 * (seconds + 1))
    engine._suppressed = [*engine._suppressed, engine._end_of_text]  # so that all tokens are written
    peak = PeakMemory()
    peak.start()  # hands back what is free and starts anew
    before = resident_bytes()
    window(mel, 100 * (seconds + 1), TOKENS)
    after = peak.peak()
    assert before is not None
    assert after is not None
    return after - before


def ratios(rows: list[dict[str, Any]], kind: str) -> dict[str, float]:
    """Return the least and the greatest of predicted over measured."""
    found = [row["predicted"] / row[kind] for row in rows]
    return {"least": min(found), "greatest": max(found)}


def page(figures: dict[str, Any]) -> str:
    """Return the page."""
    use, resident = figures["ratios"]["in_use"], figures["ratios"]["resident"]
    columns = ("model", "seconds", "tail", "format", "beams", "stride", "predicted MB", "in use MB", "ratio")
    lines = [
        (
            *(row["model"], f"{row['seconds']} + 1", row["tail"], row["compute_type"], str(row["beam_size"])),
            *(str(row["token_stride"]), f"{row['predicted'] / 1e6:.1f}", f"{row['in_use'] / 1e6:.1f}"),
            *(f"{row['predicted'] / row['in_use']:.2f}", f"{row['resident'] / 1e6:.1f}"),
            f"{row['predicted'] / row['resident']:.2f}",
        )
        for row in figures["rows"]
    ]
    return "\n\n".join(
        [
            "# Peak memory of a window",
            f"`allophone cost` predicts {use['least']:.2f} to {use['greatest']:.2f} of what one window has in use at "
            "most beside the weights, keys and values included. Behind a fit context with a whole tail the decoder "
            "decides, which sees as many positions as behind a full one; without a tail, the encoder. A process as "
            f"users run it grows by other amounts ({resident['least']:.2f} to {resident['greatest']:.2f}): the "
            "allocators of the C library and of MKL keep freed blocks. That is more than is in use where blocks of "
            "this window are kept, and less where blocks kept from before are taken again, above all those of the one "
            "pass over 30 s of silence that a tail needs, which is over when the growth is measured.",
            "Written by `benchmarks/costs/peak_memory.py`. "
            f"One window of noise, a second of margin, {TOKENS} tokens, one "
            f"thread; each figure is one process. In use: every freed block is handed back at once. {stamp_line()}.",
            markdown_table((*columns, "resident MB", "ratio"), lines),
        ]
    )


if __name__ == "__main__":
    main()
