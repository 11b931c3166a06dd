"""The card of adapted weights: what they were made from, on what, and how far they came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from allophone.adapt.checkpoint import Validation
from allophone.adapt.settings import ContextSettings
from allophone.errors import LedgerError
from allophone.files import write_whole
from allophone.ledger.run_record import MachineStamp, machine_stamp

__all__ = ["CARD_FILE", "ContextCard", "make_card", "read_card", "write_card"]

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
    losses = "\n".join(f"| {v.step} | {v.kl:.4f} | {v.hidden:.4f} |" for v in card.validations)
    return f"""# {settings.model}, adapted to short contexts

Whisper `{settings.model}` whose encoder was trained to serve its decoder on the audio and {settings.margin_s:g} s of
silence as the unchanged model does on 30 s. Behind the window the decoder saw {seen}. No transcripts were used: the
model at full context was the teacher. The decoder is unchanged. Run it with a fit context and that margin.

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
margin_s={settings.margin_s:g} --axis floor_s=0 --out runs/adapted`). The licence is that of the source weights.
"""
