import math
from fractions import Fraction

import numpy as np
import pytest

from allophone.demo.arithmetic import (
    exact_exp,
    exact_matmul,
    gelu,
    layer_norm,
    quantised_linear,
    row_sum,
    shifts,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(7))


@pytest.mark.parametrize("n_in", [1, 97, 910])
def test_matmul_does_not_depend_on_the_order_of_its_terms(rng, n_in):
    a = rng.standard_normal((5, n_in)).astype(np.float32)
    b = rng.standard_normal((n_in, 4)).astype(np.float32)
    product = exact_matmul(a, b)
    for _ in range(20):
        order = rng.permutation(n_in)
        assert np.array_equal(exact_matmul(a[:, order], b[order]), product)
    assert np.allclose(product, a.astype(float) @ b.astype(float), atol=1e-4)


@pytest.mark.parametrize("n_in", [256, 768])
def test_quantised_linear_does_not_depend_on_the_order_of_its_terms(rng, n_in):
    x = np.abs(rng.standard_normal((6, n_in))).astype(np.float32)
    x[0, 0] = -1e-3
    w = rng.integers(-128, 128, (n_in, 8)).astype(np.float32)
    zero, scale = np.zeros(8, np.float32), np.float32(0.01)
    y = quantised_linear(x, w, scale, zero)
    for first in range(20):  # within the blocks of 512 that float32 adds exactly
        order = np.concatenate([np.roll(np.arange(min(n_in, 512)), first), np.arange(512, n_in)])
        assert np.array_equal(quantised_linear(x[:, order], w[order], scale, zero), y)
    # Uniform rounding to steps of (max - min) / 255, over n_in terms of weight at most 1.28.
    step = (float(x.max()) + 1e-3) / 255
    assert np.abs(y - x @ (w * scale)).max() < 1.28 * step * math.sqrt(n_in)


def test_row_sum_is_one_fixed_order(rng):
    x = rng.standard_normal((3, 12)).astype(np.float32)
    # 12 -> 6 -> 3 by halves, then left to right.
    h = x[:, :6] + x[:, 6:]
    h = h[:, :3] + h[:, 3:]
    assert np.array_equal(row_sum(x)[:, 0], (h[:, 0] + h[:, 1]) + h[:, 2])
    assert row_sum(x[:, :7]).shape == (3, 1)


def test_exp_is_right_to_the_last_bits():
    x = np.linspace(-60, 20, 2001)
    assert np.allclose(exact_exp(x), np.exp(x), rtol=1e-14)
    assert exact_exp(np.zeros(1))[0] == 1.0


def test_gelu_follows_its_definition():
    x = np.linspace(-9, 9, 4001, dtype=np.float32)
    true = np.array([0.5 * v * math.erfc(-v / math.sqrt(2)) for v in x.tolist()])
    assert np.abs(gelu(x) - true).max() < 1 / 512


def test_layer_norm_gives_mean_zero_and_variance_one(rng):
    x = rng.standard_normal((4, 192)).astype(np.float32) * 3 + 5
    y = layer_norm(x, np.ones(192, np.float32), np.zeros(192, np.float32))
    assert np.allclose(y.mean(axis=1), 0, atol=1e-5)
    assert np.allclose(y.var(axis=1), 1, atol=1e-4)


def test_shifts_are_what_the_taps_of_a_dilated_convolution_see():
    x = np.arange(1.0, 6.0, dtype=np.float32)[:, None]
    assert [s[:, 0].tolist() for s in shifts(x, 3, 2)] == [[0, 0, 1, 2, 3], [1, 2, 3, 4, 5], [3, 4, 5, 0, 0]]


def test_integer_sums_stay_within_what_the_types_hold():
    assert 512 * 255 * 128 < 2**24  # float32
    for n_in in (1, 64, 910, 4096):
        bits = (52 - math.ceil(math.log2(n_in))) // 2
        assert Fraction(n_in) * Fraction(2) ** (2 * bits) <= 2**52  # float64
