"""A copy of the golden artefacts beside the recordings that they were measured on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from golden.make_golden import DATA, write_corpora


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_corpora(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLOPHONE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("COLUMNS", "240")
        yield


@pytest.fixture(scope="module")
def old(tmp_path_factory, recordings) -> Path:
    """All artefacts, as a user's folder has them."""
    folder = tmp_path_factory.mktemp("golden") / "old"
    shutil.copytree(DATA, folder)
    shutil.copytree(recordings / "corpora", folder / "corpora", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def new(tmp_path_factory, recordings) -> Path:
    """The corpora and models that artefacts are made from, and no artefact yet."""
    folder = tmp_path_factory.mktemp("golden") / "new"
    for name in ("corpora", "encoders"):
        shutil.copytree(DATA / name, folder / name)
    shutil.copytree(recordings / "corpora", folder / "corpora", dirs_exist_ok=True)
    return folder
