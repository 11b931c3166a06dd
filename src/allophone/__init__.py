"""allophone: spend speech compute where it buys accuracy.

The public names load what they need when they are first used; importing the package defines names and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from allophone.version import __version__

if TYPE_CHECKING:
    from allophone.adapt.short_context import adapt_context
    from allophone.diagnosis.diagnose import diagnose
    from allophone.emotion.cascade import EmotionPolicyClassifier, load_emotion_policy
    from allophone.emotion.classifier import EmotionClassifier, classify
    from allophone.emotion.experiment import train_emotion
    from allophone.errors import AllophoneError
    from allophone.export.notebook import Frontier
    from allophone.frontier.recommend import Recommendation, recommend
    from allophone.law.law import fit_law
    from allophone.model_cost import cost
    from allophone.records.point import OperatingPoint
    from allophone.records.transcript import Segment, Transcript, Word
    from allophone.records.utterance import Utterance
    from allophone.report.html import write_report
    from allophone.routing.calibration import calibrate_policy
    from allophone.routing.evaluation import evaluate_policy
    from allophone.routing.thresholds import CalibrationTarget
    from allophone.routing.training import train_policy
    from allophone.routing.transcriber import PolicyTranscriber, RoutedTranscript, load_policy
    from allophone.sweeps.emotion.run import sweep_emotion
    from allophone.sweeps.emotion.space import EmotionSpace
    from allophone.sweeps.recognition.run import SweepResult, sweep
    from allophone.sweeps.space import SearchSpace
    from allophone.transcription.transcriber import Transcriber, load, load_point

__all__ = [
    "AllophoneError",
    "CalibrationTarget",
    "EmotionClassifier",
    "EmotionPolicyClassifier",
    "EmotionSpace",
    "Frontier",
    "OperatingPoint",
    "PolicyTranscriber",
    "Recommendation",
    "RoutedTranscript",
    "SearchSpace",
    "Segment",
    "SweepResult",
    "Transcriber",
    "Transcript",
    "Utterance",
    "Word",
    "__version__",
    "adapt_context",
    "calibrate_policy",
    "classify",
    "cost",
    "diagnose",
    "evaluate_policy",
    "fit_law",
    "load",
    "load_emotion_policy",
    "load_point",
    "load_policy",
    "recommend",
    "sweep",
    "sweep_emotion",
    "train_emotion",
    "train_policy",
    "write_report",
]

_HOMES = {
    "AllophoneError": "errors",
    "EmotionClassifier": "emotion.classifier",
    "EmotionPolicyClassifier": "emotion.cascade",
    "EmotionSpace": "sweeps.emotion.space",
    "Frontier": "export.notebook",
    "OperatingPoint": "records.point",
    "PolicyTranscriber": "routing.transcriber",
    "Recommendation": "frontier.recommend",
    "RoutedTranscript": "routing.transcriber",
    "SearchSpace": "sweeps.space",
    "Segment": "records.transcript",
    "SweepResult": "sweeps.recognition.run",
    "Transcriber": "transcription.transcriber",
    "Transcript": "records.transcript",
    "Utterance": "records.utterance",
    "CalibrationTarget": "routing.thresholds",
    "Word": "records.transcript",
    "adapt_context": "adapt.short_context",
    "calibrate_policy": "routing.calibration",
    "classify": "emotion.classifier",
    "cost": "model_cost",
    "diagnose": "diagnosis.diagnose",
    "evaluate_policy": "routing.evaluation",
    "fit_law": "law.law",
    "load": "transcription.transcriber",
    "load_emotion_policy": "emotion.cascade",
    "load_point": "transcription.transcriber",
    "load_policy": "routing.transcriber",
    "recommend": "frontier.recommend",
    "sweep": "sweeps.recognition.run",
    "sweep_emotion": "sweeps.emotion.run",
    "train_emotion": "emotion.experiment",
    "train_policy": "routing.training",
    "write_report": "report.html",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'allophone' has no attribute '{name}'")
    value = getattr(import_module(f"allophone.{_HOMES[name]}"), name)
    globals()[name] = value  # the next look-up does not come here; it also wins over a room of the same name
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
