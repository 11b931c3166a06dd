"""Forecasts against what a training then says of itself."""

import pytest

pytest.importorskip("torch")

from allophone.corpora.corpus import open_corpus
from allophone.corpora.splits import make_folds
from allophone.emotion.experiment import run_setting
from allophone.emotion.recipe import EmotionSetting, Recipe
from allophone.sweeps.emotion.forecast import JobForecast, forecast_job, order_settings, probe_encoder
from emotion_builders import save_encoder, write_emotions

RECIPE = Recipe(epochs=3, patience=3, batch_size=4)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("predict")


@pytest.fixture(scope="module")
def corpus(place):
    return open_corpus(write_emotions(place / "c", n_speakers=5))


@pytest.mark.parametrize("family", ["whisper", "wav2vec2"])
@pytest.mark.parametrize("knobs", [{}, {"unfrozen_layers": 1}, {"lora_rank": 2}])
def test_a_forecast_is_what_a_training_executes(place, corpus, family, knobs):
    model = save_encoder(place / family, family)
    setting = EmotionSetting(model=model, duration_s=0.2, **knobs)  # no clip is shorter, so no padding is guessed
    splits = make_folds(corpus)
    facts = probe_encoder(model)
    utterances = list(corpus)
    lengths = dict.fromkeys((utterance.id for utterance in utterances), 0.3)
    found = forecast_job(setting, RECIPE, facts, utterances, lengths, splits, "fold-0")
    run = run_setting(
        setting, corpus, splits, "fold-0", recipe=RECIPE, precision="float32", cache_root=place / "cache", timed_rows=0
    )
    assert found.trainable_params == run.record.trainable_params
    assert found.inference_gflops == pytest.approx(run.record.inference_flops / 1e9)
    assert found.training_flops == pytest.approx(run.record.training_flops)
    assert facts.flop_per_s > 0
    assert found.seconds > 0


def test_quick_settings_come_first_and_shared_states_are_paid_once():
    def forecast(seconds):
        return JobForecast(1, 1.0, 1.0, 1.0, 1.0, seconds, 100.0)

    settings = [EmotionSetting(model="base", duration_s=d, lora_rank=r) for d, r in ((3, 8), (3, 16), (1, 0))]
    forecasts = {setting.name: forecast(float(seconds)) for setting, seconds in zip(settings, (30, 40, 5), strict=True)}
    assert [(setting.name, seconds) for setting, seconds in order_settings(settings, forecasts)] == [
        ("base-1s-frozen", 105.0),
        ("base-3s-r8", 130.0),
        ("base-3s-r16", 40.0),  # its states are those of rank 8
    ]
