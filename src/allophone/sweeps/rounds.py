"""The tasks of a sweep: all at once, or look by look where a race gives points up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from allophone.frontier.samples import RunSamples, read_samples, share_utterances
from allophone.ledger.ledger import Ledger, connect
from allophone.ledger.race_record import read_race, write_race
from allophone.records import OperatingPoint, Utterance
from allophone.sweeps.executor import WeightsKey
from allophone.sweeps.race import judge, look_sizes, race_order
from allophone.sweeps.worker import Task

__all__ = ["run_race", "tasks_for"]


def tasks_for(
    utterances: Iterable[tuple[int, Utterance]], points: Sequence[OperatingPoint], ledger: Ledger
) -> Iterator[tuple[WeightsKey, Task]]:
    """Yield what is still to be measured, utterance by utterance, models taking turns.

    Args:
        utterances: Place in the corpus and utterance.
        points: Points to measure.
        ledger: Knows what is measured.
    """
    groups: dict[WeightsKey, list[OperatingPoint]] = {}
    for point in points:
        groups.setdefault(point.weights_key, []).append(point)
    for index, utterance in utterances:
        for key, members in groups.items():
            missing = tuple(point for point in members if not ledger.is_done(point.name, index))
            if missing:
                yield key, Task(index, utterance, missing)


def run_race(
    utterances: Sequence[Utterance],
    points: Sequence[OperatingPoint],
    folder: Path,
    cost: str,
    ledger: Ledger,
    measure: Callable[[Iterator[tuple[WeightsKey, Task]]], None],
    give_up: Callable[[int], None],
) -> None:
    """Measure points on growing subsets, giving up those surely dominated; a race that was stopped goes on.

    Args:
        utterances: The corpus, in its order.
        points: All points of the race.
        folder: The run folder, whose ``race.json`` keeps the state.
        cost: The cost that points are judged by.
        ledger: Knows what is measured.
        measure: Runs tasks and writes their rows.
        give_up: Is told how many rows will never be measured.
    """
    order = race_order(utterances)
    sizes = look_sizes(len(utterances))
    looks_done, eliminated = read_race(folder)
    gone = {item.point for item in eliminated}
    give_up(sum(len(utterances) - ledger.count_done(name) for name in gone))
    for look, size in enumerate(sizes):
        alive = [point for point in points if point.name not in gone]
        joined = [(index, utterances[index]) for index in order[:size]]
        measure(tasks_for(joined, alive, ledger))
        if look < looks_done or size == len(utterances):
            continue
        losers = judge(_samples(folder, alive), cost, len(sizes) - 1)
        eliminated += losers
        gone |= {item.point for item in losers}
        write_race(folder, look + 1, eliminated)
        give_up(len(losers) * (len(utterances) - size))


def _samples(folder: Path, alive: Sequence[OperatingPoint]) -> RunSamples:
    names = tuple(point.name for point in alive)
    with connect(folder) as connection:
        connection.execute("CREATE TEMP TABLE asked AS SELECT unnest(?) AS name", [list(names)])
        share_utterances(connection, len(names))
        return read_samples(connection, names)
