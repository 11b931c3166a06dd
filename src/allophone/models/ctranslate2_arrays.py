"""Arrays to and from CTranslate2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["every_nth", "host_array", "storage_view"]


def every_nth(encoded: Any, token_stride: int) -> Any:
    """Return every n-th position of encoded windows of shape ``(n_windows, n_audio_tokens, n_audio_state)``."""
    return encoded if token_stride == 1 else storage_view(host_array(encoded)[:, ::token_stride])


def host_array(encoded: Any) -> NDArray[np.float32]:
    """Return a ``StorageView`` as an array in main memory; on the CPU they share it."""
    import ctranslate2
    import numpy as np

    array: NDArray[np.float32] = np.asarray(
        encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    )
    return array


def storage_view(array: NDArray[np.float32]) -> Any:
    """Return an array's copy as a ``StorageView``."""
    import ctranslate2
    import numpy as np

    # from_array shares the array's memory; the copy owns its own.
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array)).to_device(ctranslate2.Device.cpu)
