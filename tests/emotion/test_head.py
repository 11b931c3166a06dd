import pytest

from allophone.costs.adaptation import pooled_head_parameters

pytest.importorskip("torch")

import torch

from allophone.emotion.head import EmotionHead, state_moments

LENGTHS = (9, 4, 1)


@pytest.fixture
def states():
    torch.manual_seed(0)
    return [3.0**layer * torch.randn(3, 9, 8) + layer for layer in range(4)]


@pytest.fixture
def inside():
    return torch.arange(9) < torch.tensor(LENGTHS)[:, None]


@pytest.fixture
def head():
    made = EmotionHead(8, 3, 5, seed=1)
    made.parameters["layer_weights"].data = torch.tensor([0.3, -1.0, 0.5, 2.0])
    return made


def test_the_head_trains_what_the_cost_model_counts(head):
    assert sum(p.numel() for p in head.parameters.values()) == pooled_head_parameters(8, 3, 5)


def test_pooling_by_hand():
    # Two channels are normed to -1 and +1 at every token: means of (+1, +1, -1) and its mirror, deviation sqrt(8/9).
    states = [torch.tensor([[[1.0, 3.0], [0.0, 9.0], [4.0, 2.0]]])] * 2
    pooled = EmotionHead(2, 1, 2).pool_states(states, None)[0]
    torch.testing.assert_close(pooled, torch.tensor([-1 / 3, 1 / 3, (8 / 9) ** 0.5, (8 / 9) ** 0.5]), atol=1e-4, rtol=0)


def test_padding_is_not_heard(head, states, inside):
    together = head.pool_states(states, inside)
    for place, length in enumerate(LENGTHS):
        alone = head.pool_states([state[place : place + 1, :length] for state in states], None)
        torch.testing.assert_close(together[place], alone[0])


def test_moments_pool_as_states_do(head, states, inside):
    for mask in (inside, None):
        by_states = head.pool_states(states, mask)
        by_moments = head.pool_moments(*state_moments(states, mask))
        torch.testing.assert_close(by_moments, by_states, atol=1e-5, rtol=1e-4)


def test_both_ways_have_one_gradient(head, states, inside):
    gradients = []
    for pooled in (head.pool_states(states, inside), head.pool_moments(*state_moments(states, inside))):
        loss = head.classify(pooled).square().sum()
        gradients.append(torch.autograd.grad(loss, list(head.parameters.values())))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)


def test_a_clip_of_one_token_has_a_finite_gradient(head):
    state = torch.randn(1, 1, 8, requires_grad=True)
    head.classify(head.pool_states([state] * 4, None)).sum().backward()
    assert torch.isfinite(state.grad).all()


def test_standardised_statistics_have_mean_0_and_variance_1(head, states, inside):
    pooled = head.pool_states(states, inside).detach()
    head.standardise_on(pooled)
    standard = (pooled - head.fixed["center"]) / head.fixed["scale"]
    torch.testing.assert_close(standard.mean(0), torch.zeros(16), atol=1e-5, rtol=0)


def test_state_and_back(head, states):
    other = EmotionHead(8, 3, 5, seed=2)
    head.standardise_on(head.pool_states(states, None).detach())
    other.load(head.state())
    assert torch.equal(*(h.classify(h.pool_states(states, None)) for h in (head, other)))
