"""Coverage and width of the intervals on simulated corpora of few speakers, by the benchmark's own simulation."""

import pytest

from benchmarks.statements import interval_simulation as simulation

SIZE = {"n_layouts": 4, "n_corpora": 250, "n_replicates": 1000}

# Of 1,000 corpora, coverage of exactly 95 % has a standard error of 0.7 points.


@pytest.mark.parametrize("n_speakers", [5, 6, 8])
@pytest.mark.parametrize(("case", "sizes"), [("rate", "equal"), ("difference", "unequal"), ("normal rate", "equal")])
def test_smooth_errors_of_few_speakers_are_covered_within_three_ideal_widths(case, sizes, n_speakers):
    found = simulation.cover(case, sizes, n_speakers, **SIZE)
    assert found["shipped"]["coverage"] >= 0.925
    assert found["shipped"]["coverage"] >= min(found["studentised"]["coverage"], 0.955) - 0.005
    assert found["percentile"]["coverage"] < 0.92
    assert 1 < found["shipped"]["width"] < 2
    assert found["shipped"]["width_p95"] < 5.5


@pytest.mark.parametrize("sizes", ["equal", "unequal"])
@pytest.mark.parametrize("n_speakers", [6, 8, 12])
def test_repetition_loops_of_few_speakers_keep_their_coverage_and_lose_their_explosion(sizes, n_speakers):
    found = simulation.cover("loops 5 %", sizes, n_speakers, **SIZE)
    assert found["studentised"]["width_p95"] > 10
    assert found["shipped"]["width_p95"] < 6
    assert found["shipped"]["width"] < 2.2
    assert found["shipped"]["coverage"] >= found["studentised"]["coverage"] - 0.035
    assert found["shipped"]["coverage"] > found["percentile"]["coverage"] + 0.05


@pytest.mark.parametrize("case", ["rate", "difference", "loops 10 %"])
def test_with_many_speakers_the_bounds_change_nothing(case):
    found = simulation.cover(case, "equal", 60, **SIZE)
    near = 0.012 if case == "rate" else 0.003  # the logarithm of a rate moves the ends, hardly the width
    assert found["shipped"]["coverage"] == pytest.approx(found["studentised"]["coverage"], abs=near)
    assert found["shipped"]["width"] == pytest.approx(found["studentised"]["width"], rel=0.04)
    assert 0.92 <= found["shipped"]["coverage"] <= 0.97
