"""FLOPs, bytes and parameters of every knob, in closed form, under named conventions."""

from allophone.costs.adaptation import Adaptation, optimizer_bytes, trainable_parameters, training_flops
from allophone.costs.decider import RoutingCost, break_even_share, decider_flops, decider_parameters, pipeline_flops
from allophone.costs.devices import (
    DEVICES,
    Device,
    device,
    measured_device,
    recognition_roofline_latency_s,
    roofline_latency_s,
)
from allophone.costs.emotion import EmotionCost, emotion_cost
from allophone.costs.executed import WhisperFlops, WhisperFlopsArrays, whisper_flops, whisper_flops_arrays
from allophone.costs.memory import kv_cache_bytes, speech_peak_activation_bytes, whisper_peak_activation_bytes
from allophone.costs.moonshine import moonshine_flops, moonshine_parameters, moonshine_weight_bytes
from allophone.costs.parameters import model_parameters, whisper_encoder_parameters
from allophone.costs.published import published_recognition_flops, published_ser_flops, published_whisper_flops
from allophone.costs.recognition import moonshine_cost, recognition_flops
from allophone.costs.reproduction import PAPER, Reproduction, reproduce
from allophone.costs.selection import SELECTION_PAPER, SHARES, Selection, select_between
from allophone.costs.setting import RecognitionCost, WhisperCost, plan_window_frames, whisper_cost
from allophone.costs.speech import SpeechFlops, speech_flops, speech_tokens, whisper_pooled_flops
from allophone.costs.weights import packed_vocabulary_bytes, weight_bytes

__all__ = [
    "DEVICES",
    "PAPER",
    "SELECTION_PAPER",
    "SHARES",
    "Adaptation",
    "Device",
    "EmotionCost",
    "RecognitionCost",
    "Reproduction",
    "RoutingCost",
    "Selection",
    "SpeechFlops",
    "WhisperCost",
    "WhisperFlops",
    "WhisperFlopsArrays",
    "break_even_share",
    "decider_flops",
    "decider_parameters",
    "device",
    "emotion_cost",
    "kv_cache_bytes",
    "measured_device",
    "model_parameters",
    "moonshine_cost",
    "moonshine_flops",
    "moonshine_parameters",
    "moonshine_weight_bytes",
    "optimizer_bytes",
    "packed_vocabulary_bytes",
    "pipeline_flops",
    "plan_window_frames",
    "published_recognition_flops",
    "published_ser_flops",
    "published_whisper_flops",
    "recognition_flops",
    "recognition_roofline_latency_s",
    "reproduce",
    "roofline_latency_s",
    "select_between",
    "speech_flops",
    "speech_peak_activation_bytes",
    "speech_tokens",
    "trainable_parameters",
    "training_flops",
    "weight_bytes",
    "whisper_cost",
    "whisper_encoder_parameters",
    "whisper_flops",
    "whisper_flops_arrays",
    "whisper_peak_activation_bytes",
    "whisper_pooled_flops",
]
