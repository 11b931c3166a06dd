from dataclasses import fields

import numpy as np
import pytest

from allophone.costs.executed import whisper_flops
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import LedgerError, UsageError
from allophone.records.point import OperatingPoint
from allophone.routing.samples import RouteSamples, point_dimensions, read_route_samples
from builders import write_run
from route_runs import BASE, ENCODER_FRAMES, SMALL, TINY, write_routed


def test_arrays_hold_the_rows_by_point_and_utterance(seen):
    samples = read_route_samples([seen], [TINY.name, BASE.name])
    assert samples.errors.shape == samples.flops.shape == samples.latency_s.shape == (2, 120)
    assert (len(samples), samples.n_speakers) == (120, 12)
    assert samples.weights.tolist() == [10] * 120
    assert samples.flops[1] == pytest.approx(4 * samples.flops[0])
    assert samples.readings[0][3].tokens == 10
    whole = whisper_flops(
        whisper_dimensions("tiny"), window_frames=[ENCODER_FRAMES], window_tokens=[0], prompt_tokens=0
    )
    assert samples.encoder_flops[0].tolist() == [whole.stem + whole.encoder] * 120


def test_runs_are_joined_and_cut_by_place(seen, unseen):
    samples = read_route_samples([seen, unseen], [TINY.name, BASE.name])
    assert np.bincount(samples.domains).tolist() == [120, 120]
    cut = samples.take(np.array([121, 0]))
    assert cut.speakers == ("u1", "s0")
    assert cut.errors[:, 0].tolist() == samples.errors[:, 121].tolist()
    assert cut.readings[1][0] == samples.readings[1][121]


def test_some_points_are_cut_with_their_readings(tmp_path):
    run = write_routed(tmp_path / "r", points=(TINY, BASE, SMALL))
    samples = read_route_samples([run], [TINY.name, BASE.name, SMALL.name])
    ends = samples.take_points([0, 2])
    assert ends.points == (TINY, SMALL)
    assert ends.errors.tolist() == samples.errors[[0, 2]].tolist()
    assert ends.before_s.tolist() == samples.before_s[[0, 2]].tolist()
    assert ends.readings == (samples.readings[0], samples.readings[2])


def test_a_point_without_a_decoder_is_all_encoder(seen):
    samples = read_route_samples([seen], [TINY.name, BASE.name])
    shared = {field.name: getattr(samples, field.name) for field in fields(RouteSamples)}
    assert RouteSamples(**shared).encoding(1)[0].tolist() == samples.flops[1].tolist()
    assert samples.encoding(1)[0].tolist() == samples.encoder_flops[1].tolist()


def test_only_utterances_that_all_points_have_count(tmp_path):
    run = write_run(tmp_path / "r", {TINY: [{}] * 4, BASE: [{"executed_flops": 10**11}] * 3}, n_utterances=4)
    assert len(read_route_samples([run], [TINY.name, BASE.name])) == 3


def test_a_run_without_a_candidate_names_what_it_has(seen):
    with pytest.raises(UsageError, match=rf"'{SMALL.name}' is no point of this run\. Name one of: {TINY.title}"):
        read_route_samples([seen], [TINY.name, SMALL.name])


def test_a_model_names_its_only_point(seen, tmp_path):
    assert read_route_samples([seen], ["fake:tiny", "fake:base"]).points == (TINY, BASE)
    strided = OperatingPoint(model="fake:tiny", token_stride=2)
    run = write_run(tmp_path / "r", {TINY: [{}], strided: [{}]})
    with pytest.raises(UsageError, match="names several points"):
        read_route_samples([run], ["fake:tiny", strided.name])


def test_one_point_twice_is_no_choice(seen):
    for names in ([TINY.name], [TINY.name, TINY.name], []):
        with pytest.raises(UsageError, match="two or more different points"):
            read_route_samples([seen], names)


def test_points_go_from_cheap_to_dear(seen):
    with pytest.raises(UsageError, match="from cheap to dear"):
        read_route_samples([seen], [BASE.name, TINY.name])


def test_what_is_no_run_or_not_measured_yet(tmp_path):
    with pytest.raises(LedgerError, match="no such run"):
        read_route_samples([tmp_path / "none"], [TINY.name, BASE.name])
    run = write_run(tmp_path / "r", {TINY: [{}], BASE: []}, n_utterances=1)
    with pytest.raises(UsageError, match="no utterance is measured at all of"):
        read_route_samples([run], [TINY.name, BASE.name])


def test_runs_that_count_against_different_references_do_not_mix(seen, tmp_path):
    relative = {"relative_to": "base"}
    rows = {TINY: [relative], BASE: [{"executed_flops": 10**11, **relative}]}
    other = write_run(tmp_path / "r", rows, relative_to="base")
    with pytest.raises(UsageError, match="different references"):
        read_route_samples([seen, other], [TINY.name, BASE.name])


def test_dimensions_of_fakes_and_names():
    assert point_dimensions(TINY) == whisper_dimensions("tiny")
    assert point_dimensions(OperatingPoint(model="base")) == whisper_dimensions("base")


def test_three_points(tmp_path):
    run = write_routed(tmp_path / "r", 20, points=(TINY, BASE, SMALL))
    assert read_route_samples([run], [TINY.name, BASE.name, SMALL.name]).errors.shape == (3, 20)
