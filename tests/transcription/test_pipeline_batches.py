import pytest
from hypothesis import given
from hypothesis import strategies as st

from allophone.transcription.pipeline import LARGEST_PADDING, choose_batch


@given(st.lists(st.integers(2, 3000), min_size=1, max_size=40), st.integers(1, 16))
def test_a_batch_holds_the_oldest_and_little_padding(frames, size):
    batch = choose_batch(frames, size)
    assert batch == sorted(set(batch))
    assert batch[0] == 0
    assert 1 <= len(batch) <= size
    asked = [frames[place] for place in batch]
    assert max(asked) <= LARGEST_PADDING * min(asked)


@given(st.lists(st.integers(2, 3000), min_size=1, max_size=40), st.integers(1, 16))
def test_nothing_that_fits_is_left_out_of_a_batch_with_room(frames, size):
    batch = choose_batch(frames, size)
    asked = [frames[place] for place in batch]
    if len(batch) < size:
        for place in set(range(len(frames))) - set(batch):
            together = [*asked, frames[place]]
            assert max(together) > LARGEST_PADDING * min(together)


@pytest.mark.parametrize(
    ("frames", "size", "batch"),
    [
        ([1000, 400, 1010, 990, 1240], 3, [0, 2, 3]),  # the nearest to 1000
        ([1000, 400, 1010, 990, 1240], 16, [0, 2, 3]),  # 1240 > 1.25 * 990
        ([3000] * 5, 4, [0, 1, 2, 3]),  # among equals the oldest
        ([100, 125, 126], 3, [0, 1]),
        ([100, 80, 120], 3, [0, 2]),  # 120 is nearer to 100 than 80 is, and the two do not go together
    ],
)
def test_batches(frames, size, batch):
    assert choose_batch(frames, size) == batch


@pytest.mark.parametrize(("frames", "size"), [([], 1), ([100], 0)])
def test_there_is_no_batch_of_nothing(frames, size):
    with pytest.raises(ValueError, match="windows waiting, batches of"):
        choose_batch(frames, size)
