"""The routing page's drawing: curves of every set, and what noise does."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.routing.figures import Judged, middle_half_costs
from benchmarks.shared.recording import RESULTS


def draw(judged: Sequence[Judged], noise: list[dict[str, float | None]]) -> None:
    """Draw the policies' curves on every set, and the share that climbs under noise."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "allophone"
    sets = judged[0].found.results
    drawn, axes = plt.subplots(1, len(sets) + 1, figsize=(5 * (len(sets) + 1), 4))
    for place, (axis, result) in enumerate(zip(axes, sets, strict=False)):
        first = result.flops[0]
        lines = [("random mixing", first.cost, first.chance), ("oracle", first.cost, first.oracle)]
        lines += [(item.name, (c := item.found.results[place].flops[0]).cost, c.wer) for item in judged]
        for name, cost, values in lines:
            axis.plot(cost / 1e9, 100 * values, label=name)
        axis.scatter(
            [point[2] for point in result.fixed], [100 * point[1] for point in result.fixed], color="0.2", zorder=3
        )
        axis.axvspan(*middle_half_costs(result), color="0.95", zorder=0)
        axis.set(title=f"{result.name} ({result.n_utterances})", xlabel="executed GFLOPs an utterance", ylabel="WER %")
        axis.legend(fontsize=8)
    labels = ["clean" if row["snr_db"] is None else str(row["snr_db"]) for row in noise]
    axes[-1].plot(labels, [100 * (row["share_to_big"] or 0.0) for row in noise], marker="o")
    axes[-1].set(title="cascade under noise", xlabel="SNR, dB", ylabel="% sent to base", ylim=(0, 100))
    drawn.tight_layout()
    RESULTS.mkdir(parents=True, exist_ok=True)
    drawn.savefig(RESULTS / "routing.svg", metadata={"Date": None})
    plt.close(drawn)
