"""Emotion policy: a cascade of saved recognisers as a folder that needs nothing but the base models.

emotion_policy.json   points cheap to dear, uncertainty measure and threshold, and what judged them
0/, 1/, ...           a recogniser for every point, as :mod:`allophone.emotion.store` writes it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from typing import cast

from pydantic import BaseModel, ConfigDict, Field

from allophone.emotion.card import CARD, check_tensor_files, read_emotion_card
from allophone.emotion.folders import EMOTION_POLICY_FILE, check_policy_folder
from allophone.emotion.recipe import EmotionSetting
from allophone.emotion.store import copy_emotion_model
from allophone.errors import LedgerError, UsageError
from allophone.files import file_sha256, read_record, write_whole
from allophone.ledger.run_record import EmotionRunRecord, read_run
from allophone.measure.intervals import Interval
from allophone.routing.emotion import CascadeResult, EmotionCandidates, UncertaintyMeasure, choose_cascade
from allophone.routing.thresholds import Target

__all__ = [
    "EMOTION_POLICY_FILE",
    "EmotionPolicy",
    "JudgedCascade",
    "check_cascade",
    "read_emotion_policy",
    "write_emotion_policy",
]

_SCHEMA_VERSION = 1


class JudgedCascade(BaseModel):
    """What the run says of the cascade: each speaker routed by what others chose, with 95 % intervals.

    ``uar`` and its differences are fractions; GFLOPs and seconds are means an utterance; ``escalated`` is the share
    that reached the last point.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_rows: int
    n_speakers: int
    uar: tuple[float, float, float]
    over_chance: tuple[float, float, float]
    over_last: tuple[float, float, float]
    gflops: float
    seconds: float
    climbed: float
    warning: str | None


class EmotionPolicy(BaseModel):
    """The contents of ``emotion_policy.json``.

    A recording escalates to the next point while the uncertainty measure of the last posterior is above ``threshold``.
    New speakers keep ``value`` of the ``target`` with a probability of ``confidence``; None where nothing is promised,
    as with fewer than 8 speakers. ``cards_sha256`` has the SHA-256 of every recogniser's card, which in turn has those
    of its tensors; policies of before lack it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = _SCHEMA_VERSION
    points: tuple[EmotionSetting, ...] = Field(min_length=2)
    labels: tuple[str, ...]
    signal: UncertaintyMeasure
    threshold: float = Field(allow_inf_nan=False)
    target: Target
    value: float
    confidence: float | None = None
    run: str
    fingerprint: str
    judged: JudgedCascade
    cards_sha256: tuple[str, ...] | None = None


def write_emotion_policy(
    folder: Path, run: Path, candidates: EmotionCandidates, found: CascadeResult, models: Sequence[Path]
) -> EmotionPolicy:
    """Choose sign and threshold on all rows of a run, and write them beside copies of the recognisers.

    Args:
        folder: Made where it is missing; its card is written last, so a folder that has it is whole.
        run: The run.
        candidates: Its points.
        found: What judged the cascade, on speakers that chose nothing.
        models: A recogniser for every point, in their order.

    Raises:
        LedgerError: A recogniser is damaged, or the folder cannot be written.
        UsageError: The folder holds a policy, a recogniser or a run, or a recogniser is none or not of its point.
    """
    check_cascade(folder, run, candidates, models)
    record, settings = read_run(run, EmotionRunRecord), _settings(candidates)
    choice = choose_cascade(candidates, found.goal)
    try:
        for index, path in enumerate(models):
            copy_emotion_model(path, folder / str(index))
        policy = EmotionPolicy(
            points=settings,
            labels=record.labels,
            signal=choice.signal,
            threshold=choice.threshold,
            target=found.goal.target,
            value=found.goal.value,
            confidence=found.goal.confidence if found.promised else None,
            run=str(run),
            fingerprint=record.fingerprint,
            judged=JudgedCascade(
                n_rows=found.n_rows,
                n_speakers=found.n_speakers,
                uar=_triple(found.uar),
                over_chance=_triple(found.over_chance),
                over_last=_triple(found.over_last),
                gflops=found.gflops,
                seconds=found.seconds,
                climbed=found.climbed,
                warning=found.warning,
            ),
            cards_sha256=tuple(file_sha256(folder / str(index) / CARD) for index in range(len(models))),
        )
        write_whole(folder / EMOTION_POLICY_FILE, policy.model_dump_json(indent=1) + "\n")
    except BaseException:
        for index in range(len(models)):  # none was there before
            rmtree(folder / str(index), ignore_errors=True)
        raise
    return policy


def check_cascade(folder: Path, run: Path, candidates: EmotionCandidates, models: Sequence[Path]) -> None:
    """Refuse what :func:`write_emotion_policy` would refuse, before anything is judged.

    Raises:
        LedgerError: As that.
        UsageError: Likewise.
    """
    labels, settings = read_run(run, EmotionRunRecord).labels, _settings(candidates)
    check_policy_folder(folder, len(settings))
    if len(models) != len(settings):
        raise UsageError(f"--models names {len(models)} for {len(settings)} points: name one for each, cheap to dear.")
    for path, setting in zip(models, settings, strict=True):
        _check_model(path, setting, labels)


def read_emotion_policy(folder: Path) -> EmotionPolicy:
    """Read a cascade's card, and look at every recogniser's files: none is found wanting amid a batch.

    Raises:
        LedgerError: A file of a recogniser is missing, damaged or another one's; the message names it.
        UsageError: No whole cascade lies there, or a field is wrong; the message names file, field and remedy.
    """
    remedy = "'allophone route emotion RUN --points A,B --models FOLDER,FOLDER --out POLICY' makes one."
    policy = read_record(folder / EMOTION_POLICY_FILE, EmotionPolicy, _SCHEMA_VERSION, remedy)
    for index, setting in enumerate(policy.points):
        path = folder / str(index)
        _check_model(path, setting, policy.labels)
        if policy.cards_sha256 is not None and file_sha256(path / CARD) not in policy.cards_sha256[index : index + 1]:
            raise LedgerError(
                f"{path / CARD}: not the card that {folder / EMOTION_POLICY_FILE} was written with (field "
                f"'cards_sha256'): changed, or of another recogniser. Copy the whole folder again. {remedy}"
            )
    return policy


def _settings(candidates: EmotionCandidates) -> tuple[EmotionSetting, ...]:
    return cast("tuple[EmotionSetting, ...]", candidates.samples.points)  # they are kept as points of any task


def _check_model(path: Path, setting: EmotionSetting, labels: tuple[str, ...]) -> None:
    card = read_emotion_card(path)
    remedy = f"'allophone adapt emotion' trains {setting.name}; 'allophone recommend RUN' prints such a command."
    if card.setting != setting:
        raise UsageError(f"{path}: field 'setting': it is {card.setting.name}, not {setting.name}. {remedy}")
    if card.labels != labels:
        raise UsageError(f"{path}: field 'labels': {', '.join(card.labels)}; not those of the run. {remedy}")
    check_tensor_files(path, card)


def _triple(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high
