"""Voice embeddings: the GE2E speaker encoder whose weights come in the package Resemblyzer.

The network is three LSTM layers over mel frames and a rectified linear projection, normalised to length 1 (Wan, Wang,
Papir and Lopez Moreno, "Generalized end-to-end loss for speaker verification", 2018). Only the weights are the
package's: its own preprocessing needs librosa and webrtcvad, and here silences are cut by Silero VAD and the frames are
faster-whisper's, which are the same mel filters. A recording's embedding is the mean over overlapping parts of 1.6 s.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allophone.audio.windows import speech_spans
from allophone.dimensions.whisper import HOP_SAMPLES, SAMPLE_RATE
from allophone.errors import MissingExtraError
from allophone.extras import importing, install_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ENCODER", "LEAST_SPEECH_S", "VoiceEncoder", "mel_power", "require_voice_encoder"]

ENCODER = "Resemblyzer 0.1.4 (GE2E)"
LEAST_SPEECH_S = 1.2  # three quarters of a part: less tells too little of a voice
_WEIGHTS = "pip install --no-deps Resemblyzer==0.1.4"

_N_MELS = 40
_HIDDEN = 256
_LAYERS = 3
_PART = 160  # frames of 10 ms that the network was trained on
_STEP = 77  # frames from part to part: 1.3 parts a second
_LOUDNESS_DBFS = -30.0  # quieter recordings are raised to this, as in training
_MOST_S = 30.0  # of speech that is embedded: more adds nothing


class VoiceEncoder:
    """The speaker encoder, loaded once.

    Raises:
        MissingExtraError: torch, SciPy or Resemblyzer is not installed, or torch cannot be loaded; the message has a
            command that installs them.
    """

    def __init__(self) -> None:
        weights = require_voice_encoder()
        with importing("torch", "speakers"):
            import torch

        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        self._lstm = torch.nn.LSTM(_N_MELS, _HIDDEN, _LAYERS, batch_first=True)
        self._linear = torch.nn.Linear(_HIDDEN, _HIDDEN)
        for module, name in ((self._lstm, "lstm."), (self._linear, "linear.")):
            module.load_state_dict({key.removeprefix(name): value for key, value in state.items() if name in key})

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Embed the voice of a recording.

        Args:
            samples: Shape ``(n_samples,)``, 16 kHz.

        Returns:
            Shape ``(256,)``, of length 1; None where there is less than :data:`LEAST_SPEECH_S` of speech.
        """
        import numpy as np
        import torch

        speech = _speech(samples)
        if len(speech) < LEAST_SPEECH_S * SAMPLE_RATE:
            return None
        mel = mel_power(speech)
        starts = range(0, max(1, len(mel) - _PART + 1 + _STEP // 2), _STEP)
        padded = np.pad(mel, ((0, max(0, starts[-1] + _PART - len(mel))), (0, 0)))
        with torch.inference_mode():
            _, (hidden, _) = self._lstm(torch.from_numpy(np.stack([padded[s : s + _PART] for s in starts])))
            parts = torch.relu(self._linear(hidden[-1]))
            mean = torch.nn.functional.normalize(parts, dim=1).mean(dim=0)
            embedding: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=0).numpy()
        return embedding


def mel_power(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel power spectrogram without logarithm: librosa's of 25 ms frames every 10 ms.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz.

    Returns:
        Shape ``(n_frames, 40)``.
    """
    import numpy as np

    extractor = _extractor()
    n_fft = extractor.n_fft
    padded = np.pad(samples, n_fft // 2)  # frames are centred, with silence around the recording
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::HOP_SAMPLES]
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    return np.asarray(power @ extractor.mel_filters.T, dtype=np.float32)


def require_voice_encoder() -> Path:
    """Return where the encoder's weights lie.

    Raises:
        MissingExtraError: torch, SciPy or Resemblyzer is not installed.
    """
    from importlib.util import find_spec

    for package in ("torch", "scipy"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "speakers", command=f"{install_command('speakers')} && {_WEIGHTS}")
    found = find_spec("resemblyzer")  # found, not imported: importing it needs librosa and webrtcvad
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder) / "pretrained.pt").is_file():
            return path
    raise MissingExtraError("resemblyzer", "speakers", command=f"{install_command('speakers')} && {_WEIGHTS}")


def _speech(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The stretches of speech, joined and raised to the loudness of training."""
    import numpy as np

    spans = speech_spans(samples, _MOST_S)
    if not spans:
        return samples[:0]
    speech = np.concatenate([samples[start:end] for start, end in spans])[: round(_MOST_S * SAMPLE_RATE)]
    level = float(np.sqrt(np.mean(speech.astype(np.float64) ** 2)))
    target = 10 ** (_LOUDNESS_DBFS / 20)
    return speech * np.float32(target / level) if 0 < level < target else speech


@lru_cache(maxsize=1)
def _extractor() -> Any:
    from faster_whisper.feature_extractor import FeatureExtractor

    return FeatureExtractor(feature_size=_N_MELS)
