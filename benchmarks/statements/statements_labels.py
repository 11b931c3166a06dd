r"""How often what ``allophone label`` states holds: WER and differences estimated from few human transcripts.

``simulate`` draws corpora from first principles; ``real`` draws speakers and transcripts from a run over real speech
whose true transcripts are known, measured relative to a big model's::

    allophone sweep MANIFEST --models tiny.en,base --plan grid --axis context=fit --axis token_stride=1,2 \
        --reference-model base --out RUN
    python -m benchmarks.statements.statements_labels --run RUN --manifest MANIFEST
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from allophone.corpora.manifest import read_manifest
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.frontier.summarise import summarise_run
from allophone.labels.draw import read_hypotheses
from allophone.labels.sampling import disagreement
from allophone.measure.blocks import draw_blocks
from allophone.measure.wer import count_word_errors, load_normalizer
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RESULTS, markdown_table, stamp_line, write_result
from benchmarks.statements.labels_simulation import (
    BIG_MODELS,
    LEVEL,
    Answer,
    answer,
    answer_corpus,
    hard_limits,
    held,
    simulate,
    true_rates,
)

NAME = "statements_labels"
SPEAKERS = sized((5, 8, 12, 28), (8,))
BUDGETS = sized((10, 30, 100), (30,))
SETTINGS = {"n_corpora": sized(1000, 4), "n_replicates": 500, "real_draws": sized(1000, 4), "real_speakers": [12, 28]}
Row = dict[str, Any]


def simulated() -> Iterator[Row]:
    for name, rate in BIG_MODELS.items():
        truth = true_rates(rate)
        for n_speakers in SPEAKERS:
            for budget in BUDGETS:
                rng = np.random.default_rng((SPEAKERS.index(n_speakers), budget, len(name)))
                found = [
                    answer_corpus(
                        simulate(n_speakers, rate, rng), budget, seed, SETTINGS["n_replicates"], hard_limits(truth)
                    )
                    for seed in range(SETTINGS["n_corpora"])
                ]
                cell = f"simulated, {name} big model ({rate:.0%} WER), {n_speakers} speakers, {budget} transcripts"
                yield from rows(cell, found, truth)
                print(cell, flush=True)


def rows(cell: str, found: list[Answer | None], truth: tuple[float, ...]) -> Iterator[Row]:
    """One row per statement; the standard error is over corpora, since statements about one corpus depend."""
    checked = [statements for one in found if (statements := held(one, truth))]
    for statement in checked[0]:
        shares = np.array([np.mean(one[statement]) for one in checked])
        share = float(shares.mean())
        yield {
            "statement": statement,
            "cell": cell,
            "stated": LEVEL,
            "held": round(share, 4),
            "standard_error": round(float(shares.std()) / sqrt(len(shares)), 4),
            "simulations": len(shares),
        }


def real(run: Path, manifest: Path) -> tuple[list[Row], Row]:
    """Speakers drawn with replacement from the run's, whose pooled error rates are then the truth."""
    summary = summarise_run(run)
    words, errors, disagreements = _against_humans(summary, run, manifest)
    samples = summary.samples
    truth = tuple((errors.sum(axis=1) / words.sum()).tolist())
    blocks = draw_blocks(samples.speakers, n_replicates=1).blocks
    members = [np.flatnonzero(blocks == block) for block in range(blocks.max() + 1)]
    found_rows, widths = [], {}
    for n_speakers in SETTINGS["real_speakers"]:
        for budget in (10, 30, 60):
            rng = np.random.default_rng((n_speakers, budget))
            answers = []
            for seed in range(SETTINGS["real_draws"]):
                drawn = rng.integers(0, len(members), n_speakers)
                at = np.concatenate([members[speaker] for speaker in drawn])
                of = np.repeat(np.arange(n_speakers), [len(members[speaker]) for speaker in drawn])
                answers.append(
                    answer(
                        of,
                        words[at],
                        errors[:, at],
                        samples.words[at],
                        samples.errors[:, at],
                        disagreements[at],
                        budget,
                        seed,
                        SETTINGS["n_replicates"],
                        hard_limits(truth),
                    )
                )
            cell = f"train-clean-5, {n_speakers} of {len(members)} speakers with replacement, {budget} transcripts"
            found_rows += rows(cell, answers, truth)
            stated = [one for one in answers if one is not None]
            widths[f"{n_speakers} speakers, {budget} transcripts"] = {
                point: round(100 * float(np.median([one.rates[k].high - one.rates[k].low for one in stated])), 2)
                for k, point in enumerate(samples.points)
            }
            print(cell, flush=True)
    relative = samples.errors.sum(axis=1) / samples.words.sum()
    return found_rows, {
        "utterances": len(words),
        "relative_to": summary.run.relative_to,
        "points": [
            {"point": point, "wer": round(truth[k], 4), "relative": round(float(relative[k]), 4)}
            for k, point in enumerate(samples.points)
        ],
        "median_width_points": widths,
    }


def _against_humans(
    summary: RecognitionRunSummary, run: Path, manifest: Path
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Words, errors against the true transcripts, and disagreement of the hypotheses, of every utterance."""
    samples = summary.samples
    said = {utterance.id: utterance.text or "" for utterance in read_manifest(manifest)}
    texts = read_hypotheses(run, samples.utterances)
    normalise = load_normalizer("english")
    counts = [[count_word_errors(said[name], texts[name].of[p]) for name in samples.utterances] for p in samples.points]
    apart = [
        disagreement([normalise(texts[name].reference), *(normalise(texts[name].of[p]) for p in samples.points)])
        for name in samples.utterances
    ]
    return (
        np.array([count.reference_words for count in counts[0]], dtype=float),
        np.array([[count.errors for count in row] for row in counts], dtype=float),
        np.array(apart),
    )


def page(found: list[Row], measured: Row) -> str:
    statements = list(dict.fromkeys(row["statement"] for row in found))
    cells = list(dict.fromkeys(row["cell"] for row in found))
    share = {(row["cell"], row["statement"]): row for row in found}
    table = [
        [
            cell,
            *(_shown(share.get((cell, s))) for s in statements),
        ]
        for cell in cells
    ]
    parts = [
        "# What is stated from few transcripts, and how often it holds",
        f"Written by `benchmarks/statements/{NAME}.py`. {stamp_line()}.",
        "Every share is over at least 1,000 corpora and should be 95 %, or for the last two columns at least that. "
        "Simulated corpora have speakers of very unequal sizes; points and big model find the same speakers and "
        "utterances hard, and make some of the same errors, so that errors relative to the big model mislead. The true "
        "rates are those of the population that speakers are drawn from. A sample is drawn as `allophone label` draws "
        "it; where all drawn are of one speaker nothing is stated, and the corpus is left out. The chosen point is the "
        "one of the lowest estimate. The limit lies a hair below the true rate of a middle point; with fewer than 8 "
        "speakers none is let through.",
        markdown_table(["cell", *statements], table),
    ]
    if measured:
        parts += [
            f"## Real speech: {measured['utterances']} utterances, relative to {measured['relative_to']}",
            "The population is that of the run's own speakers, drawn with replacement; its error rates against the "
            "true transcripts are therefore known.",
            markdown_table(
                ["point", "WER %", f"relative to {measured['relative_to']}, %"],
                [[p["point"], f"{100 * p['wer']:.2f}", f"{100 * p['relative']:.2f}"] for p in measured["points"]],
            ),
            "Median width of the 95 % interval, in points of WER:",
            markdown_table(
                ["", *(p["point"] for p in measured["points"])],
                [[name, *(str(width) for width in w.values())] for name, w in measured["median_width_points"].items()],
            ),
        ]
    return "\n\n".join(parts)


def _shown(row: Row | None) -> str:
    return "" if row is None else f"{100 * row['held']:.1f} ± {100 * row['standard_error']:.1f}"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--run", type=Path, help="a run relative to a big model; else the simulation alone")
    parser.add_argument("--manifest", type=Path, help="the same corpus with its true transcripts")
    parser.add_argument("--keep-simulated", action="store_true", help="take the simulated rows of the last result")
    arguments = begin(parser)
    if arguments.keep_simulated:
        earlier = json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8"))["figures"]["rows"]
        found = [row for row in earlier if row["cell"].startswith("simulated")]
    else:
        found = list(simulated())
    measured: Row = {}
    if arguments.run is not None and arguments.manifest is not None:
        more, measured = real(arguments.run, arguments.manifest)
        found += more
    write_result(NAME, SETTINGS, {"rows": found, "real": measured}, page(found, measured))


if __name__ == "__main__":
    main()
