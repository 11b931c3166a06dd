"""The recommendation as it is saved: ``decision.json`` in the run, and the point file that ``transcribe`` runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from allophone.corpora.splits import read_splits
from allophone.emotion.recipe import default_recipe
from allophone.errors import CorpusError, LedgerError, UsageError
from allophone.files import finite_or_null, write_whole
from allophone.frontier.certified import certify_points, only_points
from allophone.frontier.emotion import EmotionRunSummary
from allophone.frontier.groups import Grouping, group_run
from allophone.frontier.objectives import TIMES, objectives_of
from allophone.frontier.price import Price, price_run
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.frontier.recommend import Recommendation, recommend
from allophone.frontier.run_state import is_busy
from allophone.frontier.summarise import summarise_run
from allophone.frontier.summary import RunSummary
from allophone.guarantee.certificate import CertifiedLimit
from allophone.guarantee.certify import show_certificate
from allophone.labels.apply import apply_transcripts, refuse_policies
from allophone.ledger.run_record import EmotionRunRecord, RecognitionRunRecord
from allophone.records.point import EmotionSetting, OperatingPoint, Task
from allophone.records.saved_point import DECISION_FILE, Decision, EmotionPointFile, PointFile
from allophone.routing.as_points import add_policies

__all__ = ["decide", "save_decision"]


def decide(
    run: Path,
    constraints: Mapping[str, float],
    minimise: str | None = None,
    confidence: float | None = None,
    policies: Sequence[Path] = (),
    transcripts: Path | None = None,
    certify: Sequence[CertifiedLimit] = (),
    summary: RunSummary | None = None,
    price: Price | None = None,
    worst_group: Grouping | None = None,
) -> Decision:
    """Answer a question about a run; see :func:`allophone.frontier.recommend.recommend`.

    Args:
        run: The run folder.
        constraints: Limits by objective name, in base units.
        minimise: Objective name.
        confidence: Probability with which the limits must hold.
        policies: Folders of policies that compete with the run's points.
        transcripts: A filled file of :mod:`allophone.labels.transcripts`, for a run relative to a model.
        certify: Limits that the point must be certified to keep, with the confidence, which must then be given; the
            other limits are taken as measured.
        summary: The run, where it is summarised already; it may hold policies.
        price: What an hour of the machine costs; prices are then objectives too.
        worst_group: The limit on the word error rate holds for the worst of these groups, not for all utterances
            together.

    Raises:
        SpaceError: The question is impossible as put.
        LedgerError: Not a run, or nothing measured.
        InfeasibleError: No point meets the constraints.
        UsageError: Policies or transcripts for a run of emotion recognition, both at once, unusable transcripts, or a
            certificate that the run cannot give.
    """
    summary = summarise_run(run) if summary is None else summary
    if certify:
        assert confidence is not None
        speech = summary.of(RecognitionRunSummary, "--certify: error rates of speech recognition")
        return _decide_certified(speech, constraints, minimise, confidence, certify)
    if policies or transcripts is not None:
        asked = "--policy: policies route" if policies else "--labels: transcripts are of"
        speech = summary.of(RecognitionRunSummary, f"{asked} speech recognition")
        if transcripts is None:
            summary = add_policies(speech, run, policies)
        else:
            refuse_policies(policies)
            summary = apply_transcripts(speech, run, transcripts)
    if worst_group is not None:
        speech = summary.of(RecognitionRunSummary, "--worst-group: word errors are of speech recognition")
        summary = group_run(speech, worst_group)
        renamed = {"wer": "worst_group_wer"}
        constraints = {renamed.get(name, name): limit for name, limit in constraints.items()}
        minimise = "rtf" if minimise is None and "worst_group_wer" in constraints else minimise
    if price is not None:
        summary = price_run(summary, price)
    answer = recommend(summary, constraints, minimise, confidence)
    saved = _SAVED[summary.task](summary, answer, run, policies)
    if price is None:
        return saved
    lines = price.explain(float(getattr(answer.chosen, summary.samples.speed)))
    return saved.model_copy(update={"explanation": [*saved.explanation, *lines]})


def _save_recognition(
    summary: RecognitionRunSummary, answer: Recommendation, run: Path, policies: Sequence[Path]
) -> PointFile:
    del run
    chosen = next(point for point in summary.points if point.name == answer.chosen.name)
    return PointFile(
        point=chosen.point,
        policy={folder.resolve().name: str(folder) for folder in policies}.get(chosen.name),
        transcripts_sha256=summary.transcripts_sha256,
        language=summary.run.language,
        **_weights_of(summary.run, chosen.point),
        **_common_fields(summary, answer),
    )


def _save_emotion(
    summary: EmotionRunSummary, answer: Recommendation, run: Path, policies: Sequence[Path]
) -> EmotionPointFile:
    del policies
    setting = next(point.point for point in summary.points if point.name == answer.chosen.name)
    return EmotionPointFile(
        point=setting, command=_training(setting, summary.run, run), **_common_fields(summary, answer)
    )


_SAVED: dict[Task, Callable[[Any, Recommendation, Path, Sequence[Path]], Decision]] = {
    "asr": _save_recognition,
    "emotion": _save_emotion,
}


def _weights_of(run: RecognitionRunRecord, point: OperatingPoint) -> dict[str, str | None]:
    """What the weights were that the run measured, and where a folder lies that its point names from this one."""
    folder = os.path.abspath(os.path.expanduser(point.model))
    named = "/" in point.model or "\\" in point.model
    return {
        "weights_sha256": run.weights.get(point.model),
        "model_folder": folder if named and os.path.isdir(folder) else None,
    }


def _decide_certified(
    summary: RecognitionRunSummary,
    constraints: Mapping[str, float],
    minimise: str | None,
    confidence: float,
    limits: Sequence[CertifiedLimit],
) -> PointFile:
    certificates = certify_points(summary, limits, confidence)
    certified = only_points(summary, certificates)
    answer = recommend(certified, constraints, minimise or "rtf")
    point = next(point.point for point in certified.points if point.name == answer.chosen.name)
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
        **_weights_of(certified.run, point),
        **told,
    )


def _common_fields(summary: RunSummary, answer: Recommendation) -> dict[str, Any]:
    record = summary.run
    measured = {name: float(getattr(answer.chosen, name)) for name in objectives_of(summary.task)}
    return {
        "question": answer.question,
        "explanation": [*answer.explain(), *_notices(summary, answer)],
        "quality_name": record.quality_name,
        "confidence": answer.confidence,
        "probability": answer.probability,
        "measured": finite_or_null(measured),
        "corpus": record.corpus,
        "fingerprint": record.fingerprint,
        "processor": record.machine.processor,
    }


def _notices(summary: RunSummary, answer: Recommendation) -> list[str]:
    """The run's notices; that times are too long is no concern of an answer that holds none."""
    held = {answer.minimised, *answer.constraints}
    timed = not held.isdisjoint(TIMES) or summary.samples.price_per_hour is not None
    return [notice for notice in summary.notices if timed or not is_busy(notice)]


def _training(point: EmotionSetting, run: EmotionRunRecord, folder: Path) -> str:
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


def _first_tested(folder: Path) -> str | None:
    try:
        return read_splits(folder / "split.json").splits[0].test[0]
    except (CorpusError, UsageError):  # a run that was moved without its split can still be read
        return None


def save_decision(run: Path, decision: Decision, out: Path) -> str | None:
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
