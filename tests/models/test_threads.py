import os
from dataclasses import replace

import pytest

from allophone.dimensions.whisper import whisper_dimensions
from allophone.models import threads
from allophone.models.threads import choose_replicas, choose_threads, physical_cores

BASE = whisper_dimensions("base")


def describe(folder, cores):
    """One entry a logical processor: its package and its core."""
    for cpu, (package, core) in enumerate(cores):
        topology = folder / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{package}\n")
        (topology / "core_id").write_text(f"{core}\n")
    return folder


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(threads, "physical_cores", lambda: 8)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("width", "chosen", "replicas"), [(384, 1, 8), (512, 1, 8), (513, 8, 1), (1280, 8, 1)])
def test_small_models_take_one_thread_and_many_replicas(width, chosen, replicas):
    assert choose_threads(replace(BASE, n_audio_state=width)) == chosen
    assert choose_replicas(chosen) == replicas


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("asked", "replicas"), [(3, 2), (5, 1), (16, 1)])
def test_replicas_never_want_more_threads_than_there_are_cores(asked, replicas):
    assert choose_replicas(asked) == replicas


def test_hyper_threads_of_a_core_count_once(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4, 5}, raising=False)
    cpus = describe(tmp_path, [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0)])  # two packages, three cores
    assert physical_cores(cpus) == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert physical_cores(cpus) == 2  # those that this process may use


def test_without_a_description_every_processor_is_a_core(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert physical_cores(tmp_path) == 3
