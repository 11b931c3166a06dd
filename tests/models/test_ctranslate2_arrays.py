import ctranslate2
import numpy as np
import pytest

from allophone.models.ctranslate2_arrays import every_nth, host_array, read_step, storage_view

BATCH = np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3)


def test_arrays_go_there_and_back():
    view = storage_view(BATCH[:, ::2])  # not contiguous
    np.testing.assert_array_equal(host_array(view), BATCH[:, ::2])


def test_a_view_outlives_its_array():
    array = BATCH.copy()
    view = storage_view(array)
    array[:] = -1
    np.testing.assert_array_equal(host_array(view), BATCH)


def test_every_window_of_a_batch_is_strided():
    view = ctranslate2.StorageView.from_array(BATCH)
    assert every_nth(view, 1) is view
    np.testing.assert_array_equal(host_array(every_nth(view, 2)), BATCH[:, [0, 2, 4]])


def test_a_step_is_read_as_log_probability_and_entropy():
    shares = np.array([0.5, 0.25, 0.25])
    logits = np.append(np.log(shares) + 7.0, -np.inf)  # a suppressed token has no share
    log_probability, entropy = read_step(logits, 1)
    assert log_probability == pytest.approx(np.log(0.25), abs=1e-6)
    assert entropy == pytest.approx(1.5 * np.log(2), abs=1e-5)  # 0.5 ln 2 + 2 * 0.25 ln 4
