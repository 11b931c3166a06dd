"""Operating points: one setting of all knobs, of a speech recogniser or of an emotion recogniser."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.dimensions.whisper import TRAINED_CONTEXT_S
from allophone.errors import SpaceError
from allophone.records.names import title_of

__all__ = [
    "LEARNED_TAIL",
    "TAIL_PATTERN",
    "ComputeType",
    "Context",
    "EmotionSetting",
    "OperatingPoint",
    "Setting",
    "Task",
]

Task = Literal["asr", "emotion"]
Context = Literal["full", "fit"]
TAIL_PATTERN = r"^(none|all|every-([2-9]|[1-9]\d{1,3})|(last|learned)-[1-9]\d{0,3})$"
LEARNED_TAIL = "learned-64"  # the size that the shipped tails have (docs/results/default_point.md)
ComputeType = Literal[
    "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
]


class Setting(BaseModel):
    """One setting of all knobs of a recogniser, of speech or of emotion: a point of a sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)

    @property
    def name(self) -> str:
        """Id, unique among points and safe as a file name."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """Name for people, e.g. ``tiny.en, short context, stride 2``; see docs/names.md."""
        return title_of(self.name)

    @property
    def model_slug(self) -> str:
        """The model's name, or for a folder its last part and a digest of the whole path."""
        if re.fullmatch(r"[\w.:-]+", self.model):
            return self.model.replace(":", ".")
        from hashlib import sha256

        last = re.sub(r"[^\w.-]", "_", PureWindowsPath(self.model).name)  # knows both kinds of slash
        return f"{last}@{sha256(self.model.encode()).hexdigest()[:8]}"


class OperatingPoint(Setting):
    """One setting of all knobs of a speech recogniser: what a sweep measures and ``transcribe`` runs.

    ``context="full"`` pads every window to the 30 s the encoder was trained on; ``context="fit"`` runs the encoder on
    the audio plus ``margin_s``, at least ``floor_s``. The decoder then sees the encoder's outputs for pure silence at
    the positions that were left out, as ``tail`` says: ``none`` of them, ``all``, every n-th (``every-4``) or only the
    last n (``last-300``); or n vectors in their place that were learned for the model's weights (``learned-64``, which
    is also what ``learned`` means). ``guard`` gives a window whose short pass went wrong other passes, and cuts
    loops. A full context has none of these, so they are set to nothing there and equal settings compare equal.
    Moonshine has no trained context to pad to: its context is always ``fit`` without any of them.
    """

    model: str = Field(min_length=1, description="name in the dimensions table, or a CTranslate2 folder")
    window_s: float = Field(TRAINED_CONTEXT_S, gt=0, le=TRAINED_CONTEXT_S, description="seconds of audio per pass")
    context: Context = Field("full", description="positions that the encoder runs on")
    margin_s: float = Field(0.0, ge=0, le=TRAINED_CONTEXT_S, description="seconds of silence after the audio")
    floor_s: float = Field(0.0, ge=0, le=TRAINED_CONTEXT_S, description="least seconds that the encoder runs on")
    tail: str = Field("none", pattern=TAIL_PATTERN, description="what the decoder sees after a fit")
    guard: bool = Field(False, description="whether a fit pass that went wrong has other passes, and loops are cut")
    token_stride: int = Field(1, ge=1, le=100, description="every n-th audio token reaches the decoder")
    speed: float = Field(1.0, ge=0.5, le=4.0, description="pitch-preserving time compression")
    compute_type: ComputeType = Field("int8", description="number format of weights and activations")
    beam_size: int = Field(1, ge=1, le=32, description="beams of the decoder; 1 is greedy")

    @model_validator(mode="before")
    @classmethod
    def _without_idle_knobs(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        moonshine = data.get("model") in MOONSHINE_MODELS
        if moonshine or data.get("context", "full") == "full":
            context = "fit" if moonshine else "full"
            return {**data, "context": context, "margin_s": 0.0, "floor_s": 0.0, "tail": "none", "guard": False}
        if data.get("tail") == "learned":
            return {**data, "tail": LEARNED_TAIL}
        return data

    @property
    def name(self) -> str:
        """Id, unique among points and safe as a file name, e.g. ``tiny.en-fit+1t4g-s2-int8-b1``."""
        parts = [self.model_slug, self.context_name]
        if self.window_s != TRAINED_CONTEXT_S:
            parts.append(f"w{self.window_s:.12g}")
        if self.speed != 1.0:
            parts.append(f"x{self.speed:.12g}")
        parts += [f"s{self.token_stride}", self.compute_type, f"b{self.beam_size}"]
        return "-".join(parts)

    @property
    def context_name(self) -> str:
        """The context knobs in short, e.g. ``full``, ``fit+2f10``, ``fit+1tall``, ``fit+1t4g``, ``fit+1tlast300``."""
        if self.context == "full":
            return "full"
        floor = f"f{self.floor_s:.12g}" if self.floor_s else ""
        tail = "" if self.tail == "none" else "t" + self.tail.removeprefix("every-").replace("-", "")
        return f"fit+{self.margin_s:.12g}{floor}{tail}" + ("g" if self.guard else "")

    @property
    def encode_key(self) -> tuple[object, ...]:
        """Points with equal keys share every encoder pass: only tail, guard, stride and beam differ."""
        return (self.model, self.compute_type, self.window_s, self.context, self.margin_s, self.floor_s, self.speed)

    @property
    def weights_key(self) -> tuple[str, str]:
        """Points with equal keys run on the same loaded model."""
        return (self.model, self.compute_type)


class EmotionSetting(Setting):
    """One setting of all knobs: which encoder hears how much, and how deep it is adapted.

    ``unfrozen_layers="all"`` is every layer of the encoder. The front end (convolutions, position encodings) and the
    last normalisation stay frozen in every setting; the head is always trained.
    """

    model: str = Field(min_length=1, description="a speech encoder by name or folder")
    duration_s: float = Field(3.0, gt=0, le=TRAINED_CONTEXT_S, description="seconds from the start of a recording")
    lora_rank: int = Field(0, ge=0, description="rank of the adapters in all layers, 0 for none")
    unfrozen_layers: int | Literal["all"] = Field(0, description="top layers whose own weights are trained")

    @property
    def name(self) -> str:
        """Id, unique among settings and safe as a file name, e.g. ``base-3s-r16-top4``, ``base-3s-frozen``."""
        parts = [self.model_slug, f"{self.duration_s:.12g}s"]
        if self.lora_rank:
            parts.append(f"r{self.lora_rank}")
        if self.unfrozen_layers:
            parts.append("all" if self.unfrozen_layers == "all" else f"top{self.unfrozen_layers}")
        return "-".join(parts if len(parts) > 2 else [*parts, "frozen"])

    def depth(self, layers: int) -> int:
        """Return how many layers' own weights are trained.

        Args:
            layers: Layers of the encoder.

        Raises:
            SpaceError: More unfrozen layers than layers, or a negative number.
        """
        unfrozen = layers if self.unfrozen_layers == "all" else self.unfrozen_layers
        if not 0 <= unfrozen <= layers:
            raise SpaceError(f"unfrozen_layers {unfrozen}; the encoder has {layers} layers, or write all")
        return unfrozen
