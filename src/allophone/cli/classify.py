"""``allophone classify``: what emotion is heard in recordings, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from allophone.cli.engine_options import MaxAudio
from allophone.cli.option_defaults import without_defaults
from allophone.cli.quantities import LONGEST, check_positive
from allophone.cli.say import say, tell

if TYPE_CHECKING:
    from allophone.emotion.cascade import EmotionPolicyClassifier, RoutedClassification
    from allophone.emotion.classifier import Classification, EmotionClassifier

__all__ = ["classify"]

_FORMATS = ("text", "json")


def classify(
    context: typer.Context,
    audio: Annotated[
        list[Path], typer.Argument(help="Recordings, in any format that FFmpeg reads; - is standard input.")
    ],
    model: Annotated[Path | None, typer.Option(help="What 'allophone adapt emotion --out' wrote.")] = None,
    policy: Annotated[Path | None, typer.Option(help="What 'allophone route emotion --out' wrote.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="With --policy: escalate above this uncertainty instead of the policy's own.")
    ] = None,
    style: Annotated[str, typer.Option("--format", help="text, or json: one object a line.")] = "text",
    base: Annotated[str | None, typer.Option(help="The base model, if it lies elsewhere now.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes the default.")] = 0,
    max_audio_s: MaxAudio = LONGEST,
) -> None:
    """Classify recordings by a recogniser or a cascade of them, long ones in windows; unreadable ones are reported."""
    from allophone.errors import AudioError, UsageError

    if style not in _FORMATS:
        raise UsageError(f"--format '{style}': write one of {', '.join(_FORMATS)}.")
    check_positive("--max-audio", max_audio_s, "a duration, such as 30m")
    chosen = without_defaults(context, {"model": model, "policy": policy})
    model, policy = chosen["model"], chosen["policy"]
    if (model is None) == (policy is None):
        raise UsageError("give one of --model (a recogniser) and --policy (a cascade of recognisers).")
    if model is not None and threshold is not None:
        raise UsageError("--threshold: only a policy has one. Give --policy.")
    if policy is not None and base is not None:
        raise UsageError("--base: a policy has several base models. Give --model, or put them where their names say.")
    classifier = _load(model, policy, base, threshold, device, threads)
    failed = 0
    for path in audio:
        try:
            given = Path("/dev/stdin") if path == Path("-") else path
            fields = _fields(classifier.classify(given, max_audio_s=float(max_audio_s)))
        except AudioError as error:
            say(f"allophone: {error}", err=True)
            failed += 1
            continue
        for notice in fields["notices"]:
            tell(f"allophone: {path}: {notice}.")
        if style == "json":
            say(json.dumps({"audio": str(path), **fields}, ensure_ascii=False))
        else:
            say(f"{path}: {_line(fields)}")
    if failed:
        say(f"allophone: {failed} of {len(audio)} recordings could not be classified.", err=True)
        raise typer.Exit(1)


def _load(
    model: Path | None, policy: Path | None, base: str | None, threshold: float | None, device: str, threads: int
) -> EmotionClassifier | EmotionPolicyClassifier:
    if policy is not None:
        from allophone.emotion.cascade import load_emotion_policy

        return load_emotion_policy(policy, threshold=threshold, device=device, threads=threads)
    from allophone.emotion.classifier import EmotionClassifier

    return EmotionClassifier(cast("Path", model), base=base, device=device, threads=threads)


def _fields(found: Classification | RoutedClassification) -> dict[str, Any]:
    """A cascade's fields stand beside those of the posterior it kept, and count all that ran."""
    fields = asdict(found)
    return {**fields.pop("classification", {}), **fields}


def _line(fields: Mapping[str, Any]) -> str:
    others = sorted(fields["posterior"].items(), key=lambda item: -item[1])[1:]
    rest = ", ".join(f"{label} {100 * share:.0f} %" for label, share in others)
    path = f" [{', then '.join(fields['ran'])}]" if "ran" in fields else ""
    return f"{fields['label']} {100 * fields['confidence']:.0f} % ({rest}){path}"
