"""Folders that must not be overwritten, told apart by their files before anything is trained."""

from __future__ import annotations

from pathlib import Path

from allophone.emotion.card import CARD, HEAD
from allophone.emotion.checkpoint import CHECKPOINT
from allophone.errors import UsageError
from allophone.ledger.run_record import RUN_FILE

__all__ = ["EMOTION_POLICY_FILE", "RECORD", "check_merged_folder", "check_model_folder", "check_policy_folder"]

EMOTION_POLICY_FILE = "emotion_policy.json"
RECORD = "record.json"
_CONFIG = "config.json"


def check_model_folder(out: Path) -> None:
    """Refuse a folder that a training would spoil; one that a training is going on or has ended in is its own affair.

    Args:
        out: Where a recogniser is to be trained; need not exist.

    Raises:
        UsageError: It holds a run, a policy, or a model that no training in this folder made.
    """
    remedy = "Choose another --out."
    if (out / RUN_FILE).exists():
        raise UsageError(f"{out}: holds a run ({RUN_FILE}), which a training would mix with its own files. {remedy}")
    if (out / EMOTION_POLICY_FILE).exists():
        raise UsageError(f"{out}: holds a policy ({EMOTION_POLICY_FILE}). {remedy}")
    own = (out / CHECKPOINT).exists() or (out / RECORD).exists()
    found = next((name for name in (CARD, HEAD, _CONFIG) if (out / name).exists()), None)
    if found is not None and not own:
        raise UsageError(f"{out}: holds a model ({found}) that was not trained in this folder. {remedy}")


def check_merged_folder(merged: Path, recogniser: Path) -> None:
    """Refuse a folder for a merged encoder that holds anything but this recogniser's own, merged before.

    Args:
        merged: Where the encoder is to be written; need not exist.
        recogniser: Folder of the recogniser that is merged; it may be yet to be trained.

    Raises:
        UsageError: It is the recogniser's own folder, a file, or holds something else.
    """
    if merged.resolve() == recogniser.resolve():
        raise UsageError(f"--merged {merged}: the folder of the recogniser itself. Choose another one for the encoder.")
    if not merged.exists():
        return
    if not merged.is_dir():
        raise UsageError(f"--merged {merged}: a file. Choose a folder.")
    names = sorted(path.name for path in merged.iterdir())
    if not names or _same_head(merged, recogniser):
        return
    telling = next((name for name in (CARD, EMOTION_POLICY_FILE, RUN_FILE, _CONFIG) if name in names), names[0])
    what = {CARD: "another recogniser", EMOTION_POLICY_FILE: "a policy", RUN_FILE: "a run", _CONFIG: "another model"}
    raise UsageError(
        f"--merged {merged}: holds {what.get(telling, 'other files')} ({telling}), which would be overwritten or mixed "
        "with the encoder. Choose a new or an empty folder."
    )


def check_policy_folder(out: Path, points: int) -> None:
    """Refuse a folder for a policy that holds something else.

    Args:
        out: Where the policy is to be written; need not exist.
        points: How many recognisers are to be copied into it, as ``0``, ``1``, ...

    Raises:
        UsageError: It holds a policy, a recogniser, a run, or one of those folders.
    """
    remedy = "Choose another --out."
    for name, what in ((EMOTION_POLICY_FILE, "a policy"), (CARD, "a recogniser"), (RUN_FILE, "a run")):
        if (out / name).exists():
            raise UsageError(f"{out}: holds {what} already ({name}). {remedy}")
    taken = next((name for name in map(str, range(points)) if (out / name).exists()), None)
    if taken is not None:
        raise UsageError(f"{out / taken}: exists already, and a recogniser would be copied over it. {remedy}")


def _same_head(merged: Path, recogniser: Path) -> bool:
    """Equal heads are of one training: it is trained in every setting, and written first into a merged folder."""
    ours, theirs = recogniser / HEAD, merged / HEAD
    if (merged / CARD).exists() or not (ours.is_file() and theirs.is_file()):
        return False
    return ours.read_bytes() == theirs.read_bytes()
