"""What the sweep adds to the bare engine calls: the same calls in a plain loop, interleaved in one run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from allophone.audio.decode import load_audio
from allophone.audio.mel import context_frames, log_mel
from allophone.corpora.manifest import read_manifest
from allophone.demo.corpus import build_demo_corpus
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.models.engine import Engine, load_engine, text_token_cap
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.recognition.plans import plan_points
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import SPEECH, spread, write_result

ROUNDS = sized(5, 1)
UTTERANCES = sized(9, 3)
SPACE = SearchSpace(model=("tiny.en", "base"), token_stride=(1, 2), beam_size=sized((1, 5), (1,)))


def main() -> None:
    """Alternate a plain loop and a sweep; the first utterance of each is a warm-up and is not counted."""
    begin(command_line(__doc__))
    manifest = SPEECH / "librispeech-test-other" / "manifest.jsonl"
    source = manifest if manifest.exists() else build_demo_corpus()
    utterances = [item for item in read_manifest(source) if (item.duration_s or 0) <= 30][:UTTERANCES]
    points = plan_points(SPACE, "star")
    engines = {model: load_engine(model, "int8", threads=2) for model in SPACE.model}
    plain, swept = [], []
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "manifest.jsonl"
        rows = [
            {
                "id": item.id,
                "audio_filepath": str(item.audio_filepath.resolve()),
                "duration": item.duration_s,
                "text": item.text,
            }
            for item in utterances
        ]
        corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        for round_number in range(ROUNDS):
            plain.append(plain_loop(engines, utterances, points))
            swept.append(sweep_loop(corpus, Path(folder) / f"run{round_number}"))
    ratios = [slow / fast for slow, fast in zip(swept, plain, strict=True)]
    write_result(
        "sweep_overhead",
        {
            "corpus": source.parent.name,
            "utterances": UTTERANCES - 1,
            "points": len(points),
            "threads": 2,
            "compute_type": "int8",
            "rounds": ROUNDS,
            "warm_up": "one utterance a round",
        },
        {"plain_loop_s": spread(plain), "sweep_s": spread(swept), "sweep_over_plain": spread(ratios)},
    )


def plain_loop(engines: dict[str, Engine], utterances: Sequence[Utterance], points: Sequence[OperatingPoint]) -> float:
    """Decode, log-mel, encode once a context, decode once a point: nothing else."""
    groups: dict[tuple[object, ...], list[OperatingPoint]] = {}
    for point in points:
        groups.setdefault(point.encode_key, []).append(point)
    started = 0.0
    for number, utterance in enumerate(utterances):
        if number == 1:
            started = perf_counter()
        for model, engine in engines.items():
            samples = load_audio(utterance.audio_filepath)
            cap = text_token_cap(samples.size / SAMPLE_RATE)
            for members in groups.values():
                if members[0].model != model:
                    continue
                frames = context_frames(samples.size, members[0])
                encoded = engine.encode(log_mel(samples, frames, engine.dimensions.n_mels))
                for point in members:
                    engine.decode(
                        encoded,
                        token_stride=point.token_stride,
                        beam_size=point.beam_size,
                        max_tokens=cap,
                        language="en",
                    )
    return perf_counter() - started


def sweep_loop(corpus: Path, out: Path) -> float:
    """Return the sweep's seconds from the moment that both models have measured the first utterance."""
    moments: list[float] = []
    sweep(corpus, out=out, space=SPACE, threads=2, progress=lambda _: moments.append(perf_counter()))
    return moments[-1] - moments[len(SPACE.model) - 1]


if __name__ == "__main__":
    main()
