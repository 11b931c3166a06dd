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
    rows = []
    for one in _figures(results, "peers")["headline"]:
        bought = (
            f"{_times(one['speedup'])} times as fast as its defaults, {_wer(one['wer_difference'])} "
            f"({_target(one['target'])}; {_repeats(one)}); {one['speedup_over_lean']:.1f} times as fast as its lean "
            f"settings, without timestamps and fallback (WER {100 * one['wer']:.1f} %, theirs "
            f"{100 * one['wer_of_lean']:.1f} %)"
        )
        for many in one["throughput"]:
            told = f"{_target(many['target'])}; {_repeats(many)}"
            bought += f"; {many['speedup']:.1f} times its defaults on {many['set']} ({told})"
        rows.append((f"{one['model']}, the same weights, against faster-whisper on one thread", bought, "peers.md"))
    return rows


def _target(target: dict[str, Any]) -> str:
    missed = f": {', '.join(target['missed'])}" if target["missed"] else ""
    return f"stated target {'met' if target['met'] else 'not met'}{missed}"


def _repeats(line: dict[str, Any]) -> str:
    return "one repeat" if line["repeats"] == 1 else f"{line['repeats']} repeats"


def _long_audio(results: Path) -> list[tuple[str, str, str]]:
    record = json.loads((results / "long_audio.json").read_text(encoding="utf-8"))
    run = max(record["figures"]["runs"], key=lambda one: one["minutes"])
    alone, joined = (100 * run[f"errors_{kind}"] / run["words"] for kind in ("alone", "joined"))
    settings = record["settings"]
    bought = (
        f"WER {joined:.2f} % in one piece, {alone:.2f} % utterance by utterance ({settings['set']}, "
        f"{settings['purpose']}; {run['speakers']} speakers, {_repeats(settings)}, no interval)"
    )
    return [(f"{run['minutes']:.0f} minutes at short context ({run['model']})", bought, "long_audio.md")]


def _routing(results: Path) -> list[tuple[str, str, str]]:
    record = json.loads((results / "routing.json").read_text(encoding="utf-8"))
    headline, share = record["figures"]["headline"], record["settings"]["flops_share"]
    both, *single = headline["sets"]
    change, spent = both["wer_over_last"], both["gflops"]
    shown = "" if change["high"] < 0 or change["low"] > 0 else ", no difference shown"
    each = "; ".join(
        f"{_set_title(one['set'])}: {_wer(one['wer_over_last'])} at {100 * one['flops_of_last']:.0f} %"
        for one in single
    )
    gflops = f"{spent['estimate']:.1f} [{spent['low']:.1f}, {spent['high']:.1f}] of {both['gflops_of_last']:.1f}"
    bought = (
        f"{headline['policy']} (it {headline['rule']}), threshold set beforehand for {100 * share:.0f} % of "
        f"always-base's FLOPs: {_wer(change)} against always base{shown}, at "
        f"{100 * both['flops_of_last']:.0f} % of its FLOPs ({gflops} GFLOPs); {each}"
    )
    if (start := both["read_off_curve"]["below_from_of_big"]) is not None:
        bought += f". Read off the report sets' curve afterwards: below always-base's WER from {100 * start:.0f} % on"
    return [("base only where tiny.en is unsure (cascade)", bought, "routing.md")]


def _set_title(name: str) -> str:
    return next(title for known, title in _SETS.items() if name.endswith(known))


def _emotion(results: Path) -> list[tuple[str, str, str]]:
    settings = {one["setting"]: one for one in _figures(results, "emotion_table")["settings"]}
    rows = []
    for model, depths in (("tiny.en", ("top2", "all")), ("base", ("top4", "all"))):
        frozen = settings[f"{model}-3s-frozen"]
        parts = [f"frozen {100 * frozen['uar']:.1f} %"]
        for depth in depths:
            found = settings.get(f"{model}-3s-{depth}")
            if found is None or _folds(found) != _folds(frozen):  # of other speakers: no figure to set beside
                continue
            over, low, high = found["over_frozen"]
            parts.append(f"{depth} {100 * found['uar']:.1f} % ({over:+.1f} [{low:+.1f}, {high:+.1f}])")
        if len(parts) == 1:
            continue
        rows.append(
            (
                f"emotion, UAR on {frozen['folds']} folds: layers of {model} trained on 3 s clips",
                ", ".join(parts),
                "emotion_table.md",
            )
        )
    steps = _figures(results, "emotion_steps")["random:wav2vec2-base"]
    bought = (
        f"a step takes {100 * steps['top4_step_over_full_step']['median']:.0f} % of full fine-tuning's; without the "
        f"cache an epoch takes {steps['epoch_without_cache_over_with']['top4']['median']:.1f} times as long"
    )
    return [
        *rows,
        ("emotion: only the top 4 layers of wav2vec2-base, frozen ones cached", bought, "emotion_steps.json"),
    ]


def _folds(setting: dict[str, Any]) -> Any:
    return setting.get("fold_numbers", setting["folds"])


def _figures(results: Path, name: str) -> Any:
    return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))["figures"]


def _wer(change: dict[str, float]) -> str:
    estimate, low, high = (100 * change[key] for key in ("estimate", "low", "high"))
    return f"WER {estimate:+.1f} [{low:+.1f}, {high:+.1f}]"


def _times(ratio: dict[str, float]) -> str:
    return f"{ratio['estimate']:.1f} [{ratio['low']:.1f}, {ratio['high']:.1f}]"
