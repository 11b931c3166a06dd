from math import isnan, nan

import pytest

from allophone.diagnosis.diagnose import diagnose
from allophone.errors import LedgerError, SpaceError
from allophone.records.point import OperatingPoint
from builders import write_run
from star_runs import BASE, rows, write_star


def turn(**changes):
    return OperatingPoint(**{**BASE.model_dump(), **changes})


BIGGER, BEAM, COARSE = turn(model="base"), turn(beam_size=5), turn(token_stride=2)
SHORT = turn(context="fit", margin_s=1.0)
MIXED = [2, 2, 3, 1, 2] * 8
OPEN = [3, 1, 2, 3, 0] * 8


def axis(found, name):
    return next(item for item in found.axes if item.axis == name)


def answer(found, topic):
    return next(item for item in found.answers if item.topic == topic)


def test_the_binding_axis_gains_most_per_doubling(tmp_path):
    # model: 20 points for two doublings; beam: 15 points for a quarter
    beam = [2, 3, 2, 3, 2] * 4 + [3, 2, 3, 2, 3] * 4
    folder = write_star(tmp_path / "r", {BASE: (4, 10.0), BIGGER: (2, 40.0), BEAM: (beam, 12.0), SHORT: (6, 5.0)})
    found = diagnose(folder)
    assert (found.base.name, found.base_source) == (BASE.name, "centre")
    assert (found.binding.axis, found.binding.move.target) == ("beam_size", BEAM.name)
    assert found.binding.p_largest > 0.99
    assert found.binding.rival is None
    assert (found.next_step.kind, found.next_step.axis) == ("buy", "beam_size")
    assert answer(found, "capacity").verdict == "yes"
    assert answer(found, "context").verdict == "no"  # full is as far as it goes, and shorter is worse
    assert answer(found, "resolution").verdict == "not measured"
    assert answer(found, "adaptation").verdict == "not measured"
    assert answer(found, "dominated").verdict == "no"


def test_a_sure_gain_binds_though_an_open_one_was_larger_and_the_probability_says_so(tmp_path):
    spread = [0, 4, 0, 4, 0, 4, 1, 1, 3, 3] * 4  # mean 2, and 1 to 4 words better or worse
    folder = write_star(tmp_path / "r", {BASE: (3, 10.0), BIGGER: (2, 40.0), BEAM: (spread, 11.0)})
    found = diagnose(folder, confidence=0.99)
    assert found.binding.axis == "model"
    assert found.binding.p_largest < 0.2
    assert found.binding.rival.target == BEAM.name


def test_the_only_purchase_has_no_rival(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (3, 10.0), BIGGER: (2, 40.0)}))
    assert (found.binding.axis, found.binding.p_largest, found.binding.rival) == ("model", None, None)


def test_what_is_better_and_cheaper_comes_first(tmp_path):
    folder = write_star(tmp_path / "r", {BASE: (3, 10.0), BIGGER: (1, 40.0), COARSE: (2, 9.0)})
    found = diagnose(folder)
    assert (found.next_step.kind, found.next_step.move.target) == ("free", COARSE.name)
    assert found.binding.axis == "model"
    assert (answer(found, "dominated").verdict, found.standing.dominated_by) == ("yes", COARSE.name)
    assert answer(found, "resolution").verdict == "yes"


def test_without_a_purchase_the_saving_is_next(tmp_path):
    folder = write_star(tmp_path / "r", {BASE: (MIXED, 10.0), SHORT: (MIXED, 4.0), BEAM: (3, 20.0)})
    found = diagnose(folder, margin=0.01)  # 400 equal words: 1 - 0.99^400 = 0.98
    assert found.wasted == ("context", "beam_size")
    assert (found.next_step.kind, found.next_step.move.target) == ("save", SHORT.name)
    assert (answer(found, "context").verdict, answer(found, "context").of) == ("yes", "compute")
    assert found.binding is None


def test_at_the_end_of_an_axis_that_still_paid_measure_further(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (3, 10.0), BIGGER: (2, 40.0)}), BIGGER.name)
    assert (axis(found, "model").status, axis(found, "model").exhausted) == ("needed", True)
    assert (found.next_step.kind, found.next_step.axis) == ("extend", "model")
    assert answer(found, "capacity").verdict == "not measured"
    assert answer(found, "capacity").move.target == BASE.name


def test_an_axis_that_cannot_go_further_is_not_extended(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (2, 10.0), SHORT: (3, 4.0)}))
    assert (axis(found, "context").exhausted, axis(found, "context").at_limit) == (True, True)
    assert found.next_step.kind == "none"


def test_an_open_purchase_asks_for_more_utterances(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (MIXED, 10.0), BIGGER: (OPEN, 40.0)}), confidence=0.999)
    assert (found.next_step.kind, found.next_step.axis) == ("decide", "model")
    assert answer(found, "capacity").verdict == "undecided"
    assert answer(found, "dominated").verdict == "no"  # the other one costs more
    assert answer(diagnose(tmp_path / "r", BIGGER.name), "dominated").verdict == "undecided"


def test_cut_context_costs_accuracy(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (2, 10.0), SHORT: (4, 4.0)}), SHORT.name)
    assert (answer(found, "context").verdict, answer(found, "context").of) == ("yes", "accuracy")


def test_the_longest_context_measured_is_no_proof_against_a_longer_one(tmp_path):
    longer = turn(context="fit", margin_s=4.0)
    found = diagnose(write_star(tmp_path / "r", {SHORT: (4, 4.0), longer: (2, 8.0)}), longer.name)
    assert (axis(found, "context").status, answer(found, "context").verdict) == ("needed", "undecided")


def test_coarser_tokens_that_harm_are_refused(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (2, 10.0), COARSE: (4, 8.0)}))
    assert (answer(found, "resolution").verdict, answer(found, "resolution").move.target) == ("no", COARSE.name)


def test_a_run_in_progress_is_diagnosed_on_what_it_has(tmp_path):
    folder = write_run(tmp_path / "r", {BASE: rows(3, 10.0), BIGGER: rows(2, 40.0, n=30), BEAM: []}, n_utterances=40)
    found = diagnose(folder)
    assert found.base.n_utterances == found.anatomy[BASE.name].utterances == 30
    assert any("in progress" in notice for notice in found.run.notices)
    with pytest.raises(SpaceError, match="is planned but not measured yet"):
        diagnose(folder, BEAM.name)


def test_one_point_alone_measures_no_axis(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (3, 10.0)}))
    assert {item.status for item in found.axes} == {"not measured"}
    assert (found.binding, found.wasted, found.next_step.kind) == (None, (), "none")
    assert [item.verdict for item in found.answers] == ["not measured"] * 4 + ["no"]


def test_one_speaker_is_a_warning(tmp_path):
    changed = [{**row, "speaker": "s"} for row in rows(3, 10.0)]
    better = [{**row, "speaker": "s"} for row in rows(2, 40.0)]
    found = diagnose(write_run(tmp_path / "r", {BASE: changed, BIGGER: better}))
    assert "All utterances have one speaker" in found.warnings[0]
    assert found.anatomy[BASE.name].by_speaker is None
    assert found.binding is None  # one speaker says nothing about others


@pytest.mark.parametrize("n", [1, 19])
def test_under_twenty_utterances_nothing_is_decided(tmp_path, n):
    found = diagnose(write_run(tmp_path / "r", {BASE: rows(3, 10.0, n=n), BIGGER: rows(1, 40.0, n=n)}))
    assert axis(found, "model").status == "undecided"
    assert found.binding is None
    assert answer(found, "dominated").verdict == "undecided"


def test_a_point_without_errors_has_nothing_to_buy(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (0, 10.0), BIGGER: (0, 40.0), SHORT: (1, 4.0)}), margin=0.01)
    assert (found.base.wer, found.binding) == (0, None)
    assert axis(found, "model").buys_nothing
    assert isnan(axis(found, "model").here.relative)
    assert found.anatomy[BASE.name].total == 0


def test_a_corpus_of_silence_has_no_rate(tmp_path):
    silent = [{"reference": "", "hypothesis": "you", "hits": 0, "insertions": 1, "speaker": f"s{k}"} for k in range(20)]
    quiet = [{**row, "hypothesis": "", "insertions": 0} for row in silent]
    found = diagnose(write_run(tmp_path / "r", {BASE: silent, BIGGER: quiet}))
    assert axis(found, "model").status == "undecided"
    assert found.anatomy[BASE.name].errors["silence_insertions"] == 20


def test_the_anatomy_counts_what_the_ledger_counted(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (MIXED, 10.0), BIGGER: (OPEN, 40.0)}))
    for point in found.run.points:
        anatomy = found.anatomy[point.name]
        assert anatomy.total == point.substitutions + point.insertions + point.deletions
        assert anatomy.words == point.hits + point.substitutions + point.deletions


def test_neighbours_are_contrasted_one_on_each_side(tmp_path):
    shorter = turn(context="fit", margin_s=0.5)
    folder = write_star(tmp_path / "r", {SHORT: (3, 5.0), BASE: (2, 10.0), shorter: (6, 4.0), COARSE: (3, 5.0)})
    found = diagnose(folder, SHORT.name)
    assert [(item.move.target, item.kind) for item in found.contrasts] == [
        (shorter.name, "substitutions"),
        (BASE.name, "substitutions"),
    ]


def test_bad_requests_are_refused(tmp_path):
    folder = write_run(tmp_path / "r", {BASE: [{"peak_memory_bytes": None}] * 3})
    with pytest.raises(SpaceError, match="unknown cost 'money'"):
        diagnose(folder, cost="money")
    with pytest.raises(SpaceError, match="peak_memory_bytes was not measured"):
        diagnose(folder, cost="peak_memory_bytes")
    with pytest.raises(SpaceError, match="confidence"):
        diagnose(folder, confidence=0.5)
    for margin in (0, -1, nan):
        with pytest.raises(SpaceError, match="margin"):
            diagnose(folder, margin=margin)
    with pytest.raises(LedgerError, match="no such run"):
        diagnose(tmp_path / "nowhere")


def test_errors_are_grouped_by_noise_where_it_was_estimated(tmp_path):
    text = "cat dog bird fish cow pig hen fox owl bee"
    heard = {"reference": text, "hypothesis": text}
    noisy = {"snr_db": 3.0, "hits": 8, "substitutions": 2, "reference": text, "hypothesis": f"{text[:-7]}no no"}
    utterances = [noisy, {"snr_db": 30.0, **heard}, heard] * 10
    folder = write_run(tmp_path / "r", {BASE: utterances, BIGGER: utterances})
    found = diagnose(folder).anatomy[BASE.name]
    assert [(group.name, group.utterances, group.errors) for group in found.by_snr] == [
        ("under 5 dB", 10, 20),
        ("15 dB or more", 10, 0),
    ]
    plain = diagnose(write_run(tmp_path / "plain", {BASE: [{}] * 30, BIGGER: [{}] * 30}))
    assert plain.anatomy[BASE.name].by_snr is None
