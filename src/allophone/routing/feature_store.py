"""Feature store: audio statistics of a run's utterances, computed once, kept beside the measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allophone.arrays import FloatArray
from allophone.audio.mel import log_mel
from allophone.audio.utterance_audio import load_utterance
from allophone.corpora.corpus import open_corpus
from allophone.dimensions.whisper import HOP_SAMPLES
from allophone.errors import AudioError, CorpusError, LedgerError, UsageError
from allophone.files import whole_file
from allophone.ledger.readers import connect
from allophone.ledger.run_record import RecognitionRunRecord, read_run
from allophone.models.engine import load_engine
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.routing.audio_features import AudioView, encode_audio, level_range_db
from allophone.routing.samples import RecognitionRouteSamples

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEATURES_FOLDER", "audio_views", "read_recordings", "snr_values"]

FEATURES_FOLDER = "features"
_MEL_CHANNELS = 80
_SAVE_EVERY = 50  # utterances, so that a stopped pass loses little


def audio_views(
    samples: RecognitionRouteSamples, *, threads: int = 1, progress: Callable[[int, int], None] | None = None
) -> list[AudioView]:
    """Return the statistics of every utterance for the first point's encoder.

    What a run's ``features`` folder lacks is computed from the audio and added to it.

    Args:
        samples: The utterances; their runs name the corpora.
        threads: CPU threads of the encoder.
        progress: Called with how many are there and how many are wanted.

    Raises:
        CorpusError: A corpus is no longer where its run says, or no longer holds an utterance.
        AudioError: A recording cannot be read.
        WeightsError: The first point's weights cannot be found.
    """
    views: list[AudioView | None] = [None] * len(samples)
    done = 0
    for domain, folder in enumerate(samples.runs):
        indices = np.flatnonzero(samples.domains == domain).tolist()
        wanted = [samples.utterances[index] for index in indices]
        for index, view in zip(indices, _views_of_run(folder, samples.points[0], wanted, threads), strict=True):
            views[index] = view
            done += 1
            if progress is not None:
                progress(done, len(samples))
    return [view for view in views if view is not None]


def _views_of_run(folder: Path, point: OperatingPoint, wanted: Sequence[str], threads: int) -> list[AudioView]:
    key = sha256(repr(point.encode_key).encode()).hexdigest()[:8]
    path = folder / FEATURES_FOLDER / f"{point.model_slug}-{key}.npz"
    known = _load(path)
    missing = [name for name in wanted if name not in known]
    if missing:
        audio = utterances_of(folder, missing)
        engine = load_engine(point.model, point.compute_type, threads=threads, device=read_run(folder).device)
        for count, name in enumerate(missing, start=1):
            known[name] = encode_audio(load_utterance(audio[name]), point, engine).view
            if count % _SAVE_EVERY == 0 or count == len(missing):
                _save(path, known)
    return [known[name] for name in wanted]


def utterances_of(folder: Path, names: Sequence[str]) -> dict[str, Utterance]:
    """Return a run's utterances by their ids.

    Raises:
        CorpusError: The corpus is no longer where the run says, or no longer holds an utterance.
    """
    record = read_run(folder, RecognitionRunRecord)
    audio = {utterance.id: utterance for utterance in open_corpus(record.corpus)}
    for name in names:
        if name not in audio:
            raise CorpusError(
                f"{record.corpus}: utterance '{name}' of {folder} is no longer in it. Restore the corpus."
            )
    return {name: audio[name] for name in names}


def read_recordings(
    samples: RecognitionRouteSamples,
    file_name: str,
    look: Callable[[NDArray[np.float32]], Sequence[float]],
    progress: Callable[[int, int], None] | None = None,
) -> FloatArray:
    """Return some numbers of every utterance's recording, computed once and kept in each run's ``features`` folder.

    Args:
        samples: The utterances; their runs name the corpora.
        file_name: Of what is kept; it must change with what ``look`` computes.
        look: Takes samples of shape (n_samples,) at 16 kHz, returns the numbers.
        progress: Called with how many are there and how many are wanted.

    Returns:
        Shape (n_utterances, n_numbers).

    Raises:
        CorpusError: A corpus is no longer where its run says, or no longer holds an utterance.
        AudioError: A recording cannot be read.
    """
    rows: list[NDArray[np.float64]] = [np.empty(0)] * len(samples)
    done = 0
    for domain, folder in enumerate(samples.runs):
        indices = np.flatnonzero(samples.domains == domain).tolist()
        wanted = [samples.utterances[index] for index in indices]
        path = folder / FEATURES_FOLDER / file_name
        known: dict[str, NDArray[np.float64]] = {}
        if path.is_file():
            with np.load(path) as saved:
                known = dict(zip(saved["utterances"].tolist(), saved["values"], strict=True))
        missing = [name for name in wanted if name not in known]
        audio = utterances_of(folder, missing) if missing else {}
        for count, name in enumerate(missing, start=1):
            known[name] = np.array(look(load_utterance(audio[name])), np.float64)
            if count % _SAVE_EVERY == 0 or count == len(missing):
                with whole_file(path) as partial, partial.open("wb") as file:
                    np.savez(file, utterances=np.array(list(known)), values=np.stack(list(known.values())))
            if progress is not None:
                progress(done + count, len(samples))
        done += len(wanted)
        for index, name in zip(indices, wanted, strict=True):
            rows[index] = known[name]
    return np.stack(rows)


def snr_values(samples: RecognitionRouteSamples) -> FloatArray | None:
    """Return a signal-to-noise ratio of every utterance in decibels, shape (n_utterances,).

    The ledger's estimate where the runs have it for every utterance; else loud over quiet frames of the recordings, for
    all of them, since the two are no one scale. None where the recordings cannot be had or read any more: it serves a
    weak baseline, which can be left out.
    """
    measured = _measured_snr(samples)
    if measured is not None:
        return measured

    def look(recording: NDArray[np.float32]) -> tuple[float]:
        frames = max(1, -(-recording.size // HOP_SAMPLES))
        return (level_range_db(log_mel(recording, frames, _MEL_CHANNELS)),)

    try:
        return read_recordings(samples, "snr.npz", look)[:, 0]
    except (AudioError, CorpusError, LedgerError, UsageError):
        return None


def _measured_snr(samples: RecognitionRouteSamples) -> FloatArray | None:
    """Return the ledger's ``snr_db``; None where an utterance has none: too short, silent, or of an older run."""
    values = np.full(len(samples), np.nan)
    for domain, folder in enumerate(samples.runs):
        indices = np.flatnonzero(samples.domains == domain)
        if not indices.size:
            continue
        try:
            with connect(folder) as connection:
                asked = "SELECT utterance_id, snr_db FROM measurements WHERE point = ? AND snr_db IS NOT NULL"
                known = dict(connection.execute(asked, [samples.points[0].name]).fetchall())
        except LedgerError:
            return None
        values[indices] = [known.get(samples.utterances[index], np.nan) for index in indices]
    return None if np.isnan(values).any() else values


def _load(path: Path) -> dict[str, AudioView]:
    if not path.is_file():
        return {}
    with np.load(path) as saved:
        names, mel, encoder = (saved[name] for name in ("utterances", "mel", "encoder"))
    return {str(name): AudioView(mel[index], encoder[index]) for index, name in enumerate(names)}


def _save(path: Path, known: dict[str, AudioView]) -> None:
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            utterances=np.array(list(known)),
            mel=np.stack([view.mel for view in known.values()]),
            encoder=np.stack([np.asarray(view.encoder) for view in known.values()]),
        )
