"""The voice of the demo corpus: hibari-tts's network, computed so that every machine gets the same bits.

onnxruntime rounds differently from processor to processor, from release to release and from one thread to two, so it
cannot give one corpus to everybody. The network is small, so it runs here in :mod:`allophone.demo.arithmetic`.
Text analysis, vocabulary and weights are those of the ``hibari-tts`` package (Apache-2.0).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from allophone.demo.arithmetic import (
    exact_exp,
    exact_matmul,
    gelu,
    layer_norm,
    onnx_tensors,
    quantised_linear,
    row_sum,
    shifts,
)
from allophone.extras import importing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

__all__ = ["N_BINS", "DemoVoice", "Spoken"]

N_BINS = 601  # frequency bins of a frame: 0 to 12 kHz in steps of 20 Hz
_N_PARTS = 5  # magnitude and phase of the harmonics, magnitude of the noise, magnitude and phase of the rest
_HEADS = 2
_PROSODY_DILATIONS = (1, 2, 4, 8, 1, 2)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the network says about one sentence, 80 frames per second at unit rate.

    Args:
        spectrum: Shape ``(n_frames, 5, 601)``: log magnitude and phase (before tanh) of the harmonic filter, log
            magnitude of the noise, log magnitude and phase of the free branch.
        pitch_hz: Shape ``(n_frames,)``: fundamental frequency; below 40 Hz the frame is unvoiced.
    """

    spectrum: Array
    pitch_hz: Array


class DemoVoice:
    """The network of the voice ``heart`` with its text analysis.

    Raises:
        MissingExtraError: ``hibari-tts`` is not installed.
    """

    def __init__(self) -> None:
        with importing("hibari", "demo"):
            from hibari import tts
            from hibari.g2p import G2P
        import numpy as np

        assets = Path(tts.ASSETS)
        self._vocabulary: dict[str, int] = json.loads((assets / "vocab.json").read_text(encoding="utf-8"))
        self._phonemize = G2P()
        self._split_sentences = tts.Hibari.split_sentences
        self._weights = {name: w.astype(np.float32) for name, w in onnx_tensors(assets / "hibari.onnx")}

    def read(self, text: str) -> list[NDArray[np.int64]]:
        """Return the phoneme ids of every sentence of ``text``, silence at both ends."""
        import numpy as np

        sentences = []
        for sentence in self._split_sentences(text):
            known = [self._vocabulary[c] for c in self._phonemize(sentence) if c in self._vocabulary]
            sentences.append(np.array([0, *known, 0], np.int64))
        return sentences

    def speak(self, ids: NDArray[np.int64], *, rate: float = 1.0, intonation: float = 1.0) -> Spoken:
        """Compute one sentence.

        Args:
            ids: Phoneme ids, shape ``(n_phonemes,)``.
            rate: Speaking rate relative to the voice's own.
            intonation: Factor on the fundamental frequency.
        """
        import numpy as np

        said = self._text(ids, "m.text", 4, block="", qkv="/Transpose_2", layer="")
        meant = self._text(ids, "pn.text", 6, block="_1", qkv="/Transpose_25", layer="_4")
        lengths = self._conv(gelu(self._conv(meant, "pn.dur.0")), "pn.dur.2")[:, 0]
        frame_pairs = np.maximum(np.rint((exact_exp(lengths) - 1.0) / rate), 1.0).astype(np.int64)
        phoneme = np.repeat(np.arange(len(ids)), frame_pairs)

        x = self._conv(meant[phoneme], "pn.pro_in")
        for i, dilation in enumerate(_PROSODY_DILATIONS):
            x = self._block(x, f"pn.pro.{i}", f"/pro.{i}", dilation=dilation)
        prosody = self._conv(x, "pn.pro_out").reshape(-1, 2, 2)  # (pair, pitch or energy, frame of the pair)
        pitch_hz = prosody[:, 0].reshape(-1) * np.float32(100.0 * intonation)
        log_pitch = np.log(1.0 + np.maximum(pitch_hz, 0.0).astype(np.float64)) / 5.0
        energy = prosody[:, 1].reshape(-1)

        x = np.concatenate(
            [np.repeat(said[phoneme], 2, axis=0), log_pitch[:, None].astype(np.float32), energy[:, None]], axis=1
        )
        x = self._conv(x, "m.dec_in")
        for i in range(8):
            x = self._block(x, f"m.dec.{i}", f"/dec.{i}")
        x = self._linear(self._norm(x, "m.dec_norm"), "/head/Transpose", "m.head.bias")
        return Spoken(x.reshape(len(x), _N_PARTS, N_BINS), pitch_hz)

    def _text(self, ids: NDArray[np.int64], name: str, n_layers: int, *, block: str, qkv: str, layer: str) -> Array:
        # Shape (n_phonemes, n_state). The layers share one set of weights; the quantised names are the exporter's.
        import numpy as np

        w, a = self._weights, f"{name}.attn"
        x: Array = w[f"{name}.emb.weight"][ids]
        for i in range(2):
            x = self._block(x, f"{name}.convs.{i}", f"/convs.{i}", suffix=block)
        n, state = x.shape
        for _ in range(n_layers):
            h = self._norm(x, f"{a}.norm1")
            h = self._linear(h, qkv, f"{a}.self_attn.in_proj_bias")
            q, k, v = h.reshape(n, 3, _HEADS, state // _HEADS).transpose(1, 2, 0, 3)
            scores = exact_matmul(q, k.transpose(0, 2, 1)) / np.sqrt(np.float32(state // _HEADS))
            p = exact_exp(scores - scores.max(axis=-1, keepdims=True))
            h = exact_matmul((p / row_sum(p)).astype(np.float32), v).transpose(1, 0, 2).reshape(n, state)
            x = x + self._linear(h, f"/out_proj{layer}/Transpose", f"{a}.self_attn.out_proj.bias")
            h = self._norm(x, f"{a}.norm2")
            h = gelu(self._linear(h, f"/linear1{layer}/Transpose", f"{a}.linear1.bias"))
            x = x + self._linear(h, f"/linear2{layer}/Transpose", f"{a}.linear2.bias")
        return self._norm(x, f"{name}.norm")

    def _block(self, x: Array, name: str, quantised: str, *, suffix: str = "", dilation: int = 1) -> Array:
        # ConvNeXt: a convolution per channel, then two linear layers, added to the input. Shape (n, n_state).
        import numpy as np

        w = self._weights
        taps = w[f"{name}.dw.weight"][:, 0].T
        h = np.tile(w[f"{name}.dw.bias"], (len(x), 1))
        for tap, shifted in zip(taps, shifts(x, len(taps), dilation), strict=True):
            h += shifted * tap
        h = self._norm(h, f"{name}.norm")
        h = gelu(self._linear(h, f"{quantised}/pw1{suffix}/Transpose", f"{name}.pw1.bias"))
        h = self._linear(h, f"{quantised}/pw2{suffix}/Transpose", f"{name}.pw2.bias")
        h *= w[f"{name}.gamma"]
        h += x
        return h

    def _conv(self, x: Array, name: str) -> Array:
        import numpy as np

        weight = self._weights[f"{name}.weight"]  # (n_out, n_in, n_taps)
        n_out, n_in, n_taps = weight.shape
        columns = np.concatenate(list(shifts(x, n_taps, 1)), axis=1)
        flat = weight.transpose(2, 1, 0).reshape(n_taps * n_in, n_out)
        return exact_matmul(columns, flat) + self._weights[f"{name}.bias"]

    def _linear(self, x: Array, quantised: str, bias: str) -> Array:
        w, name = self._weights, f"{quantised}_output_0"
        return quantised_linear(x, w[f"{name}_quantized"], w[f"{name}_scale"], w[bias])

    def _norm(self, x: Array, name: str) -> Array:
        return layer_norm(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])
