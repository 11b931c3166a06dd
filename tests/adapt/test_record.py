import pytest

from allophone.adapt.record import (
    CARD_FILE,
    SETTINGS_FILE,
    Checkpoint,
    ContextSettings,
    Validation,
    claim_folder,
    load_checkpoint,
    make_card,
    parse_settings,
    read_card,
    save_checkpoint,
    write_card,
)
from allophone.errors import LedgerError, UsageError

FIELDS = {
    "model": "tiny.en",
    "source_sha256": "a" * 64,
    "corpus_fingerprint": "b" * 64,
    "margin_s": 1.0,
    "tail": "none",
    "steps": 10,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "seed": 0,
    "held_out": 4,
    "language": "en",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [("tail", "some"), ("steps", 0), ("margin_s", 29.5), ("margin_s", -1), ("learning_rate", 0), ("held_out", 0)],
)
def test_impossible_values_are_named(name, value):
    with pytest.raises(UsageError, match=f"{name} '{value}'"):
        parse_settings({**FIELDS, name: value})


def test_a_folder_is_claimed_once_and_again_by_the_same(tmp_path):
    folder = tmp_path / "models" / "x"
    settings = parse_settings(FIELDS)
    claim_folder(folder, settings)
    claim_folder(folder, settings)
    assert (folder / SETTINGS_FILE).is_file()


@pytest.mark.parametrize("name", ["steps", "seed", "batch_size"])
def test_other_settings_are_refused_by_name(tmp_path, name):
    claim_folder(tmp_path, parse_settings(FIELDS))
    with pytest.raises(LedgerError, match=rf"begun with {name} {FIELDS[name]}, now asked with 7\. Continue with"):
        claim_folder(tmp_path, parse_settings({**FIELDS, name: 7}))


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LedgerError, match=r"is not empty and holds no adaptation\.json"):
        claim_folder(tmp_path, parse_settings(FIELDS))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["", "{", '{"steps": 3}'])
def test_damaged_settings_are_named(tmp_path, text):
    (tmp_path / SETTINGS_FILE).write_text(text)
    with pytest.raises(LedgerError, match=r"adaptation\.json: cannot be read"):
        claim_folder(tmp_path, parse_settings(FIELDS))


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


torch = pytest.importorskip("torch")


def fresh(seed=0):
    torch.manual_seed(seed)
    layer = torch.nn.Linear(3, 2)
    return layer, torch.optim.AdamW(layer.parameters(), lr=0.1)


def step(layer, optimizer):
    optimizer.zero_grad()
    layer(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()


def test_a_state_comes_back_and_goes_on_alike(tmp_path):
    path = tmp_path / "training" / "checkpoint.pt"
    layer, optimizer = fresh()
    step(layer, optimizer)
    state = Checkpoint(step=1, seconds=2.5, validations=[Validation(0, 0.5, 0.25)], train_kl=[0.75])
    save_checkpoint(path, state, layer, optimizer)
    step(layer, optimizer)
    other, its_optimizer = fresh(seed=1)
    assert load_checkpoint(path, other, its_optimizer) == state
    step(other, its_optimizer)
    assert torch.equal(layer.weight, other.weight)
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def test_no_checkpoint_is_a_fresh_start(tmp_path):
    assert load_checkpoint(tmp_path / "checkpoint.pt", *fresh()) == Checkpoint()


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_damaged_checkpoint_is_named(tmp_path, keep):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, Checkpoint(), *fresh())
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(LedgerError, match=r"checkpoint\.pt: cannot be read .* Remove it to begin again"):
        load_checkpoint(path, *fresh())


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_checkpoint(tmp_path / "checkpoint.pt", Checkpoint(), *fresh())
    layer = torch.nn.Linear(4, 2)
    with pytest.raises(LedgerError, match="cannot be read"):
        load_checkpoint(tmp_path / "checkpoint.pt", layer, torch.optim.AdamW(layer.parameters()))
