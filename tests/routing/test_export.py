import numpy as np
import pytest

from allophone.errors import LedgerError
from allophone.routing.export import export_models, measured_fields
from allophone.routing.network import Network, Scaling
from allophone.routing.policy_file import read_policy
from allophone.routing.samples import read_route_samples
from allophone.routing.scoring import OnnxModel, PolicyRouter, load_scorer
from route_runs import BASE, TINY

NETWORK = Network(Scaling(np.zeros(3), np.ones(3)), (), ((np.ones((3, 1)), np.zeros(1)),))


def test_models_lie_in_the_folder_and_their_flops_are_billed(tmp_path):
    pytest.importorskip("onnx")
    fields = export_models(tmp_path / "p", [NETWORK, NETWORK], [NETWORK])
    assert fields == {
        "steps": ["step-0.onnx", "step-1.onnx"],
        "choices": ["choice-0.onnx"],
        "overhead_flops": 2 * 3 + 2 * 3,
    }
    assert OnnxModel(tmp_path / "p/choice-0.onnx").predict(np.ones((1, 3))).tolist() == [[3]]


def test_a_folder_that_cannot_be_written(tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be written"):
        export_models(tmp_path / "file" / "p", [NETWORK], [])


def test_the_score_range_is_what_training_saw(trained, seen):
    samples = read_route_samples([seen], [TINY.name, BASE.name])
    scorer = load_scorer(trained, read_policy(trained))
    fields = measured_fields(scorer, samples, ())
    scores = PolicyRouter(scorer).scores(samples)[0]
    assert fields["score_range"] == [tuple(np.quantile(scores, (0.005, 0.995)).tolist())]
    assert 0 < fields["overhead_s"] < 0.1
