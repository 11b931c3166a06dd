import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allophone.records.names import match_names, title_of
from allophone.records.point import EmotionSetting, OperatingPoint

SHORT = {"context": "fit", "margin_s": 1.0, "tail": "learned-64", "guard": True}


@pytest.mark.parametrize(
    ("point", "title"),
    [
        (OperatingPoint(model="tiny.en"), "tiny.en, full context"),
        (OperatingPoint(model="base", **SHORT), "base, short context"),
        (OperatingPoint(model="base", **SHORT, beam_size=5), "base, short context, beam 5"),
        (OperatingPoint(model="base", **{**SHORT, "tail": "all"}), "base, short context, whole tail"),
        (OperatingPoint(model="base", context="fit"), "base, short context, margin 0 s, no tail, no guard"),
        (
            OperatingPoint(model="base", **{**SHORT, "tail": "every-4", "floor_s": 2.5}),
            "base, short context, at least 2.5 s, tail every-4",
        ),
        (
            OperatingPoint(model="base", **{**SHORT, "tail": "learned"}, beam_size=5),
            "base, short context, beam 5",
        ),
        (OperatingPoint(model="base", **{**SHORT, "tail": "learned-32"}), "base, short context, tail learned-32"),
        (OperatingPoint(model="base", **{**SHORT, "tail": "last-300"}), "base, short context, tail last-300"),
        (
            OperatingPoint(model="small", window_s=15, speed=1.25, token_stride=2, compute_type="float32"),
            "small, full context, 15 s windows, speed 1.25, stride 2, float32",
        ),
        (OperatingPoint(model="moonshine-tiny", compute_type="float32"), "moonshine-tiny, float32"),
        (OperatingPoint(model="my-models/base-fit"), "base-fit@1288de36, full context"),
        (EmotionSetting(model="base"), "base, 3 s, frozen"),
        (EmotionSetting(model="base", lora_rank=16, unfrozen_layers=4), "base, 3 s, rank 16, top 4"),
        (EmotionSetting(model="tiny.en", duration_s=1.5, unfrozen_layers="all"), "tiny.en, 1.5 s, all layers"),
    ],
)
def test_a_name_says_the_model_the_context_and_what_is_unusual(point, title):
    assert point.title == title


def test_what_is_no_point_keeps_its_name():
    for name in ("policies/cascade", "random", "base", "cascade-3", ""):
        assert title_of(name) == name


points = st.builds(
    OperatingPoint,
    model=st.sampled_from(["tiny.en", "base", "moonshine-tiny", "a/b-full", "c/b-full", "fake:tiny"]),
    window_s=st.floats(0.001, 30),
    context=st.sampled_from(["full", "fit"]),
    margin_s=st.sampled_from([0, 1, 1e-5, 2.5]),
    floor_s=st.sampled_from([0, 1, 1e-5, 2.5]),
    tail=st.sampled_from(["none", "all", "every-2", "every-12", "last-1", "last-300", "learned-32", "learned-64"]),
    guard=st.booleans(),
    token_stride=st.integers(1, 100),
    speed=st.floats(0.5, 4),
    compute_type=st.sampled_from(["int8", "int8_float32", "float16", "float32"]),
    beam_size=st.integers(1, 32),
)
settings = st.builds(
    EmotionSetting,
    model=st.sampled_from(["tiny.en", "base", "facebook/wav2vec2-base"]),
    duration_s=st.floats(0.001, 30),
    lora_rank=st.integers(0, 20),
    unfrozen_layers=st.one_of(st.integers(0, 20), st.just("all")),
)


@given(st.lists(st.one_of(points, settings), min_size=2, max_size=2))
def test_different_points_have_different_names(two):
    one, other = two
    assert (one.title == other.title) == (one.name == other.name)
    assert one.title != one.name


@given(st.lists(points, min_size=1, max_size=4, unique_by=lambda point: point.name))
def test_a_list_of_names_or_ids_means_these_points(several):
    wanted = [(point,) for point in several]
    for text in (", ".join, "; ".join, ",".join):
        assert [found for _, found in match_names([text(p.title for p in several)], several)] == wanted
        assert [found for _, found in match_names([text(p.name for p in several)], several)] == wanted
    assert [found for _, found in match_names([point.title.upper() for point in several], several)] == wanted


FULL, BASE = OperatingPoint(model="tiny.en"), OperatingPoint(model="base", **SHORT)
BEAM = OperatingPoint(model="base", **SHORT, beam_size=5)


def test_some_of_the_settings_will_do_where_one_point_has_them():
    run = [FULL, BASE, BEAM]
    assert match_names(["tiny.en", "base, beam 5"], run) == [("tiny.en", (FULL,)), ("base, beam 5", (BEAM,))]
    assert match_names(["base"], run) == [("base", (BASE, BEAM))]
    assert match_names(["base, short  context"], run) == [("base, short  context", (BASE,))]  # a whole name comes first


def test_a_name_that_means_nothing_is_given_back():
    run = [FULL, BASE, BEAM]
    assert match_names(["base, short context, nonsense"], run) == [("base, short context", (BASE,)), ("nonsense", ())]
    assert match_names(["beam 5, tiny.en, beam 5"], run) == [("beam 5", ()), ("tiny.en, beam 5", ())]
    assert match_names(["", " , "], run) == []


def test_the_page_tells_the_names_that_points_have():
    page = (Path(__file__).parents[2] / "docs/names.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| ([^|(]+?) (?:\(.*)?\|$", page, re.MULTILINE)
    rows = [(name, title) for name, title in rows if "-" in name]
    assert len(rows) == 9
    assert [(name, title_of(name)) for name, _ in rows] == rows
