"""Adaptation record: settings, card, checkpoint and folder of one short-context adaptation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from allophone.dimensions.whisper import TRAINED_CONTEXT_S
from allophone.encoders.checkpoint_file import load_fields, save_fields
from allophone.errors import LedgerError, UsageError
from allophone.files import write_whole
from allophone.ledger.run_record import MachineStamp, machine_stamp

__all__ = [
    "CARD_FILE",
    "SETTINGS_FILE",
    "Checkpoint",
    "ContextCard",
    "ContextSettings",
    "Validation",
    "claim_folder",
    "load_checkpoint",
    "make_card",
    "parse_settings",
    "read_card",
    "save_checkpoint",
    "write_card",
]

SETTINGS_FILE = "adaptation.json"


class ContextSettings(BaseModel):
    """Everything that the adapted weights depend on; a run continues only with equal settings.

    ``tail`` is what the decoder sees behind a short window in training: nothing, or the student's own outputs of
    silence at all positions that are left. ``source_sha256`` is of the source's ``model.bin``. ``learned_vectors`` is
    the size of the tail that was trained in the encoder's place; 0 where the encoder was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    model: str
    source_sha256: str
    corpus_fingerprint: str
    margin_s: float = Field(ge=0, lt=TRAINED_CONTEXT_S - 1)
    tail: Literal["none", "all"]
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0, le=1)
    seed: int = Field(ge=0)
    held_out: int = Field(ge=1)
    language: str
    learned_vectors: int = Field(0, ge=0, le=1000)


def parse_settings(fields: dict[str, object]) -> ContextSettings:
    """Check what a user asked for.

    Raises:
        UsageError: A value is impossible; the message names it.
    """
    try:
        return ContextSettings.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        raise UsageError(f"{name} '{first['input']}': {first['msg']}.") from None


def claim_folder(folder: Path, settings: ContextSettings) -> None:
    """Make the folder of an adaptation, or check that it is the folder of this very one.

    Raises:
        LedgerError: It holds an adaptation with other settings, something that is no adaptation, or cannot be written.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise LedgerError(f"{folder}: is not empty and holds no {SETTINGS_FILE}. Choose another folder.")
        write_whole(path, settings.model_dump_json(indent=1) + "\n")
        return
    try:
        found = ContextSettings.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # pydantic's error is a ValueError
        reason = str(error).partition("\n")[0]
        raise LedgerError(f"{path}: cannot be read ({reason}). Remove the folder or choose another.") from None
    for name, asked in settings:
        if getattr(found, name) != asked:
            raise LedgerError(
                f"{folder}: was begun with {name} {getattr(found, name)}, now asked with {asked}. "
                "Continue with the same settings, or choose another folder."
            )


CARD_FILE = "card.json"


class ContextCard(BaseModel):
    """What a reader of adapted weights must know.

    ``validations`` are losses on the held-out speakers, before training and at times during it; ``train_kl`` is each
    step's KL divergence in nats a token on the windows it was about to learn from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    settings: ContextSettings
    corpus: str
    train_utterances: int
    held_out_utterances: int
    held_out_speakers: tuple[str, ...]
    validations: tuple[Validation, ...]
    train_kl: tuple[float, ...]
    seconds: float
    threads: int
    device: str
    machine: MachineStamp
    packages: dict[str, str]


def make_card(
    settings: ContextSettings,
    *,
    corpus: str,
    counts: tuple[int, int],
    held_out_speakers: Sequence[str],
    validations: Sequence[Validation],
    train_kl: Sequence[float],
    seconds: float,
    threads: int,
    device: str,
) -> ContextCard:
    """Make the card of a finished adaptation on this machine; ``counts`` are training and held-out utterances."""
    return ContextCard(
        settings=settings,
        corpus=corpus,
        train_utterances=counts[0],
        held_out_utterances=counts[1],
        held_out_speakers=tuple(held_out_speakers),
        validations=tuple(validations),
        train_kl=tuple(train_kl),
        seconds=seconds,
        threads=threads,
        device=device,
        machine=machine_stamp(),
        packages={name: version(name) for name in ("torch", "transformers")},
    )


def write_card(folder: Path, card: ContextCard) -> None:
    """Write ``card.json`` and a ``README.md`` that says the same in words.

    Raises:
        LedgerError: The folder cannot be written.
    """
    fields = card.model_dump() | {"validations": [asdict(validation) for validation in card.validations]}
    write_whole(folder / CARD_FILE, json.dumps(fields, indent=1) + "\n")
    write_whole(folder / "README.md", _readme(card))


def read_card(folder: Path) -> ContextCard:
    """Read ``card.json``.

    Raises:
        LedgerError: It is missing or damaged.
    """
    path = folder / CARD_FILE
    try:
        return ContextCard.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read ({error.strerror}). Restore it, or adapt anew.") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise LedgerError(f"{path}: field '{field}': {first['msg']}. Restore it, or adapt anew.") from None


def _readme(card: ContextCard) -> str:
    settings = card.settings
    seen = "nothing" if settings.tail == "none" else "the encoder's outputs of silence at all remaining positions"
    margin, vectors = f"{settings.margin_s:g} s", settings.learned_vectors
    what = f"""Whisper `{settings.model}` whose encoder was trained to serve its decoder on the audio and {margin} of
silence as the unchanged model does on 30 s. Behind the window the decoder saw {seen}. No transcripts were used: the
model at full context was the teacher. The decoder is unchanged. Run it with a fit context and that margin."""
    axis = ""
    if vectors:
        axis = f" --axis tail=learned-{vectors}"
        what = f"""Whisper `{settings.model}`, its weights unchanged, with a learned tail: {vectors} vectors behind the
audio and {margin} of silence, trained so that the decoder does with them what it does at 30 s. No transcripts were
used: the model at full context was the teacher. Run it with a fit context, that margin and `tail=learned-{vectors}`."""
    losses = "\n".join(f"| {v.step} | {v.kl:.4f} | {v.hidden:.4f} |" for v in card.validations)
    return f"""# {settings.model}, adapted to short contexts

{what}

| | |
|---|---|
| source weights | `{settings.model}`, SHA-256 of `model.bin` {settings.source_sha256} |
| corpus | `{card.corpus}`, fingerprint {settings.corpus_fingerprint} |
| trained on | {card.train_utterances} utterances, drawn at random, half of the windows cut short |
| held out | {card.held_out_utterances} utterances of {", ".join(card.held_out_speakers)} |
| steps, windows a step | {settings.steps}, {settings.batch_size} |
| learning rate, seed | {settings.learning_rate:g}, {settings.seed} |
| took | {card.seconds / 60:.1f} min on {card.device}, {card.machine.processor}, {card.threads} threads |
| made with | {", ".join(f"{name} {number}" for name, number in {**card.machine.packages, **card.packages}.items())} |

Losses on the held-out speakers:

| step | KL, nats a token | encoder outputs, relative squared error |
|---|---|---|
{losses}

Losses are no error rates: measure these weights on audio of your own before using them
(`allophone sweep CORPUS --models {settings.model},THIS_FOLDER --axis context=full,fit --axis
margin_s={settings.margin_s:g} --axis floor_s=0{axis} --out runs/adapted`). The licence is that of the source weights.
"""


@dataclass(frozen=True, slots=True)
class Validation:
    """Losses on the held-out speakers' windows after some steps.

    Args:
        step: Steps taken.
        kl: Nats a token between teacher's and student's next-token distributions.
        hidden: Mean squared error of encoder outputs where there is audio, over the teacher's mean square.
    """

    step: int
    kl: float
    hidden: float


@dataclass(slots=True)
class Checkpoint:
    """What must be known to go on.

    Args:
        step: Steps taken.
        seconds: Wall time spent, all sittings.
        validations: In order.
        train_kl: Nats a token of every step's windows, before the step.
    """

    step: int = 0
    seconds: float = 0.0
    validations: list[Validation] = field(default_factory=list)
    train_kl: list[float] = field(default_factory=list)


def save_checkpoint(path: Path, state: Checkpoint, encoder: Any, optimizer: Any) -> None:
    """Write a checkpoint in place of the last.

    Raises:
        LedgerError: The folder cannot be written.
    """
    save_fields(path, {"state": asdict(state), "encoder": encoder.state_dict(), "optimizer": optimizer.state_dict()})


def load_checkpoint(path: Path, encoder: Any, optimizer: Any) -> Checkpoint:
    """Read a checkpoint into encoder and optimiser; a fresh start where there is none.

    Raises:
        LedgerError: It is damaged.
    """
    fields = load_fields(path)
    if fields is None:
        return Checkpoint()
    try:
        encoder.load_state_dict(fields["encoder"])
        optimizer.load_state_dict(fields["optimizer"])
        state = fields["state"]
        state["validations"] = [Validation(**validation) for validation in state["validations"]]
        return Checkpoint(**state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # a file of another kind, or of another model
        reason = str(error).partition("\n")[0]
        raise LedgerError(f"{path}: cannot be read ({reason}). Remove it to begin again.") from None
