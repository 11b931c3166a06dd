"""The table of results in README, read off ``docs/results``: nothing in it is written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["BEGIN", "END", "with_headlines"]

BEGIN, END = "<!-- results: written by scripts/write_docs.py -->", "<!-- end of results -->"
_SETS = {"speechocean762-test": "non-native speech", "librispeech-test-other": "read speech"}


def with_headlines(readme: str, results: Path) -> str:
    """Return README with its table of results renewed.

    Args:
        readme: Its text, with both marks in it.
        results: The folder of the benchmarks' results.
    """
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    rows = [row for part in (_context, _peers, _long_audio, _routing, _emotion) for row in part(results)]
    lines = ["| purchase | what it bought here | measured |", "|---|---|---|"]
    lines += [f"| {what} | {bought} | [{page}](docs/results/{page}) |" for what, bought, page in rows]
    return before + "\n".join([BEGIN, *lines, END]) + after


def _context(results: Path) -> list[tuple[str, str, str]]:
    figures = _figures(results, "context_tail")
    rows = []
    for model in ("tiny.en", "base"):
        parts = []
        for name, title in _SETS.items():
            settings = figures[name]["settings"]
            found = next(one for one in settings if (one["model"], one["context"]) == (model, "fit, tail all"))[
                "guarded"
            ]
            parts.append(f"{title}: {_wer(found['change'])} at {100 * found['flops_of_full']:.0f} % of the FLOPs")
        rows.append(
            (f"{model}: short context (`fit`, tail, guard) instead of 30 s", "; ".join(parts), "context_tail.md")
        )
    return rows


def _peers(results: Path) -> list[tuple[str, str, str]]:
    figures = _figures(results, "peers")
    parts = []
    for one in figures["latency"]:
        if one["system"] == "allophone fit+1tallg" and one["set"] == "both sets" and one["threads"] == 1:
            many = next(
                other
                for other in figures["throughput"]
                if (other["model"], other["system"], other["threads"]) == (one["model"], one["system"], 1)
            )
            parts.append(
                f"{one['model']}: {_times(one['speedup'])} times as fast, {_wer(one['wer_difference'])}; "
                f"{many['speedup']:.1f} times on {many['set']}"
            )
    return [("the same weights, against faster-whisper's defaults on one thread", "; ".join(parts), "peers.md")]


def _long_audio(results: Path) -> list[tuple[str, str, str]]:
    run = max(_figures(results, "long_audio")["runs"], key=lambda one: one["minutes"])
    alone, joined = (100 * run[f"errors_{kind}"] / run["words"] for kind in ("alone", "joined"))
    bought = f"WER {joined:.2f} % in one piece, {alone:.2f} % utterance by utterance"
    return [(f"{run['minutes']:.0f} minutes at short context ({run['model']})", bought, "long_audio.md")]


def _routing(results: Path) -> list[tuple[str, str, str]]:
    found = next(
        one
        for one in _figures(results, "routing")["below_big"]
        if (one["set"], one["router"]) == ("all", "light cascade")
    )["flops"]
    bought = (
        f"along its curve below always-base's WER from {100 * found['below_from_of_big']:.0f} % of its FLOPs on, "
        f"within 0.3 points of it from {100 * found['near_from_of_big']:.0f} %"
    )
    return [("base only where tiny.en is unsure (cascade)", bought, "routing.md")]


def _emotion(results: Path) -> list[tuple[str, str, str]]:
    settings = {one["setting"]: one for one in _figures(results, "emotion_table")["settings"]}
    rows = []
    for model, depths in (("tiny.en", ("top2", "all")), ("base", ("top4", "all"))):
        parts = [f"frozen {100 * settings[f'{model}-3s-frozen']['uar']:.1f} %"]
        for depth in depths:
            if found := settings.get(f"{model}-3s-{depth}"):
                over, low, high = found["over_frozen"]
                folds = (
                    "" if found["folds"] == 3 else ", 1 fold" if found["folds"] == 1 else f", {found['folds']} folds"
                )
                parts.append(f"{depth} {100 * found['uar']:.1f} % ({over:+.1f} [{low:+.1f}, {high:+.1f}]{folds})")
        rows.append((f"emotion, UAR: layers of {model} trained on 3 s clips", ", ".join(parts), "emotion_table.md"))
    steps = _figures(results, "emotion_steps")["random:wav2vec2-base"]
    bought = (
        f"a step takes {100 * steps['top4_step_over_full_step']['median']:.0f} % of full fine-tuning's; without the "
        f"cache an epoch takes {steps['epoch_without_cache_over_with']['top4']['median']:.1f} times as long"
    )
    return [
        *rows,
        ("emotion: only the top 4 layers of wav2vec2-base, frozen ones cached", bought, "emotion_steps.json"),
    ]


def _figures(results: Path, name: str) -> Any:
    return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))["figures"]


def _wer(change: dict[str, float]) -> str:
    estimate, low, high = (100 * change[key] for key in ("estimate", "low", "high"))
    return f"WER {estimate:+.1f} [{low:+.1f}, {high:+.1f}]"


def _times(ratio: dict[str, float]) -> str:
    return f"{ratio['estimate']:.1f} [{ratio['low']:.1f}, {ratio['high']:.1f}]"
