"""``allophone sweep --throughput``: many recordings at once, behind the sweep."""

from __future__ import annotations

from pathlib import Path

from allophone.cli.say import say
from allophone.records.names import title_of

__all__ = ["THROUGHPUT_OPTIONS", "run_throughput"]

THROUGHPUT_OPTIONS = ("jobs", "batch_size", "throughput_minutes", "throughput_rounds")


def run_throughput(corpus: str, out: Path, *, jobs: int, batch_size: int, minutes: float, rounds: int) -> None:
    """Measure a run's throughput and say what is fastest.

    Args:
        corpus: As the user names it.
        out: The run folder.
        jobs: As :func:`allophone.sweeps.recognition.throughput.measure_throughput` takes it, as what follows.
        batch_size: Most windows in a batch.
        minutes: Most audio.
        rounds: Measurements of each point.

    Raises:
        AllophoneError: As that.
    """
    from statistics import median

    from allophone.cli.show import show_progress
    from allophone.sweeps.recognition.throughput import measure_throughput

    with show_progress() as progress:
        record = measure_throughput(
            corpus, out=out, jobs=jobs, batch_size=batch_size, minutes=minutes, rounds=rounds, progress=progress
        )
    walls: dict[str, list[float]] = {}
    for one in record.passes:
        walls.setdefault(one.point, []).append(one.wall_s)
    rtfx = {point: record.audio_s / median(seconds) for point, seconds in walls.items()}
    fastest = max(rtfx, key=lambda point: rtfx[point])
    say(
        f"Throughput of {len(rtfx)} points on {len(record.utterances)} recordings ({record.audio_s / 60:.1f} min): "
        f"up to {rtfx[fastest]:.1f} seconds of audio a second ({title_of(fastest)})."
    )
