"""FLOPs, bytes and parameters of every knob, in closed form, under named conventions."""

from allophone.costs.executed import WhisperFlops, WhisperFlopsArrays, whisper_flops, whisper_flops_arrays

__all__ = ["WhisperFlops", "WhisperFlopsArrays", "whisper_flops", "whisper_flops_arrays"]
