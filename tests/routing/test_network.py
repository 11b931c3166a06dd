import subprocess
import sys

import numpy as np
import pytest

from allophone.errors import LedgerError, MissingExtraError
from allophone.routing.network import (
    CLIP,
    Network,
    Scaling,
    expand,
    export_models,
    export_network,
    fit_scaling,
    measured_fields,
)
from allophone.routing.policy_file import read_policy
from allophone.routing.samples import read_route_samples
from allophone.routing.scoring import OnnxModel, PolicyRouter, load_scorer
from route_runs import BASE, TINY


def random_network(knots, hidden):
    rng = np.random.default_rng(0)
    n_in = 5 * (1 + len(knots))
    layers = [(rng.normal(size=(n_in, hidden)), rng.normal(size=hidden))] if hidden else []
    layers.append((rng.normal(size=(hidden or n_in, 1)), rng.normal(size=1)))
    return Network(Scaling(rng.normal(size=5), rng.uniform(0.5, 2, 5)), knots, tuple(layers))


@pytest.mark.parametrize("knots", [(), (-1.0, 0.0, 1.0)])
@pytest.mark.parametrize("hidden", [0, 16])
def test_onnx_gives_what_numpy_gives(knots, hidden):
    pytest.importorskip("onnx")
    network = random_network(knots, hidden)
    features = 3 * np.random.default_rng(1).normal(size=(50, 5))
    found = OnnxModel(export_network(network)).predict(features)
    assert found.shape == (50, 1)
    assert found == pytest.approx(network.predict(features), abs=1e-4)


def test_hinges_begin_at_their_knots():
    # z = -2: hinges at -1 and 1 are 0; z = 3: 4 and 2
    assert expand(np.array([[-2.0], [3.0]]), (-1.0, 1.0)).tolist() == [[-2, 0, 0], [3, 4, 2]]


def test_inputs_are_standardised_and_clipped_and_constants_become_zero():
    features = np.array([[0.0, 7.0], [2.0, 7.0]])
    scaling = fit_scaling(features)
    assert scaling.apply(features).tolist() == [[-1, 0], [1, 0]]
    assert scaling.apply(np.array([[1e9, 7.0]])).tolist() == [[CLIP, 0]]


def test_flops_are_two_a_weight():
    # 5 inputs with 3 hinges each are 20: 20 x 16 + 16 weights
    assert random_network((-1.0, 0.0, 1.0), 16).flops == 2 * (20 * 16 + 16)


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"onnx is not installed.*\[torch\]"):
        export_network(random_network((), 0))


def test_importing_the_room_loads_neither_torch_nor_onnx():
    code = (
        "import sys, allophone.routing.training, allophone.routing.transcriber, allophone.routing.evaluation;"
        "print([name for name in ('torch', 'onnx', 'onnxruntime', 'plotly') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
