import numpy as np

from allophone.routing.regression import Candidate, speaker_folds
from allophone.routing.samples import read_route_samples
from allophone.routing.selection import cross_predict, select_choice, select_regressor
from allophone.routing.transcript_features import pair_features, reading_features
from route_runs import BASE, TINY


def learn(run):
    samples = read_route_samples([run], [TINY.name, BASE.name])
    features = np.stack([reading_features(reading) for reading in samples.readings[0]])
    return samples, features, speaker_folds(samples.speakers, 6)


def test_no_speaker_is_predicted_by_a_regressor_that_has_seen_it(seen):
    samples, features, folds = learn(seen)
    saved = samples.errors[0] - samples.errors[1]
    before = cross_predict(Candidate(1.0), features, saved, folds)
    changed = saved.copy()
    changed[folds[0]] += 5  # this fold's own labels
    after = cross_predict(Candidate(1.0), features, changed, folds)
    assert after[folds[0]].tolist() == before[folds[0]].tolist()
    assert (after[folds[1]] != before[folds[1]]).all()


def test_the_candidate_that_recovers_most_is_chosen(seen):
    samples, features, folds = learn(seen)
    costs = samples.flops[1:] / 1e9
    saved = samples.errors[:-1] - samples.errors[1:]
    blind = Candidate(1e12)
    found = select_regressor(samples, [features], saved, folds, "cascade", costs, candidates=(blind, Candidate(30.0)))
    assert found.candidate == Candidate(30.0)
    assert len(found.shares) == 4
    assert found.recovery.share == max(found.shares.values()) > 0.1


def test_a_choice_is_kept_only_where_it_saves_errors(seen):
    samples, _, folds = learn(seen)
    pairs = [np.stack([pair_features(*both) for both in zip(*samples.readings, strict=True)])]
    perfect = np.stack([samples.errors[0], np.zeros(len(samples))])  # the dear point is never wrong
    assert select_choice(pairs, perfect, folds, (Candidate(1.0),)) == (None, None)
    telling = [np.concatenate([pairs[0], (samples.errors[0] - samples.errors[1])[:, None]], axis=1)]
    candidate, kept = select_choice(telling, samples.errors, folds, (Candidate(1.0),))
    assert candidate == Candidate(1.0)
    assert samples.errors[kept[1], np.arange(120)].sum() < samples.errors[1].sum()
    assert kept[0].tolist() == [0] * 120
