"""Race loop: the tasks of a sweep all at once, or look by look where a race gives points up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from allophone.errors import SpaceError
from allophone.frontier.noise_floor import read_noise
from allophone.frontier.recognition import RecognitionSamples, read_recognition_samples
from allophone.frontier.run_state import materialise_numbers, share_rows
from allophone.ledger.ledger import Ledger
from allophone.ledger.race_record import read_race, write_race
from allophone.ledger.readers import connect
from allophone.ledger.run_record import RecognitionRunRecord
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.race import judge, look_sizes, race_order
from allophone.sweeps.recognition.executor import WeightsKey
from allophone.sweeps.recognition.turns import in_turn
from allophone.sweeps.recognition.twin import Twin
from allophone.sweeps.recognition.worker import Task

__all__ = ["run_race", "tasks_for"]


def tasks_for(
    utterances: Iterable[tuple[int, Utterance]],
    points: Sequence[OperatingPoint],
    ledger: Ledger,
    twin: Twin | None = None,
) -> Iterator[tuple[WeightsKey, Task]]:
    """Yield what is still to be measured, utterance by utterance, models taking turns in an order drawn anew each time.

    Args:
        utterances: Place in the corpus and utterance.
        points: Points to measure.
        ledger: Knows what is measured.
        twin: The point that is measured twice; None measures none twice.
    """
    twinned = None if twin is None else twin.among(points)
    groups: dict[WeightsKey, list[OperatingPoint]] = {}
    for point in points:
        groups.setdefault(point.weights_key, []).append(point)
    for index, utterance in utterances:
        for key in in_turn(groups, ledger.run.seed, index):
            missing = tuple(point for point in groups[key] if not ledger.is_done(point.name, index))
            again = twinned if twin is not None and twinned in missing and twin.is_due(twinned, index) else None
            if missing:
                yield key, Task(index, utterance, missing, again)


def run_race(
    utterances: Sequence[Utterance],
    points: Sequence[OperatingPoint],
    folder: Path,
    cost: str,
    ledger: Ledger,
    measure: Callable[[Iterator[tuple[WeightsKey, Task]]], None],
    give_up: Callable[[int], None],
    *,
    seed: int = 0,
    spend: float | None = None,
    weight: float = 1.0,
    twin: Twin | None = None,
) -> None:
    """Measure points on growing subsets, giving up those without a prospect; a race that was stopped goes on.

    Args:
        utterances: The corpus, in its order.
        points: All points of the race.
        folder: The run folder, whose ``race.json`` keeps the state.
        cost: The cost that points are judged by.
        ledger: Knows what is measured.
        measure: Runs tasks and writes their rows.
        give_up: Is told how many rows will never be measured.
        seed: Of the order in which utterances join.
        spend: Share of the engine time of measuring everything that may be spent, predicted from the first look; the
            race ends where the next utterance would exceed it. None measures survivors on the whole corpus.
        weight: What measuring everything costs, in units of measuring these points on the whole corpus.
        twin: The point that is measured twice.

    Raises:
        SpaceError: ``spend`` is no share.
    """
    if spend is not None and not 0 < spend <= 1:
        raise SpaceError(f"spend is {spend:g}: give the share of the whole grid's engine time, above 0 and up to 1.")
    order = race_order(utterances, seed)
    sizes = look_sizes(len(utterances))
    looks_done, eliminated = read_race(folder)
    gone = {item.point for item in eliminated}
    give_up(sum(len(utterances) - ledger.count_done(name) for name in gone))
    looked = 0
    for look, wanted in enumerate(sizes):
        alive = [point for point in points if point.name not in gone]
        size = wanted
        if spend is not None and look > 0:
            size = _affordable(folder, points, alive, order, (sizes[0], looked, wanted), spend * weight)
        measure(tasks_for([(index, utterances[index]) for index in order[:size]], alive, ledger, twin))
        if size < wanted:
            write_race(folder, max(looks_done, look), eliminated, ended=True)
            give_up(len(alive) * (len(utterances) - size))
            return
        looked = size
        if look < looks_done or size == len(utterances):
            continue
        losers = judge(_samples(folder, alive), cost, len(sizes) - 1, len(utterances))
        eliminated += losers
        gone |= {item.point for item in losers}
        write_race(folder, look + 1, eliminated)
        give_up(len(losers) * (len(utterances) - size))


def _affordable(
    folder: Path,
    points: Sequence[OperatingPoint],
    alive: Sequence[OperatingPoint],
    order: Sequence[int],
    looks: tuple[int, int, int],
    spend: float,
) -> int:
    """Return how many utterances the next look may have: as many as wanted, or as its share of engine time allows.

    Args:
        folder: The run.
        points: All points of the race.
        alive: Those still in it.
        order: The utterances in the order in which they join.
        looks: Utterances of the first look, of the last one taken, and those wanted next.
        spend: Share of the engine time of all points on the whole corpus.
    """
    first, looked, wanted = looks
    rows = "FROM measurements WHERE point IN (SELECT unnest(?)) AND utterance_index IN (SELECT unnest(?))"
    names, names_alive = ([point.name for point in some] for some in (points, alive))

    def seconds(of: list[str], size: int) -> float:
        return float(connection.execute(f"SELECT sum(latency_s) {rows}", [of, list(order[:size])]).fetchall()[0][0])

    with connect(folder) as connection:
        materialise_numbers(connection)
        left = spend * seconds(names, first) / first * len(order) - seconds(names, looked)
        each = seconds(names_alive, looked) / looked
    return min(wanted, looked + max(0, int(left / each))) if each > 0 else wanted


def _samples(folder: Path, alive: Sequence[OperatingPoint]) -> RecognitionSamples:
    names = tuple(point.name for point in alive)
    with connect(folder) as connection:
        materialise_numbers(connection)
        connection.execute("CREATE TEMP TABLE asked AS SELECT unnest(?) AS name", [list(names)])
        share_rows(connection, RecognitionRunRecord.keys, len(names))
        return replace(read_recognition_samples(connection, names), noise=read_noise(connection, folder))
