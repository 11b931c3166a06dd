import pytest

from allophone.errors import LedgerError
from allophone.ledger.ledger import Ledger
from allophone.ledger.run_record import EmotionRunRecord, RecognitionRunRecord, machine_stamp
from allophone.records.point import OperatingPoint
from allophone.sweeps.resume import existing_run, resume_run, space_as_begun
from allophone.sweeps.space import SearchSpace
from builders import run_record, write_run

A = OperatingPoint(model="tiny.en")
B = OperatingPoint(model="base")


def test_a_new_folder_takes_what_is_wanted(tmp_path):
    wanted = run_record([A], 1)
    assert resume_run(tmp_path / "r", wanted) == wanted


def test_the_same_request_keeps_the_day_it_began(tmp_path):
    write_run(tmp_path / "r", {A: [{}]})
    wanted = run_record([A], 1, created="2027-05-05T00:00:00+00:00")
    assert resume_run(tmp_path / "r", wanted).created == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": "0" * 64, "n_utterances": 5}, "the corpus changed.*1 utterances then, 5 now"),
        ({"language": "de"}, "'language' was 'en' and is 'de' now"),
        ({"threads": 7}, "'threads' was 1 and is 7 now"),
        ({"relative_to": "base"}, "'relative_to' was None and is 'base' now"),
        ({"points": [A, B]}, "1 points then, 2 now"),
        ({"points": [A, B], "plan": "grid"}, "plan was star and is grid now"),
        (
            {"points": [A, B], "space": {"model": ["tiny.en", "base"]}},
            "axis 'model' was tiny.en and is tiny.en,base now",
        ),
    ],
)
def test_what_changed_is_named(tmp_path, changes, message):
    write_run(tmp_path / "r", {A: [{}]})
    with pytest.raises(LedgerError, match=message):
        resume_run(tmp_path / "r", run_record([A], 1).model_copy(update=changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"processor": "Abacus"}, "another machine .processor"),
        ({"cores": 1000}, "another machine .cores"),
        ({"packages": {"ctranslate2": "0.1"}}, "began with ctranslate2"),
    ],
)
def test_times_of_another_machine_or_engine_are_not_mixed(tmp_path, changes, message):
    write_run(tmp_path / "r", {A: [{}]}, n_utterances=2)
    machine = machine_stamp().model_copy(update=changes)
    with pytest.raises(LedgerError, match=message):
        resume_run(tmp_path / "r", run_record([A], 2, machine=machine))


def test_points_may_be_added_when_asked(tmp_path):
    write_run(tmp_path / "r", {A: [{}]})
    assert resume_run(tmp_path / "r", run_record([A, B], 1), extend=True).points == [A, B]


def test_axes_are_joined_by_an_extension(tmp_path):
    write_run(tmp_path / "r", {A: [{}]}, space={"model": ["tiny.en"], "beam_size": [1, 5]})
    wanted = run_record([A, B], 1, space={"model": ["base"], "beam_size": [5, 2]})
    assert resume_run(tmp_path / "r", wanted, extend=True).space == {
        "model": ["tiny.en", "base"],
        "beam_size": [1, 5, 2],
    }


def test_the_same_points_in_another_order_are_the_same_space(tmp_path):
    write_run(tmp_path / "r", {A: [{}], B: [{}]})
    assert resume_run(tmp_path / "r", run_record([B, A], 1)).points == [B, A]


def test_the_earlier_run_is_of_the_task_asked_for_and_has_begun(tmp_path):
    assert existing_run(tmp_path / "none", RecognitionRunRecord) is None
    Ledger(tmp_path / "empty", run_record([A], 1)).close()
    assert existing_run(tmp_path / "empty", RecognitionRunRecord) is None
    run = write_run(tmp_path / "r", {A: [{}]})
    assert existing_run(run, EmotionRunRecord) is None
    assert existing_run(run, RecognitionRunRecord).points == [A]


def test_a_run_that_stopped_before_its_first_row_binds_to_nothing(tmp_path):
    Ledger(tmp_path / "r", run_record([A], 1)).close()  # as a sweep leaves it that asked for what no model has
    wanted = run_record([B], 2, created="2027-05-05T00:00:00+00:00")
    assert resume_run(tmp_path / "r", wanted) == wanted
    (tmp_path / "r/measurements/x.jsonl").touch()
    with pytest.raises(LedgerError, match="the corpus changed"):
        resume_run(tmp_path / "r", wanted.model_copy(update={"fingerprint": "0" * 64}))


def test_a_run_goes_on_with_the_weights_it_began_with(tmp_path):
    write_run(tmp_path / "r", {A: [{}]}, weights={"tiny.en": "1" * 64})
    same, other = (run_record([A], 1, weights={"tiny.en": digit * 64}) for digit in "12")
    assert resume_run(tmp_path / "r", same).weights == same.weights
    with pytest.raises(LedgerError, match=r"field 'weights': tiny\.en has changed since this run began"):
        resume_run(tmp_path / "r", other)
    write_run(tmp_path / "old", {A: [{}]})  # a run of before notes none
    assert resume_run(tmp_path / "old", other).weights == other.weights


def test_a_run_that_was_begun_with_former_defaults_goes_on_with_them():
    earlier = run_record([A], 1).model_copy(update={"space": {"tail": ["all"], "beam_size": [1, 5]}})
    assert space_as_begun(SearchSpace(), None) == SearchSpace()
    begun = space_as_begun(SearchSpace(token_stride=(4,)), earlier)
    assert (begun.tail, begun.beam_size, begun.token_stride) == (("all",), (1, 5), (4,))
    asked = space_as_begun(SearchSpace(beam_size=(5, 1)), earlier)
    assert (asked.tail, asked.beam_size) == (("all",), (5, 1))
    other = earlier.model_copy(update={"space": {"tail": ["none"], "beam_size": [3]}})
    assert space_as_begun(SearchSpace(), other) == SearchSpace()  # nothing that nobody asked for is taken over


def test_a_finished_run_is_shown_whatever_the_machine_has_now(tmp_path):
    write_run(tmp_path / "r", {A: [{}, {}]})
    machine = run_record([A], 2).machine
    elsewhere = run_record([A], 2, machine=machine.model_copy(update={"cores": machine.cores + 7}))
    assert resume_run(tmp_path / "r", elsewhere).machine == machine
    write_run(tmp_path / "s", {A: [{}]}, n_utterances=2)  # one row is left to measure
    with pytest.raises(LedgerError, match=r"the run began on another machine \(cores"):
        resume_run(tmp_path / "s", elsewhere)
    with pytest.raises(LedgerError, match="the run began on another machine"):
        resume_run(tmp_path / "r", elsewhere.model_copy(update={"points": [A, B]}), extend=True)
