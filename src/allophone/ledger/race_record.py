"""``race.json``: which points a race has given up, after how much evidence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from allophone.errors import LedgerError
from allophone.files import load_json, write_whole

__all__ = ["RACE_FILE", "Elimination", "race_ended", "read_race", "write_race"]

RACE_FILE = "race.json"


@dataclass(frozen=True, slots=True)
class Elimination:
    """A point that is measured no further.

    Args:
        point: Its name.
        utterances: Utterances that it was judged on.
        dominated_by: The point that dominates it, or that it is tied with and no cheaper than.
        p_dominated: Probability of that, from the paired, speaker-blocked bootstrap at that look.
        loss: Its quality then, lower is better: the word error rate, or one minus the UAR, a fraction.
        cost: Its cost then, in base units.
        tied: Whether it was given up because the whole corpus would hardly have shown it better than that point.
    """

    point: str
    utterances: int
    dominated_by: str
    p_dominated: float
    loss: float
    cost: float
    tied: bool = False


def write_race(folder: Path, looks_done: int, eliminated: list[Elimination], *, ended: bool = False) -> None:
    """Write the state of a race, whole or not at all; ``ended`` where its time was spent before the corpus was.

    Raises:
        LedgerError: The folder cannot be written.
    """
    fields = {"looks_done": looks_done, "ended": ended, "eliminated": [asdict(item) for item in eliminated]}
    write_whole(folder / RACE_FILE, json.dumps(fields, indent=1) + "\n")


def race_ended(folder: Path) -> bool:
    """Return whether a race ended because its time was spent, so that its survivors are measured in part on purpose.

    Raises:
        LedgerError: The file is damaged.
    """
    return _read(folder)[2]


def read_race(folder: Path) -> tuple[int, list[Elimination]]:
    """Return how many looks a race has taken and the points it has given up; none where the run is no race.

    Raises:
        LedgerError: The file is damaged.
    """
    return _read(folder)[:2]


def _read(folder: Path) -> tuple[int, list[Elimination], bool]:
    path = folder / RACE_FILE
    try:
        fields = load_json(path)
        for item in fields["eliminated"]:
            if "wer" in item:  # what it was called when there were runs of speech recognition alone
                item["loss"] = item.pop("wer")
        eliminated = [Elimination(**item) for item in fields["eliminated"]]
        return int(fields["looks_done"]), eliminated, bool(fields.get("ended", False))
    except FileNotFoundError:
        return 0, [], False
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(f"{path}: damaged ({error}). Delete it; the same sweep judges the looks again.") from None
