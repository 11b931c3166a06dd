from types import SimpleNamespace

import numpy as np

from allophone.routing.cross_fitting import cross_fit
from allophone.routing.replay import Outcome


class Speakers(SimpleNamespace):
    def __len__(self):
        return len(self.speakers)


SAMPLES = Speakers(speakers=[f"s{place % 6}" for place in range(60)])


def test_every_utterance_is_routed_once_by_what_other_speakers_chose():
    routed = []

    def route(others, held_out):
        mine = {SAMPLES.speakers[place] for place in held_out}
        assert mine.isdisjoint(SAMPLES.speakers[place] for place in others)
        assert len(others) + len(held_out) == len(SAMPLES)
        routed.extend(held_out.tolist())
        n = len(held_out)
        value = held_out.astype(float)
        return Outcome(np.ones(n, np.intp), np.zeros(n, np.intp), value, 2 * value, 3 * value)

    found = cross_fit(SAMPLES, route, n_folds=3)
    assert sorted(routed) == list(range(60))
    np.testing.assert_array_equal(found.errors, np.arange(60))
    np.testing.assert_array_equal(found.flops, 2 * np.arange(60))
    np.testing.assert_array_equal(found.seconds, 3 * np.arange(60))
    assert found.reached.all()
    assert not found.kept.any()


def test_more_folds_than_speakers_are_as_many_as_speakers():
    folds = []

    def route(others, held_out):
        folds.append(held_out)
        n = len(held_out)
        return Outcome(np.zeros(n, np.intp), np.zeros(n, np.intp), np.zeros(n), np.zeros(n), np.zeros(n))

    cross_fit(SAMPLES, route, n_folds=100)
    assert len(folds) == 6
