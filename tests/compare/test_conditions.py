import pytest

from allophone.compare.conditions import read_condition
from allophone.errors import SpaceError


@pytest.mark.parametrize(
    ("text", "name", "change", "relative", "factor", "limit"),
    [
        ("wer > +0.3", "wer", 0.003, False, 1.0, 0.003),  # points of percent
        ("rtf > +10%", "rtf", 0.1, True, 1.1, 0.0),
        ("  latency_p95_s>+0.05 ", "latency_p95_s", 0.05, False, 1.0, 0.05),
        ("wer > -1", "wer", -0.01, False, 1.0, -0.01),  # fail unless it improved
        ("wer > +1e1 %", "wer", 0.1, True, 1.1, 0.0),
    ],
)
def test_a_condition_is_read_in_the_units_that_people_read(text, name, change, relative, factor, limit):
    found = read_condition(text)
    assert (found.objective.name, found.relative) == (name, relative)
    assert (found.change, found.factor, found.limit) == pytest.approx((change, factor, limit))
    assert found.text == text.strip()


def test_what_is_better_when_higher_falls():
    found = read_condition("uar < -1", "emotion")
    assert found.objective.name == "uar_loss"
    assert found.limit == pytest.approx(0.01)  # the loss may rise by a point


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wer",
        "wer > 0.3",
        "wer >= +0.3",
        "> +1",
        "wer > +",
        "wer > +0.3 %%",
        "wer > +nan",
        "wer +0.3",
        "wer > + 0.3 x",
    ],
)
def test_what_is_malformed_is_refused_with_the_form(text):
    with pytest.raises(SpaceError, match="not a condition"):
        read_condition(text)


@pytest.mark.parametrize(
    ("text", "task", "problem"),
    [
        ("wor > +1", "asr", "unknown objective"),
        ("uar < -1", "asr", "unknown objective"),
        ("wer < -1", "asr", "better when lower"),
        ("uar > +1", "emotion", "better when higher"),
        ("uar < -1%", "emotion", "in points"),
        ("rtf > -100%", "asr", "more than -100"),
        ("wer > +1e999", "asr", "finite"),
        ("rtf_throughput > +1%", "asr", "too few times"),
        ("peak_memory_bytes > +50", "asr", "too few times"),
        ("p_worse > +1", "asr", "within one run"),
    ],
)
def test_what_makes_no_sense_is_refused(text, task, problem):
    with pytest.raises(SpaceError, match=problem):
        read_condition(text, task)
