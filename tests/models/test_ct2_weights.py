import struct

import numpy as np
import pytest

from allophone.errors import WeightsError
from allophone.models.ct2_format import read_variables
from allophone.models.ct2_weights import read_aliases, read_tensors, replace_tensors

FLOAT32, INT8, INT16, INT32, FLOAT16, BFLOAT16 = range(6)


def string(text):
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data


def write_model(path, variables, aliases=None):
    """A model.bin of (type, shape, bytes) by name, then the aliases."""
    parts = [struct.pack("<I", 6), string("WhisperSpec"), struct.pack("<II", 3, len(variables))]
    for name, (type_id, shape, data) in variables.items():
        parts += [string(name), struct.pack(f"<B{len(shape)}I", len(shape), *shape)]
        parts += [struct.pack("<BI", type_id, len(data)), data]
    parts.append(struct.pack("<I", len(aliases or {})))
    parts += [string(name) for pair in (aliases or {}).items() for name in pair]
    path.write_bytes(b"".join(parts))
    return path


def test_floats_of_three_widths(tmp_path):
    # bfloat16 is the upper half of float32: 0x3F80 = 1, 0xC020 = -2.5.
    path = write_model(
        tmp_path / "model.bin",
        {
            "a": (FLOAT32, (2,), struct.pack("<2f", 0.1, -3)),
            "b": (FLOAT16, (2, 1), struct.pack("<2e", 0.5, -2)),
            "c": (BFLOAT16, (2,), struct.pack("<2H", 0x3F80, 0xC020)),
        },
    )
    read = read_tensors(path)
    assert {name: value.tolist() for name, value in read.items()} == {
        "a": [np.float32(0.1), -3.0],
        "b": [[0.5], [-2.0]],
        "c": [1.0, -2.5],
    }
    assert all(value.dtype == np.float32 for value in read.values())


def test_integers_are_divided_by_their_scales(tmp_path):
    path = write_model(
        tmp_path / "model.bin",
        {
            "a": (INT8, (2, 2), struct.pack("<4b", 127, -64, 10, 0)),
            "a_scale": (FLOAT32, (2,), struct.pack("<2f", 127, 4)),
            "b": (INT16, (2, 1), struct.pack("<2h", 1024, -512)),
            "b_scale": (FLOAT32, (), struct.pack("<f", 512)),
        },
    )
    # Row 0 over 127, row 1 over 4; b over 512.
    assert {name: value.tolist() for name, value in read_tensors(path).items()} == {
        "a": [[1.0, np.float32(-64 / 127)], [2.5, 0.0]],
        "b": [[2.0], [-1.0]],
    }


def test_settings_are_left_out_and_prefixes_choose(tmp_path):
    one = (FLOAT32, (1,), struct.pack("<f", 1))
    path = write_model(tmp_path / "model.bin", {"encoder/a": one, "decoder/a": one, "encoder/n": (INT8, (), b"\6")})
    assert set(read_tensors(path)) == {"encoder/a", "decoder/a"}
    assert set(read_tensors(path, ("encoder/",))) == {"encoder/a"}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"a": (INT32, (1,), b"\0" * 4)}, "type 3, which is not known"),
        ({"a": (FLOAT32, (2,), b"\0" * 4)}, "not as many bytes as its shape"),
        ({"a": (INT8, (1,), b"\0")}, "integers without a scale"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, variables, message):
    with pytest.raises(WeightsError, match=rf"model\.bin: 'a'.*{message}"):
        read_tensors(write_model(tmp_path / "model.bin", variables))


@pytest.mark.parametrize("type_id", [FLOAT32, FLOAT16, BFLOAT16, INT8, INT16])
def test_a_replaced_tensor_comes_back_in_its_format(tmp_path, type_id):
    scales = {INT8: ((3,), struct.pack("<3f", 1, 1, 1)), INT16: ((), struct.pack("<f", 1))}
    width = {FLOAT32: 4, FLOAT16: 2, BFLOAT16: 2, INT8: 1, INT16: 2}[type_id]
    variables = {"a": (type_id, (3, 4), b"\0" * 12 * width), "other": (FLOAT32, (1,), struct.pack("<f", 7))}
    if type_id in scales:
        variables["a_scale"] = (FLOAT32, *scales[type_id])
    source = write_model(tmp_path / "model.bin", variables)
    value = np.random.default_rng(0).normal(0, 3, (3, 4)).astype(np.float32)
    replace_tensors(source, tmp_path / "copy.bin", {"a": value})
    # Half of the last place: 24, 11 and 8 bits of mantissa; half a step of 127 or 1024 over the greatest magnitude.
    rows = np.abs(value).max(axis=1, keepdims=True)
    off_by = {
        FLOAT32: 0 * value,
        FLOAT16: np.abs(value) * 2.0**-11,
        BFLOAT16: np.abs(value) * 2.0**-8,
        INT8: rows / 254 * 1.001 + 0 * value,
        INT16: rows.max() / 2048 * 1.001 + 0 * value,
    }[type_id]
    read = read_tensors(tmp_path / "copy.bin")
    assert (np.abs(read["a"] - value) <= off_by).all()
    assert read["other"] == 7
    assert read_variables(tmp_path / "copy.bin") == read_variables(source)
    assert (tmp_path / "copy.bin").stat().st_size == source.stat().st_size


def test_a_row_of_zeros_stays_zero_in_int8(tmp_path):
    scales = (FLOAT32, (2,), struct.pack("<2f", 1, 1))
    source = write_model(tmp_path / "model.bin", {"a": (INT8, (2, 2), b"\1" * 4), "a_scale": scales})
    replace_tensors(source, tmp_path / "copy.bin", {"a": np.array([[0, 0], [1, -1]], np.float32)})
    assert read_tensors(tmp_path / "copy.bin")["a"].tolist() == [[0, 0], [1, -1]]


def test_nothing_replaced_is_the_same_file(tmp_path):
    source = write_model(tmp_path / "model.bin", {"a": (FLOAT32, (1,), b"\1" * 4)})
    replace_tensors(source, tmp_path / "copy.bin", {})
    assert (tmp_path / "copy.bin").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("a", np.zeros(3), r"'a' of shape \(3,\) cannot go there: it has the shape \(2,\)"),
        ("b", np.zeros(2), "'b'.*no such tensor"),
        ("a", np.array([1, np.nan]), "'a' holds a value that is no number"),
        ("a", np.array([1, 70000]), "too large for .*model.bin's format"),  # float16 ends at 65504
    ],
)
def test_what_cannot_be_replaced_is_named(tmp_path, name, value, message):
    source = write_model(tmp_path / "model.bin", {"a": (FLOAT16, (2,), b"\0" * 4)})
    with pytest.raises(WeightsError, match=message):
        replace_tensors(source, tmp_path / "copy.bin", {name: value.astype(np.float32)})


def test_a_second_name_is_read_and_changed_with_the_first(tmp_path):
    variables = {"a": (FLOAT32, (2,), struct.pack("<2f", 1, 2))}
    source = write_model(tmp_path / "model.bin", variables, {"x/b": "a", "x/c": "a"})
    assert read_aliases(source) == {"x/b": "a", "x/c": "a"}
    for prefixes, names in ((("",), {"a", "x/b", "x/c"}), (("x/",), {"x/b", "x/c"})):
        read = read_tensors(source, prefixes)
        assert {name: value.tolist() for name, value in read.items()} == {name: [1, 2] for name in names}
    changed = np.array([3, 4], np.float32)
    replace_tensors(source, tmp_path / "copy.bin", {"a": changed, "x/b": changed, "x/c": changed})
    assert read_tensors(tmp_path / "copy.bin")["x/c"].tolist() == [3, 4]
    for unequal in (
        {"x/b": changed},
        {"a": changed},
        {"x/b": changed, "a": changed + 1},
        {"a": changed, "x/b": changed},
    ):
        with pytest.raises(WeightsError, match=r"stores 'x/.' and 'a' as one tensor"):
            replace_tensors(source, tmp_path / "other.bin", unequal)


def test_a_cut_in_the_aliases_is_named(tmp_path):
    whole = write_model(tmp_path / "model.bin", {"a": (FLOAT32, (1,), b"\0" * 4)}, {"b": "a"}).read_bytes()
    for missing in range(1, 12):  # 4 bytes of count and twice 2 + 2 of names
        (tmp_path / "model.bin").write_bytes(whole[:-missing])
        with pytest.raises(WeightsError, match="ends inside its aliases"):
            read_aliases(tmp_path / "model.bin")
