import numpy as np
import pytest

from allophone.diagnosis.emotion import ask_depth, ask_duration
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from allophone.records.point import EmotionSetting
from emotion_builders import write_emotion_run

N = 400  # a hundred speakers


def at(duration_s, **knobs):
    return EmotionSetting(model="tiny.en", duration_s=duration_s, **knobs)


def outcomes(share, seed=0, n=N):
    """Decisions of which a share is right; equal seeds are right together."""
    drawn = np.random.default_rng(seed).random(n)
    return [{"correct": bool(value < share)} for value in drawn]


def asked(folder, rows, base=0, margin=0.01, units=None):
    run = summarise_run(write_emotion_run(folder, rows, units=units))
    resample = draw_blocks(run.samples.speakers, n_replicates=2000)
    points = [point.point for point in run.points]
    return ask_duration(run.samples, points, base, resample, 0.95, margin), ask_depth(
        run.samples, points, resample, 0.95
    )


@pytest.mark.parametrize(
    ("shares", "verdict", "at_s"),
    [
        ((0.5, 0.7, 0.9), "longest", 3.0),
        ((0.5, 0.9, 0.7), "optimum", 2.0),
        ((0.9, 0.7, 0.5), "optimum", 1.0),
        ((0.5, 0.9, 0.9), "plateau", 2.0),
        ((0.9, 0.9, 0.9), "plateau", 1.0),
    ],
)
def test_what_uar_does_over_durations(tmp_path, shares, verdict, at_s):
    found, _ = asked(tmp_path / "r", {at(d): outcomes(share) for d, share in zip((1, 2, 3), shares, strict=True)})
    assert (found.verdict, found.at_s) == (verdict, at_s)
    assert [uar.estimate for uar in found.uars] == pytest.approx(shares, abs=0.06)
    assert all(uar.low <= uar.estimate <= uar.high for uar in found.uars)
    assert (found.over_longest is None) == (verdict == "longest")
    assert found.p >= 0.95
    assert found.longer == (1.0, 0.0, 0.0)  # all recordings last two seconds


def test_noise_is_no_optimum(tmp_path):
    rows = {at(d): outcomes(0.6, seed) for d, seed in ((1, 1), (2, 2), (3, 3), (4, 7))}
    found, _ = asked(tmp_path / "r", rows)
    assert found.verdict == "undecided"
    assert found.at_s is None
    assert 0 < found.p < 1


def test_arms_with_all_durations_are_averaged(tmp_path):
    shares = {1: 0.5, 2: 0.6, 3: 0.9}
    rows = {at(d): outcomes(share) for d, share in shares.items()}
    rows |= {at(d, lora_rank=8): outcomes(share - 0.2) for d, share in shares.items()}
    rows |= {at(1, lora_rank=16): outcomes(0.1)}  # lacks durations
    found, _ = asked(tmp_path / "r", rows)
    assert found.arms == 2
    assert [uar.estimate for uar in found.uars] == pytest.approx([0.4, 0.5, 0.8], abs=0.05)


def test_two_durations_do_not_tell(tmp_path):
    assert asked(tmp_path / "r", {at(1): outcomes(0.5), at(2): outcomes(0.9)})[0] is None


def test_depth_and_rank_are_compared_at_equal_size(tmp_path):
    deep, ranked, small = at(2, unfrozen_layers=2), at(2, lora_rank=64), at(2, lora_rank=4)
    sizes = {deep: [{"trainable_params": 3_000_000}], ranked: [{"trainable_params": 2_000_000}]}
    rows = {deep: outcomes(0.9), ranked: outcomes(0.6), small: outcomes(0.6), at(2): outcomes(0.5)}
    _, (pair,) = asked(tmp_path / "r", rows, units=sizes)
    assert (pair.depth, pair.rank, pair.size_ratio) == (deep.name, ranked.name, 1.5)
    assert pair.equal_size
    assert pair.p_depth > 0.99
    assert pair.gain.low > 0.2


def test_without_equal_sizes_the_nearest_pair_is_shown(tmp_path):
    deep, ranked = at(2, unfrozen_layers=2), at(2, lora_rank=4)
    units = {deep: [{"trainable_params": 3_000_000}]}
    _, (pair,) = asked(tmp_path / "r", {deep: outcomes(0.5), ranked: outcomes(0.6)}, units=units)
    assert not pair.equal_size
    assert pair.size_ratio == 750
    assert asked(tmp_path / "s", {deep: outcomes(0.5), at(3, lora_rank=4): outcomes(0.6)})[1] == ()
