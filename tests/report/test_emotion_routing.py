import json
from dataclasses import replace

import numpy as np
import pytest

from allophone.measure.intervals import Interval
from allophone.report.emotion_routing import cascade_json, cascade_table
from allophone.routing.emotion import CascadeResult
from allophone.routing.recovery import Recovery
from allophone.routing.thresholds import CalibrationTarget


def result(share):
    line = np.zeros(41)
    recovery = Recovery("cascade on margin", line, line, line, line, share, Interval(0.1, 0.9, 0.95, share), 0.9, 0.8)
    return CascadeResult(
        n_rows=100,
        n_speakers=10,
        fixed=(("small", 0.5, 1.0, 0.1, 50), ("big", 0.7, 4.0, 0.4, 70)),
        signals={"max_probability": 3, "margin": 2},
        uar=Interval(0.55, 0.75, 0.95, 0.65),
        over_chance=Interval(-0.01, 0.11, 0.95, 0.05),
        p_above=0.94,
        over_last=Interval(-0.1, 0.0, 0.95, -0.05),
        oracle_uar=0.8,
        gflops=2.5,
        seconds=0.2,
        climbed=0.38,
        saved_over_first=15,
        saved_over_chance=5.0,
        recoveries=(recovery,),
        warning=None,
        goal=CalibrationTarget("big_share", 0.3),
    )


def test_chance_and_oracle_stand_at_the_cost_of_the_cascade():
    table = cascade_table(result(0.4))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["cascade"] == ("65.0 [55.0, 75.0]", "2.50", "0.200", "65")
    assert rows["chance at its GFLOPs"] == ("60.0", "2.50", "", "60.0")
    assert rows["oracle at its GFLOPs"][0] == "80.0"
    assert table.notes[0].startswith("38 % reach the last point")
    assert "+5.0 [-1.0, +11.0] points of UAR (p 0.94 that it is above), +5.0 rows" in table.notes[0]
    assert "max probability in 3, margin in 2 of the folds). Chosen on all, new speakers keep" in table.notes[1]
    assert table.notes[1].endswith("a share of 30 % with a probability of 0.9.")
    few = cascade_table(replace(result(0.4), promised=False))
    assert few.notes[1].endswith("There are too few speakers to promise a share of 30 % to new ones.")
    unmet = cascade_table(replace(result(0.4), folds_unmet=2))
    assert unmet.notes[1].endswith("0.9; 2 folds did not reach it and took the nearest.")
    assert "cascade on margin 40 % [10, 90]" in table.notes[2]


def test_where_the_oracle_gains_nothing_no_share_is_shown():
    assert "cascade on margin: the oracle gains nothing" in cascade_table(result(float("nan"))).notes[2]
    fields = json.loads(cascade_json(result(float("nan"))))
    assert fields["recovered"] == [{"router": "cascade on margin", "share": None, "interval": [0.1, 0.9]}]
    assert fields["over_chance"]["estimate"] == pytest.approx(0.05)
