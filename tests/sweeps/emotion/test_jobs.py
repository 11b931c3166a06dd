from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from allophone.emotion.results import EmotionRow
from allophone.records.point import EmotionSetting
from allophone.sweeps.emotion.jobs import TrainingJob, unit_rows

UNIT = TrainingJob(EmotionSetting(model="base", duration_s=1.0), "fold-2", 4)


def test_a_unit_is_named_by_point_fold_and_seed():
    assert UNIT.key == ("base-1s-frozen", "fold-2", 4)
    assert UNIT.name == "base-1s-frozen-fold-2-seed4"


def test_rows_say_what_was_decided_on_what_and_at_what_cost():
    decided = EmotionRow("b", "s1", "low", (0.3, 0.7), True, 0.02, None, heard_s=1.0, executed_flops=7, cpu_s=0.03)
    failed = EmotionRow("a", "s1", "high", (), False, None, "silent")
    found = SimpleNamespace(record=SimpleNamespace(labels=("high", "low"), threads=2), rows=(decided, failed))
    right, wrong = unit_rows(UNIT, found, {"a": 0, "b": 1}, {"a": 0.0, "b": 2.5})
    assert (right.point, right.fold, right.seed, right.utterance_index) == ("base-1s-frozen", "fold-2", 4, 1)
    assert (right.predicted, right.correct, right.posterior) == ("low", True, [0.3, 0.7])
    assert (right.duration_s, right.heard_s, right.latency_s, right.executed_flops) == (2.5, 1.0, 0.02, 7)
    assert (right.cpu_s, right.threads, wrong.cpu_s) == (0.03, 2, None)
    assert (wrong.predicted, wrong.correct, wrong.posterior, wrong.error) == (None, False, [], "silent")
