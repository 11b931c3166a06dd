import sys

import numpy as np
import pytest

from allophone.errors import MissingExtraError
from allophone.routing.regression import SAVED_LIMIT, Candidate, fit_candidate, speaker_folds


def data(n=400, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 6))
    saved = 0.8 * np.maximum(features[:, 0], 0) - 0.4 * features[:, 1] + 0.1 * rng.normal(size=n)  # within the limit
    assert np.abs(saved).max() < SAVED_LIMIT
    return features, saved


def test_ridge_is_least_squares_with_a_penalty():
    features, saved = data()
    network = fit_candidate(Candidate(5.0), features, saved)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    weights = np.linalg.solve(scaled.T @ scaled + 5 * np.eye(6), scaled.T @ (saved - saved.mean()))
    assert network.predict(features)[:, 0] == pytest.approx(scaled @ weights + saved.mean())


def test_more_inputs_than_utterances_give_the_same_ridge():
    rng = np.random.default_rng(0)
    features, saved = rng.normal(size=(20, 30)), rng.uniform(-1, 1, size=20)
    network = fit_candidate(Candidate(2.0), features, saved)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    weights = np.linalg.solve(scaled.T @ scaled + 2 * np.eye(30), scaled.T @ (saved - saved.mean()))
    assert network.layers[0][0][:, 0] == pytest.approx(weights)


@pytest.mark.parametrize("candidate", [Candidate(1.0, splines=True), Candidate(0.01, hidden=8)])
def test_bends_are_learnt_that_a_line_cannot_follow(candidate):
    if candidate.hidden:
        pytest.importorskip("torch")
    features, saved = data()
    fresh, truth = data(seed=1)

    def error(which):
        return np.mean((fit_candidate(which, features, saved).predict(fresh)[:, 0] - truth) ** 2)

    assert error(candidate) < 0.7 * error(Candidate(1.0))


def test_a_loop_of_a_hundred_words_counts_as_the_limit():
    features, saved = data()
    wild = saved.copy()
    wild[0] = 300
    tame = saved.copy()
    tame[0] = SAVED_LIMIT
    one, other = (fit_candidate(Candidate(1.0), features, labels).predict(features) for labels in (wild, tame))
    assert one.tolist() == other.tolist()


def test_networks_are_seeded():
    pytest.importorskip("torch")
    features, saved = data(60)
    first, again, other = (
        fit_candidate(Candidate(0.1, hidden=4), features, saved, seed=seed).predict(features) for seed in (0, 0, 1)
    )
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_without_torch_a_network_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"\[torch\]"):
        fit_candidate(Candidate(0.1, hidden=4), *data(20))


def test_folds_share_no_speaker_and_hold_every_utterance_once():
    speakers = [f"s{index % 7}" for index in range(50)] + [None, None]
    folds = speaker_folds(speakers, 4)
    assert sorted(np.concatenate(folds).tolist()) == list(range(52))
    named = [{speakers[place] for place in fold} - {None} for fold in folds]
    assert sum(map(len, named)) == len(set().union(*named)) == 7
    assert max(map(len, folds)) - min(map(len, folds)) < 10
    assert [fold.tolist() for fold in speaker_folds(speakers, 4)] == [fold.tolist() for fold in folds]


def test_fewer_speakers_than_folds_give_fewer_folds():
    assert len(speaker_folds(["a", "b", "b"], 10)) == 2
