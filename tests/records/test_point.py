import dataclasses
import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from allophone.records.measurement import Measurement
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment, Transcript, Word
from allophone.records.utterance import Utterance

POINT = OperatingPoint(model="tiny.en")


@pytest.mark.parametrize(
    ("knobs", "name"),
    [
        ({}, "tiny.en-full-s1-int8-b1"),
        ({"context": "fit"}, "tiny.en-fit+0-s1-int8-b1"),
        ({"context": "fit", "margin_s": 2, "floor_s": 10, "token_stride": 2}, "tiny.en-fit+2f10-s2-int8-b1"),
        ({"context": "fit", "margin_s": 1, "tail": "all"}, "tiny.en-fit+1tall-s1-int8-b1"),
        ({"context": "fit", "margin_s": 1, "tail": "every-4", "guard": True}, "tiny.en-fit+1t4g-s1-int8-b1"),
        ({"context": "fit", "tail": "last-300"}, "tiny.en-fit+0tlast300-s1-int8-b1"),
        ({"window_s": 15, "speed": 1.25, "beam_size": 5}, "tiny.en-full-w15-x1.25-s1-int8-b5"),
        ({"model": "fake:base", "compute_type": "float32"}, "fake.base-full-s1-float32-b1"),
    ],
)
def test_names(knobs, name):
    assert OperatingPoint(**{"model": "tiny.en", **knobs}).name == name


def test_folders_of_one_name_are_told_apart_by_their_path():
    here, there = (OperatingPoint(model=f"/{place}/whisper").name for place in ("a", "b"))
    assert here != there
    assert re.fullmatch(r"whisper@[0-9a-f]{8}-full-s1-int8-b1", here)


def test_every_knob_is_in_the_name():
    changes = [
        {"model": "base"},
        {"window_s": 20},
        {"context": "fit"},
        {"context": "fit", "margin_s": 1},
        {"context": "fit", "floor_s": 1},
        {"context": "fit", "tail": "all"},
        {"context": "fit", "tail": "every-4"},
        {"context": "fit", "tail": "last-4"},
        {"context": "fit", "guard": True},
        {"context": "fit", "floor_s": 1.0000001},
        {"token_stride": 2},
        {"speed": 1.5},
        {"compute_type": "float32"},
        {"beam_size": 2},
    ]
    names = {OperatingPoint(**{"model": "tiny.en", **change}).name for change in [{}, *changes]}
    assert len(names) == len(changes) + 1


@pytest.mark.parametrize("model", ["a/b", "C:\\m\\w", "../x", "fake:tiny", "./w/", "~/a model*"])
def test_names_are_file_names(model):
    name = OperatingPoint(model=model, context="fit", margin_s=1.5, speed=1.25).name
    assert not set(name) & set('/\\:*?"<>|')


@pytest.mark.parametrize("tail", ["", "every", "every-1", "every-0", "last-0", "all-2", "every-2.5", "half"])
def test_a_tail_is_one_of_four_forms(tail):
    with pytest.raises(ValidationError, match="tail"):
        OperatingPoint(model="base", context="fit", tail=tail)


def test_a_full_context_has_neither_margin_nor_floor():
    assert OperatingPoint(model="base", tail="all", guard=True) == OperatingPoint(model="base")
    assert OperatingPoint(model="base", margin_s=2, floor_s=10) == OperatingPoint(model="base")
    assert OperatingPoint(model="base", context="fit", margin_s=2).margin_s == 2.0


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("model", ""),
        ("window_s", 0),
        ("window_s", 30.1),
        ("window_s", math.nan),
        ("context", "half"),
        ("margin_s", -1),
        ("margin_s", math.nan),
        ("floor_s", 31),
        ("token_stride", 0),
        ("token_stride", 1.5),
        ("speed", 0.4),
        ("speed", math.inf),
        ("compute_type", "int3"),
        ("beam_size", 0),
        ("beam_size", 33),
        ("beams", 5),
    ],
)
def test_impossible_values_are_refused_by_name(knob, value):
    with pytest.raises(ValidationError, match=knob):
        OperatingPoint(**{"model": "tiny.en", "context": "fit", knob: value})


def test_points_are_frozen_and_can_be_keys():
    with pytest.raises(ValidationError, match="frozen"):
        POINT.beam_size = 5
    assert len({POINT, OperatingPoint(model="tiny.en")}) == 1


def test_points_read_back_from_json():
    point = OperatingPoint(model="base", context="fit", margin_s=1.5, token_stride=4, beam_size=5)
    assert OperatingPoint.model_validate_json(point.model_dump_json()) == point


@given(st.builds(OperatingPoint, model=st.just("m"), token_stride=st.integers(1, 100), beam_size=st.integers(1, 32)))
def test_stride_and_beam_share_the_encoder_pass(point):
    assert point.encode_key == OperatingPoint(model="m").encode_key


def test_tails_and_guards_share_the_encoder_pass():
    fit = OperatingPoint(model="m", context="fit")
    assert fit.model_copy(update={"tail": "all", "guard": True}).encode_key == fit.encode_key


def test_a_rejected_pass_is_paid_for():
    short = Segment(0, 1, "", (), 1, 100, 0, 0, 0, 0, True, 0.25, 0.5)
    segment = dataclasses.replace(short, frames=3000, encode_s=2.0, decode_s=1.0, rejected=short)
    transcript = Transcript(POINT, "", "en", 1.0, (segment, short), 0.125, 2)
    assert [passed.frames for passed in transcript.passes] == [100, 3000, 100]
    assert (transcript.encode_s, transcript.decode_s, transcript.latency_s) == (2.5, 2.0, 4.625)


@pytest.mark.parametrize(
    "change", [{"model": "base"}, {"window_s": 20}, {"context": "fit"}, {"speed": 2}, {"compute_type": "float32"}]
)
def test_every_other_knob_needs_a_pass_of_its_own(change):
    assert OperatingPoint(**{"model": "tiny.en", **change}).encode_key != POINT.encode_key


def test_model_and_compute_type_are_the_loaded_weights():
    assert OperatingPoint(model="base", beam_size=5, speed=2).weights_key == ("base", "int8")


def test_latency_is_preparation_encoding_and_decoding():
    segments = [Segment(0, 1, "", (), 1, 3000, 0, 0, 0, 0, False, encode_s, 0.25) for encode_s in (0.5, 1.0)]
    transcript = Transcript(POINT, "", "en", 2.0, tuple(segments), 0.125, 2)
    assert (transcript.encode_s, transcript.decode_s) == (1.5, 0.5)
    assert transcript.latency_s == 2.125  # 0.125 + 1.5 + 0.5


@pytest.mark.parametrize("record", [Utterance, Word, Segment, Transcript, Measurement])
def test_records_are_frozen(record):
    assert record.__dataclass_params__.frozen
    fields = {field.name: None for field in dataclasses.fields(record)}
    instance = record(**fields)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(instance, next(iter(fields)), 1)


def test_optional_fields_come_last():
    for first, second in pairwise(dataclasses.fields(Utterance)):
        assert first.default is dataclasses.MISSING or second.default is None


def test_moonshine_has_no_context_but_the_audio():
    plain = OperatingPoint(model="moonshine-tiny")
    asked = OperatingPoint(model="moonshine-tiny", context="full", margin_s=1, floor_s=10, tail="all", guard=True)
    fit = OperatingPoint(model="moonshine-tiny", context="fit", margin_s=1, tail="all", guard=True)
    assert plain == asked == fit
    assert plain.name == "moonshine-tiny-fit+0-s1-int8-b1"
    assert plain != OperatingPoint(model="moonshine-tiny", token_stride=2)
