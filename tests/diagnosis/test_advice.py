"""Advice from verdicts alone: every rule on records made by hand, no run behind them."""

from math import nan

import numpy as np
import pytest

from allophone.diagnosis.advice import (
    answer_emotion_questions,
    answer_questions,
    choose_step,
    find_binding,
)
from allophone.diagnosis.axis_verdict import AxisDiagnosis
from allophone.diagnosis.elasticity import AxisChange, Elasticity
from allophone.measure.intervals import Interval


def move(axis="model", target="big", change=-0.01, ratio=4.0, slope=None, **changes):
    """A move whose change is in fractions of the words; ``slope`` is per doubling of cost."""
    order = "dearer" if ratio > 1 else "cheaper" if ratio < 1 else "equal"
    elastic = None if slope is None else Elasticity(Interval(slope - 0.01, slope + 0.01, 0.95, slope), nan, 1)
    return AxisChange(
        **{
            "axis": axis,
            "target": target,
            "setting": target,
            "change": Interval(change - 0.01, change + 0.01, 0.95, change),
            "cost_ratio": ratio,
            "order": order,
            "elasticity": elastic,
            "p_better": 0.5,
            "p_worse": 0.5,
            "p_no_gain": 0.5,
            "p_no_loss": 0.5,
            **changes,
        }
    )


def axis(name="model", purchase="capacity", **changes):
    return AxisDiagnosis(
        **{
            "axis": name,
            "purchase": purchase,
            "setting": "here",
            "settings": ("here",),
            "status": "undecided",
            "exhausted": False,
            "at_limit": False,
            "here": None,
            "everywhere": None,
            "moves": (),
            "free_improvement": None,
            "costlier_improvement": None,
            "unproven_improvement": None,
            "buys_nothing": False,
            "safe_saving": None,
            "unproven_saving": None,
            "cheaper_hurts": False,
            "still_improving": None,
            **changes,
        }
    )


class Slopes:
    """Improvement per doubling of each target in four replicates, in place of a run's."""

    def __init__(self, **targets):
        self.targets = targets
        self.names = ["base", *targets]

    def slopes(self, pairs):
        ((base, target),) = pairs
        assert base == 0
        return np.array(self.targets[self.names[target]])


def test_the_steepest_sure_purchase_binds_and_its_lead_is_counted_in_replicates():
    model = move(slope=-0.02)
    beams = move("beam_size", "wide", slope=-0.05)
    tail = move("context", "long", slope=-0.06)  # steeper, though not surely
    axes = [
        axis(costlier_improvement=model),
        axis("beam_size", "search", costlier_improvement=beams),
        axis("context", unproven_improvement=tail),
    ]
    replicates = Slopes(
        big=[-0.02, -0.02, -0.02, -0.02], wide=[-0.05, -0.05, -0.05, -0.01], long=[-0.06, -0.04, -0.01, -0.01]
    )
    found = find_binding(axes, replicates.names, 0, replicates)
    # ahead of both: not in the first (0.05 against 0.06) and not in the last (0.01 against 0.02)
    assert (found.axis, found.move, found.p_largest, found.rival) == ("beam_size", beams, 0.5, tail)


def test_no_sure_purchase_binds_nothing_and_a_lone_one_has_no_rival():
    assert find_binding([axis(unproven_improvement=move(slope=-0.1))], ["base"], 0, Slopes()) is None
    lone = find_binding(
        [axis(costlier_improvement=move(slope=-0.1)), axis("speed", "resolution")], ["base"], 0, Slopes()
    )
    assert (lone.axis, lone.p_largest, lone.rival) == ("model", None, None)


FREE, PAID = move("speed", "slow", -0.02, 1.0), move(slope=-0.03)
SAVING, END = move("token_stride", "coarse", 0.0, 0.5), move("window_s", "short", 0.02, 0.5, slope=-0.02)
HOPE = move("beam_size", "wide", slope=-0.01)


def test_the_next_step_is_the_first_that_applies():
    replicates = Slopes(big=[-0.03], wide=[-0.01])
    found = [
        axis(costlier_improvement=PAID),
        axis("speed", "resolution", free_improvement=FREE),
        axis("token_stride", "resolution", safe_saving=SAVING),
        axis("window_s", "context", still_improving=END),
        axis("beam_size", "search", unproven_improvement=HOPE),
    ]
    binding = find_binding(found, replicates.names, 0, replicates)
    steps = []
    for done in ("speed", "model", "token_stride", "window_s", "beam_size", None):
        step = choose_step(found, binding)
        steps.append((step.kind, step.axis))
        found = [one for one in found if one.axis != done]
        binding = binding if done != "model" else None
    assert steps == [
        ("free", "speed"),
        ("buy", "model"),
        ("save", "token_stride"),
        ("extend", "window_s"),
        ("decide", "beam_size"),
        ("none", None),
    ]


def test_of_several_of_a_kind_the_best_is_taken():
    better = move("speed", "slower", -0.03, 1.0)
    assert choose_step([axis(free_improvement=FREE), axis(free_improvement=better)], None).move is better
    cheaper = move("token_stride", "coarser", 0.0, 0.25)
    assert choose_step([axis(safe_saving=SAVING), axis(safe_saving=cheaper)], None).move is cheaper
    steeper = move("window_s", "shorter", slope=-0.2, ratio=0.5)
    assert choose_step([axis(still_improving=END), axis(still_improving=steeper)], None).move is steeper


def test_an_axis_at_its_limit_cannot_be_extended():
    assert choose_step([axis(still_improving=END, at_limit=True)], None).kind == "none"


def verdicts(*axes, standing="on"):
    return {found.topic: (found.verdict, found.of) for found in answer_questions(axes, standing)}


def test_a_run_that_measured_nothing_else_answers_nothing():
    nothing = verdicts(axis(), axis("context", "context"), axis("token_stride", "resolution"), standing="unmeasured")
    assert set(nothing.values()) == {("not measured", None)}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"costlier_improvement": PAID, "moves": (PAID,)}, "yes"),
        ({"moves": (PAID,), "buys_nothing": True}, "no"),
        ({"moves": (PAID,)}, "undecided"),
        ({"still_improving": END, "moves": (END,)}, "not measured"),
    ],
)
def test_capacity(found, verdict):
    assert verdicts(axis(**found))["capacity"] == (verdict, None)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"costlier_improvement": PAID}, ("yes", "accuracy")),
        ({"safe_saving": SAVING}, ("yes", "compute")),
        ({"free_improvement": FREE}, ("yes", "compute")),
        ({"exhausted": True, "at_limit": True, "cheaper_hurts": True, "unproven_saving": SAVING}, ("no", None)),
        ({"exhausted": True, "at_limit": True, "unproven_saving": SAVING}, ("undecided", None)),
        ({"exhausted": True, "cheaper_hurts": True}, ("undecided", None)),  # more exists and was not measured
        ({"buys_nothing": True}, ("no", None)),
    ],
)
def test_context(found, verdict):
    assert verdicts(axis("context", "context", moves=(END,), **found))["context"] == verdict


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"unproven_saving": SAVING, "safe_saving": SAVING}, "yes"),
        ({"unproven_saving": SAVING, "cheaper_hurts": True}, "no"),
        ({"unproven_saving": SAVING}, "undecided"),
    ],
)
def test_resolution(found, verdict):
    assert verdicts(axis("token_stride", "resolution", **found))["resolution"] == (verdict, None)


@pytest.mark.parametrize(
    ("standing", "verdict"),
    [("on", "no"), ("dominated", "yes"), ("tied", "undecided"), ("unmeasured", "not measured")],
)
def test_dominance(standing, verdict):
    assert verdicts(standing=standing)["dominated"] == (verdict, None)


@pytest.mark.parametrize(
    ("moves", "verdict", "shown"),
    [
        ([("deep", -0.02, 0.99, 0.01), ("deeper", -0.03, 0.99, 0.01)], "yes", "deeper"),
        ([("deep", -0.02, 0.6, 0.99), ("deeper", 0.01, 0.3, 0.99)], "no", "deep"),
        ([("deep", -0.02, 0.6, 0.99), ("deeper", 0.01, 0.3, 0.9)], "undecided", "deep"),
        ([("shallow", -0.09, 0.99, 0.01)], "not measured", None),  # trains less than the base point
    ],
)
def test_adaptation_asks_about_more_training_only(moves, verdict, shown):
    found = tuple(
        move("unfrozen_layers", name, change, 1.0, p_better=better, p_no_gain=no_gain)
        for name, change, better, no_gain in moves
    )
    axes = [axis("unfrozen_layers", "adaptation", moves=found)]
    answers = answer_emotion_questions(axes, "on", {"deep", "deeper"}, 0.95)
    (adaptation,) = (one for one in answers if one.topic == "adaptation")
    assert adaptation.verdict == verdict
    assert (adaptation.move.target if adaptation.move else None) == shown
