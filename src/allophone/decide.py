"""The recommendation as it is saved: ``decision.json`` in the run, and the point file that ``transcribe`` runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from allophone.corpora.splits import read_splits
from allophone.emotion.recipe import default_recipe
from allophone.errors import CorpusError, LedgerError, UsageError
from allophone.files import write_whole
from allophone.frontier.certified import certify_points, only_points
from allophone.frontier.emotion_summary import AnySummary, EmotionRunSummary, summarise_any_run
from allophone.frontier.objectives import objectives_of
from allophone.frontier.recommend import Recommendation, recommend
from allophone.guarantee.certificate import CertifiedLimit
from allophone.guarantee.certify import show_certificate
from allophone.labels.apply import apply_transcripts, refuse_policies
from allophone.ledger.run_record import EmotionRunRecord
from allophone.records.point import EmotionSetting, OperatingPoint
from allophone.records.saved_point import DECISION_FILE, EmotionPointFile, PointFile
from allophone.routing.as_points import add_policies

__all__ = ["decide", "save_decision"]


def decide(
    run: Path | AnySummary,
    constraints: Mapping[str, float],
    minimise: str | None = None,
    confidence: float | None = None,
    policies: Sequence[Path] = (),
    transcripts: Path | None = None,
    certify: Sequence[CertifiedLimit] = (),
) -> PointFile | EmotionPointFile:
    """Answer a question about a run; see :func:`allophone.frontier.recommend.recommend`.

    Args:
        run: The run, or its summary, to which policies may have been added already.
        constraints: Limits by objective name, in base units.
        minimise: Objective name.
        confidence: Probability with which the limits must hold.
        policies: Folders of policies that compete with the run's points.
        transcripts: A filled file of :mod:`allophone.labels.transcripts`, for a run relative to a model.
        certify: Limits that the point must be certified to keep, with the confidence, which must then be given; the
            other limits are taken as measured.

    Raises:
        SpaceError: The question is impossible as put.
        LedgerError: Not a run, or nothing measured.
        InfeasibleError: No point meets the constraints.
        UsageError: Policies or transcripts for a run of emotion recognition, both at once, unusable transcripts, or a
            certificate that the run cannot give.
    """
    folder = run if isinstance(run, Path) else None
    summary = summarise_any_run(run) if isinstance(run, Path) else run
    if certify:
        assert confidence is not None
        return _decide_certified(summary, constraints, minimise, confidence, certify)
    if isinstance(summary, EmotionRunSummary):
        if policies:
            raise UsageError("--policy: policies route speech recognition, and this is a run of emotion recognition.")
        if transcripts is not None:
            raise UsageError(
                "--labels: transcripts are of speech recognition, and this is a run of emotion recognition."
            )
        return _decide_emotion(summary, folder, recommend(summary, constraints, minimise, confidence))
    if transcripts is not None and folder is not None:
        refuse_policies(policies)
        summary = apply_transcripts(summary, folder, transcripts)
    if policies and folder is not None:
        summary = add_policies(summary, folder, policies)
    folders = {policy.resolve().name: str(policy) for policy in policies}
    answer = recommend(summary, constraints, minimise, confidence)
    point = answer.chosen.point
    assert isinstance(point, OperatingPoint)
    policy = folders.get(answer.chosen.name)
    return PointFile(
        point=point,
        policy=policy,
        transcripts_sha256=summary.transcripts_sha256,
        language=summary.run.language,
        **_weights_of(summary, point),
        **_common_fields(summary, answer),
    )


def _weights_of(summary: AnySummary, point: OperatingPoint) -> dict[str, str | None]:
    """What the weights were that the run measured, and where a folder lies that its point names from this one."""
    folder = os.path.abspath(os.path.expanduser(point.model))
    digests: dict[str, str] = getattr(summary.run, "weights", {})
    named = "/" in point.model or "\\" in point.model
    return {
        "weights_sha256": digests.get(point.model),
        "model_folder": folder if named and os.path.isdir(folder) else None,
    }


def _decide_certified(
    summary: AnySummary,
    constraints: Mapping[str, float],
    minimise: str | None,
    confidence: float,
    limits: Sequence[CertifiedLimit],
) -> PointFile:
    certificates = certify_points(summary, limits, confidence)
    certified = only_points(summary, certificates)
    answer = recommend(certified, constraints, minimise or "rtf")
    point = answer.chosen.point
    assert isinstance(point, OperatingPoint)
    found = certificates[answer.chosen.name]
    asked = " and ".join(str(limit) for limit in limits)
    lines = [line for certificate in found for line in show_certificate(certificate)]
    lines.append(f"{len(certificates)} of {len(summary.points)} measured points are certified.")
    if constraints:
        lines.append("The other limits are met as measured.")
    told = _common_fields(certified, answer)
    told["question"] = f"{answer.question.removesuffix('?')}, certified to keep {asked} with confidence {confidence:g}?"
    told["explanation"] = [*lines, *told["explanation"]]
    told["confidence"] = confidence
    return PointFile(
        point=point,
        language=certified.run.language,
        certificates=list(found),
        **_weights_of(certified, point),
        **told,
    )


def _decide_emotion(summary: EmotionRunSummary, folder: Path | None, answer: Recommendation) -> EmotionPointFile:
    point = answer.chosen.point
    assert isinstance(point, EmotionSetting)
    return EmotionPointFile(
        point=point, command=_training(point, summary.run, folder), **_common_fields(summary, answer)
    )


def _common_fields(summary: AnySummary, answer: Recommendation) -> dict[str, Any]:
    record = summary.run
    measured = {name: float(getattr(answer.chosen, name)) for name in objectives_of(summary.task)}
    return {
        "question": answer.question,
        "explanation": [*answer.explain(), *summary.notices],
        "quality_name": record.quality_name,
        "confidence": answer.confidence,
        "probability": answer.probability,
        "measured": {name: value if isfinite(value) else None for name, value in measured.items()},
        "corpus": record.corpus,
        "fingerprint": record.fingerprint,
        "processor": record.machine.processor,
    }


def _training(point: EmotionSetting, run: EmotionRunRecord, folder: Path | None) -> str:
    """Return the command that trains a setting as the run did, on all speakers but one to test and some to stop on."""
    parts = ["allophone", "adapt", "emotion", run.corpus, "--model", point.model, "--duration-s"]
    parts += [f"{point.duration_s:g}", "--lora-rank", str(point.lora_rank)]
    parts += ["--unfrozen-layers", str(point.unfrozen_layers)]
    recipe, standard = run.recipes[point.name], default_recipe(point).model_dump()
    options = ["epochs", "patience", "batch_size", "head_lr"]
    options += ["encoder_lr"] if point.unfrozen_layers else []
    options += ["lora_lr"] if point.lora_rank else []
    for name in options:
        if (value := recipe.get(name, standard[name])) != standard[name]:
            parts += [f"--{name.replace('_', '-')}", f"{value:g}"]
    if run.precision != "auto":
        parts += ["--precision", run.precision]
    if (speaker := _first_tested(folder)) is not None:
        parts += ["--test-speakers", speaker]
    return shlex.join([*parts, "--out", f"models/{point.name}"])


def _first_tested(folder: Path | None) -> str | None:
    if folder is None:
        return None
    try:
        return read_splits(folder / "split.json").splits[0].test[0]
    except (CorpusError, UsageError):  # a run that was moved without its split can still be read
        return None


def save_decision(run: Path, decision: PointFile | EmotionPointFile, out: Path) -> str | None:
    """Write a decision to ``out``, and as ``decision.json`` into the run, where report and diagnosis start from it.

    Returns:
        What to say where the run cannot be written, as one of a colleague; ``out`` is written all the same.

    Raises:
        LedgerError: ``out`` cannot be written.
    """
    text = decision.model_dump_json(indent=1) + "\n"
    write_whole(out, text)
    try:
        write_whole(run / DECISION_FILE, text)
    except LedgerError as error:
        return f"{error} It is saved in {out} alone; the run's report does not show it."
    return None
