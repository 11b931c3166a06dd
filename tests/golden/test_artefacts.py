"""Runs, points, policies and models that were written once are read by today's commands, with the same figures."""

import json
from functools import cache

import pytest

from golden.golden_call import call
from golden.golden_shape import abridged, missing_or_changed
from golden.make_golden import DATA, MACHINE_QUESTIONS, QUESTIONS


def expected(name):
    return json.loads((DATA / f"answers/{name}.json").read_text(encoding="utf-8"))


@cache
def answered(folder, question):
    done = call(folder, *question)
    assert done.code == 0, done.stderr
    return abridged(json.loads(done.stdout))


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_figures_are_those_of_before(old, name):
    """Bootstrap intervals and draws are among them, so their seeds are pinned too."""
    found = answered(old, QUESTIONS[name])
    assert not list(missing_or_changed(expected(name), found, name))


@pytest.mark.parametrize("name", MACHINE_QUESTIONS)
def test_the_fields_are_those_of_before(old, name):
    if name.startswith("classify"):
        pytest.importorskip("torch")
    found = answered(old, MACHINE_QUESTIONS[name])
    assert not list(missing_or_changed(expected(name), found, name, values=False))


def test_what_old_models_hear(old):
    """The text, and the label with its posterior: all of an answer that does not depend on the machine."""
    heard = answered(old, MACHINE_QUESTIONS["transcribe"])
    assert heard["text"] == expected("transcribe")["text"]
    pytest.importorskip("torch")
    classified = answered(old, MACHINE_QUESTIONS["classify-policy"])
    assert classified["ran"] == expected("classify-policy")["ran"]
    assert classified["posterior"] == pytest.approx(expected("classify-policy")["posterior"], abs=1e-4)


@pytest.mark.parametrize("run", ["speech", "emotion"])
def test_reports(old, run):
    assert call(old, "report", f"runs/{run}", "--out", f"{run}.html").code == 0
    assert (old / f"{run}.html").stat().st_size > 10_000


def test_labels(old):
    done = call(old, "label", "runs/relative", "--apply", "runs/relative/transcripts.csv")
    assert done.code == 0, done.stderr
    assert done.stdout.count("%") > 4  # both points have an estimate and an interval


def test_a_saved_point_is_measured_again(old):
    """By the digest of its weights it is still the model that the file names."""
    command = ("sweep", "corpora/least/manifest.jsonl", "--point", "point.json", "--threads", "1", "--out", "again")
    done = call(old, *command)
    assert done.code == 0, done.stderr
    again = json.loads((old / "again/run.json").read_text(encoding="utf-8"))
    (point,) = again["points"]
    asked = json.loads((DATA / "point.json").read_text(encoding="utf-8"))
    assert not list(missing_or_changed(asked["point"], point, "point"))
    assert again["weights"] == {point["model"]: asked["weights_sha256"]}
