import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allophone.errors import LedgerError, SpaceError
from allophone.frontier.pareto import Frontier
from allophone.frontier.recognition import RecognitionSamples
from allophone.frontier.summarise import summarise_run
from allophone.ledger.race_record import read_race
from allophone.ledger.readers import connect
from allophone.records.names import title_of
from allophone.records.utterance import Utterance
from allophone.report.tables import frontier_table
from allophone.sweeps.race import judge, look_sizes, race_order
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from builders import write_tones

SPACE = SearchSpace(
    model=("fake:tiny", "fake:large-v3"), context=("full", "fit"), margin_s=(1,), floor_s=(0,), token_stride=(1, 3)
)  # a grid of 2 x 2 x 2 strides x 2 beams = 16 points


def samples_of(errors, cost):
    """Samples of points with these errors (points, utterances) and constant compute; 20 utterances a speaker pair."""
    errors = np.asarray(errors, dtype=float)
    n = errors.shape[1]
    flops = np.repeat(np.asarray(cost, dtype=float)[:, None], n, axis=1) * 1e9
    return RecognitionSamples(
        points=tuple(f"p{index}" for index in range(len(errors))),
        utterances=tuple(f"u{index}" for index in range(n)),
        speakers=tuple(f"s{index // 2}" for index in range(n)),
        words=np.full(n, 10.0),
        duration_s=np.full(n, 5.0),
        errors=errors,
        latency_s=flops / 1e10,
        executed_flops=flops,
        published_flops=flops,
        peak_memory_bytes=np.full_like(flops, 1e8),
    )


def test_looks_grow_to_the_whole_corpus():
    assert look_sizes(300) == [20, 32, 52, 82, 132, 210, 300]  # then 1.6 times: 20, 32, 51.2, 81.9, 131.1, 209.7
    assert look_sizes(1000)[:2] == [50, 80]  # a twentieth
    assert look_sizes(50) == [20, 32, 50]  # never fewer than 20
    assert look_sizes(12) == [12]  # too few to judge: one look, at the end


def test_speakers_take_turns_and_everyone_comes_once():
    corpus = [Utterance(f"u{index}", Path("x"), speaker=f"s{index // 10}") for index in range(40)]
    order = race_order(corpus)
    assert sorted(order) == list(range(40))
    assert {corpus[index].speaker for index in order[:4]} == {"s0", "s1", "s2", "s3"}
    assert order == race_order(corpus)
    assert order != race_order(corpus, seed=1)


def test_a_point_that_is_worse_and_dearer_everywhere_is_given_up():
    (gone,) = judge(samples_of([[1] * 40, [4] * 40], [10, 20]), "executed_gflops", 5, 1000)
    assert (gone.point, gone.dominated_by, gone.utterances, gone.p_dominated) == ("p1", "p0", 40, 1.0)
    assert (gone.loss, gone.cost) == (0.4, 20.0)


def test_a_trade_off_stays_and_of_equals_the_first():
    assert judge(samples_of([[1] * 40, [4] * 40], [20, 10]), "executed_gflops", 5, 1000) == []
    (gone,) = judge(samples_of([[2] * 40, [2] * 40], [10, 10]), "executed_gflops", 5, 1000)
    assert (gone.point, gone.dominated_by, gone.tied, gone.p_dominated) == ("p1", "p0", True, 0.0)


def test_a_dearer_point_is_kept_only_while_it_may_still_turn_out_better():
    # Errors differ by +1 or -1 at random: 21 more than 19 fewer in 40 utterances says nothing, early on.
    swings = np.random.default_rng(3).permutation([1] * 20 + [-1] * 20)
    samples = samples_of([[3] * 40, 3 + swings], [10, 20])
    assert judge(samples, "executed_gflops", 5, 1000) == []
    # Hardly anything is left to come of 44 utterances, and now as many are better as worse: a tie to the end.
    (gone,) = judge(samples, "executed_gflops", 5, 44)
    assert (gone.point, gone.tied) == ("p1", True)


@pytest.mark.parametrize(
    ("n_utterances", "speakers", "judged"),
    [
        (40, 1, False),
        (40, 2, False),  # both agree by accident half the time, and so do all replicates of them
        (40, 4, False),
        (40, 5, True),
        (40, 0, True),  # none is named: every utterance counts as a speaker
        (19, 5, False),
        (20, 5, True),
    ],
)
def test_nothing_is_given_up_on_few_speakers_or_utterances(n_utterances, speakers, judged):
    samples = samples_of([[1] * n_utterances, [4] * n_utterances], [10, 20])
    named = tuple(f"s{index % speakers}" if speakers else None for index in range(n_utterances))
    gone = judge(replace(samples, speakers=named), "executed_gflops", 5, 1000)
    assert [item.point for item in gone] == (["p1"] if judged else [])


def test_a_single_survivor_ends_the_race_well():
    assert judge(samples_of([[1] * 40], [10]), "executed_gflops", 5, 1000) == []


def test_the_least_error_is_never_given_up_as_tied():
    # p1 has one error less and costs more; hardly anything is left to come, so it will not be shown better: kept.
    errors = np.full((2, 40), 2)
    errors[1, 0] = 1
    assert judge(samples_of(errors, [10, 20]), "executed_gflops", 5, 41) == []


def test_whom_another_is_given_up_for_stays():
    # Three equals of rising cost: both dearer ones go for the cheapest, none for one that goes itself.
    gone = judge(samples_of([[2] * 40] * 3, [10, 11, 12]), "executed_gflops", 5, 44)
    assert {item.point: item.dominated_by for item in gone} == {"p1": "p0", "p2": "p0"}


def test_a_good_point_is_seldom_given_up_over_all_looks():
    # The dearer point is a little better in truth (rates 0.30 against 0.31, speakers differ), so giving it up is an
    # error. 40 races of 5 looks at alpha 0.05: at most 2 expected; 8 or more would be a chance of one in a thousand.
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(40):
        skill = np.repeat(rng.normal(0, 0.08, 100), 2)  # 100 speakers, two utterances each
        errors = np.stack([rng.binomial(10, np.clip(rate + skill, 0.01, 0.99)) for rate in (0.31, 0.30)])
        for size in (20, 32, 52, 84, 136):
            if judge(samples_of(errors[:, :size], [10, 20]), "executed_gflops", 5, 1000):
                wrong += 1
                break
    assert wrong < 8


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raced")
    manifest = write_tones(folder / "c", n=60, n_speakers=12)
    result = sweep(manifest, out=folder / "r", space=SPACE, plan="race", cost="executed_gflops")
    return folder, manifest, result


def test_survivors_have_the_whole_corpus_and_the_others_do_not(raced):
    folder, _, _ = raced
    looks, eliminated = read_race(folder / "r")
    assert looks == len(look_sizes(60)) - 1
    assert 0 < len(eliminated) < 16
    with connect(folder / "r") as connection:
        counts = dict(connection.execute("SELECT point, count(*) FROM measurements GROUP BY 1").fetchall())
    for gone in eliminated:
        assert counts.pop(gone.point) == gone.utterances < 60
    assert set(counts.values()) == {60}


def test_frontier_and_table_name_the_points_given_up(raced):
    folder, _, _ = raced
    frontier = Frontier.from_run(folder / "r", "executed_gflops")
    eliminated = {item.point for item in frontier.run.eliminated}
    assert not eliminated & {point.name for point in frontier.points}
    assert {point.summary.n_utterances for point in frontier.points} == {60}
    assert not any("in progress" in notice for notice in frontier.run.notices)
    titles = {title_of(name) for name in eliminated}
    shown = [row for row in frontier_table(frontier).rows if row[0] in titles]
    assert len(shown) == len(eliminated)
    assert all("given up after" in row[-1] for row in shown)


def test_the_race_keeps_every_point_that_the_grid_finds_on_the_frontier(raced):
    folder, manifest, _ = raced
    sweep(manifest, out=folder / "grid", space=SPACE, plan="grid")
    grid = Frontier.from_run(folder / "grid", "executed_gflops")
    sure = {point.name for point in grid.points if point.status == "on"}
    assert sure
    assert sure <= {point.name for point in summarise_run(folder / "r").points}


def test_the_same_command_measures_nothing_again(raced):
    folder, manifest, result = raced
    again = sweep(manifest, out=folder / "r", space=SPACE, plan="race", cost="executed_gflops")
    assert (again.engine_s, again.rows) == (0, result.rows)


def test_a_race_stopped_anywhere_ends_as_if_it_had_not_been(raced, tmp_path):
    folder, manifest, result = raced

    class StopError(Exception):
        pass

    def stop_after(rows):
        def watch(now):
            if now.done >= rows:
                raise StopError

        return watch

    for rows in (50, 200, 350):
        with pytest.raises(StopError):
            sweep(
                manifest,
                out=tmp_path / "r",
                space=SPACE,
                plan="race",
                cost="executed_gflops",
                progress=stop_after(rows),
            )
    final = sweep(manifest, out=tmp_path / "r", space=SPACE, plan="race", cost="executed_gflops")
    assert final.rows == result.rows
    assert read_race(tmp_path / "r") == read_race(folder / "r")


def test_what_is_judged_by_cannot_change_on_the_way(raced):
    folder, manifest, _ = raced
    with pytest.raises(LedgerError, match="'cost' was 'executed_gflops' and is 'rtf' now"):
        sweep(manifest, out=folder / "r", space=SPACE, plan="race")
    with pytest.raises(SpaceError, match="unknown cost 'beauty'"):
        sweep(manifest, out=folder / "r", space=SPACE, plan="race", cost="beauty")


def test_a_damaged_record_names_the_remedy(raced, tmp_path):
    (tmp_path / "race.json").write_text(json.dumps({"looks_done": 1}))
    with pytest.raises(LedgerError, match="Delete it; the same sweep judges the looks again"):
        read_race(tmp_path)
