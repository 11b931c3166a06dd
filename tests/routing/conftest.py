"""A run to learn from, a run of other speakers, and a cascade trained on the first, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from allophone.routing.regression import Candidate
from allophone.routing.training import train_policy
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
