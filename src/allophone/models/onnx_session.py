"""ONNX session: whatever onnxruntime raises names the file and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allophone.errors import WeightsError
from allophone.models.loaded_here import LoadedHere

__all__ = ["OnnxSession"]


class OnnxSession:
    """A graph on the CPU.

    Args:
        source: The file, or its contents.
        remedy: A sentence that ends every message.
        threads: CPU threads of one run.

    Raises:
        WeightsError: The file is missing, damaged, or refers to data outside its folder.
    """

    def __init__(self, source: Path | bytes, remedy: str, *, threads: int = 1) -> None:
        import onnxruntime

        self._name = str(source) if isinstance(source, Path) else "a model that was just made"
        self._remedy = remedy
        self._loaded = LoadedHere()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4  # what it logs as an error it raises too
        graph = str(source) if isinstance(source, Path) else source
        try:
            self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common error class
            raise self._error("loaded", error) from None

    def run(self, feeds: Mapping[str, Any], outputs: Sequence[str] | None = None) -> list[Any]:
        """Return outputs.

        Args:
            feeds: Arrays by the graph's input names.
            outputs: Names of those wanted; all where None.

        Raises:
            UsageError: This is a forked child of the process that loaded it.
            WeightsError: The graph does not take such arrays, or fails on them.
        """
        self._loaded.check()
        try:
            found: list[Any] = self._session.run(list(outputs) if outputs is not None else None, dict(feeds))
        except Exception as error:  # onnxruntime has no common error class
            raise self._error("run", error) from None
        return found

    def _error(self, verb: str, error: Exception) -> WeightsError:
        reason = str(error).strip().partition("\n")[0]
        return WeightsError(f"{self._name}: cannot be {verb}: {reason}. {self._remedy}")
