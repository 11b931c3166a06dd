import numpy as np
import pytest

from allophone.models.token_confidence import read_step, token_confidence


def test_a_step_is_read_as_log_probability_and_entropy():
    shares = np.array([0.5, 0.25, 0.25])
    logits = np.append(np.log(shares) + 7.0, -np.inf)  # a suppressed token has no share
    log_probability, entropy = read_step(logits, 1)
    assert log_probability == pytest.approx(np.log(0.25), abs=1e-6)
    assert entropy == pytest.approx(1.5 * np.log(2), abs=1e-5)  # 0.5 ln 2 + 2 * 0.25 ln 4


def test_steps_of_a_text_that_was_cut_have_no_row_for_its_end():
    rows = [np.log([0.5, 0.5]), np.log([0.25, 0.75])]
    log_probabilities, entropies = token_confidence(rows, [1, 0, 1])
    assert log_probabilities == pytest.approx(np.log([0.5, 0.25]), abs=1e-6)
    # ln 2, and 0.25 ln 4 + 0.75 ln (4 / 3)
    assert entropies == pytest.approx([np.log(2), 2 * np.log(2) - 0.75 * np.log(3)], abs=1e-6)


def test_no_rows_are_no_steps():
    assert token_confidence((), [5]) == ((), ())
