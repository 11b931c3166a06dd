"""Whole runs of one setting: rows, record, files, and going on."""

import json

import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.corpora.corpus import open_corpus
from allophone.corpora.splits import make_folds
from allophone.emotion import experiment as emotion_precision
from allophone.emotion.experiment import run_setting
from allophone.emotion.recipe import EmotionSetting, Recipe
from allophone.emotion.store import load_emotion_model
from allophone.errors import CorpusError, UsageError
from allophone.measure.temperature import softmax
from builders import write_wav
from emotion_builders import save_encoder, tiny_encoder, write_emotions

pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("full_s", "half_s", "faster"), [(2.0, 1.0, "bfloat16"), (1.1, 1.0, "float32"), (1.0, 3.0, "float32")]
)
def test_bfloat16_must_be_worth_it(monkeypatch, full_s, half_s, faster):
    monkeypatch.setattr(emotion_precision, "_median_s", lambda *works: [full_s, half_s])
    assert emotion_precision.faster_precision(tiny_encoder("whisper")) == faster


def test_a_real_layer_is_timed_in_both():
    assert emotion_precision.faster_precision(tiny_encoder("whisper")) in ("float32", "bfloat16")


pytest.importorskip("torch")

RECIPE = Recipe(epochs=8, patience=8, batch_size=4, head_lr=1e-2, encoder_lr=1e-3, lora_lr=1e-2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def corpus(place):
    manifest = write_emotions(place / "c", n_speakers=5)
    write_wav(place / "c/audio/4-low-1.wav", np.zeros(4000))
    return open_corpus(manifest)


@pytest.fixture(scope="module")
def base(place):
    return save_encoder(place / "base", "wav2vec2")


@pytest.fixture(scope="module")
def splits(corpus):
    return make_folds(corpus, folds=5)


def run(corpus, splits, base, place, split="fold-0", **knobs):
    setting = EmotionSetting(model=base, duration_s=0.3, unfrozen_layers=1)
    given = {"recipe": RECIPE, "precision": "float32", "cache_root": place / "cache", **knobs}
    return run_setting(given.pop("setting", setting), corpus, splits, split, **given)


def test_rows_record_and_files(corpus, splits, base, place):
    out = place / "out"
    found = run(corpus, splits, base, place, out=out)
    speaker = splits.split("fold-0").test[0]
    assert {row.speaker for row in found.rows} == {speaker}
    assert [row.utterance_id for row in found.rows] == [
        f"{speaker[1]}-{n}" for n in ("high-0", "low-0", "high-1", "low-1")
    ]
    assert found.recognition.uar == 1
    assert all(row.correct for row in found.rows if row.error is None)
    record = found.record
    assert record.model_validate_json((out / "record.json").read_text()) == record
    assert (record.failures, record.n_train + record.n_validation + record.n_test) == (1, 19)
    assert record.trainable_params == sum(p.numel() for p in found.model.trained().values())
    assert record.latency_s > 0
    assert record.training_flops > record.frozen_flops > 0
    loaded = load_emotion_model(out)
    for row in found.rows:
        if row.error is None:
            samples = load_audio(place / f"c/audio/{row.utterance_id}.wav")[:4800]
            posterior = softmax(loaded.model.clip_logits(samples).numpy(), loaded.card.temperature)
            np.testing.assert_allclose(posterior, row.posterior, atol=0.02)  # states were cached in half precision
    again = run(corpus, splits, base, place, out=out)
    assert [row.posterior for row in again.rows] == [row.posterior for row in found.rows]


def test_a_failed_recording_is_a_row_with_its_error(corpus, splits, base, place):
    split = next(split.name for split in splits.splits if "s4" in split.test)
    found = run(corpus, splits, base, place, split, timed_rows=0)
    assert ["silent" in (row.error or "") for row in found.rows] == [False, False, False, True]
    assert found.record.latency_s is None
    assert found.recognition.confusion.sum() == 3


def test_without_the_cache_the_same_is_learned(corpus, splits, base, place):
    cached = run(corpus, splits, base, place, timed_rows=0)
    fresh = run(corpus, splits, base, place, timed_rows=0, cached=False)
    assert fresh.record.training_flops == cached.record.training_flops
    assert fresh.record.frozen_flops > cached.record.frozen_flops
    np.testing.assert_allclose(fresh.record.validation_uars, cached.record.validation_uars, atol=0.3)
    for ours, theirs in zip(fresh.rows, cached.rows, strict=True):
        np.testing.assert_allclose(ours.posterior, theirs.posterior, atol=0.1)


def test_the_test_speakers_change_nothing_in_training(corpus, splits, base, place, tmp_path):
    found = run(corpus, splits, base, place, timed_rows=0)
    other = open_corpus(write_emotions(tmp_path / "c", n_speakers=5))
    for path in (tmp_path / "c/audio").glob(f"{splits.split('fold-0').test[0][1]}-*.wav"):
        write_wav(path, 0.5 * np.sin(np.arange(load_audio(path).size)))
    write_wav(tmp_path / "c/audio/4-low-1.wav", np.zeros(4000))
    changed = splits.model_copy(update={"corpus_fingerprint": other.scan().fingerprint})
    again = run(other, changed, base, place, timed_rows=0)
    assert again.record.validation_uars == found.record.validation_uars
    assert again.record.temperature == found.record.temperature
    assert [row.posterior for row in again.rows] != [row.posterior for row in found.rows]


def test_another_setting_in_the_same_folder_is_refused(corpus, splits, base, place):
    out = place / "twice"
    run(corpus, splits, base, place, out=out, timed_rows=0, recipe=RECIPE.model_copy(update={"epochs": 1}))
    with pytest.raises(UsageError, match="another setting, recipe"):
        run(corpus, splits, base, place, out=out)


def test_precision_is_measured_once_a_folder(corpus, splits, base, place, monkeypatch):
    from allophone.emotion import experiment as emotion_run

    answers = iter(["bfloat16"])
    monkeypatch.setattr(emotion_run, "faster_precision", lambda encoder: next(answers))
    one_epoch = {"recipe": RECIPE.model_copy(update={"epochs": 1}), "timed_rows": 0}
    for _ in range(2):
        found = run(corpus, splits, base, place, out=place / "auto", precision="auto", **one_epoch)
        assert found.record.precision == "bfloat16"


def test_a_split_of_another_corpus(corpus, splits, base, place):
    other = splits.model_copy(update={"corpus_fingerprint": "0"})
    with pytest.raises(CorpusError, match="not the corpus that the split was made for"):
        run(corpus, other, base, place)


def test_a_record_says_on_what_machine(corpus, splits, base, place):
    fields = json.loads(run(corpus, splits, base, place, timed_rows=0).record.model_dump_json())
    assert fields["machine"]["cores"] >= 1
    assert fields["threads"] >= 1


@pytest.mark.parametrize("name", ["run.json", "emotion_policy.json", "emotion.json"])
def test_a_folder_of_something_else_is_refused_before_training(corpus, splits, base, place, tmp_path, name):
    (tmp_path / name).write_text("kept")
    with pytest.raises(UsageError, match=rf"holds a (run|policy|model) \({name}\)"):
        run(corpus, splits, base, place, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_device_that_is_not_there(corpus, splits, base, place, tmp_path):
    with pytest.raises(UsageError, match="--device 'tpu'"):
        run(corpus, splits, base, place, out=tmp_path / "m", device="tpu")
    assert not (tmp_path / "m").exists()
