import numpy as np
import pytest

from allophone.errors import SpaceError
from allophone.frontier.groups import find_groups, group_rates, group_run, resample_worst
from allophone.frontier.recommend import recommend
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import intervals
from star_runs import BASE, write_star

BEAM = BASE.model_copy(update={"beam_size": 5})
N = 60
SPEAKERS = [f"s{index % 10}" for index in range(N)]
WORDS = np.full(N, 10.0)
DURATION = np.arange(N) / 2 + 1


def test_durations_are_cut_into_thirds_and_named_by_their_ends():
    groups = find_groups("duration", SPEAKERS, WORDS, DURATION, None)
    assert groups.names == ("1.0 to 10.5 s", "11.0 to 20.5 s", "21.0 to 30.5 s")
    assert groups.members.sum(axis=1).tolist() == [20, 20, 20]
    assert groups.members.sum(axis=0).tolist() == [1] * N


def test_speakers_of_few_words_and_utterances_without_a_ratio_are_in_no_group():
    words = np.where(np.array(SPEAKERS) == "s0", 1.0, 10.0)
    assert find_groups("speaker", SPEAKERS, words, DURATION, None).names == tuple(f"s{k}" for k in range(1, 10))
    snr = np.where(np.arange(N) < 30, np.nan, np.arange(N))
    assert find_groups("snr", SPEAKERS, WORDS, DURATION, snr).members.sum() == 30


@pytest.mark.parametrize(
    ("by", "speakers", "duration", "snr", "problem"),
    [
        ("speaker", [None] * N, DURATION, None, "no speaker is named"),
        ("snr", SPEAKERS, DURATION, None, "knows no signal-to-noise ratio"),
        ("snr", SPEAKERS, DURATION, np.full(N, np.nan), "knows no signal-to-noise ratio"),
        ("duration", SPEAKERS, np.ones(N), None, "all utterances are alike"),
    ],
)
def test_what_has_no_groups_is_refused(by, speakers, duration, snr, problem):
    with pytest.raises(SpaceError, match=problem):
        find_groups(by, speakers, WORDS, duration, snr)


def test_rates_are_those_of_each_group_and_the_worst_is_resampled():
    errors = np.stack([np.where(DURATION <= 10.5, 3.0, 1.0), np.full(N, 2.0)])
    groups = find_groups("duration", SPEAKERS, WORDS, DURATION, None)
    assert group_rates(errors, WORDS, groups) == pytest.approx(np.array([[0.3, 0.1, 0.1], [0.2, 0.2, 0.2]]))
    resample = draw_blocks(SPEAKERS, n_replicates=500)
    found = resample_worst(errors, WORDS, groups, resample)
    assert found.estimates.tolist() == pytest.approx([0.3, 0.2])
    assert intervals(found)[0].contains(0.3)
    with pytest.raises(SpaceError, match="as measured"):
        resample_worst(errors, WORDS, find_groups("speaker", SPEAKERS, WORDS, DURATION, None), resample)


def test_a_limit_holds_for_the_worst_group(tmp_path):
    uneven, even = [4 if index % 10 == 0 else 0 for index in range(40)], [1] * 40
    run = write_star(tmp_path / "r", {BASE: (uneven, 10), BEAM: (even, 20)})  # 4 % and 10 % over all
    summary = group_run(summarise_run(run), "speaker")
    assert [point.worst_group_wer for point in summary.points] == pytest.approx([0.4, 0.1])
    assert recommend(summary, {"worst_group_wer": 0.2}, "executed_gflops").chosen.name == BEAM.name
    assert "Worst group by speaker, of 10: s0 at 2 of 2 points." in summary.notices
    with pytest.raises(SpaceError, match="Leave --confidence out"):
        recommend(summary, {"worst_group_wer": 0.2}, "executed_gflops", 0.9)
