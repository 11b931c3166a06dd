"""The systems that ``peers.py`` compares, by name: our operating points, and the peers at their settings.

All have the same weights and thread budget and decode greedily. A plain name runs the library's defaults but for the
language, which is given so that none spends time on finding it. ``lean`` turns off what a transcript does not need:
timestamps, fallback temperatures, earlier text as prompt. ``fit`` is whisper.cpp's ``audio_ctx`` set to the audio and
one second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from allophone.costs.transcript import transcript_flops
from allophone.models.ct2_format import whisper_dimensions_of
from allophone.models.weights import resolve_weights
from allophone.records.point import OperatingPoint
from allophone.transcription.transcriber import load_point
from benchmarks.peers.engines import LANGUAGE, Answer, FasterWhisper, OpenAIWhisper, Transformers, WhisperCpp

OURS = "allophone "


@dataclass(frozen=True, slots=True)
class System:
    """One way to run the weights.

    Args:
        module: What must import.
        number_format: Of weights and activations.
        load: Takes the model's name, the folder of converted weights and the threads; returns what transcribes.
        settings: What differs from the library's defaults, in words.
    """

    module: str
    number_format: str
    load: Callable[[str, Path, int], Callable[[Any], Answer]]
    settings: str


def parse_point(name: str, model: str) -> OperatingPoint:
    """Return the point that a context's short name stands for: ``full``, ``fit+1tall``, ``fit+1f3t4g``, ``fit+1-s2``.

    Raises:
        ValueError: It is none.
    """
    form = r"(full|fit\+(?P<m>[\d.]+)(f(?P<f>[\d.]+))?(t(?P<t>all|last\d+|\d+))?(?P<g>g)?)(-s(?P<s>\d+))?"
    found = re.fullmatch(form, name)
    if found is None:
        raise ValueError(f"'{name}' names no context; write full, fit+1tall, fit+1t4, fit+1tallg or fit+1tall-s2")
    tail = found["t"] or "none"
    tail = f"every-{tail}" if tail.isdigit() else tail.replace("last", "last-")
    fit = {"margin_s": found["m"], "floor_s": found["f"] or 0, "tail": tail, "guard": found["g"] is not None}
    return OperatingPoint.model_validate(
        {"model": model, "token_stride": found["s"] or 1} | ({} if found["m"] is None else {"context": "fit", **fit})
    )


class Allophone:
    """Our own; it divides the cores of its process into threads and replicas by itself."""

    def __init__(self, point: OperatingPoint) -> None:
        self._dimensions = whisper_dimensions_of(resolve_weights(point.model).folder)
        self._transcriber = load_point(point, language=LANGUAGE)

    def __call__(self, samples: Any) -> Answer:
        told = self._transcriber.transcribe(samples)
        return Answer(told.text, told.encode_s, transcript_flops(self._dimensions, told).total)

    def files(self, paths: Sequence[str]) -> list[str]:
        return [told.text for told in self._transcriber.transcribe_many(paths)]


_LEAN = {"temperature": 0.0, "without_timestamps": True, "condition_on_previous_text": False}
_LEAN_CPP = {"no_timestamps": True, "single_segment": True, "temperature_inc": 0.0, "suppress_nst": True}
_NO_FALLBACK = "no timestamps, temperature 0 alone, no earlier text"


def _cpp(number_format: str, words: str, **options: Any) -> System:
    return System(
        "pywhispercpp.model", number_format, partial(WhisperCpp, number_format=number_format, **options), words
    )


SYSTEMS: dict[str, System] = {
    "faster-whisper": System("faster_whisper", "int8", FasterWhisper, "defaults, beam_size 1"),
    "faster-whisper lean": System("faster_whisper", "int8", partial(FasterWhisper, **_LEAN), _NO_FALLBACK),
    "faster-whisper batched 8": System("faster_whisper", "int8", partial(FasterWhisper, batch_size=8), "beam_size 1"),
    "faster-whisper batched 16": System("faster_whisper", "int8", partial(FasterWhisper, batch_size=16), "beam_size 1"),
    "faster-whisper workers": System(
        "faster_whisper", "int8", partial(FasterWhisper, side_by_side=True), "beam_size 1; a file a core, 1 thread each"
    ),
    "openai-whisper": System("whisper", "float32", OpenAIWhisper, "defaults (greedy)"),
    "openai-whisper lean": System("whisper", "float32", partial(OpenAIWhisper, **_LEAN), _NO_FALLBACK),
    "transformers": System("transformers", "float32", Transformers, "generate's defaults: greedy, no timestamps"),
    **{
        f"whisper.cpp {form}{name}": _cpp(form, words, **options)
        for form in ("f16", "q8_0")
        for name, words, options in (
            ("", "defaults (greedy)", {}),
            (" lean", _NO_FALLBACK, _LEAN_CPP),
            (" lean fit", f"{_NO_FALLBACK}, audio_ctx of the audio and 1 s", {**_LEAN_CPP, "fit": True}),
        )
    },
}


def import_failure(name: str) -> str | None:
    """Return why a system's library cannot be had, or None."""
    try:
        import_module(SYSTEMS[name].module)
    except ImportError as error:
        return f"not installed ({error})"
    return None


def load_system(name: str, model: str, folder: Path, threads: int) -> Callable[[Any], Answer]:
    """Load a peer of :data:`SYSTEMS`, or for ``allophone CONTEXT`` our own point.

    Args:
        name: The system.
        model: Name of the weights.
        folder: Where :func:`peer_weights.prepare` put the converted files.
        threads: Thread budget.
    """
    if name.startswith(OURS):
        return Allophone(parse_point(name.removeprefix(OURS), model))
    return SYSTEMS[name].load(model, folder, threads)
