"""Whole sweeps of an encoder of a few thousand weights: rows, folds, what joins a run, races."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from allophone.corpora.corpus import open_corpus
from allophone.corpora.splits import make_folds, read_splits, write_splits
from allophone.errors import CorpusError, LedgerError, SpaceError
from allophone.frontier.summarise import summarise_run
from allophone.ledger.race_record import read_race
from allophone.ledger.readers import connect
from allophone.ledger.run_record import EmotionRunRecord, read_run
from allophone.ledger.trained_units import read_units
from allophone.ledger.twin_record import read_twins
from allophone.sweeps.emotion import run as emotion_run
from allophone.sweeps.emotion.run import sweep_emotion
from allophone.sweeps.emotion.space import EmotionSpace
from builders import write_wav
from emotion_builders import emotion_place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with emotion_place(tmp_path_factory.mktemp("sweep"), "wav2vec2", n_speakers=5) as folder:
        write_wav(folder / "c/audio/4-low-1.wav", np.zeros(4000))
        yield folder


def space(place, **axes):
    given = {"duration_s": (0.2, 0.1), "lora_rank": (0,), "unfrozen_layers": (0, 1), **axes}
    return EmotionSpace(model=(str(place / "base"),), **given)


def run(place, out, **options):
    given = {"plan": "star", "epochs": 2, "precision": "float32", "space": space(place), **options}
    return sweep_emotion(place / "c/manifest.jsonl", out=out, **given)


def rows_of(out, order="point, seed, utterance_index"):
    with connect(out) as connection:
        return connection.execute(
            f"SELECT point, utterance_id, speaker, fold, seed, posterior, error FROM measurements ORDER BY {order}"
        ).fetchall()


@pytest.fixture(scope="module")
def measured(place):
    said = []
    return run(place, place / "r", folds=5, progress=said.append), said


def test_every_utterance_has_one_row_a_point_by_a_recogniser_that_never_heard_its_speaker(place, measured):
    result, _ = measured
    splits = read_splits(place / "r/split.json", open_corpus(place / "c/manifest.jsonl"))
    rows = rows_of(place / "r")
    assert (result.points, result.rows, len(rows)) == (3, 60, 60)
    assert len({row[:2] for row in rows}) == 60
    for _, utterance, speaker, fold, _, posterior, error in rows:
        assert speaker in splits.split(fold).test
        assert (not posterior) == (utterance == "4-low-1") == (error is not None)
    assert [name for name, _ in result.failures] == ["4-low-1"]
    assert len(list((place / "r/measurements").glob("*.parquet"))) == 3
    assert not list((place / "r/work").iterdir())


def test_what_every_training_cost_is_kept(place, measured):
    units = read_units(place / "r")
    assert len(units) == 15
    for (point, _, _), unit in units.items():
        assert unit.epochs <= 2
        assert (unit.trainable_params > 1000) == point.endswith("top1")
        assert unit.training_flops > 0
        assert unit.train_s > 0


def test_the_first_point_is_timed_twice_in_every_fold_for_the_noise_floor(place, measured):
    pairs = read_twins(place / "r")
    first = read_run(place / "r", EmotionRunRecord).points
    assert len({point for point, *_ in pairs}) == 1
    assert {point for point, *_ in pairs} <= {point.name for point in first}
    assert len(pairs) == 19  # all but the silent one
    summary = summarise_run(place / "r")
    assert summary.samples.noise["rtf"].pairs == 19
    assert set(summary.samples.noise_floors) == {"rtf", "latency_p50_s", "latency_p95_s", "latency_p99_s"}
    rows = rows_with(place / "r", "cpu_s, load_average, threads, latency_s")
    assert all(cpu_s > 0 and load is not None and threads >= 1 for cpu_s, load, threads, latency in rows if latency)


def rows_with(folder, columns):
    with connect(folder) as connection:
        return connection.execute(f"SELECT {columns} FROM measurements").fetchall()


def test_the_record_says_how_it_was_measured(place, measured):
    record = read_run(place / "r", EmotionRunRecord)
    assert record.folds == tuple(f"fold-{number}" for number in range(5))
    assert (record.n_tested, record.n_utterances, record.labels) == (20, 20, ("high", "low"))
    assert [point.duration_s for point in record.points] == [0.2, 0.1, 0.2]  # the centre first
    assert record.recipes[record.points[0].name]["epochs"] == 2
    assert "seed" not in record.recipes[record.points[0].name]


def test_progress_counts_trainings_and_ends(measured):
    _, said = measured
    assert said[-1].done == said[-1].total == 15
    assert all(item.remaining_s >= 0 for item in said)


def test_the_same_call_measures_nothing_again(place, measured, monkeypatch):
    monkeypatch.setattr(emotion_run.JobRunner, "run", lambda *_: pytest.fail("a finished unit was trained again"))
    before = rows_of(place / "r")
    assert run(place, place / "r", folds=5).rows == 60
    assert rows_of(place / "r") == before


def test_folds_are_measured_one_after_another_quick_points_first(place, tmp_path):
    run(place, tmp_path / "r")
    keys = [json.loads(line) for line in (tmp_path / "r/units.jsonl").read_text().splitlines()]
    assert [key["fold"] for key in keys] == ["fold-0"] * 3 + ["fold-1"] * 3 + ["fold-2"] * 3  # three of five
    assert [key["point"].endswith("top1") for key in keys[:3]] == [False, False, True]
    assert summarise_run(tmp_path / "r").points[0].n_utterances in (11, 12)  # the silent one may be among them


def test_more_points_folds_and_seeds_join_a_run_with_extend(place, tmp_path):
    small = space(place, duration_s=(0.2,), unfrozen_layers=(0,))
    run(place, tmp_path / "r", space=small, folds=2)
    before = rows_of(tmp_path / "r", "seed, fold, utterance_index")
    with pytest.raises(LedgerError, match=r"'folds' were fold-0,fold-1 and are fold-0,fold-1,fold-2 now.*--extend"):
        run(place, tmp_path / "r", space=small, folds=3)
    run(place, tmp_path / "r", space=space(place, duration_s=(0.2,)), folds=3, seeds=2, extend=True)
    rows = rows_of(tmp_path / "r", "seed, fold, utterance_index")
    assert len({(*row[:2], row[4]) for row in rows}) == len(rows) == 2 * 12 * 2
    assert set(map(str, before)) <= set(map(str, rows))
    first, second = (
        {row[1]: row[5] for row in rows if row[4] == seed and row[0].endswith("frozen")} for seed in (0, 1)
    )
    assert first != second
    assert {seed for *_, seed in read_units(tmp_path / "r")} == {0, 1}


def test_an_extension_keeps_points_and_how_they_were_trained(place, tmp_path):
    deep, shallow, other = (space(place, duration_s=(0.2,), unfrozen_layers=(n,)) for n in (1, 0, 2))
    run(place, tmp_path / "r", space=deep, folds=1, epochs=1)
    with pytest.raises(LedgerError, match="top1 was trained with epochs 1 and now it is 2"):
        run(place, tmp_path / "r", space=other, folds=1, epochs=2, extend=True)
    result = run(place, tmp_path / "r", space=shallow, folds=2, epochs=1, extend=True)
    record = read_run(tmp_path / "r", EmotionRunRecord)
    assert [point.unfrozen_layers for point in record.points] == [1, 0]
    assert record.space["unfrozen_layers"] == [1, 0]
    assert {recipe["epochs"] for recipe in record.recipes.values()} == {1}
    assert len(record.recipes) == 2
    assert result.rows == 2 * record.n_tested  # the earlier point has the second fold too
    assert {point.name for point in summarise_run(tmp_path / "r").points} == {p.name for p in record.points}


def test_other_answers_than_before_are_refused(place, tmp_path):
    one = space(place, duration_s=(0.2,), unfrozen_layers=(0,))
    run(place, tmp_path / "r", space=one, folds=1)
    for changed, message in (
        ({"epochs": 3}, "was trained with epochs 2 and now it is 3"),
        ({"precision": "bfloat16"}, "'precision' was 'float32'"),
        ({"seed": 1}, "'seed' was 0"),
        ({"space": space(place, duration_s=(0.1,), unfrozen_layers=(0,))}, "axis 'duration_s' was 0.2 and is 0.1"),
    ):
        with pytest.raises(LedgerError, match=message):
            run(place, tmp_path / "r", **{"space": one, "folds": 1, **changed})


def test_a_split_file_is_measured_whole(place, tmp_path):
    corpus = open_corpus(place / "c/manifest.jsonl")
    write_splits(tmp_path / "split.json", make_folds(corpus, folds=2, seed=3))
    one = space(place, duration_s=(0.2,), unfrozen_layers=(0,))
    run(place, tmp_path / "r", space=one, split=tmp_path / "split.json", epochs=1)
    assert read_run(tmp_path / "r", EmotionRunRecord).n_tested == 20
    write_splits(tmp_path / "other.json", make_folds(corpus, folds=2, seed=4))
    with pytest.raises(LedgerError, match="began with another split"):
        run(place, tmp_path / "r", space=one, split=tmp_path / "other.json", epochs=1)
    with pytest.raises(SpaceError, match="3 folds are asked for"):
        run(place, tmp_path / "r2", space=one, split=tmp_path / "split.json", folds=3)


def test_a_speaker_is_tested_once(place, tmp_path):
    corpus = open_corpus(place / "c/manifest.jsonl")
    made = make_folds(corpus, folds=2)
    doubled = made.model_copy(update={"splits": (made.splits[0], made.splits[0].model_copy(update={"name": "again"}))})
    doubled = doubled.model_copy(update={"fingerprint": doubled.digest()})
    write_splits(tmp_path / "split.json", doubled)
    with pytest.raises(CorpusError, match="a speaker is tested in two of fold-0, again"):
        run(place, tmp_path / "r", split=tmp_path / "split.json")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Twelve speakers: two or three in each of five folds."""
    with emotion_place(tmp_path_factory.mktemp("crowd"), "wav2vec2", n_speakers=12) as folder:
        yield folder


def test_a_race_gives_up_what_is_surely_dominated(crowd, tmp_path):
    # Twice the compute for the same posteriors up to rounding: a tie for good with the cheaper one, or dominated.
    place = crowd
    result = run(place, tmp_path / "r", plan="race", folds=4, cost="training_gflops", epochs=1)
    looks, eliminated = read_race(tmp_path / "r")
    assert looks == 3
    assert eliminated
    assert all(item.utterances >= 20 for item in eliminated)
    gone = {item.point for item in eliminated}
    kept = {point.name for point in read_run(tmp_path / "r", EmotionRunRecord).points} - gone
    assert kept
    units = read_units(tmp_path / "r")
    for item in eliminated:
        assert item.dominated_by not in {other.point for other in eliminated[: eliminated.index(item)]}
        assert 0 <= item.loss <= 1
        assert len([key for key in units if key[0] == item.point]) < 4
    assert all(len([key for key in units if key[0] == name]) == 4 for name in kept)
    before = rows_of(tmp_path / "r")
    run(place, tmp_path / "r", plan="race", folds=4, cost="training_gflops", epochs=1)
    assert rows_of(tmp_path / "r") == before
    assert result.rows == len(before)


def test_a_race_of_few_speakers_gives_nothing_up(place, tmp_path):
    narrow = space(place, duration_s=(0.2,))
    run(place, tmp_path / "r", plan="race", space=narrow, folds=3, cost="training_gflops", epochs=1)
    assert read_race(tmp_path / "r") == (2, [])  # one speaker a fold: two at the last look
    assert len(read_units(tmp_path / "r")) == 2 * 3


def test_a_training_that_breaks_is_named_and_the_others_go_on(place, tmp_path, monkeypatch):
    from allophone.errors import AllophoneError

    real = emotion_run.JobRunner.run

    def breaking(self, unit, on_epoch):
        if unit.setting.unfrozen_layers:
            raise AllophoneError("the loss is not a number")
        return real(self, unit, on_epoch)

    monkeypatch.setattr(emotion_run.JobRunner, "run", breaking)
    result = run(place, tmp_path / "r", folds=1)
    broken = [name for name, reason in result.failures if "not a number" in reason]
    assert len(broken) == 1
    assert broken[0].endswith("top1-fold-0-seed0")
    assert len(summarise_run(tmp_path / "r").points) == 2
