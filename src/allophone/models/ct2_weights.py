"""Reading and writing tensors of a CTranslate2 ``model.bin``; :mod:`allophone.models.ct2_format` has offsets.

Number formats (CTranslate2, ``python/ctranslate2/specs/model_spec.py``): types 0 float32, 1 int8, 2 int16, 4 float16,
5 bfloat16. An integer tensor ``name`` is ``round(value * name_scale)``: one scale per row for int8 (127 over the row's
greatest magnitude), one scale in all for int16 (1024 over the greatest magnitude).
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allophone.errors import WeightsError
from allophone.models.ct2_format import Variable, read_variables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read_aliases", "read_tensors", "replace_tensors"]

_FLOAT32, _INT8, _INT16, _FLOAT16, _BFLOAT16 = 0, 1, 2, 4, 5
_STORED = {_FLOAT32: "<f4", _INT8: "<i1", _INT16: "<i2", _FLOAT16: "<f2", _BFLOAT16: "<u2"}


def read_tensors(path: Path, prefixes: tuple[str, ...] = ("",)) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a model, integer ones multiplied out.

    Args:
        path: A ``model.bin``.
        prefixes: Only variables whose names begin with one of these.

    Returns:
        Float32 arrays by CTranslate2's names, second names of a tensor (aliases) among them; settings (scalars) and
        the scales themselves are left out.

    Raises:
        WeightsError: The file is damaged, or stores a tensor in a format that is not known here.
    """
    variables = read_variables(path)
    tensors: dict[str, NDArray[np.float32]] = {}
    with path.open("rb") as file:
        for name, variable in variables.items():
            if variable.shape and name.startswith(prefixes) and not _is_scale(name, variables):
                stored = _read_raw(file, path, name, variable)
                scale = variables.get(f"{name}_scale")
                scales = None if scale is None else _read_raw(file, path, f"{name}_scale", scale)
                tensors[name] = _dequantise(stored, variable.type_id, scales, f"{path}: '{name}'")
    for alias, name in read_aliases(path).items():
        if alias.startswith(prefixes) and name in variables and variables[name].shape and not alias.endswith("_scale"):
            tensors[alias] = tensors[name].copy() if name in tensors else read_tensors(path, (name,))[name]
    return tensors


def read_aliases(path: Path) -> dict[str, str]:
    """Read which names stand for the tensor of another name; converters store equal tensors once.

    Raises:
        WeightsError: The file is damaged.
    """
    variables = read_variables(path).values()
    with path.open("rb") as file:
        file.seek(max((variable.offset + variable.n_bytes for variable in variables), default=0))
        rest = file.read()
    try:
        (count,), index, names = struct.unpack_from("<I", rest), 4, []
        for _ in range(2 * count):
            (length,) = struct.unpack_from("<H", rest, index)
            names.append(struct.unpack_from(f"{length}s", rest, index + 2)[0].rstrip(b"\0").decode())
            index += 2 + length
    except (struct.error, UnicodeDecodeError):
        raise WeightsError(f"{path}: ends inside its aliases. Fetch or convert the model again.") from None
    return dict(zip(names[::2], names[1::2], strict=True))


def replace_tensors(source: Path, target: Path, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Copy a model with some tensors changed; each keeps the number format that it has in the source.

    Args:
        source: A ``model.bin``.
        target: Where the copy goes; written over.
        tensors: New values by CTranslate2's names, in the shapes of the source; of a tensor with a second name, both.

    Raises:
        WeightsError: The source has no such tensor, one of another shape, or in a format that is not known here.
    """
    variables, aliases = read_variables(source), read_aliases(source)
    for alias, name in aliases.items():
        pair = [tensors[one] for one in (alias, name) if one in tensors]
        if len(pair) == 1 or (pair and not (pair[0] == pair[1]).all()):
            raise WeightsError(
                f"{source}: stores '{alias}' and '{name}' as one tensor, and they are no longer equal. Convert "
                "the model again from weights that differ."
            )
    tensors = {name: value for name, value in tensors.items() if name not in aliases}
    for name, value in tensors.items():
        if name not in variables or variables[name].shape != value.shape:
            has = f"the shape {variables[name].shape}" if name in variables else "no such tensor"
            raise WeightsError(f"{source}: '{name}' of shape {value.shape} cannot go there: it has {has}.")
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        for name, value in tensors.items():
            for part, stored in _in_format_of(name, value, variables, source).items():
                file.seek(variables[part].offset)
                file.write(stored)


def _is_scale(name: str, variables: Mapping[str, Variable]) -> bool:
    return name.endswith("_scale") and name.removesuffix("_scale") in variables


def _read_raw(file: Any, path: Path, name: str, variable: Variable) -> Any:
    import numpy as np

    if variable.type_id not in _STORED:
        raise WeightsError(
            f"{path}: '{name}' is stored in CTranslate2's type {variable.type_id}, which is not known here. "
            "Convert the model again with --quantization float16."
        )
    dtype = np.dtype(_STORED[variable.type_id])
    if variable.n_bytes != dtype.itemsize * int(np.prod(variable.shape, dtype=np.int64)):
        raise WeightsError(f"{path}: '{name}' has not as many bytes as its shape. Fetch or convert the model again.")
    file.seek(variable.offset)
    return np.frombuffer(file.read(variable.n_bytes), dtype).reshape(variable.shape)


def _dequantise(stored: Any, type_id: int, scales: Any, what: str) -> Any:
    import numpy as np

    if type_id == _BFLOAT16:  # the upper half of a float32
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if type_id in (_FLOAT32, _FLOAT16):
        return stored.astype(np.float32)
    if scales is None:
        raise WeightsError(f"{what} is a tensor of integers without a scale. Convert the model again.")
    # A scale per row, or one for all: either way it stands before the other axes.
    return stored.astype(np.float32) / np.asarray(scales, np.float32).reshape(-1, *(1,) * (stored.ndim - 1))


def _in_format_of(name: str, value: Any, variables: Mapping[str, Variable], source: Path) -> dict[str, bytes]:
    """Return the bytes of the tensor, and of its scales where the format has them, by variable."""
    import numpy as np

    type_id = variables[name].type_id
    value = np.ascontiguousarray(value, np.float32)
    with np.errstate(over="ignore"):
        floats = value.astype(_STORED[_FLOAT16 if type_id == _FLOAT16 else _FLOAT32])
    if not np.isfinite(floats).all():
        raise WeightsError(f"'{name}' holds a value that is no number or too large for {source}'s format.")
    if type_id in (_FLOAT32, _FLOAT16):
        return {name: floats.tobytes()}
    if type_id == _BFLOAT16:
        bits = value.view(np.uint32).astype(np.uint64)
        return {name: ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()}  # to nearest, ties to even
    if type_id not in _STORED or f"{name}_scale" not in variables:
        raise WeightsError(f"{source}: '{name}' is stored in a format that is not known here. Convert it again.")
    rows = np.abs(value.reshape(len(value), -1) if type_id == _INT8 else value.reshape(1, -1)).max(axis=1)
    scales = ((127.0 if type_id == _INT8 else 1024.0) / np.where(rows == 0, 127.0, rows)).astype(np.float32)
    integers = np.rint(value * scales.reshape(-1, *(1,) * (value.ndim - 1)))
    return {name: integers.astype(_STORED[type_id]).tobytes(), f"{name}_scale": scales.astype("<f4").tobytes()}
