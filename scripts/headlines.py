"""README's table of results, read off ``docs/results``: nothing in it is written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["headline_table"]

_SETS = {"speechocean762-test": "non-native speech", "librispeech-test-other": "read speech"}


def headline_table(results: Path) -> str:
    """Return the table: what is changed, what that does to errors, and to compute or time.

    Args:
        results: The folder of the benchmarks' results.
    """
    rows = [row for part in (_context, _peers, _long_audio, _routing, _emotion) for row in part(results)]
    lines = ["| instead of the usual | errors | compute or time | details |", "|---|---|---|---|"]
    lines += [f"| {what} | {errors} | {cost} | [{page}](docs/results/{page}) |" for what, errors, cost, page in rows]
    return "\n".join(lines)


def _context(results: Path) -> list[tuple[str, str, str, str]]:
    figures = _figures(results, "context_tail")
    rows = []
    for model in ("tiny.en", "base"):
        found = {
            title: next(
                one["guarded"]
                for one in figures[name]["settings"]
                if (one["model"], one["context"]) == (model, "fit, tail all")
            )
            for name, title in _SETS.items()
        }
        errors = "; ".join(f"{title}: WER {_change(one['change'])}" for title, one in found.items())
        cost = "; ".join(f"{_percent(one['flops_of_full'])} of the FLOPs on {title}" for title, one in found.items())
        rows.append((f"{model} hears the audio and a silence tail, not 30 s", errors, cost, "context_tail.md"))
    return rows


def _peers(results: Path) -> list[tuple[str, str, str, str]]:
    rows = []
    for one in _figures(results, "peers")["headline"]:
        errors = (
            f"WER {_change(one['wer_difference'])}; {_target(one['target'])}; with its lean settings (no timestamps, "
            f"no fallback) {_percent(one['wer_of_lean'], 1)}, here {_percent(one['wer'], 1)}"
        )
        speedup = one["speedup"]
        cost = (
            f"{speedup['estimate']:.1f} times as fast (at least {speedup['low']:.1f}; {_repeats(one)}), "
            f"{one['speedup_over_lean']:.1f} times as its lean settings"
        )
        for many in one["throughput"]:
            cost += f"; {many['speedup']:.1f} times on {many['set']} ({_target(many['target'])}, {_repeats(many)})"
        rows.append((f"{one['model']} here, not in faster-whisper: same weights, one thread", errors, cost, "peers.md"))
    return rows


def _target(target: dict[str, Any]) -> str:
    missed = f": {', '.join(target['missed'])}" if target["missed"] else ""
    return f"target set beforehand {'met' if target['met'] else 'not met'}{missed}"


def _repeats(line: dict[str, Any]) -> str:
    return "one repeat" if line["repeats"] == 1 else f"{line['repeats']} repeats"


def _long_audio(results: Path) -> list[tuple[str, str, str, str]]:
    record = json.loads((results / "long_audio.json").read_text(encoding="utf-8"))
    run = max(record["figures"]["runs"], key=lambda one: one["minutes"])
    alone, joined = (_percent(run[f"errors_{kind}"] / run["words"], 2) for kind in ("alone", "joined"))
    settings = record["settings"]
    errors = f"WER {joined}, and {alone} for its utterances one by one ({settings['set']}, {settings['purpose']})"
    cost = f"{run['speakers']} speakers, {_repeats(settings)}, no interval"
    return [
        (f"{run['minutes']:.0f} minutes in one piece at short context ({run['model']})", errors, cost, "long_audio.md")
    ]


def _routing(results: Path) -> list[tuple[str, str, str, str]]:
    record = json.loads((results / "routing.json").read_text(encoding="utf-8"))
    headline, share = record["figures"]["headline"], record["settings"]["flops_share"]
    both, *single = headline["sets"]
    errors = [f"WER {_change(both['wer_over_last'])} than base alone"]
    errors += [f"{_set_title(one['set'])}: {_change(one['wer_over_last'])}" for one in single]
    cost = [f"{_percent(both['flops_of_last'])} of base's FLOPs (threshold set beforehand for {_percent(share)})"]
    cost += [f"{_set_title(one['set'])}: {_percent(one['flops_of_last'])}" for one in single]
    what = f"base only where tiny.en is unsure: {headline['policy']}, which {headline['rule']}"
    return [(what, "; ".join(errors), "; ".join(cost), "routing.md")]


def _set_title(name: str) -> str:
    return next(title for known, title in _SETS.items() if name.endswith(known))


def _emotion(results: Path) -> list[tuple[str, str, str, str]]:
    settings = {one["setting"]: one for one in _figures(results, "emotion_table")["settings"]}
    rows = []
    for model, depths in (("tiny.en", ("top2", "all")), ("base", ("top4", "all"))):
        frozen = settings[f"{model}-3s-frozen"]
        parts = []
        for depth in depths:
            found = settings.get(f"{model}-3s-{depth}")
            if found is None or _folds(found) != _folds(frozen):  # of other speakers: no figure to set beside
                continue
            over, low, _ = found["over_frozen"]
            layers = "all layers" if depth == "all" else f"the top {depth.removeprefix('top')} layers"
            parts.append(f"{layers} {_percent(found['uar'], 1)} ({over:+.1f}, at least {low:+.1f})")
        if parts:
            errors = f"UAR, head alone {_percent(frozen['uar'], 1)}; {'; '.join(parts)}"
            cost = f"none at inference; {frozen['folds']} folds of speakers, 3 s clips"
            rows.append((f"emotion: train layers of {model} too, not the head alone", errors, cost, "emotion_table.md"))
    steps = _figures(results, "emotion_steps")["random:wav2vec2-base"]
    cost = (
        f"a step takes {_percent(steps['top4_step_over_full_step']['median'])} of a full one's time; without the cache "
        f"an epoch takes {steps['epoch_without_cache_over_with']['top4']['median']:.1f} times as long"
    )
    what = "emotion: train the top 4 layers of wav2vec2-base, with the frozen ones' output cached"
    return [*rows, (what, "", cost, "emotion_steps.json")]


def _folds(setting: dict[str, Any]) -> Any:
    return setting.get("fold_numbers", setting["folds"])


def _figures(results: Path, name: str) -> Any:
    return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))["figures"]


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _change(change: dict[str, float]) -> str:
    """Say a difference of error rates in points, with the end of its 95 % interval that a user has to reckon with."""
    estimate, low, high = (100 * change[key] for key in ("estimate", "low", "high"))
    shown = f"{abs(estimate):.1f} {'higher' if estimate > 0 else 'lower'}"
    if high < 0 or low > 0:
        return f"{shown} (at least {min(abs(low), abs(high)):.1f})"
    return f"{shown} (at most {high:.1f} higher)"
