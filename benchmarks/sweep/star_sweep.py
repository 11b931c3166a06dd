"""The star sweep of tiny.en and base on real speech: table, plot and explanation of the context knob."""

from __future__ import annotations

import json
from pathlib import Path

from allophone.frontier.pareto import Frontier
from allophone.ledger.run_record import read_run
from allophone.report.figures import FrontierFigure, frontier_figure
from allophone.report.tables import frontier_table
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RESULTS, RUNS, SPEECH, markdown_table, stamp_line, write_result

SPACE = SearchSpace(
    model=("tiny.en", "base"),
    context=("full", "fit"),
    margin_s=sized((1, 2, 4), (1,)),
    floor_s=sized((0, 10), (0,)),
    token_stride=sized((1, 2, 4), (1,)),
    beam_size=sized((1, 5), (1,)),
)


def main() -> None:
    """Sweep (resumable), then write the table and the plot."""
    parser = command_line(__doc__)
    parser.add_argument("--out", type=Path, default=RUNS / "star-test-other")
    out = begin(parser).out
    sweep(
        SPEECH / "librispeech-test-other",
        out=out,
        space=SPACE,
        progress=lambda now: print(f"{now.done}/{now.total}", end="\r", flush=True),
    )
    frontier = Frontier.from_run(out, "executed_gflops")
    table = frontier_table(frontier)
    draw(frontier_figure(frontier), RESULTS / "star_sweep.svg")
    record = read_run(out)
    page = "\n\n".join(
        [
            "# Star sweep: tiny.en and base on LibriSpeech test-other",
            f"Written by `benchmarks/sweep/star_sweep.py`. {frontier.points[0].summary.n_utterances} utterances, "
            f"{record.n_speakers} speakers, {frontier.points[0].summary.audio_s / 60:.1f} minutes of test-other. "
            f"{stamp_line()}; {record.threads} threads, int8, no fallback; every utterance once at every point, models "
            "taking turns utterance by utterance.",
            "![frontier](star_sweep.svg)",
            markdown_table(table.columns, table.rows),
            *table.notes,
        ]
    )
    write_result(
        "star_sweep",
        {"space": record.space, "plan": record.plan, "threads": record.threads, "normalizer": record.normalizer},
        {"frontier": json.loads(frontier.to_json())["points"]},
        page,
    )


def draw(figure: FrontierFigure, path: Path) -> None:
    """Draw the same record as the report's plot, as SVG."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "allophone"
    drawn, axes = plt.subplots(figsize=(9, 5))
    for model, colour in zip(dict.fromkeys(point.model for point in figure.points), ("C0", "C1", "C2"), strict=False):
        for on in (True, False):
            members = [point for point in figure.points if point.model == model and point.nondominated == on]
            axes.scatter(
                [point.x for point in members],
                [point.y for point in members],
                s=70 if on else 35,
                color=colour if on else "0.7",
                edgecolor=colour,
                label=f"{model}, {'on the frontier' if on else 'beaten'} as measured",
                zorder=3,
            )
            for point in members if on else []:
                axes.annotate(
                    point.name.partition("-")[2],
                    (point.x, point.y),
                    textcoords="offset points",
                    xytext=(6, 4),
                    fontsize=6.5,
                    color="0.1",
                )
    on_frontier = [point for point in figure.points if point.nondominated]
    axes.step([point.x for point in on_frontier], [point.y for point in on_frontier], where="post", color="0.3", lw=1)
    axes.set_xscale("log" if figure.log_x else "linear")
    if figure.log_x:
        axes.set_xticks(figure.ticks, [f"{tick:g}" for tick in figure.ticks])
        axes.minorticks_off()
    for point in figure.points:
        if point.nondominated:
            axes.plot([point.x, point.x], point.y_range, color="0.75", lw=0.8, zorder=1)
    axes.set_yscale("log")  # loops at short context reach several times the error rate of full context
    axes.set_yticks([10, 15, 20, 30, 50, 100], ["10", "15", "20", "30", "50", "100"])
    axes.minorticks_off()
    xs = [point.x for point in figure.points]
    axes.set_ylim(5, 100)
    axes.set_xlim(min(xs) * 0.8, max(xs) * 1.35)
    axes.set_xlabel(figure.x_title)
    axes.set_ylabel(figure.y_title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    drawn.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, metadata={"Date": None})
    plt.close(drawn)


if __name__ == "__main__":
    main()
