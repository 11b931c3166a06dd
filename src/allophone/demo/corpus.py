"""The embedded demo corpus: eight made-up speakers read the project's own sentences, easy, medium and hard to hear.

It needs no model hub and no download beyond the ``demo`` extra, and its bytes are the same on every machine: the
network runs in exact arithmetic (:mod:`allophone.demo.voice`), the rest in float64 before it is rounded to
16-bit samples, and all noise comes from seeded generators. ``EXPECTED_SHA256`` is the digest of those bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from allophone.cache import cache_folder
from allophone.demo.store import install, sealed_sha256
from allophone.dimensions.whisper import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np

    from allophone.demo.sound import Noise, Waveform
    from allophone.demo.voice import DemoVoice

__all__ = ["EXPECTED_SHA256", "DemoCorpusWarning", "build_demo_corpus", "plan_demo_corpus"]

EXPECTED_SHA256 = "b1614f7d37ef6e1d2b3a18cc25a9086e92a1be7d5f8e4fb07626896e8e00ed49"

_SEED = 20_260_622
_SPEECH, _SCENE = 0, 1  # what a generator is for
_TAIL_S = 0.25  # silence after the speech, for the room to fade into


class DemoCorpusWarning(UserWarning):
    """The demo corpus was built, but its bytes are not those that every other machine has."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """How the one voice becomes a speaker.

    Args:
        frame: Samples of an output frame; 800 is the voice's own vocal tract, more is a longer and deeper one.
        rate: Speaking rate relative to the voice's own.
        intonation: Factor on the pitch, besides what ``frame`` does to it.
    """

    frame: int
    rate: float
    intonation: float


@dataclass(frozen=True, slots=True)
class Grade:
    """How hard a third of the corpus is to hear; ranges are drawn from uniformly.

    Args:
        rate: Factor on the speaker's rate.
        snr_db: Range of the signal-to-noise ratio, in dB.
        noises: Kinds of noise, taken in turn.
        t60_s: Range of the reverberation time in seconds, or None for no room.
        direct_db: Range of direct over reverberant energy, in dB.
    """

    rate: float
    snr_db: tuple[float, float]
    noises: tuple[Noise, ...]
    t60_s: tuple[float, float] | None
    direct_db: tuple[float, float]


@dataclass(frozen=True, slots=True)
class DemoUtterance:
    """One line of the corpus: who says what, and how hard it is to hear."""

    number: int
    text: str
    speaker: str
    grade: str

    @property
    def id(self) -> str:
        """Unique name, also of the file."""
        return f"{self.number:02d}-{self.speaker}-{self.grade}"


SPEAKERS = {
    "ash": Speaker(frame=800, rate=1.0, intonation=1.0),
    "birch": Speaker(frame=920, rate=1.05, intonation=0.8),
    "cedar": Speaker(frame=760, rate=1.1, intonation=1.05),
    "elm": Speaker(frame=940, rate=0.95, intonation=0.85),
    "fir": Speaker(frame=840, rate=0.9, intonation=1.1),
    "hazel": Speaker(frame=720, rate=1.0, intonation=1.0),
    "linden": Speaker(frame=900, rate=1.1, intonation=0.9),
    "rowan": Speaker(frame=880, rate=1.0, intonation=0.8),
}
GRADES = {
    "easy": Grade(1.15, (20.0, 28.0), ("pink",), None, (0.0, 0.0)),
    "medium": Grade(1.35, (10.0, 15.0), ("pink", "brown", "babble"), (0.2, 0.3), (8.0, 11.0)),
    "hard": Grade(1.5, (6.0, 10.0), ("babble", "pink"), (0.35, 0.5), (6.0, 9.0)),
}


def plan_demo_corpus() -> tuple[DemoUtterance, ...]:
    """Return what is said: along the sentences the speaker changes with every line, the grade with every round."""
    lines = Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8").splitlines()
    sentences = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    speakers, grades = list(SPEAKERS), list(GRADES)
    return tuple(
        DemoUtterance(i, text, speakers[i % len(speakers)], grades[i // len(speakers) % len(grades)])
        for i, text in enumerate(sentences)
    )


def build_demo_corpus(folder: Path | None = None, *, progress: Callable[[int, int], None] | None = None) -> Path:
    """Make the demo corpus, or find it made.

    A corpus that is whole is returned at once. Else it is made in memory, written beside ``folder`` and renamed into
    place, so a build that is killed or runs beside another one leaves no half corpus.

    Args:
        folder: Where the corpus lies or shall lie; ``demo-corpus`` in the cache folder if not given.
        progress: Called with the steps done and the steps in all, from this thread.

    Returns:
        Path of the JSONL manifest: ``id``, ``audio_filepath`` (relative to it), ``duration`` in seconds, ``text``,
        ``speaker`` and ``grade``.

    Raises:
        MissingExtraError: ``hibari-tts`` is not installed.
        CorpusError: The folder cannot be written, or holds something else.

    Warns:
        DemoCorpusWarning: The bytes made are not ``EXPECTED_SHA256``; the corpus is usable all the same.
    """
    folder = cache_folder() / "demo-corpus" if folder is None else Path(folder)
    if sealed_sha256(folder, recipe=EXPECTED_SHA256) is None:
        made = install(partial(_make, progress), folder, recipe=EXPECTED_SHA256)
        if made != EXPECTED_SHA256:
            import warnings

            warnings.warn(
                f"The demo corpus in {folder} has the SHA-256 {made[:12]}, not {EXPECTED_SHA256[:12]}: this machine or "
                "its package versions computed other samples. It is usable, but figures measured on it are not "
                "comparable bit for bit with other machines'. Reinstalling allophone[demo] may restore the bytes.",
                DemoCorpusWarning,
                stacklevel=2,
            )
    return folder / "manifest.jsonl"


def _make(progress: Callable[[int, int], None] | None) -> dict[str, bytes]:
    """Return the corpus as relative path and bytes of each file."""
    from concurrent.futures import ThreadPoolExecutor

    from allophone.demo.sound import to_wav
    from allophone.demo.voice import DemoVoice

    plan = plan_demo_corpus()
    voice = DemoVoice()
    steps = 2 * len(plan)
    files, lines = {}, []
    # NumPy releases the interpreter's lock; results keep the plan's order whatever the number of threads.
    with _one_blas_thread(), ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        spoken: list[Waveform] = []
        for signal in pool.map(partial(_speak, voice), plan):
            spoken.append(signal)
            if progress is not None:
                progress(len(spoken), steps)
        for utterance, pcm in zip(plan, pool.map(partial(_stage, spoken, plan), plan), strict=True):
            name = f"audio/{utterance.id}.wav"
            files[name] = to_wav(pcm)
            fields = {
                "id": utterance.id,
                "audio_filepath": name,
                "duration": len(pcm) / 2 / SAMPLE_RATE,
                "text": utterance.text,
                "speaker": utterance.speaker,
                "grade": utterance.grade,
            }
            lines.append(json.dumps(fields) + "\n")
            if progress is not None:
                progress(len(plan) + len(lines), steps)
    files["manifest.jsonl"] = "".join(lines).encode()
    return files


def _speak(voice: DemoVoice, utterance: DemoUtterance) -> Waveform:
    """Return the dry speech of one utterance."""
    import numpy as np

    from allophone.demo.sound import UNIT_FRAME, waveform

    speaker, grade = SPEAKERS[utterance.speaker], GRADES[utterance.grade]
    rate = speaker.rate * grade.rate * speaker.frame / UNIT_FRAME  # a longer frame stretches time as well
    rng = _generator(_SPEECH, utterance)
    sentences = [
        waveform(voice.speak(ids, rate=rate, intonation=speaker.intonation), speaker.frame, rng)
        for ids in voice.read(utterance.text)
    ]
    return np.concatenate([*sentences, np.zeros(int(_TAIL_S * SAMPLE_RATE))])


def _stage(spoken: list[Waveform], plan: tuple[DemoUtterance, ...], utterance: DemoUtterance) -> bytes:
    """Return the 16-bit samples of one utterance in the room and the noise of its grade."""
    from allophone.demo.sound import Room, babble, mix, reverberate, shaped_noise, to_pcm

    grade, rng = GRADES[utterance.grade], _generator(_SCENE, utterance)
    signal = spoken[utterance.number]
    if grade.t60_s is not None:
        signal = reverberate(signal, Room(rng.uniform(*grade.t60_s), rng.uniform(*grade.direct_db)), rng)
    turn = utterance.number + utterance.number // (len(SPEAKERS) * len(GRADES))  # so that no speaker keeps one noise
    kind = grade.noises[turn % len(grade.noises)]
    if kind == "babble":
        others = [spoken[other.number] for other in plan if other.speaker != utterance.speaker]
        noise = babble(others, len(signal), rng)
    else:
        noise = shaped_noise(len(signal), kind, rng)
    return to_pcm(mix(signal, noise, rng.uniform(*grade.snr_db)), rms=rng.uniform(0.03, 0.1))


def _generator(purpose: int, utterance: DemoUtterance) -> np.random.Generator:
    import numpy as np

    return np.random.Generator(np.random.PCG64([_SEED, purpose, utterance.number]))


def _one_blas_thread() -> AbstractContextManager[object]:
    # Utterances already run side by side; BLAS threads on top would wait for each other, on a busy machine for long.
    try:
        threadpoolctl = import_module("threadpoolctl")
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpoolctl.threadpool_limits(limits=1, user_api="blas")
    return limits
