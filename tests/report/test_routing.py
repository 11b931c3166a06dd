from dataclasses import replace

import numpy as np

from allophone.measure.intervals import Interval
from allophone.report.routing import evaluation_html, evaluation_tables
from allophone.routing.evaluation import DomainResult, Evaluation
from allophone.routing.recovery import CURVE_POSITIONS, Recovery
from allophone.routing.router_metrics import RouterMetrics
from allophone.routing.threshold_metrics import ThresholdMetrics

AT = Interval(0.1, 0.3, 0.95, 0.2)
LEVEL = np.full(CURVE_POSITIONS.size, 0.2)


def result(name="all", share=0.31):
    recovery = Recovery("cascade", 1e9 * (1 + CURVE_POSITIONS), LEVEL, LEVEL, LEVEL, share, AT, 0.96, 0.9)
    points = (("tiny", 0.25, 1.0, 0.1), ("base", 0.2, 2.0, 0.2))
    policy = ThresholdMetrics(0.5, *[AT] * 7, 0.6, 0.7, 0.3, 0.682, 0.8)
    unknown = Interval(np.nan, np.nan, 0.95, np.nan)
    metrics = (RouterMetrics("cascade", AT, unknown, *[AT] * 5),)
    told = (points, points, (recovery,), (recovery,), policy, metrics, 0.58, None, "Only 5 speakers.")
    return DomainResult(name, 50, 5, *told)


def test_a_table_shows_points_policy_and_what_is_recovered():
    table = evaluation_tables(Evaluation("p", 7, (result(),)))[0]
    assert table.title == "all: 50 utterances of 5 speakers"
    assert table.rows[0][:2] == ("tiny", "25.00")
    assert table.rows[2][4] == "31 [10, 30] (p 0.96)"
    notes = " ".join(table.notes)
    for words in (
        "68.20 % where",
        "More errors than the last point on 20.00 [10.00, 30.00] %",
        "share of 0.58 (FLOPs), none (seconds)",
        "7 utterances",
        "Only 5 speakers.",
    ):
        assert words in notes


def test_published_metrics_have_a_table_of_their_own():
    table = evaluation_tables(Evaluation("p", 7, (result(),)))[1]
    saved = "20 [10, 30] / 20 [10, 30]"
    assert table.rows == (("cascade", "20.00 [10.00, 30.00]", "undefined", "20 [10, 30]", saved, saved),)
    assert "compare routers" in table.notes[2]


def test_the_reference_has_no_p_and_neither_have_few():
    def shown(name):
        recovery = replace(result().flops[0], name=name, p_above=np.nan)
        told = replace(result(), flops=(recovery,), seconds=(recovery,))
        return evaluation_tables(Evaluation("p", 0, (told,)))[0].rows[2][4]

    assert shown("random") == "31 [10, 30] (reference)"
    assert shown("cascade") == "31 [10, 30] (too few to say)"


def test_an_oracle_without_gain_is_said():
    assert evaluation_tables(Evaluation("p", 0, (result(share=np.nan),)))[0].rows[2][4] == "oracle gains nothing"


def test_the_page_is_whole_and_has_every_domain():
    page = evaluation_html(Evaluation("p", 0, (result(), result("noisy"))))
    assert "noisy, against seconds" in page
    assert "<script" in page
