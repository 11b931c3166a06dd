import pytest

from allophone.adapt.card import CARD_FILE, make_card, read_card, write_card
from allophone.adapt.checkpoint import Validation
from allophone.adapt.settings import ContextSettings
from allophone.errors import LedgerError

pytest.importorskip("torch")
pytest.importorskip("transformers")


def card(tail="none"):
    settings = ContextSettings(
        model="tiny.en",
        source_sha256="a" * 64,
        corpus_fingerprint="b" * 64,
        margin_s=1.5,
        tail=tail,
        steps=10,
        batch_size=2,
        learning_rate=1e-4,
        seed=3,
        held_out=2,
        language="en",
    )
    return make_card(
        settings,
        corpus="speech.jsonl",
        counts=(100, 20),
        held_out_speakers=["ann", "bob"],
        validations=[Validation(0, 0.03, 0.02), Validation(10, 0.01, 0.015)],
        train_kl=[0.04, 0.02],
        seconds=90.0,
        threads=1,
        device="cpu",
    )


def test_a_card_comes_back(tmp_path):
    write_card(tmp_path, card())
    assert read_card(tmp_path) == card()


def test_the_readme_says_the_same_in_words(tmp_path):
    write_card(tmp_path, card())
    text = (tmp_path / "README.md").read_text()
    for said in ("1.5 s of", "a" * 64, "b" * 64, "ann, bob", "| 10 | 0.0100 | 0.0150 |", "1.5 min on cpu", "nothing."):
        assert said in text
    write_card(tmp_path, card(tail="all"))
    assert "outputs of silence at all remaining positions." in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_a_card_that_cannot_be_read_is_named(tmp_path, text):
    if text is not None:
        (tmp_path / CARD_FILE).write_text(text)
    with pytest.raises(LedgerError, match=r"card\.json: .* or adapt anew"):
        read_card(tmp_path)
