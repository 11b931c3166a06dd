"""Write tests/golden/data anew: artefacts by today's commands, and what today's commands answer about artefacts.

``python tests/golden/make_golden.py --answers`` keeps the artefacts, which stand for those that users have, and writes
only the answers, names and options: for a change of figures that is meant. Without it every file is written by the
code as it is, which is right only once users' old files need not be read any more.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import re
import shutil
import sys
import wave
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden.golden_call import ROOT, call, command_tree
from golden.golden_shape import abridged

DATA = Path(__file__).parent / "data"
RATE = 16_000
PITCHES = {"high": 900.0, "low": 150.0}
CARDS = ("card.json", "adaptation.json")  # all that is kept of adapted weights

GRID = ("--axis", "context=full", "--axis", "beam_size=1", "--threads", "1")
ROUTED = "fake.tiny-full-s1-int8-b1,fake.base.en-full-s1-int8-b1"
QUICK = ("--epochs", "1", "--precision", "float32", "--folds", "2")
# a folder's name in a point ends with a digest of its path
SHORT, LONG = (f"small@2d28c905-{seconds}s-frozen" for seconds in ("0.1", "0.2"))

# Every artefact, by the command that makes it.
RECOGNITION = {
    "runs/speech": (
        *("sweep", "corpora/short/manifest.jsonl", "--models", "fake:tiny,fake:base.en", "--axis", "token_stride=1,2"),
        *(*GRID, "--plan", "grid", "--throughput", "--throughput-rounds", "1", "--out", "runs/speech"),
    ),
    "point.json": ("recommend", "runs/speech", "--max-rtf", "1", "--out", "point.json"),
    "runs/relative": (
        *("sweep", "corpora/short/manifest.jsonl", "--models", "fake:tiny,fake:base", "--axis", "token_stride=1"),
        *(*GRID, "--plan", "grid", "--reference-model", "fake:large-v3", "--out", "runs/relative"),
    ),
    "runs/relative/transcripts.csv": ("label", "runs/relative", "--budget", "4"),
    "runs/race": (
        *(
            "sweep",
            "corpora/many/manifest.jsonl",
            "--models",
            "fake:tiny,fake:base,fake:base.en",
            "--axis",
            "token_stride=1",
        ),
        *(*GRID, "--plan", "race", "--cost", "executed_gflops", "--seed", "3", "--out", "runs/race"),
    ),
}
POLICY = {
    "policy": ("route", "train", "runs/race", "--points", ROUTED, "--out", "policy", "--force"),
    "policy/policy.json": ("route", "calibrate", "policy", "runs/race", "--big-share", "0.5", "--force"),
}
LAW = {
    "runs/law": (
        *("sweep", "corpora/least/manifest.jsonl", "--models", "fake:tiny,fake:base", "--axis"),
        *("token_stride=1,2,3,4", *GRID, "--plan", "grid", "--out", "runs/law"),
    )
}
EMOTION = {
    "runs/emotion": (
        *("sweep", "corpora/emotions/manifest.jsonl", "--task", "emotion", "--models", "encoders/small", "--axis"),
        *("duration_s=0.2,0.1", "--axis", "lora_rank=0", "--axis", "unfrozen_layers=0", "--plan", "grid", *QUICK),
        *("--out", "runs/emotion"),
    ),
    "emotion-point.json": ("recommend", "runs/emotion", "--out", "emotion-point.json"),
    "recognisers/short": (
        *("adapt", "emotion", "corpora/emotions/manifest.jsonl", "--model", "encoders/small", "--duration-s", "0.1"),
        *(*QUICK, "--out", "recognisers/short"),
    ),
    "recognisers/long": (
        *("adapt", "emotion", "corpora/emotions/manifest.jsonl", "--model", "encoders/small", "--duration-s", "0.2"),
        *(*QUICK, "--out", "recognisers/long"),
    ),
    "cascade": (
        *("route", "emotion", "runs/emotion", "--points", f"{SHORT},{LONG}", "--models"),
        *("recognisers/short,recognisers/long", "--out", "cascade"),
    ),
}
CONTEXT = {
    "adapted": (
        *("adapt", "context", "corpora/short/manifest.jsonl", "--model", "encoders/little", "--out", "adapted"),
        *("--steps", "1", "--batch-size", "2", "--held-out", "1", "--margin-s", "0.5", "--threads", "1"),
    )
}
ARTEFACTS = {**RECOGNITION, **POLICY, **LAW, **EMOTION, **CONTEXT}

# What is asked about them: the answer's fields and figures are pinned.
QUESTIONS = {
    "frontier": ("frontier", "runs/speech", "--json"),
    "frontier-throughput": ("frontier", "runs/speech", "--cost", "rtf_throughput", "--json"),
    "frontier-race": ("frontier", "runs/race", "--cost", "executed_gflops", "--json"),
    "frontier-policy": ("frontier", "runs/speech", "--policy", "policy", "--json"),
    "frontier-labels": ("frontier", "runs/relative", "--labels", "runs/relative/transcripts.csv", "--json"),
    "frontier-emotion": ("frontier", "runs/emotion", "--cost", "training_gflops", "--json"),
    "recommend": ("recommend", "runs/speech", "--max-rtf", "1", "--json"),
    "recommend-emotion": ("recommend", "runs/emotion", "--json"),
    "recommend-labels": ("recommend", "runs/relative", "--labels", "runs/relative/transcripts.csv", "--json"),
    "recommend-confidence": (
        *("recommend", "runs/race", "--max-wer", "95", "--confidence", "0.9", "--minimise", "executed_gflops"),
        "--json",
    ),
    "diagnose": ("diagnose", "runs/speech", "--json"),
    "diagnose-emotion": ("diagnose", "runs/emotion", "--json"),
    "law": ("law", "runs/law", "--budget-gflops", "100", "--json"),
    "route-evaluate": ("route", "evaluate", "policy", "runs/race", "--json"),
    "route-emotion": ("route", "emotion", "runs/emotion", "--points", f"{SHORT},{LONG}", "--json"),
    "cost": ("cost", "tiny.en", "--context", "fit", "--margin-s", "1", "--tail", "every-4", "--json"),
    "cost-emotion": ("cost", "wav2vec2-base", "--duration-s", "3", "--unfrozen-layers", "2", "--json"),
}
# Answers that depend on the machine or take its time: their fields and types alone are pinned.
MACHINE_QUESTIONS = {
    "models": ("models", "--json"),
    "doctor": ("doctor", "--json"),
    "transcribe": (
        *("transcribe", "--point", "point.json", "corpora/short/audio/u0.wav", "--format", "json", "--verbose"),
    ),
    "classify": ("classify", "corpora/emotions/audio/0-high-0.wav", "--model", "recognisers/short", "--format", "json"),
    "classify-policy": ("classify", "corpora/emotions/audio/0-high-0.wav", "--policy", "cascade", "--format", "json"),
}


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write mono samples at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def write_tones(folder: Path, n: int, n_speakers: int) -> list[dict[str, Any]]:
    """Write tones whose loudness wanders, in which the fake models hear words; return their lines of a manifest."""
    lines = []
    for index in range(n):
        rng = np.random.default_rng(index)
        seconds = 1.0 + 0.25 * (index % 4)
        time = np.arange(round(seconds * RATE)) / RATE
        loudness = np.interp(time, np.linspace(0, seconds, 12), rng.uniform(0.05, 0.9, 12))
        write_wav(folder / f"audio/u{index}.wav", loudness * np.sin(2 * np.pi * (200 + 50 * index) * time))
        fields = {"id": f"u{index}", "audio_filepath": f"audio/u{index}.wav", "duration": seconds}
        lines.append({**fields, "speaker": f"{folder.name[0]}{index % n_speakers}"})
    return lines


def write_emotions(folder: Path) -> list[dict[str, Any]]:
    """Write short tones, two of each label's pitch from each of six speakers; return their lines of a manifest."""
    rng, lines = np.random.default_rng(0), []
    for speaker, number, label in product(range(6), range(2), PITCHES):
        name = f"{speaker}-{label}-{number}"
        time = np.arange(round(rng.uniform(0.2, 0.4) * RATE)) / RATE
        sound = 0.3 * np.sin(2 * np.pi * PITCHES[label] * time) + 0.02 * rng.standard_normal(time.size)
        write_wav(folder / f"audio/{name}.wav", sound * rng.uniform(0.5, 1))
        lines.append({"id": name, "audio_filepath": f"audio/{name}.wav", "label": label, "speaker": f"s{speaker}"})
    return lines


def write_corpora(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Write the recordings of every corpus; return the lines of their manifests, without transcripts."""
    tones = {"least": (3, 3), "short": (6, 3), "many": (24, 8)}
    lines = {name: write_tones(folder / "corpora" / name, *size) for name, size in tones.items()}
    return {**lines, "emotions": write_emotions(folder / "corpora/emotions")}


def write_little_whisper(folder: Path) -> None:
    """Write a Whisper of few random weights as CTranslate2 has it, with a tokenizer that knows a few tokens."""
    import torch
    import transformers
    from ctranslate2.converters.transformers import WhisperLoader
    from tokenizers import Tokenizer, models, pre_tokenizers

    transformers.utils.logging.set_verbosity_error()
    words = [f"w{number}" for number in range(40)]
    words += ["<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>"]
    knobs = {"layers": 1, "attention_heads": 1, "ffn_dim": 64}
    sizes = {f"{side}_{knob}": size for side in ("encoder", "decoder") for knob, size in knobs.items()}
    no_tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"))
    config = transformers.WhisperConfig(vocab_size=len(words), num_mel_bins=80, d_model=64, **sizes, **no_tokens)
    torch.manual_seed(1)
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name != "model.encoder.embed_positions.weight":  # norms too: the converter stores equal tensors once
                value.normal_(mean=float(name.endswith("norm.weight")), std=0.15)
        model.model.decoder.embed_tokens.weight[words.index("<|endoftext|>")] *= 3
    spec = WhisperLoader().get_model_spec(model)
    spec.register_vocabulary(words)
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = [], [], []
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize("float32")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def make_inputs(folder: Path) -> None:
    """Write corpora with transcripts, which are what a good fake model hears, and models of random weights."""
    import torch
    import transformers

    for name, lines in write_corpora(folder).items():
        corpus = folder / "corpora" / name
        if name != "emotions":
            command = ("transcribe", f"corpora/{name}/audio", "--model", "fake:large-v3", "--out", f"heard/{name}")
            _run(folder, *command)
            for line in lines:
                line["text"] = (folder / f"heard/{name}/{line['id']}.txt").read_text(encoding="utf-8").strip()
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (corpus / "manifest.jsonl").write_text(text, encoding="utf-8")
    torch.manual_seed(0)
    transformers.utils.logging.set_verbosity_error()
    config = transformers.Wav2Vec2Config(
        conv_dim=(6, 5),
        conv_kernel=(40, 3),
        conv_stride=(80, 4),
        num_feat_extract_layers=2,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(folder / "encoders/small")
    write_little_whisper(folder / "encoders/little")


def fill_transcripts(path: Path) -> None:
    """Write what was said beside the utterances that 'allophone label' drew, as a user does."""
    said = {line["id"]: line["text"] for line in _lines(path.parents[2] / "corpora/short/manifest.jsonl")}
    rows = path.read_text(encoding="utf-8-sig").splitlines()
    filled = [rows[0], *(row + said[row.partition(",")[0]] for row in rows[1:])]
    path.write_text("\n".join(filled) + "\n", encoding="utf-8-sig")


def bend_to_law(run: Path) -> None:
    """Count other words wrong in a finished run, so that a law describes it; the files stay as they were written."""
    from pyarrow import array
    from pyarrow.parquet import read_table, write_table

    for path in sorted(run.glob("measurements/*.parquet")):
        table = read_table(path)
        model, stride = re.search(r"fake\.(\w+)-full-s(\d)", path.name).groups()  # type: ignore[union-attr]
        wrong = round(10_000 * ({"tiny": 0.16, "base": 0.12}[model] + 0.03 * (int(stride) - 1)))
        counts = {"hits": 10_000 - wrong, "substitutions": wrong, "insertions": 0, "deletions": 0}
        for name, count in counts.items():
            place = table.column_names.index(name)
            column = array([count] * len(table), table.schema.field(name).type)
            table = table.set_column(place, table.schema.field(name), column)
        write_table(table, path, compression="zstd", write_statistics=False, use_dictionary=False, store_schema=False)


def scrub(folder: Path) -> None:
    """Put an invented machine and time in place of this one's."""
    machine = {"processor": "a processor", "cores": 2, "memory_bytes": 8_000_000_000, "system": "a system"}
    for path in folder.rglob("*.json"):
        fields = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict):
            continue
        if isinstance(fields.get("machine"), dict):
            fields["machine"] |= machine
        for name, value in (("created", "2026-01-01T00:00:00+00:00"), ("processor", "a processor")):
            if name in fields:
                fields[name] = value
        if "machine" in fields or "processor" in fields:
            path.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def make_artefacts(folder: Path) -> None:
    """Write every artefact into a folder that :func:`make_inputs` has filled."""
    for name, command in ARTEFACTS.items():
        _run(folder, *command)
        if name.endswith("transcripts.csv"):
            fill_transcripts(folder / name)
        if name == "runs/law":
            bend_to_law(folder / name)
    scrub(folder)


def keep_artefacts(folder: Path) -> None:
    """Copy what is pinned into the golden data: no recordings, checkpoints or large weights."""
    shutil.rmtree(DATA, ignore_errors=True)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        inside = path.relative_to(folder)
        left_out = path.suffix in (".wav", ".pt", ".lock", ".html") or path.name in (".lock", "README.md")
        adapted = inside.parts[0] == "adapted" and path.name not in CARDS
        if left_out or adapted or inside.parts[0] in ("cache", "heard") or "little" in inside.parts:
            continue
        (DATA / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, DATA / inside)


def answer(folder: Path, question: tuple[str, ...]) -> Any:
    """Return what a command answers in JSON, long lists of numbers abridged."""
    return abridged(json.loads(_run(folder, *question)))


def write_answers(folder: Path) -> None:
    """Write what today's commands answer, the options that they have, and how points are named."""
    shutil.rmtree(DATA / "answers", ignore_errors=True)
    for name, question in {**QUESTIONS, **MACHINE_QUESTIONS}.items():
        found = answer(folder, question)
        if name in ("models", "doctor"):
            found = _without_text(found)
        _write(DATA / f"answers/{name}.json", found)
    _write(DATA / "commands.json", command_tree(), levels=2)
    _write(DATA / "public_names.json", public_names())
    _write(DATA / "point_names.json", point_names())


def public_names() -> dict[str, list[str]]:
    """Return the public names, each with the parameters that it is called with."""
    import allophone

    return {name: parameters_of(getattr(allophone, name)) for name in allophone.__all__}


def parameters_of(value: Any) -> list[str]:
    """Return the names of a callable's parameters; none for what cannot be called."""
    return [name for name in inspect.signature(value).parameters if name != "self"] if callable(value) else []


def point_names() -> list[dict[str, Any]]:
    """Return operating points as fields, each with its name: every knob alone, then some together."""
    from allophone import OperatingPoint

    fit = {"context": "fit"}
    knobs: list[dict[str, Any]] = [
        *({"model": model} for model in ("tiny", "base", "large-v3", "distil-large-v3", "moonshine-tiny", "fake:tiny")),
        *({"model": model} for model in ("openai/whisper-tiny.en", "models/my whisper", "/srv/models/short")),
        *({"window_s": seconds} for seconds in (10.0, 12.5)),
        *({**fit, "margin_s": seconds} for seconds in (0.0, 0.5, 1.0, 2.0)),
        *({**fit, "floor_s": seconds} for seconds in (4.0, 7.5)),
        *({**fit, "tail": tail} for tail in ("all", "every-4", "every-16", "last-300", "none")),
        *({**fit, "guard": guard, "tail": "all"} for guard in (True, False)),
        *({"margin_s": 2.0, "tail": "all", "guard": True}, {"model": "moonshine-tiny", **fit, "tail": "all"}),
        *({"token_stride": stride} for stride in (2, 8)),
        *({"speed": speed} for speed in (0.5, 1.25, 2.0)),
        *({"compute_type": kind} for kind in ("float32", "float16", "bfloat16", "int8_float32")),
        *({"beam_size": beams} for beams in (2, 5)),
        {**fit, "margin_s": 1.0, "floor_s": 3.0, "tail": "every-4", "guard": True, "token_stride": 2, "speed": 1.5},
        {**fit, "window_s": 15.0, "tail": "last-100", "beam_size": 5, "compute_type": "float32"},
        {"window_s": 20.0, "speed": 1.1, "token_stride": 3, "beam_size": 4, "compute_type": "int8_float32"},
    ]
    points = [{"model": "tiny.en", **fields} for fields in ({}, *knobs)]
    return [{"fields": fields, "name": OperatingPoint(**fields).name} for fields in points]


def _without_text(value: Any) -> Any:
    """Drop what is said of this machine and where things lie on it; of a list of models the first is enough."""
    if isinstance(value, dict):
        return {key: _without_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_text(item) for item in value[:1]]
    return "" if isinstance(value, str) else value


def _run(folder: Path, *command: str) -> str:
    done = call(folder, *command)
    if done.code != 0:
        raise RuntimeError(f"allophone {' '.join(command)}: exit code {done.code}\n{done.stdout}{done.stderr}")
    return done.stdout


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _write(path: Path, value: Any, levels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(value, levels) + "\n", encoding="utf-8")


def _text(value: Any, levels: int) -> str:
    """JSON with one line per field of so many levels: differences can be read, and files stay small."""
    if levels == 0 or not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, list):
        return "[\n" + ",\n".join(_text(item, levels - 1) for item in value) + "\n]"
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {_text(item, levels - 1)}" for key, item in value.items()) + "\n}"


def main() -> None:
    """Write the golden data in a folder of its own first, so that no path of this machine enters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", action="store_true", help="keep the artefacts, write what is answered about them")
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["ALLOPHONE_CACHE"] = str(folder / "cache")
        if not arguments.answers:
            make_inputs(folder)
            make_artefacts(folder)
            keep_artefacts(folder)
        read = folder / "read"
        shutil.copytree(DATA, read)
        write_corpora(read)
        write_answers(read)
    size = sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file())
    print(f"{DATA.relative_to(ROOT)}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
