import ctranslate2
import numpy as np
from allophone.models.ctranslate2_arrays import every_nth, host_array, storage_view

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
