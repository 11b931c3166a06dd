import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from allophone.errors import WeightsError
from allophone.models.onnx_session import OnnxSession

REMEDY = "Train it again."


@pytest.fixture
def doubling():
    """``y = x + x`` over vectors."""
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])],
        "doubling",
        [value("x", onnx.TensorProto.FLOAT, [None])],
        [value("y", onnx.TensorProto.FLOAT, [None])],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_a_graph_runs_from_bytes_and_from_a_file(doubling, tmp_path):
    path = tmp_path / "doubling.onnx"
    path.write_bytes(doubling)
    for source in (doubling, path):
        session = OnnxSession(source, REMEDY)
        (found,) = session.run({"x": np.array([1, -2], np.float32)})
        assert found.tolist() == [2.0, -4.0]
        assert session.run({"x": np.zeros(0, np.float32)}, ["y"])[0].size == 0


def test_what_cannot_be_loaded_names_the_file_and_the_remedy(doubling, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(doubling[: len(doubling) // 2])
    with pytest.raises(WeightsError, match=r"cut\.onnx: cannot be loaded: .*Train it again\."):
        OnnxSession(path, REMEDY)
    with pytest.raises(WeightsError, match=r"missing\.onnx: cannot be loaded"):
        OnnxSession(tmp_path / "missing.onnx", REMEDY)


def test_arrays_that_the_graph_does_not_take_are_a_weights_error(doubling):
    session = OnnxSession(doubling, REMEDY)
    with pytest.raises(WeightsError, match=r"a model that was just made: cannot be run: .*Train it again\."):
        session.run({"z": np.zeros(1, np.float32)})
