import numpy as np
import pytest

from allophone.errors import SpaceError
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio_difference
from star_runs import BASE, write_star

WIDE = BASE.model_copy(update={"beam_size": 5})


@pytest.fixture
def samples(tmp_path):
    run = write_star(tmp_path / "r", {BASE: ([2, 1] * 20, 10.0), WIDE: ([1, 1] * 20, 16.0)})
    return summarise_run(run, RecognitionRunSummary).samples


def test_error_rates_and_costs_are_ratios_of_sums(samples):
    above, below = samples.sums("wer")
    assert (above.sum(axis=1) / below.sum()).tolist() == [0.15, 0.1]
    above, below = samples.sums("executed_gflops")
    assert (above.sum(axis=1) / below.sum()).tolist() == [10, 16]
    assert samples.sums("rtf")[0] is samples.latency_s
    assert samples.sums("latency_p95_s") is None
    assert samples.weight == 400


def test_a_difference_of_error_rates_has_its_closed_form(samples):
    draws = draw_blocks(samples.speakers, n_replicates=100)
    found = samples.resample_difference("wer", draws, 0)
    wanted = resample_ratio_difference(samples.errors, samples.words, draws, 0)
    np.testing.assert_array_equal(found.values, wanted.values)
    np.testing.assert_array_equal(found.standard_errors, wanted.standard_errors)
    plain = samples.resample_difference("executed_gflops", draws, 0)
    assert plain.estimates.tolist() == [0, 6]


def test_points_are_equal_where_they_err_alike_in_every_utterance(samples):
    assert samples.equal(1, 1)
    assert not samples.equal(0, 1)


def test_an_objective_of_the_other_task_cannot_be_resampled(samples):
    with pytest.raises(SpaceError, match="'uar_loss' cannot be resampled"):
        samples.resample("uar_loss", draw_blocks(samples.speakers, n_replicates=10))
