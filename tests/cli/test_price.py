import json

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.cli.price import read_grouping, read_price
from allophone.errors import InfeasibleError, SpaceError, UsageError
from allophone.records.point import EmotionSetting
from emotion_builders import write_emotion_run
from star_runs import BASE, write_star

BEAM = BASE.model_copy(update={"beam_size": 5})


@pytest.fixture
def run(tmp_path):
    return write_star(tmp_path / "r", {BASE: ([4, *[0] * 9] * 4, 10), BEAM: (1, 20)})


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_prices_are_read_together():
    assert read_price(None, None) is None
    assert read_price(0.4, "0.006/min").break_even == pytest.approx(0.4 / 0.36)
    for arguments, problem in (((None, "1/h"), "give --price-per-hour"), ((0.0, None), "positive number")):
        with pytest.raises(SpaceError, match=problem):
            read_price(*arguments)
    with pytest.raises(SpaceError, match=r"unknown\. Give --price-per-hour"):
        read_price(None, None, wanted=True)


def test_groupings_are_read_with_the_limit_that_they_change():
    assert read_grouping(None, None) is None
    assert read_grouping("Speaker", 12.0) == "speaker"
    with pytest.raises(SpaceError, match="known: speaker, snr, duration"):
        read_grouping("colour", 12.0)
    with pytest.raises(SpaceError, match="give --max-wer"):
        read_grouping("speaker", None)


def test_recommend_limits_the_price_and_says_when_an_api_is_cheaper(run):
    done = invoke(
        "recommend", run, "--price-per-hour", 0.5, "--api-price", "0.006/min", "--max-price-per-audio-hour", 1
    )
    assert done.exit_code == 0, done.output
    assert "An hour of audio costs 0.05" in " ".join(done.stdout.split())
    refused = invoke("recommend", run, "--price-per-hour", 0.5, "--max-price-per-audio-hour", 0.01)
    assert isinstance(refused.exception, InfeasibleError)
    assert isinstance(invoke("recommend", run, "--max-price-per-audio-hour", 1).exception, SpaceError)
    assert isinstance(invoke("recommend", run, "--price-per-hour", 0).exception, SpaceError)


def test_frontier_weighs_points_by_price(run):
    found = json.loads(invoke("frontier", run, "--price-per-hour", 0.5, "--json").stdout)
    assert found["costs"] == ["price_per_audio_hour"]
    assert {point["price_per_audio_hour"] for point in found["points"]} == {0.05}
    assert "price/audio h" in invoke("frontier", run, "--price-per-hour", 0.5).stdout


def test_the_worst_group_decides(run):
    mean = json.loads(invoke("recommend", run, "--max-wer", 20, "--minimise", "executed_gflops", "--json").stdout)
    worst = invoke(
        "recommend", run, "--max-wer", 20, "--minimise", "executed_gflops", "--worst-group", "speaker", "--json"
    )
    assert mean["point"]["beam_size"] == 1  # 4 % over all, 40 % for one speaker
    assert json.loads(worst.stdout)["point"]["beam_size"] == 5
    assert json.loads(worst.stdout)["measured"]["worst_group_wer"] == pytest.approx(0.1)


def test_shares_and_the_99th_percentile_are_limits(run):
    done = invoke("recommend", run, "--min-perfect-share", 50, "--max-latency-p99", "2s", "--json")
    assert json.loads(done.stdout)["point"]["beam_size"] == 1  # 90 % are perfect; at the other none is
    assert isinstance(invoke("recommend", run, "--max-p-worse", 101).exception, SpaceError)
    assert isinstance(invoke("recommend", run, "--min-perfect-share", 100).exception, SpaceError)


def test_groups_of_an_emotion_run_and_certificates_are_refused(run, tmp_path):
    emotion = write_emotion_run(tmp_path / "e", {EmotionSetting(model="tiny.en", duration_s=1.0): [{}] * 8})
    assert isinstance(invoke("recommend", emotion, "--max-p-worse", 5).exception, UsageError)
    done = invoke("recommend", run, "--certify", "wer<=12", "--price-per-hour", 1)
    assert isinstance(done.exception, SpaceError)
    assert invoke("recommend", emotion, "--price-per-hour", 1).exit_code == 0
