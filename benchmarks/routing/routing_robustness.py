"""How far a cascade's decisions move with level, codec and noise, its threshold left where clean speech set it.

A cascade is trained on some speakers of LibriSpeech train-clean-5; sixty utterances of the others are heard clean, at
other levels (clipped where they leave full scale), through a telephone line, through Opus at a low bit rate, and under
noise. Level should move nothing; where the small point makes more errors, more should go to the big one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

from allophone.audio.decode import load_audio
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_mean, resample_ratio, resample_ratio_difference
from allophone.measure.intervals import Interval, intervals
from allophone.routing.calibration import calibrate_policy, policy_samples
from allophone.routing.policy_file import POLICY_FILE, PolicyFile, read_policy
from allophone.routing.replay import Outcome, replay
from allophone.routing.samples import RecognitionRouteSamples
from allophone.routing.thresholds import CalibrationTarget
from allophone.routing.training import train_policy
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from benchmarks.routing.noise import mix
from benchmarks.routing.routing import POINTS
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH, markdown_table, stamp_line, write_result

CORPUS = SPEECH / "librispeech-train-clean-5"
SPACE = SearchSpace(
    model=("tiny.en", "base"),
    context=("fit",),
    margin_s=(1,),
    floor_s=(0,),
    tail=("all",),
    guard=(False,),
    token_stride=(1,),
    beam_size=(1,),
)
DRAWN, HEARD = sized((210, 60), (72, 6))
LONGEST_S = 10.0
HOLD_OUT = 0.35  # some nine of 28 speakers
WISH = CalibrationTarget("big_share", 0.4)
GAINS_DB = sized((-20, 12), (-20,))
SNRS_DB = sized((20, 10, 0), (10,))
OPUS_BITS_PER_S = 8000
TELEPHONE_HZ = 8000
Samples = np.ndarray


def main() -> None:
    """Train where no policy is yet, hear every condition, write the page."""
    parser = command_line(__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS / "routing-robustness")
    asked = begin(parser)
    policy, lines = trained(asked.runs)
    conditions = {"clean": asked.runs / "train"}
    conditions |= {name: heard(asked.runs, name, lines, make) for name, make in made().items()}
    utterances = [str(line["id"]) for line in lines]
    outcomes = {name: replayed(asked.runs / "policy", run, utterances) for name, run in conditions.items()}
    clean = outcomes["clean"][1]
    rows = [judged(name, *outcome, outcomes["clean"][2]) for name, outcome in outcomes.items()]
    settings = {
        "points": POINTS,
        "corpus": CORPUS.name,
        "trained_on": policy.training.n_utterances,
        "heard": len(clean),
        "speakers": clean.n_speakers,
        "wish": str(WISH),
        "opus_bits_per_s": OPUS_BITS_PER_S,
        "telephone_hz": TELEPHONE_HZ,
    }
    write_result("routing_robustness", settings, {"conditions": rows}, page(rows, settings))


def trained(runs: Path) -> tuple[PolicyFile, list[dict[str, Any]]]:
    """Return the policy, and the utterances to hear: of speakers that did not train it."""
    manifest = (CORPUS / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = sorted((json.loads(line) for line in manifest), key=lambda row: str(row["id"]))
    rows = [row for row in rows if row["duration"] <= LONGEST_S]
    random.Random(13).shuffle(rows)
    rows = rows[:DRAWN]
    for row in rows:
        row["audio_filepath"] = str(CORPUS / row["audio_filepath"])
    run, folder = runs / "train", runs / "policy"
    measure(rows, run)
    if not (folder / POLICY_FILE).is_file():
        train_policy([run], POINTS, folder, hold_out=HOLD_OUT)
    if read_policy(folder).calibration is None:
        calibrate_policy(folder, [run], WISH, force=True)  # speakers enough, if fewer than 100 utterances
    policy = read_policy(folder)
    return policy, [row for row in rows if row["speaker"] in policy.training.held_out][:HEARD]


def measure(rows: list[dict[str, Any]], run: Path) -> None:
    """Sweep both points over utterances; what is measured already is kept."""
    manifest = run.with_suffix(".jsonl")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if any(not (run / "measurements" / f"{point}.parquet").is_file() for point in POINTS):
        sweep(manifest, out=run, plan="grid", space=SPACE, threads=1)


def heard(runs: Path, name: str, lines: list[dict[str, Any]], make: Callable[[Samples, Path], Path]) -> Path:
    """Write the utterances under one condition and sweep them."""
    folder = runs / name.replace(" ", "-")
    rows = []
    for line in lines:
        stem = folder / "audio" / str(line["id"])
        stem.parent.mkdir(parents=True, exist_ok=True)
        rows.append({**line, "audio_filepath": str(make(load_audio(Path(line["audio_filepath"])), stem).resolve())})
    measure(rows, folder / "run")
    return folder / "run"


def made() -> dict[str, Callable[[Samples, Path], Path]]:
    """Return what makes each condition of a recording's samples, at a path without its suffix."""
    sounds = [load_audio(path) for path in sorted((SPEECH / "noise").glob("*.flac"))]

    def louder(decibels: float) -> Callable[[Samples, Path], Path]:
        return lambda samples, stem: write_wave(stem, np.clip(samples * 10 ** (decibels / 20), -1, 1))

    def noisy(snr_db: int) -> Callable[[Samples, Path], Path]:
        def make(samples: Samples, stem: Path) -> Path:
            rng = np.random.default_rng(sum(stem.name.encode()))  # the same noise and place at every ratio
            return write_wave(stem, mix(samples, sounds, snr_db, rng))

        return make

    return {
        **{f"{gain:+d} dB": louder(gain) for gain in GAINS_DB},
        "telephone": lambda samples, stem: encode(samples, stem.with_suffix(".wav"), "pcm_mulaw", TELEPHONE_HZ),
        "opus": lambda samples, stem: encode(samples, stem.with_suffix(".ogg"), "libopus", 48_000, OPUS_BITS_PER_S),
        **{f"noise at {snr_db} dB": noisy(snr_db) for snr_db in SNRS_DB},
    }


def write_wave(stem: Path, samples: Samples) -> Path:
    """Write float32 samples at 16 kHz."""
    path = stem.with_suffix(".wav")
    wavfile.write(path, SAMPLE_RATE, samples.astype(np.float32))
    return path


def encode(samples: Samples, path: Path, codec: str, rate: int, bits_per_s: int | None = None) -> Path:
    """Write samples through a codec at its own rate."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        if bits_per_s:
            stream.bit_rate = bits_per_s
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size or 1024
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def replayed(folder: Path, run: Path, utterances: list[str]) -> tuple[float, RecognitionRouteSamples, Outcome]:
    """Return a run's mean score, its utterances in the order given, and what the policy makes of them."""
    router, samples, _ = policy_samples(folder, [run])
    order = np.array([samples.utterances.index(utterance) for utterance in utterances])
    router, samples = router.on(order), samples.take(order)
    return float(router.scores(samples)[0].mean()), samples, replay(samples, router, router.policy.threshold)


def judged(
    name: str, mean_score: float, samples: RecognitionRouteSamples, outcome: Outcome, unchanged: Outcome
) -> dict[str, Any]:
    """Return where the policy stands under a condition, and how far that is from clean, speakers as blocks."""
    resample = draw_blocks(samples.speakers, n_replicates=2000)
    last = len(samples.points) - 1
    climbed = np.stack([item.reached == last for item in (outcome, unchanged)]).astype(np.float64)
    share = intervals(replace(resample_mean(climbed[:1], resample), most=1.0))[0]
    moved = intervals(resample_ratio_difference(climbed, np.ones(len(samples)), resample, 1))[0]
    wers = [
        intervals(resample_ratio(errors[None], samples.weights, resample))[0]
        for errors in (outcome.errors, samples.errors[0], samples.errors[-1])
    ]
    over = intervals(
        resample_ratio_difference(np.stack([outcome.errors, samples.errors[-1]]), samples.weights, resample, 1)
    )
    return {
        "condition": name,
        "share_to_big": _triple(share),
        "moved": _triple(moved),
        "decided_otherwise": float((climbed[0] != climbed[1]).mean()),
        "wer": _triple(wers[0]),
        "wer_small": _triple(wers[1]),
        "wer_big": _triple(wers[2]),
        "wer_over_big": _triple(over[0]),
        "mean_score": mean_score,
    }


def page(rows: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    """Return the page beside the JSON."""
    columns = ("heard", "% to base", "moved, points", "decided otherwise %", "WER %", "tiny.en", "base", "over base")
    lines = [
        (
            row["condition"],
            _percent(row["share_to_big"], 0),
            _percent(row["moved"], 0, "+"),
            f"{100 * row['decided_otherwise']:.0f}",
            *(_percent(row[name], 2) for name in ("wer", "wer_small", "wer_big")),
            _percent(row["wer_over_big"], 2, "+"),
        )
        for row in rows
    ]
    parts = [
        "# What level, codec and noise do to a cascade's decisions",
        f"A cascade of {' and '.join(POINTS)}, trained on {settings['trained_on']} utterances of {settings['corpus']} "
        f"and calibrated for {settings['wish']}; {settings['heard']} utterances of {settings['speakers']} speakers "
        "that did not train it, each heard in every way at the one threshold. Moved: share sent to base less that "
        "of clean speech, paired. Levels are clipped at full scale. Telephone: mu-law at 8 kHz; opus: "
        f"{OPUS_BITS_PER_S / 1000:g} kbit/s. Noise from nine recordings, the same at every ratio. Brackets: 95 % over "
        "speakers.",
        markdown_table(columns, lines),
        stamp_line(),
    ]
    return "\n\n".join(parts)


def _triple(interval: Interval) -> list[float]:
    return [interval.estimate, interval.low, interval.high]


def _percent(values: list[float], digits: int, sign: str = "") -> str:
    value, low, high = (f"{100 * value:{sign}.{digits}f}" for value in values)
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    main()
