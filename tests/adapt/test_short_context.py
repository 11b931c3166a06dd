import json
import sys

import numpy as np
import pytest

from allophone.adapt import short_context as module
from allophone.adapt.record import read_card
from allophone.adapt.short_context import adapt_context, adapt_tail
from allophone.audio.mel import log_mel
from allophone.errors import AllophoneError, LedgerError, MissingExtraError, UsageError
from allophone.models.ct2_weights import read_tensors
from allophone.models.engine import load_engine
from allophone.models.learned_tail import load_learned_tail
from allophone.models.weights import resolve_weights
from builders import tone

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def adapt(tones, little_whisper):
    def run(out, **changes):
        fields = {"steps": 6, "batch_size": 3, "learning_rate": 3e-3, "held_out": 1, "threads": 1, "margin_s": 0.5}
        return adapt_context(tones, out=out, model=str(little_whisper), **{**fields, **changes})

    return run


@pytest.fixture(scope="module")
def finished(adapt, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted") / "model"
    return out, adapt(out)


def test_the_encoder_learns_and_the_decoder_stays(finished, little_whisper):
    out, card = finished
    first, last = card.validations[0], card.validations[-1]
    assert (first.step, last.step, len(card.train_kl)) == (0, 6, 6)
    assert last.kl < first.kl
    before, after = (read_tensors(folder / "model.bin") for folder in (little_whisper, out))
    changed = {name for name in before if not (before[name] == after[name]).all()}
    assert changed
    assert all(name.startswith("encoder/") for name in changed)
    assert "encoder/position_encodings/encodings" not in changed
    assert "encoder/conv1/weight" in changed


def test_engines_run_the_folder(finished, little_whisper):
    out, _ = finished
    mel = log_mel(tone(1.5, 0), 200, 80)
    engines = [load_engine(str(folder), "int8", threads=1) for folder in (little_whisper, out)]
    stock, adapted = (engine.features(engine.encode(mel)) for engine in engines)
    assert stock.shape == adapted.shape == (100, 64)
    assert np.abs(stock - adapted).max() > 1e-3
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".txt") == sorted(
        ["README.md", "adaptation.json", "card.json", "config.json", "model.bin", "tokenizer.json", "vocabulary.json"]
    )


def test_the_card_says_what_was_done(finished, little_whisper, tones):
    out, card = finished
    assert read_card(out) == card
    assert (card.train_utterances, card.held_out_utterances, len(card.held_out_speakers)) == (9, 3, 1)
    assert card.settings.corpus_fingerprint != card.settings.source_sha256
    text = (out / "README.md").read_text()
    for said in (
        card.settings.source_sha256,
        card.settings.corpus_fingerprint,
        card.held_out_speakers[0],
        str(tones),
        f"{card.validations[-1].kl:.4f}",
        "0.5 s of",
    ):
        assert said in text
    assert json.loads((out / "card.json").read_text())["settings"]["steps"] == 6


def test_a_finished_adaptation_is_only_read(finished, adapt):
    out, card = finished
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert adapt(out) == card
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    with pytest.raises(LedgerError, match="begun with learning_rate"):
        adapt(out, learning_rate=1e-3)


def test_a_stopped_run_goes_on_to_the_same_weights(finished, adapt, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_EVERY_S", 0.0)
    seen = []

    def stop(now):
        seen.append(now.done)
        if now.done in (2, 5):
            raise KeyboardInterrupt

    out = tmp_path / "model"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            adapt(out, progress=stop)
        assert not (out / "model.bin").exists()
    with pytest.raises(LedgerError, match="begun with steps 6, now asked with 7"):
        adapt(out, steps=7)
    card = adapt(out, progress=stop)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert (out / "model.bin").read_bytes() == (finished[0] / "model.bin").read_bytes()
    assert card.validations == finished[1].validations
    assert card.train_kl == finished[1].train_kl


def test_another_seed_gives_other_weights(finished, adapt, tmp_path):
    adapt(tmp_path / "model", seed=1, steps=1)
    adapt(tmp_path / "same", seed=1, steps=1)
    first, same = ((tmp_path / name / "model.bin").read_bytes() for name in ("model", "same"))
    assert first == same
    assert first != (finished[0] / "model.bin").read_bytes()


def test_a_tail_is_learned_with_too(finished, adapt, tmp_path):
    card = adapt(tmp_path / "model", tail="all", steps=3)
    assert card.validations[0].kl != finished[1].validations[0].kl
    assert card.validations[-1].kl < card.validations[0].kl


def test_a_loss_that_is_no_number_stops_with_the_last_checkpoint(adapt, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_EVERY_S", 0.0)
    draw = module.draw_windows

    def draw_spoiled(utterances, step, **fields):
        windows = draw(utterances, step, **fields)
        if step == 3:
            windows[0].samples.setflags(write=True)
            windows[0].samples[:] = np.nan
        return windows

    monkeypatch.setattr(module, "draw_windows", draw_spoiled)
    monkeypatch.setattr("allophone.adapt.windows.load_utterance", lambda utterance: tone(1.4, 1).copy())
    out = tmp_path / "model"
    with pytest.raises(AllophoneError, match=r"at step 4 the loss was nan .* checkpoint of step 3 is kept"):
        adapt(out)
    assert (out / "training" / "checkpoint.pt").is_file()
    assert not (out / "model.bin").exists()
    monkeypatch.setattr(module, "draw_windows", draw)
    assert adapt(out).validations[-1].step == 6


def test_a_corpus_of_one_speaker_is_refused(adapt, tmp_path):
    with pytest.raises(UsageError, match="has 4 speakers, so 4 cannot be held out"):
        adapt(tmp_path / "model", held_out=4)
    assert not (tmp_path / "model").exists()


def test_a_device_that_is_not_there(adapt, tmp_path):
    with pytest.raises(UsageError, match=r"device 'nonsense' cannot be used here .* Use cpu"):
        adapt(tmp_path / "model", device="nonsense")


def test_without_torch_the_install_command_is_named(adapt, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"torch is not installed.*\[torch\]"):
        adapt(tmp_path / "model")


@pytest.fixture(scope="module")
def learn(tones, little_whisper):
    def run(out, **changes):
        fields = {"steps": 6, "batch_size": 3, "held_out": 1, "threads": 1, "margin_s": 0.5, "tokens": 4}
        return adapt_tail(tones, out=out, model=str(little_whisper), **{**fields, **changes})

    return run


@pytest.fixture(scope="module")
def learned(learn, tmp_path_factory):
    out = tmp_path_factory.mktemp("learned") / "model"
    return out, learn(out)


def test_a_tail_is_learned_and_the_weights_stay(learned, little_whisper):
    out, card = learned
    assert (out / "model.bin").read_bytes() == (little_whisper / "model.bin").read_bytes()
    first, last = card.validations[0], card.validations[-1]
    assert (first.step, last.step) == (0, 6)
    assert last.kl < first.kl
    assert last.hidden == first.hidden  # the encoder's own
    assert card.settings.learned_vectors == 4
    assert "tail=learned-4" in (out / "README.md").read_text()


def test_the_folder_runs_with_its_tail(learned):
    out, _ = learned
    vectors = load_learned_tail(resolve_weights(str(out)), 4)
    engine = load_engine(str(out), "float32", threads=1)
    encoded = engine.encode(engine.prepare(tone(1.5, 0), 200))
    shown = np.asarray(engine.append_tail(encoded, range(1496, 1500), learned=4))
    np.testing.assert_array_equal(shown[0, 100:], vectors)


def test_a_stopped_tail_goes_on_to_the_same_vectors(learned, learn, tmp_path, monkeypatch):
    out, _ = learned
    monkeypatch.setattr(module, "_SAVE_EVERY_S", 0.0)

    def stop(now):
        if now.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "m", progress=stop)
    assert not (tmp_path / "m" / "model.bin").exists()
    card = learn(tmp_path / "m")
    assert len(card.train_kl) == 6
    assert (tmp_path / "m" / "learned_tail.npz").read_bytes() == (out / "learned_tail.npz").read_bytes()


def test_another_size_is_another_run(learned, learn):
    out, _ = learned
    with pytest.raises(LedgerError, match="was begun with learned_vectors 4, now asked with 5"):
        learn(out, tokens=5)
    with pytest.raises(UsageError, match="tokens 0"):
        learn(out, tokens=0)
