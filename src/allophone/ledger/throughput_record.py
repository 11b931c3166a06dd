"""``throughput.json``: how long a run's points take for many recordings at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from allophone.errors import LedgerError
from allophone.files import first_problem, write_whole
from allophone.ledger.run_record import LOCK_FILE

__all__ = ["THROUGHPUT_FILE", "ThroughputPass", "ThroughputRecord", "read_throughput", "write_throughput", "writing"]

THROUGHPUT_FILE = "throughput.json"


class ThroughputPass(BaseModel):
    """One point over all recordings of the sample.

    Args:
        point: Its name.
        round: Which of the repeats, from 0; all points take their turn before the next round begins.
        workers: Batches that ran at once.
        batch_size: Most windows in a batch.
        wall_s: Seconds from the first file opened to the last text, the model being loaded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: str
    round: int = Field(ge=0)
    workers: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    wall_s: float = Field(gt=0)


class ThroughputRecord(BaseModel):
    """What a run's throughput was measured on, and every measurement.

    Args:
        jobs: Batches at once as asked; 0 is as many as suit the model and the machine.
        batch_size: Windows a batch as asked; 0 likewise.
        minutes: Most audio as asked.
        utterances: Places in the corpus of the recordings, in its order; the same for every point and round.
        audio_s: Seconds of audio of all of them.
        passes: The measurements, in the order they were made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs: int = Field(ge=0)
    batch_size: int = Field(ge=0)
    minutes: float = Field(gt=0)
    utterances: tuple[int, ...] = Field(min_length=1)
    audio_s: float = Field(gt=0)
    passes: tuple[ThroughputPass, ...] = ()

    @property
    def done(self) -> frozenset[tuple[int, str]]:
        """Round and point of every measurement."""
        return frozenset((one.round, one.point) for one in self.passes)

    def add(self, one: ThroughputPass) -> ThroughputRecord:
        """Return the record with one measurement more; one that is there already is not taken twice."""
        if (one.round, one.point) in self.done:
            return self
        return self.model_copy(update={"passes": (*self.passes, one)})


def read_throughput(folder: Path) -> ThroughputRecord | None:
    """Return what is measured of a run's throughput, or None where that was never asked for.

    Raises:
        LedgerError: The file is damaged.
    """
    path = folder / THROUGHPUT_FILE
    try:
        return ThroughputRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        problem = first_problem(error)
    except (OSError, ValueError) as error:
        problem = str(error)
    raise LedgerError(f"{path}: {problem}. Delete it; 'allophone sweep --throughput' measures anew.")


def write_throughput(folder: Path, record: ThroughputRecord) -> None:
    """Write the record, whole or not at all.

    Raises:
        LedgerError: The folder cannot be written.
    """
    write_whole(folder / THROUGHPUT_FILE, record.model_dump_json(indent=1) + "\n")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold a run, so that no other process writes it.

    Raises:
        LedgerError: Another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise LedgerError(
            f"{folder}: another sweep is writing this run. Wait for it, or choose another --out."
        ) from None
    try:
        yield
    finally:
        lock.release()
