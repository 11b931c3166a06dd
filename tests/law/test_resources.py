import pytest

from allophone.errors import UnknownModelError
from allophone.law.resources import RESOURCES, axis_values, layer_parameters, resource_table, varied_axes
from allophone.records.point import OperatingPoint

FULL = OperatingPoint(model="tiny")


def resource(axis, durations=(10.0,), **knobs):
    point = OperatingPoint(**{"model": "tiny", **knobs})
    return float(resource_table([point], [axis], durations)[0, 0])


def test_every_knob_belongs_to_one_axis():
    knobs = [knob for item in RESOURCES.values() for knob in item.knobs]
    assert sorted(knobs) == sorted(OperatingPoint.model_fields)


def test_layer_parameters_are_the_closed_form():
    # tiny: 4 layers of width 384: 12 * 4 * 147456 + 16 * 4 * 147456 = 7077888 + 9437184
    assert layer_parameters("tiny") == 16_515_072
    assert layer_parameters("fake:tiny") == 16_515_072
    # turbo: 32 encoder layers and 4 of the decoder, width 1280: 12 * 32 * 1638400 + 16 * 4 * 1638400
    assert layer_parameters("large-v3-turbo") == 734_003_200
    # 6 · (12·288² + 20·288²): a gated feed-forward part has three matrices of 288 x 1152
    assert layer_parameters("moonshine-tiny") == 15_925_248
    assert layer_parameters("./mine", {"./mine": 5e6}) == 5e6
    with pytest.raises(UnknownModelError, match="'mine' is not known"):
        layer_parameters("mine")


def test_context_is_a_second_and_the_silence_behind_the_audio():
    assert resource("context") == 21  # 1 + 30 - 10
    assert resource("context", context="fit", margin_s=2) == 3
    assert resource("context", context="fit", margin_s=2, floor_s=15) == 6  # the floor is 5 s above the audio
    assert resource("context", context="fit") == 1
    assert resource("context", durations=(29.0,), context="fit", margin_s=5) == 2  # no more than 30 s
    assert resource("context", durations=(5.0, 10.0), context="fit", floor_s=10) == 3.5  # silence of 5 and 0 s
    assert resource("context", speed=2.0) == 26  # 30 s less 5 s of compressed audio


def test_tail_is_a_second_and_all_silence_that_the_decoder_sees():
    assert resource("tail") == 21  # encoded silence counts as well: 1 + 30 - 10
    assert resource("tail", context="fit", margin_s=2) == 3
    assert resource("tail", context="fit", margin_s=2, tail="all") == pytest.approx(21)
    assert resource("tail", context="fit", margin_s=2, tail="every-4") == pytest.approx(1 + 2 + 4.5)  # 18 s / 4
    assert resource("tail", context="fit", margin_s=2, tail="last-300") == pytest.approx(1 + 2 + 6)  # 300 · 20 ms


def test_the_other_resources():
    assert resource("token_stride") == pytest.approx(50)
    assert resource("token_stride", token_stride=4) == pytest.approx(12.5)
    assert resource("speed", speed=1.25) == pytest.approx(40)
    assert resource("window_s", durations=(40.0,), window_s=15) == 15
    assert resource("window_s", durations=(6.0,), window_s=15) == 6
    assert resource("beam_size", beam_size=5) == 5


@pytest.mark.parametrize(
    ("compute_type", "bits"),
    [("int8", 8), ("int8_float32", 8), ("int8_bfloat16", 8), ("int16", 16), ("bfloat16", 16), ("float32", 32)],
)
def test_bits_are_those_of_the_weights(compute_type, bits):
    assert resource("compute_type", compute_type=compute_type) == bits


def test_varied_axes_are_those_whose_knobs_differ():
    margins = [OperatingPoint(model="tiny", context="fit", margin_s=margin) for margin in (1, 2)]
    assert varied_axes(margins) == ("context",)
    assert varied_axes([FULL, OperatingPoint(model="base", beam_size=5)]) == ("model", "beam_size")
    assert varied_axes([FULL, FULL]) == ()
    assert axis_values(margins[0], "context") == ("fit", 1, 0, False)
