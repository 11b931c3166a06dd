"""README's picture of a frontier, drawn from ``docs/results/context_tail.json``, for light pages and for dark ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log
from pathlib import Path

__all__ = ["CORPUS", "Plotted", "frontier_caption", "frontier_svg", "nondominated", "plotted_points"]

CORPUS = "librispeech-train-clean-5"
KINDS = {  # context of the result, what the legend says
    "full": "30 s window, as Whisper comes",
    "shipped": "short context, silence tail, guard",
    "every-4": "short context, thinned tail",
    "none": "short context, no tail",
}
WIDTH, HEIGHT = 640, 470
LEFT, RIGHT, TOP, BOTTOM = 62, 620, 132, 404  # of the plot
SIZE = 17  # of the text; README shows the picture at half its width on a phone
COLOURS = {
    "light": {"text": "#1f2328", "grey": "#59636e", "grid": "#d1d9e0", "tiny.en": "#0969da", "base": "#bc4c00"},
    "dark": {"text": "#f0f6fc", "grey": "#9198a1", "grid": "#3d444d", "tiny.en": "#4493f8", "base": "#f0883e"},
}


@dataclass(frozen=True, slots=True)
class Plotted:
    """One measured setting: model, kind of context, GFLOPs per utterance, word error rate in percent."""

    model: str
    kind: str
    gflops: float
    wer: float


def plotted_points(results: Path) -> list[Plotted]:
    """Read the settings that the picture shows; short context with the whole tail is shown with its guard."""
    settings = json.loads((results / "context_tail.json").read_text(encoding="utf-8"))["figures"][CORPUS]["settings"]
    points = []
    for one in settings:
        tail = one["context"].removeprefix("fit, tail ")
        kind, found = ("shipped", one["guarded"]) if tail == "all" else (tail, one)
        points.append(Plotted(one["model"], kind, found["gflops"], 100 * found["wer"]))
    return points


def frontier_caption(results: Path) -> str:
    """Say on what the picture's points were measured, and what the shipped context costs and changes there."""
    figures = json.loads((results / "context_tail.json").read_text(encoding="utf-8"))["figures"][CORPUS]
    shipped = [one["guarded"] for one in figures["settings"] if "guarded" in one]
    lowest, highest = (f"{100 * one(found['flops_of_full'] for found in shipped):.0f}" for one in (min, max))
    least, greatest = (100 * one(found["change"]["estimate"] for found in shipped) for one in (min, max))
    most = max(100 * found["change"]["high"] for found in shipped)
    return (
        f"Whisper tiny.en and base on {figures['utterances']} utterances of {CORPUS}. Choosing a size by hand chooses "
        f"between the rings. The filled points take {lowest} to {highest} % of the compute; their word error rate "
        f"differed by {least:+.1f} to {greatest:+.1f} points, and is at most {most:.1f} higher (95 % intervals over "
        f"{figures['speakers']} speakers). Other recordings have other frontiers, so measure yours."
    )


def nondominated(points: list[Plotted]) -> list[Plotted]:
    """Return the points that no other one is as good as in both and better in one, cheapest first."""
    kept = [
        one
        for one in points
        if not any(
            other.gflops <= one.gflops and other.wer <= one.wer and (other.gflops, other.wer) != (one.gflops, one.wer)
            for other in points
        )
    ]
    return sorted(kept, key=lambda point: point.gflops)


def frontier_svg(points: list[Plotted], scheme: str) -> str:
    """Draw compute against word error rate: the frontier as a stepped line, models by colour, contexts by mark.

    Args:
        points: What is drawn.
        scheme: ``light`` or ``dark``.
    """
    colours = COLOURS[scheme]
    low, high = 10.0, 10 * ceil(max(point.gflops for point in points) * 1.1 / 10)
    bottom, top = floor(min(point.wer for point in points)) - 1, ceil(max(point.wer for point in points))

    def x(gflops: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * log(gflops / low) / log(high / low), 1)

    def y(wer: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (wer - bottom) / (top - bottom), 1)

    def text(at_x: float, at_y: float, shown: str, colour: str = "grey", anchor: str = "start", more: str = "") -> str:
        place = f'x="{at_x}" y="{at_y}" fill="{colours[colour]}" text-anchor="{anchor}"'
        return f"<text {place}{more}>{escape(shown)}</text>"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="{SIZE}" role="img">',
        "<title>Word error rate against compute per utterance</title>",
    ]
    for tick in (10, 20, 50, 100):
        lines.append(f'<path d="M{x(tick)} {TOP}V{BOTTOM}" stroke="{colours["grid"]}"/>')
        lines.append(text(x(tick), BOTTOM + 22, f"{tick}", anchor="middle"))
    for tick in range(bottom, top + 1, 2):
        lines.append(f'<path d="M{LEFT} {y(tick)}H{RIGHT}" stroke="{colours["grid"]}"/>')
        lines.append(text(LEFT - 10, y(tick) + 6, f"{tick}", anchor="end"))
    lines.append(text((LEFT + RIGHT) / 2, HEIGHT - 14, "compute per utterance, GFLOPs", anchor="middle"))
    turned = f' transform="rotate(-90 18 {(TOP + BOTTOM) / 2})"'
    lines.append(text(18, (TOP + BOTTOM) / 2, "word error rate, %", anchor="middle", more=turned))
    best = nondominated(points)
    steps = "".join(f"H{x(point.gflops)}V{y(point.wer)}" for point in best[1:])
    path = f"M{x(best[0].gflops)} {TOP}V{y(best[0].wer)}{steps}H{RIGHT}"
    lines.append(f'<path d="{path}" fill="none" stroke="{colours["grey"]}" stroke-width="1.5" stroke-dasharray="5 4"/>')
    lines += [_mark(point.kind, x(point.gflops), y(point.wer), colours[point.model]) for point in points]
    for row, (kind, meaning) in enumerate(KINDS.items()):
        lines.append(_mark(kind, 28, 20 + 27 * row, colours["grey"]))
        lines.append(text(46, 26 + 27 * row, meaning, "text"))
    for row, model in enumerate(("tiny.en", "base")):
        lines.append(f'<rect x="440" y="{13 + 27 * row}" width="15" height="15" rx="3" fill="{colours[model]}"/>')
        lines.append(text(464, 26 + 27 * row, f"Whisper {model}", "text"))
    lines.append(f'<path d="M438 74H458" stroke="{colours["grey"]}" stroke-width="1.5" stroke-dasharray="5 4"/>')
    lines.append(text(464, 80, "frontier", "text"))
    return "\n".join([*lines, "</svg>", ""])


def _mark(kind: str, x: float, y: float, colour: str) -> str:
    if kind == "full":
        return f'<circle cx="{x}" cy="{y}" r="7" fill="none" stroke="{colour}" stroke-width="3"/>'
    if kind == "shipped":
        return f'<circle cx="{x}" cy="{y}" r="9" fill="{colour}"/>'
    if kind == "none":
        return f'<path d="M{x - 6} {y - 6}l12 12m0-12l-12 12" stroke="{colour}" stroke-width="3"/>'
    return f'<path d="M{x} {y - 8}l8 14h-16z" fill="none" stroke="{colour}" stroke-width="2.5"/>'
