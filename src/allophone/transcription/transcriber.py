"""Transcriber: a saved operating point, loaded and ready."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from copy import copy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from allophone.audio.decode import LONGEST_S, DecodedAudio, decode_audio
from allophone.audio.utterance_audio import decode_utterance
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import AudioError, AudioTooLongError, UsageError, WeightsError
from allophone.models.engine import DecoderPrompt, Task, load_engine
from allophone.models.learned_tail import require_learned_tail
from allophone.models.weights_digest import weights_digest
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import PointFile, read_point
from allophone.records.transcript import Transcript
from allophone.records.utterance import Utterance
from allophone.transcription.defaults import default_point
from allophone.transcription.pipeline import transcribe_stream
from allophone.transcription.recording import AUTO_LANGUAGE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Transcriber", "load", "load_point", "read_samples"]

_GPU_BATCH = 16
_LOUDEST = 16.0  # 24 dB over full scale; integers in the clothes of floats are louder


class Transcriber:
    """One operating point with its model in memory; several Python threads may use it at once.

    Args:
        point: What to run.
        language: Language code of the prompt, or ``auto``; where None, ``auto`` for a model of many languages.
        threads: CPU threads of one pass; 0 chooses by the model's size. As many passes run at once as the physical
            cores have room for (:mod:`allophone.models.threads`).
        device: ``cpu``, ``cuda`` or ``auto``.
        max_audio_s: Most seconds of a recording; a longer one is an error.
        replicas: Passes that may run at once; 0 as many as the physical cores have room for.
        model: Where the point's model lies, if its name does not say; the point keeps its name.

    Raises:
        WeightsError: The model's weights cannot be found.
        SpaceError: This device has no such compute type.
    """

    def __init__(
        self,
        point: OperatingPoint,
        *,
        language: str | None = None,
        threads: int = 0,
        device: str = "cpu",
        max_audio_s: float = LONGEST_S,
        replicas: int = 0,
        model: str | None = None,
    ) -> None:
        self.point, self._max_audio_s = point, max_audio_s
        self._model = model or point.model  # where its weights lie
        require_learned_tail(self._model, point.tail)
        self.engine = load_engine(self._model, point.compute_type, threads=threads, replicas=replicas, device=device)
        self.language = language or (AUTO_LANGUAGE if self.engine.dimensions.multilingual else "en")

    def at(self, point: OperatingPoint) -> Transcriber:
        """Return a transcriber at another point of the same model, which stays in memory once.

        Raises:
            UsageError: The point is of another model or compute type.
        """
        if (point.model, point.compute_type) != (self.point.model, self.point.compute_type):
            raise UsageError(
                f"{point.name} is not of {self.point.model} in {self.point.compute_type}: load it by itself."
            )
        require_learned_tail(self._model, point.tail)
        other = copy(self)
        other.point = point
        return other

    def at_once(self, jobs: int = 0, batch_size: int = 0) -> tuple[int, int]:
        """Return how many batches run at once and how many windows a batch holds, where 0 means what suits the device.

        Args:
            jobs: As for :meth:`transcribe_many`.
            batch_size: Likewise.
        """
        on_gpu = self.engine.device == "cuda"
        return jobs or (2 if on_gpu else self.engine.replicas), batch_size or (_GPU_BATCH if on_gpu else 1)

    def transcribe(
        self,
        audio: str | Path | NDArray[np.float32],
        *,
        words: bool = False,
        task: Task = "transcribe",
        prompt: str = "",
    ) -> Transcript:
        """Transcribe one recording of any length; the windows of a long one run side by side.

        Args:
            audio: A file, or samples of shape ``(n_samples,)`` at 16 kHz.
            words: Whether to find each word's place in time.
            task: ``transcribe``, or ``translate`` into English, which multilingual models can.
            prompt: Text that is taken for what was said before, for the spelling of names; its last 220 tokens count.

        Raises:
            UsageError: The model cannot do the task, or reads no prompt.
            AudioError: The file cannot be decoded, or the array is not one row of floating-point samples.
        """
        (found,) = self.transcribe_many([audio], words=words, task=task, prompt=prompt)
        if isinstance(found, AudioError):
            raise found
        return found

    def transcribe_many(
        self,
        audio: Iterable[str | Path | Utterance | NDArray[np.float32]],
        *,
        jobs: int = 0,
        batch_size: int = 0,
        words: bool = False,
        task: Task = "transcribe",
        prompt: str = "",
    ) -> Iterator[Transcript | AudioError]:
        """Transcribe many recordings, several at a time, and give the transcripts back in order.

        Recordings are taken and read only as far ahead as keeps the engine busy, so there may be any number of them.
        Decoded, each takes 64 kB a second of audio: 690 MB for three hours, of which at most as many are read at once
        as there are jobs.

        Args:
            audio: Files, utterances of a corpus, or samples of shape ``(n_samples,)`` at 16 kHz.
            jobs: Batches that run at once; 0 takes the engine's replicas, on a GPU 2, so that one batch is prepared
                while another runs. More than the replicas wait their turn.
            batch_size: Most windows in a batch; 0 takes 1 on a CPU, where replicas gain more than batches, and 16 on
                a GPU. In a batch a window runs on at most a quarter more frames than alone.
            words: Whether to find each word's place in time.
            task: As for :meth:`transcribe`.
            prompt: As for :meth:`transcribe`; every window has it.

        Yields:
            A transcript for each recording, or the error that says why it has none, whatever it raised: the others are
            not touched.
        """
        jobs, batch_size = self.at_once(jobs, batch_size)
        return transcribe_stream(
            self.engine,
            (partial(read_samples, recording, longest_s=self._max_audio_s) for recording in audio),
            self.point,
            language=self.language,
            words=words,
            jobs=jobs,
            batch_size=batch_size,
            prompt=DecoderPrompt(task, prompt),
        )


def read_samples(audio: str | Path | Utterance | NDArray[np.float32], *, longest_s: float = LONGEST_S) -> DecodedAudio:
    """Return a recording's samples, shape ``(n_samples,)``, 16 kHz, float32, from a file, a pipe or an array.

    Args:
        audio: A file or pipe, an utterance of a corpus, or samples.
        longest_s: Most seconds of audio.

    Raises:
        AudioError: The file cannot be decoded, or what is given is not one row of finite floating-point samples that
            lie about [-1, 1].
    """
    import numpy as np

    if isinstance(audio, str | Path):
        return decode_audio(Path(audio), longest_s=longest_s, pipes=True)
    if isinstance(audio, Utterance):
        return decode_utterance(audio, longest_s=longest_s)
    if not isinstance(audio, np.ndarray):
        raise AudioError(f"a {type(audio).__name__}: give a file, or a NumPy array of floats in [-1, 1] at 16 kHz.")
    what = f"samples of shape {audio.shape} and type {audio.dtype}"
    if audio.ndim != 1 or audio.dtype.kind != "f":
        raise AudioError(f"{what}: give one row of floats in [-1, 1] at 16 kHz.")
    if audio.size > longest_s * SAMPLE_RATE:
        raise AudioTooLongError(f"{what}: last over {longest_s:g} s, the most that is taken. Cut them into parts.")
    if not np.isfinite(audio).all():
        raise AudioError(f"{what}: not all are finite numbers. Mend or leave out the recording.")
    loudest = float(abs(audio).max(initial=0.0))
    if loudest > _LOUDEST:
        raise AudioError(f"{what}: reach up to {loudest:g}. Divide them so that they lie in [-1, 1]: 16 bits by 32768.")
    return DecodedAudio(audio.astype("float32", copy=False))


def load(model: str, *, language: str | None = None, threads: int = 0, device: str = "cpu") -> Transcriber:
    """Load a model at the operating point that is its default here, e.g. ``load("base").transcribe("a.wav")``.

    Args:
        model: A name that ``allophone models`` lists, a CTranslate2 folder or a hub repository.
        language: Language code of the prompt, or ``auto``; where None, ``auto`` for a model of many languages.
        threads: CPU threads of one pass; 0 chooses by the model's size.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        WeightsError: The model's weights cannot be found.
    """
    return Transcriber(default_point(model), language=language, threads=threads, device=device)


def load_point(
    source: str | Path | OperatingPoint,
    *,
    language: str | None = None,
    threads: int = 0,
    device: str = "cpu",
    max_audio_s: float = LONGEST_S,
    replicas: int = 0,
) -> Transcriber:
    """Load what ``recommend --out point.json`` saved, or a point made by hand.

    A model that the file names by a folder, such as ``./models/mine``, is looked for from the file's own folder, then
    where it lay when the point was saved, then from the current folder.

    Args:
        source: The file, or a point.
        language: Language code or ``auto``; where None the language that the saved point was measured with, and for a
            point made by hand ``auto`` if its model knows many languages.
        threads: CPU threads of one pass; 0 chooses by the model's size.
        device: ``cpu``, ``cuda`` or ``auto``.
        max_audio_s: Most seconds of a recording; a longer one is an error.
        replicas: Passes that may run at once; 0 as many as the physical cores have room for.

    Raises:
        UsageError: The file is missing, not a saved point, or names a policy.
        WeightsError: The model's weights cannot be found, or are not those that were measured.
    """
    if isinstance(source, OperatingPoint):
        return Transcriber(
            source,
            language=language,
            threads=threads,
            device=device,
            max_audio_s=max_audio_s,
            replicas=replicas,
        )
    saved = read_point(Path(source))
    if saved.policy is not None:
        raise UsageError(f"{source}: field 'policy': a policy was chosen. Run it with --policy {saved.policy}.")
    model = _model_of(Path(source), saved)
    if saved.weights_sha256 is not None and weights_digest(model) != saved.weights_sha256:
        raise WeightsError(
            f"{source}: field 'weights_sha256': {model} has other weights than those that were measured. Put the old "
            "ones back, or measure again."
        )
    return Transcriber(
        saved.point,
        language=language or saved.language,
        threads=threads,
        device=device,
        max_audio_s=max_audio_s,
        replicas=replicas,
        model=model,
    )


def _model_of(path: Path, saved: PointFile) -> str:
    """Return the model that a point file means: a name as it is, a folder where it is found first."""
    model = saved.point.model
    if saved.model_folder is None and not model.startswith(("./", "../", ".\\", "..\\")):
        return model
    listed = [os.path.join(path.absolute().parent, model), saved.model_folder or "", os.path.abspath(model)]
    found = next((folder for folder in listed if folder and os.path.isdir(folder)), None)
    if found is None:
        tried = ", ".join(os.path.normpath(folder) for folder in dict.fromkeys(listed) if folder)
        raise WeightsError(
            f"{path}: field 'point.model': no folder '{model}'; tried {tried}. Put the model there, or write its whole "
            "path into the file."
        )
    return found
