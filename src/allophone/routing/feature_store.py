"""Audio statistics of a run's utterances: computed once with the encoder, then kept beside the measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from allophone.audio.corpus import open_corpus
from allophone.audio.decode import load_audio
from allophone.errors import CorpusError
from allophone.files import whole_file
from allophone.ledger.run_record import read_run
from allophone.models.engine import load_engine
from allophone.records import OperatingPoint
from allophone.routing.audio_features import AudioView, encode_audio
from allophone.routing.samples import RouteSamples

__all__ = ["FEATURES_FOLDER", "audio_views"]

FEATURES_FOLDER = "features"
_SAVE_EVERY = 50  # utterances, so that a stopped pass loses little


def audio_views(
    samples: RouteSamples, *, threads: int = 1, progress: Callable[[int, int], None] | None = None
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
        places = np.flatnonzero(samples.domains == domain).tolist()
        wanted = [samples.utterances[place] for place in places]
        for place, view in zip(places, _views_of_run(folder, samples.points[0], wanted, threads), strict=True):
            views[place] = view
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
        record = read_run(folder)
        audio = {utterance.id: utterance.audio_filepath for utterance in open_corpus(record.corpus)}
        engine = load_engine(point.model, point.compute_type, threads=threads, device=record.device)
        for count, name in enumerate(missing, start=1):
            if name not in audio:
                raise CorpusError(
                    f"{record.corpus}: utterance '{name}' of {folder} is no longer in it. Restore the corpus."
                )
            known[name] = encode_audio(load_audio(audio[name]), point, engine).view
            if count % _SAVE_EVERY == 0 or count == len(missing):
                _save(path, known)
    return [known[name] for name in wanted]


def _load(path: Path) -> dict[str, AudioView]:
    if not path.is_file():
        return {}
    with np.load(path) as saved:
        names, mel, encoder, snr = (saved[name] for name in ("utterances", "mel", "encoder", "snr_db"))
    return {str(name): AudioView(mel[place], encoder[place], float(snr[place])) for place, name in enumerate(names)}


def _save(path: Path, known: dict[str, AudioView]) -> None:
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            utterances=np.array(list(known)),
            mel=np.stack([view.mel for view in known.values()]),
            encoder=np.stack([np.asarray(view.encoder) for view in known.values()]),
            snr_db=np.array([view.snr_db for view in known.values()]),
        )
