import json
from itertools import product

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from allophone.cli.law import law
from allophone.errors import AllophoneError, InfeasibleError
from allophone.law.resources import layer_parameters
from allophone.records.point import OperatingPoint
from builders import write_run

MODELS, STRIDES, BEAMS = ("tiny", "base", "small"), (1, 2, 4), (1, 5)


def loss(model, stride, beam):
    return 0.05 + 0.1 * (layer_parameters(model) / 4e7) ** -0.5 + 0.04 * (2 / stride) ** -0.7 + 0.01 / beam


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    rng = np.random.default_rng(0)
    rows = {}
    for model, stride, beam in product(MODELS, STRIDES, BEAMS):
        errors = rng.binomial(10, loss(model, stride, beam), size=200).tolist()
        rows[OperatingPoint(model=model, token_stride=stride, beam_size=beam)] = [
            {
                "hits": 10 - wrong,
                "substitutions": wrong,
                "speaker": f"s{i % 40}",
                "executed_flops": round(1e3 * layer_parameters(model) * (1 + 0.1 * beam / stride)),
            }
            for i, wrong in enumerate(errors)
        ]
    space = {"model": list(MODELS), "context": ["full"], "token_stride": [1, 2, 3, 4], "beam_size": list(BEAMS)}
    return write_run(tmp_path_factory.mktemp("law") / "r", rows, space=space)


def invoke(*arguments):
    app = Typer(pretty_exceptions_enable=False)
    app.command()(law)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_law_is_told_in_words_with_its_errors(run):
    done = invoke(run)
    assert done.exit_code == 0, done.output
    assert "WER of 18 points, as a law of what each axis buys:" in done.stdout
    assert "model: " in done.stdout
    assert "A point left out is predicted to" in done.stdout
    assert "Within" not in done.stdout


def test_a_budget_is_answered_in_json(run):
    fields = json.loads(invoke(run, "--budget-gflops", "100", "--json").stdout)
    best = fields["budget"]
    assert best["gflops"] <= 100
    assert best["interval"][0] <= best["wer"] <= best["interval"][1]
    point = best["point"]
    truth = loss(point["model"], point["token_stride"], point["beam_size"])
    assert best["interval"][0] <= truth <= best["interval"][1]
    # small has 198 M parameters, so 198 GFLOPs and more: it is out of reach
    assert point["model"] == "base"
    assert {item["axis"] for item in fields["axes"]} == {"model", "token_stride", "beam_size"}
    assert fields["left_out_points"]["error"] < 0.7 * fields["left_out_points"]["median_error"]
    assert all(item["token_stride"] == 3 for item in fields["next"])  # the only points of the grid left to measure


def test_a_model_that_was_not_measured_can_be_extrapolated_to(run):
    fields = json.loads(invoke(run, "--budget-gflops", "1e6", "--models", "medium", "--json").stdout)
    assert fields["budget"]["point"]["model"] == "medium"
    assert fields["budget"]["beyond"] == ["model"]
    assert "outside what was measured in model" in invoke(run, "--budget-gflops", "1e6", "--models", "medium").stdout


def test_too_small_a_budget_and_too_few_points_are_errors(run, tmp_path):
    assert isinstance(invoke(run, "--budget-gflops", "1").exception, InfeasibleError)
    small = write_run(tmp_path / "r", {OperatingPoint(model="tiny"): [{}], OperatingPoint(model="base"): [{}]})
    error = invoke(small).exception
    assert isinstance(error, AllophoneError)
    assert "too few for a law" in str(error)
