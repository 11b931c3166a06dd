"""Time the closed forms: a million settings at once on arrays, and one setting at a time in Python integers.

Both count the same settings, drawn at random over every knob; the totals of those counted both ways are compared and
must be equal. The comparison is a profiler's way: torch's FlopCounterMode on a model without weights (meta device),
which is built once, untimed, and has to be walked through for every setting; it is passed over where torch is absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from allophone.costs import whisper_flops, whisper_flops_arrays
from allophone.dimensions.whisper import whisper_dimensions
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import spread, write_result

MODEL = sized("large-v3", "tiny")
N_ARRAYS, N_SCALARS = sized((1_000_000, 20_000), (1000, 100))
PROFILED_TEXT_TOKENS = 20
SEED = 0
WARM_UP, REPEATS, PROFILE_REPEATS = sized((1, 7, 3), (0, 1, 1))
DIMS = whisper_dimensions(MODEL)


def draw_knobs(count: int) -> dict[str, Any]:
    """Frames, text tokens, prompt tokens, stride and beams within the model's limits."""
    rng = np.random.default_rng(SEED)
    return {
        "frames": rng.integers(1, 3001, count),
        "text_tokens": rng.integers(0, 200, count),
        "prompt_tokens": rng.integers(1, 200, count),
        "token_stride": rng.integers(1, 9, count),
        "beam_size": rng.integers(1, 6, count),
    }


def rates(work: Callable[[], object], count: int, repeats: int = REPEATS) -> list[float]:
    """Settings a second of every repeat, after warm-up."""
    found = []
    for repeat in range(WARM_UP + repeats):
        start = time.perf_counter()
        work()
        if repeat >= WARM_UP:
            found.append(count / (time.perf_counter() - start))
    return found


def count_scalars(rows: list[list[int]]) -> list[int]:
    """Totals of settings counted one at a time."""
    return [
        whisper_flops(
            DIMS,
            window_frames=(frames,),
            window_tokens=(text_tokens,),
            prompt_tokens=prompt_tokens,
            token_stride=token_stride,
            beam_size=beam_size,
        ).total
        for frames, text_tokens, prompt_tokens, token_stride, beam_size in rows
    ]


def profiler() -> Callable[[], int]:
    """Count one setting by running it: encoder at full context, greedy cached decoding, nothing allocated."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import DynamicCache, EncoderDecoderCache, WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=DIMS.n_vocab,
        num_mel_bins=DIMS.n_mels,
        encoder_layers=DIMS.n_audio_layer,
        encoder_attention_heads=DIMS.n_audio_head,
        encoder_ffn_dim=4 * DIMS.n_audio_state,
        decoder_layers=DIMS.n_text_layer,
        decoder_attention_heads=DIMS.n_text_head,
        decoder_ffn_dim=4 * DIMS.n_text_state,
        d_model=DIMS.n_audio_state,
        attn_implementation="eager",
    )
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config).eval()

    def count() -> int:
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        counter = FlopCounterMode(display=False)
        with torch.device("meta"), torch.no_grad(), counter:
            audio = model.model.encoder(torch.zeros(1, DIMS.n_mels, 3000)).last_hidden_state
            fed = torch.zeros(1, 4, dtype=torch.long)
            for _ in range(PROFILED_TEXT_TOKENS):
                decoded = model.model.decoder(
                    input_ids=fed, encoder_hidden_states=audio, past_key_values=cache, use_cache=True
                )
                model.proj_out(decoded.last_hidden_state[:, -1:])
                fed = torch.zeros(1, 1, dtype=torch.long)
        return int(counter.get_total_flops())

    return count


def main() -> None:
    """Measure and write ``docs/results/cost_speed.json``."""
    begin(command_line(__doc__))
    knobs = draw_knobs(N_ARRAYS)
    rows = np.stack(list(knobs.values()), axis=1)[:N_SCALARS].tolist()
    arrays = whisper_flops_arrays(DIMS, **knobs).total
    equal = arrays[:N_SCALARS].tolist() == count_scalars(rows)
    figures: dict[str, object] = {
        "arrays_per_s": spread(rates(lambda: whisper_flops_arrays(DIMS, **knobs).total, N_ARRAYS)),
        "scalars_per_s": spread(rates(lambda: count_scalars(rows), N_SCALARS)),
        "profiled_per_s": None,
    }
    try:
        profile = profiler()
    except ImportError:
        pass
    else:
        figures["profiled_per_s"] = spread(rates(profile, 1, PROFILE_REPEATS))
        equal &= profile() == count_scalars([[3000, PROFILED_TEXT_TOKENS, 4, 1, 1]])[0]
    settings = {
        "model": MODEL,
        "n_arrays": N_ARRAYS,
        "n_scalars": N_SCALARS,
        "profiled_text_tokens": PROFILED_TEXT_TOKENS,
        "seed": SEED,
        "warm_up": WARM_UP,
    }
    write_result("cost_speed", settings, figures | {"equal_totals": equal})
    if not equal:
        raise SystemExit("arrays, scalars and profiler differ")


if __name__ == "__main__":
    main()
