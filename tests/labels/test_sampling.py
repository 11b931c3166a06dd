import numpy as np
import pytest

from allophone.errors import UsageError
from allophone.labels.sampling import FLOOR, disagreement, inclusion_probabilities, priorities, sample_sizes

IDS = [f"u{index}" for index in range(40)]


def drawn(sizes, n, seed):
    order = priorities(IDS, sizes, seed)
    return np.argsort(order)[:n], inclusion_probabilities(order, sizes, n)


def test_disagreement_is_the_mean_edit_distance_over_pairs():
    # a b c against a b d: 1; twice (of three pairs), and 0 between the equal two
    assert disagreement(["a b c", "a b c", "a b d"]) == pytest.approx(2 / 3)
    assert disagreement(["a  b", "a b "]) == 0
    assert disagreement(["", "a b"]) == 2


def test_sizes_are_shares_of_disagreement_and_words():
    sizes = sample_sizes(np.array([3.0, 1.0, 0.0]), np.array([1.0, 1.0, 3.0]))
    # (1 - floor) * d / 4 + floor * (w + 1) / 8
    assert sizes == pytest.approx([0.75 * (1 - FLOOR) + FLOOR / 4, 0.25 * (1 - FLOOR) + FLOOR / 4, FLOOR / 2])
    assert sample_sizes(np.zeros(2), np.array([0.0, 2.0])) == pytest.approx([0.25, 0.75])


def test_weighted_sums_are_unbiased_for_every_size_of_sample():
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.2, 3, 40)
    values = rng.normal(2, 1, 40) * sizes
    for n in (3, 12):
        totals = []
        for seed in range(4000):
            sample, probabilities = drawn(sizes, n, seed)
            totals.append((values[sample] / probabilities[sample]).sum())
        assert np.mean(totals) == pytest.approx(values.sum(), abs=4 * np.std(totals) / np.sqrt(len(totals)))
        # taking the sample for equally likely would be biased by far more
        naive = [40 / n * values[drawn(sizes, n, seed)[0]].sum() for seed in range(500)]
        assert np.mean(naive) > 1.2 * values.sum()


def test_a_larger_sample_holds_the_smaller_one_and_seeds_differ():
    sizes = np.linspace(1, 3, 40)
    assert set(drawn(sizes, 10, 7)[0]) <= set(drawn(sizes, 25, 7)[0])
    assert set(drawn(sizes, 10, 7)[0]) != set(drawn(sizes, 10, 8)[0])


def test_the_draw_depends_on_ids_and_not_on_their_order():
    sizes = np.linspace(1, 3, 40)
    forward, backward = priorities(IDS, sizes, 0), priorities(IDS[::-1], sizes[::-1], 0)
    assert forward == pytest.approx(backward[::-1])


def test_all_drawn_are_certain_and_more_than_all_cannot_be_drawn():
    sizes = np.ones(40)
    assert (inclusion_probabilities(priorities(IDS, sizes, 0), sizes, 40) == 1).all()
    for n in (0, 41):
        with pytest.raises(UsageError, match=f"sample of {n} cannot"):
            inclusion_probabilities(priorities(IDS, sizes, 0), sizes, n)
