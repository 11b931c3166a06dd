import json

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.models import moonshine_weights

RUNNER = CliRunner()


@pytest.mark.filterwarnings("default")
def test_both_families_are_listed_with_the_command_that_brings_them(monkeypatch):
    monkeypatch.setattr(moonshine_weights, "find_spec", lambda name: None)
    listed = {row["model"]: row for row in json.loads(RUNNER.invoke(app, ["models", "--json"]).stdout)}
    assert listed["moonshine-tiny"]["source"] == "not here"
    assert listed["moonshine-tiny"]["n_audio_layer"] == 6
    assert listed["tiny.en"]["n_mels"] == 80
    shown = " ".join(RUNNER.invoke(app, ["models"]).stdout.split())
    assert "[moonshine]" in shown


def test_a_packaged_model_names_its_folder():
    pytest.importorskip("moonshine_voice")
    listed = {row["model"]: row for row in json.loads(RUNNER.invoke(app, ["models", "--json"]).stdout)}
    assert listed["moonshine-tiny"]["source"] == "package"
    assert listed["moonshine-tiny"]["folder"].endswith("tiny-en")
