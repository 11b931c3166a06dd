"""Speakers inferred from voices against the true ones: how well they agree, and what intervals over them are worth.

The threshold is chosen on half of train-clean-5's speakers and on speechocean762-train, and judged on speakers who had
no part in that. Pass a run over real speech to see the widths of its intervals too.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from allophone.audio.decode import load_audio
from allophone.audio.voice import VoiceEncoder
from allophone.corpora.manifest import read_manifest
from allophone.corpora.speakers import INFERRED_BY, THRESHOLD, cluster_voices
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio
from allophone.measure.intervals import intervals
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import SPEECH, markdown_table, stamp_line, write_result
from benchmarks.statements.interval_simulation import gamma

SETTINGS = {
    "utterances_each": sized(8, 2),
    "speakers_most": sized(60, 4),
    "thresholds": [round(0.02 * step, 2) for step in range(4, 26)],
    "simulated": sized(2000, 50),
    "rate": 0.12,
    "speaker_spread": 0.6,
    "utterance_spread": 0.6,
    "n_replicates": 1000,
}
CHOOSING = ("train-clean-5, half of the speakers", "speechocean762-train")
JUDGING = ("train-clean-5, the other half", "librispeech-test-other", "speechocean762-test")
Row = dict[str, Any]
Array = npt.NDArray[np.float64]


class Voices:
    """Recordings of known speakers with their embeddings.

    Args:
        speakers: True speaker of every recording with enough speech.
        words: Reference words of each.
        embeddings: Shape (n, 256).
        short: Recordings with too little speech, left out of the above.
    """

    def __init__(self, speakers: list[str], words: list[int], embeddings: list[Any], short: int) -> None:
        self.speakers, self.words = np.array(speakers), np.array(words, dtype=float)
        self.embeddings, self.short = np.array(embeddings), short


def read_voices(folder: str, half: int | None, encoder: VoiceEncoder, cache: Path | None) -> Voices:
    """Embed some recordings of a set's speakers, of every other speaker where ``half`` is 0 or 1."""
    by_speaker: dict[str, list[Any]] = {}
    for utterance in read_manifest(SPEECH / folder / "manifest.jsonl"):
        by_speaker.setdefault(str(utterance.speaker), []).append(utterance)
    rng = random.Random(0)
    names = sorted(by_speaker)
    names = names if half is None else names[half::2]
    names = sorted(rng.sample(names, min(len(names), SETTINGS["speakers_most"])))
    path = None if cache is None else cache / f"{folder}.npz"
    known = dict(np.load(path)) if path is not None and path.exists() else {}
    speakers, words, embeddings, short = [], [], [], 0
    for name in names:
        for utterance in rng.sample(by_speaker[name], min(len(by_speaker[name]), SETTINGS["utterances_each"])):
            if utterance.id not in known:
                found = encoder.embed(load_audio(utterance.audio_filepath))
                known[utterance.id] = np.empty(0) if found is None else found
            if len(known[utterance.id]):
                speakers.append(name)
                words.append(len((utterance.text or "").split()))
                embeddings.append(known[utterance.id])
            else:
                short += 1
    if path is not None:
        np.savez(path, **known)
    print(f"{folder}: {len(speakers)} recordings, {short} too short", flush=True)
    return Voices(speakers, words, embeddings, short)


def agreement(speakers: npt.NDArray[Any], clusters: npt.NDArray[Any]) -> Row:
    """Purity of clusters, purity of speakers, and the adjusted Rand index (Hubert and Arabie, 1985)."""
    _, rows = np.unique(speakers, return_inverse=True)
    _, columns = np.unique(clusters, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)

    def pairs(counts: Array) -> float:
        return float((counts * (counts - 1) / 2).sum())

    together, by_row, by_column = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = by_row * by_column / pairs(np.array([table.sum()]))
    return {
        "speakers": len(table),
        "clusters": table.shape[1],
        "purity": round(float(table.max(axis=0).sum() / table.sum()), 3),
        "speaker_purity": round(float(table.max(axis=1).sum() / table.sum()), 3),
        "adjusted_rand": round((together - expected) / ((by_row + by_column) / 2 - expected), 3),
    }


def coverage(voices: Voices, clusters: npt.NDArray[Any]) -> Row:
    """Coverage and median width of 95 % WER intervals over true, inferred and no blocks, for simulated errors.

    Errors are Poisson around the rate times how hard speaker and utterance are, both gamma of mean 1.
    """
    rng = np.random.default_rng(1)
    _, of = np.unique(voices.speakers, return_inverse=True)
    n, rate, words = SETTINGS["simulated"], SETTINGS["rate"], np.maximum(voices.words, 1)
    hard = gamma(SETTINGS["speaker_spread"], (n, of.max() + 1), rng)[:, of]
    hard = hard * gamma(SETTINGS["utterance_spread"], (n, len(of)), rng)
    errors = rng.poisson(rate * words * hard).astype(float)
    blocks = {
        "true": [str(one) for one in voices.speakers],
        "inferred": [str(one) for one in clusters],
        "none": [None] * len(of),
    }
    found = {}
    for name, speakers in blocks.items():
        resample = draw_blocks(speakers, n_replicates=SETTINGS["n_replicates"])
        ranges = intervals(resample_ratio(errors, words, resample))
        found[name] = {
            "coverage": round(float(np.mean([one.contains(rate) for one in ranges])), 4),
            "width_points": round(100 * float(np.median([one.high - one.low for one in ranges])), 2),
        }
    return found


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--cache", type=Path, help="folder for embeddings, so that a second run is quick")
    cache = begin(parser).cache
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    encoder = VoiceEncoder()
    sources = {
        CHOOSING[0]: ("librispeech-train-clean-5", 0),
        CHOOSING[1]: ("speechocean762-train", None),
        JUDGING[0]: ("librispeech-train-clean-5", 1),
        JUDGING[1]: ("librispeech-test-other", None),
        JUDGING[2]: ("speechocean762-test", None),
    }
    voices = {name: read_voices(folder, half, encoder, cache) for name, (folder, half) in sources.items()}
    choice = []
    for threshold in SETTINGS["thresholds"]:
        found = {
            name: agreement(voices[name].speakers, cluster_voices(voices[name].embeddings, threshold))
            for name in CHOOSING
        }
        choice.append({"threshold": threshold, "adjusted_rand": [found[name]["adjusted_rand"] for name in CHOOSING]})
    best = max(choice, key=lambda row: sum(row["adjusted_rand"]))["threshold"]
    print(json.dumps(choice), best, flush=True)
    judged = {}
    for name in JUDGING:
        clusters = cluster_voices(voices[name].embeddings, THRESHOLD)
        judged[name] = {
            **agreement(voices[name].speakers, clusters),
            "too_short": voices[name].short,
            "intervals": coverage(voices[name], clusters),
        }
    figures = {"used": THRESHOLD, "best": best, "choice": choice, "judged": judged}
    write_result("speaker_blocks", SETTINGS, figures, page(figures))


def page(figures: Row) -> str:
    judged = figures["judged"]
    return "\n\n".join(
        [
            "# Speakers inferred from voices",
            f"Written by `benchmarks/statements/speaker_blocks.py`. {stamp_line()}; {INFERRED_BY}. "
            f"{SETTINGS['utterances_each']} recordings of each speaker.",
            "## Choice of the threshold",
            f"Adjusted Rand index by cosine distance; {figures['best']:g} has the greatest mean, "
            f"{figures['used']:g} is used.",
            markdown_table(
                ["distance", *CHOOSING],
                [[f"{row['threshold']:g}", *(f"{r:.2f}" for r in row["adjusted_rand"])] for row in figures["choice"]],
            ),
            "## Speakers who had no part in the choice",
            markdown_table(
                ["set", "speakers", "inferred", "purity", "purity by speaker", "adjusted Rand", "too short"],
                [
                    [
                        name,
                        *(f"{row[key]}" for key in ("speakers", "clusters")),
                        *(f"{row[key]:.2f}" for key in ("purity", "speaker_purity", "adjusted_rand")),
                        f"{row['too_short']}",
                    ]
                    for name, row in judged.items()
                ],
            ),
            "## What intervals over them are worth",
            f"Coverage of 95 % WER intervals, and their median width in points, where {SETTINGS['simulated']} times "
            "errors are simulated for these recordings: some speakers are far harder than others (standard deviation "
            f"{SETTINGS['speaker_spread']} around 1). Blocks are the true speakers, the inferred ones, or none.",
            markdown_table(
                ["set", "true", "inferred", "none"],
                [
                    [
                        name,
                        *(
                            f"{100 * row['intervals'][key]['coverage']:.1f} %; {row['intervals'][key]['width_points']}"
                            for key in ("true", "inferred", "none")
                        ),
                    ]
                    for name, row in judged.items()
                ],
            ),
        ]
    )


if __name__ == "__main__":
    main()
