import numpy as np
import pytest

from allophone.corpora.manifest import read_manifest
from allophone.corpora.splits import Split
from allophone.errors import CorpusError
from emotion_builders import tiny_model, write_emotions

pytest.importorskip("torch")

from allophone.costs.emotion import inference_flops
from allophone.emotion.results import mean_inference_flops, measure_latency, report_rows, split_examples
from allophone.emotion.states import FreshStates

LABELS = ("high", "low")
SPLIT = Split(name="x", train=("s0",), validation=("s2",), test=("s1",))


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    return list(read_manifest(write_emotions(tmp_path_factory.mktemp("c"), n_speakers=3, per_label=1)))


def test_examples_are_places_and_classes(utterances):
    parts = split_examples(utterances, SPLIT, LABELS, {4: "silent"})
    assert {part: (e.rows, e.classes) for part, e in parts.items()} == {
        "train": ((0, 1), (0, 1)),
        "validation": ((5,), (1,)),
        "test": ((2, 3), (0, 1)),
    }


def test_parts_without_anything_to_use(utterances):
    with pytest.raises(CorpusError, match="no usable test utterance"):
        split_examples(utterances, SPLIT, LABELS, {2: "silent", 3: "silent"})
    with pytest.raises(CorpusError, match="no usable training utterance has the label 'low'"):
        split_examples(utterances, SPLIT, LABELS, {1: "silent"})


def test_rows_keep_the_corpus_order_and_errors(utterances):
    rows = report_rows(utterances, SPLIT, LABELS, {2: "silent"}, np.array([[0.3, 0.7]]))
    assert [(row.utterance_id, row.posterior, row.correct, row.error) for row in rows] == [
        ("1-high-0", (), False, "silent"),
        ("1-low-0", (0.3, 0.7), True, None),
    ]


@pytest.mark.parametrize(("count", "timed"), [(None, 2), (1, 1), (9, 2), (0, 0)])
def test_rows_are_timed_alone(utterances, count, timed):
    rows = report_rows(utterances, SPLIT, LABELS, {}, np.array([[0.9, 0.1], [0.3, 0.7]]))
    found = measure_latency(tiny_model(rank=2), rows, utterances, count)
    assert sum(row.latency_s is not None and row.latency_s > 0 for row in found) == timed
    assert [row.posterior for row in found] == [row.posterior for row in rows]


@pytest.mark.parametrize("count", [None, 1])
def test_rows_timed_twice_have_two_times_of_their_own(utterances, count):
    rows = report_rows(utterances, SPLIT, LABELS, {}, np.array([[0.9, 0.1], [0.3, 0.7]]))
    model, ran = tiny_model(rank=2), []
    once = model.clip_logits
    model.clip_logits = lambda clip: ran.append(len(clip)) or once(clip)
    found = measure_latency(model, rows, utterances, count, twice=True)
    timed = [row for row in found if row.latency_s is not None]
    assert ran == [
        ran[0],
        *ran[1 : 1 + len(timed)],
        *ran[1 : 1 + len(timed)],
    ]  # all once, after a warm-up, then all again
    assert len(ran) == 1 + 2 * len(timed)
    for row in timed:
        assert row.again[0] > 0
        assert row.again[0] != row.latency_s
        assert row.cpu_s > 0
    assert all(row.again is None for row in found if row.latency_s is None)
    assert all(row.again is None for row in measure_latency(tiny_model(rank=2), rows, utterances, count))


def test_inference_flops_are_the_mean_over_clips(utterances):
    model = tiny_model("hubert")
    source = FreshStates(model, utterances, 0.4)
    dims = model.encoder.dimensions
    each = [inference_flops(dims, 2, samples=source.samples(r)) for r in (2, 3)]
    assert each[0] != each[1]
    assert mean_inference_flops(model, source, (2, 3)) == round(sum(each) / 2)
