"""The decider of arXiv 2309.12712, trained and judged on the same data as ours, with what its pipeline really costs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.audio.decode import load_audio
from allophone.audio.mel import context_frames, log_mel
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.encoders.torch_whisper import load_torch_whisper
from allophone.models.weights import resolve_weights
from allophone.routing.published.network import (
    PUBLISHED_THRESHOLDS,
    hidden_states,
    predict_decider,
    train_decider,
)
from allophone.routing.published.policy import decider_flops
from allophone.routing.recovery import recovered_gains
from allophone.routing.replay import break_even, sweep_thresholds
from allophone.routing.routers import OracleRouter, Order, Overhead, last_kept
from allophone.routing.samples import RecognitionRouteSamples, point_dimensions, read_route_samples
from allophone.routing.threshold_metrics import threshold_metrics
from benchmarks.routing.routing import POINTS, REPORT, TRAIN, measure
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, markdown_table, stamp_line, write_result

TRAINED_ON = "speechocean762-train"
FORMS = {"big_first": "base", "small_first": "tiny.en", "direct": None}  # whose encoder is read; None: log-mel


def main() -> None:
    """Draw utterances, encode them with torch, train, predict, replay."""
    parser = command_line(__doc__)
    told = "Runs; else those of the routing benchmark, measured where they are missing."
    parser.add_argument("--train", type=Path, nargs="+", help=told)
    parser.add_argument("--report", type=Path, nargs="+", help=told)
    parser.add_argument("--n-train", type=int, default=sized(300, 24))
    parser.add_argument("--n-report", type=int, default=sized(302, 8))
    parser.add_argument("--epochs", type=int, default=sized(6, 1))
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    asked = begin(parser)
    import torch

    torch.set_num_threads(1)
    train_runs = asked.train or [measure(RUNS, TRAINED_ON, TRAIN[TRAINED_ON])]
    report_runs = asked.report or [measure(RUNS, name, count) for name, count in REPORT.items()]
    train = draw(read_route_samples(train_runs, POINTS), asked.n_train)
    report = draw(read_route_samples(report_runs, POINTS), asked.n_report)
    figures = [judge(form, train, report, asked.epochs) for form in asked.forms]
    settings = {"points": POINTS, "n_train": len(train), "n_report": len(report), "epochs": asked.epochs}
    write_result("routing_faithful", settings, {"forms": figures}, page(figures, settings))


@dataclass(frozen=True, slots=True, eq=False)
class FaithfulRouter:
    """The published decider between two points, its probabilities known.

    Args:
        probabilities: That the first point is worse, shape (n_utterances,).
        order: ``big_first`` as published, ``small_first`` on the small encoder, ``direct`` on the log-mel.
        overhead: Of the decider.
    """

    probabilities: FloatArray
    order: Order
    overhead: Overhead

    @property
    def name(self) -> str:
        """``faithful`` and the order."""
        return f"faithful {self.order}"

    def scores(self, samples: RecognitionRouteSamples) -> FloatArray:
        """The probabilities, one step."""
        assert len(samples.points) == 2
        return self.probabilities[None]

    def kept(self, samples: RecognitionRouteSamples) -> IntArray:
        """Keep the point reached."""
        return last_kept(samples)


def draw(samples: RecognitionRouteSamples, count: int) -> RecognitionRouteSamples:
    """Take utterances at random, seeded."""
    return samples.take(np.sort(np.random.default_rng(5).permutation(len(samples))[:count]))


def states_of(samples: RecognitionRouteSamples, model: str | None) -> list[np.ndarray]:
    """Return hidden states, or the log-mel as one state, of every utterance at its fit context, halved in precision."""
    encoder = load_torch_whisper(resolve_weights(model).folder, encoder_only=True) if model else None
    audio: dict[tuple[int, str], Path] = {}
    for domain, run in enumerate(samples.runs):
        for line in run.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            audio[domain, row["id"]] = Path(row["audio_filepath"])
    found = []
    for domain, name in zip(samples.domains.tolist(), samples.utterances, strict=True):
        clip = load_audio(audio[domain, name])
        mel = log_mel(clip, context_frames(clip.size, samples.points[0]), 80)
        found.append(hidden_states(encoder, mel) if encoder is not None else mel.T[None].copy())
    return found


def judge(form: str, train: RecognitionRouteSamples, report: RecognitionRouteSamples, epochs: int) -> dict[str, Any]:
    """Train one form and replay it on the report utterances, all it runs charged."""
    model = FORMS[form]
    network = train_decider(states_of(train, model), train.errors[0] > train.errors[1], epochs=epochs)
    probabilities = predict_decider(network, states_of(report, model))
    place = {"big_first": 1, "small_first": 0, "direct": 0}[form]
    point = report.points[place]
    frames = [context_frames(round(seconds * SAMPLE_RATE), point) for seconds in report.duration_s.tolist()]
    billed = [decider_flops(point_dimensions(point), [count], reads_encoder=model is not None) for count in frames]
    router = FaithfulRouter(probabilities, form, Overhead(flops=float(np.mean(billed))))  # type: ignore[arg-type]
    recovery = recovered_gains(report, [sweep_thresholds(report, router)], sweep_thresholds(report, OracleRouter()))[0]
    always = float((report.errors[0] <= report.errors[1]).mean())
    thresholds = []
    for threshold in PUBLISHED_THRESHOLDS:
        at = threshold_metrics(report, router, threshold)
        thresholds.append(
            {
                "threshold": threshold,
                "wer": [at.wer.estimate, at.wer.low, at.wer.high],
                "flops_of_big": at.flops_of_last,
                "sent_to_big": at.share_escalated,
                "accuracy": at.accuracy,
                "accuracy_all": at.accuracy_all,
            }
        )
    return {
        "form": form,
        "reads": model or "log-mel",
        "decider_gflops": router.overhead.flops / 1e9,
        "recovered_share": recovery.share,
        "interval": [recovery.interval.low, recovery.interval.high],
        "p_above_random": recovery.p_above,
        "break_even_share": break_even(report, router.order, router.overhead),
        "accuracy_of_always_small": always,
        "thresholds": thresholds,
    }


def page(figures: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    """Return the page beside the JSON."""
    rows = [
        (
            f"{item['form']}, on {item['reads']}",
            f"{at['threshold']:g}",
            f"{100 * at['wer'][0]:.2f} [{100 * at['wer'][1]:.2f}, {100 * at['wer'][2]:.2f}]",
            f"{100 * at['flops_of_big']:.0f}",
            f"{100 * at['sent_to_big']:.0f}",
            f"{100 * at['accuracy_all']:.0f} ({100 * item['accuracy_of_always_small']:.0f})",
            f"{100 * item['recovered_share']:.0f} (p {item['p_above_random']:.2f})",
            "none" if item["break_even_share"] is None else f"{item['break_even_share']:.2f}",
        )
        for item in figures
        for at in item["thresholds"]
    ]
    columns = (
        *("form", "threshold", "WER %", "% of base FLOPs", "% sent to base"),
        *("decided right % (always tiny.en)", "recovered %", "break-even share"),
    )
    return "\n\n".join(
        [
            "# The decider of arXiv 2309.12712 on the same data",
            "Written by `benchmarks/routing/routing_faithful.py`. "
            f"{settings['n_train']} training and {settings['n_report']} "
            f"report utterances, drawn at random; {settings['epochs']} epochs; {' and '.join(settings['points'])}. "
            f"{stamp_line()}.",
            markdown_table(columns, rows),
            "Every encoder that runs in order to decide is charged, and the decider itself.",
        ]
    )


if __name__ == "__main__":
    main()
