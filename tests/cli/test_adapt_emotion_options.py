"""Options that contradict each other, or that nothing would heed, are refused before anything is written."""

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.cli.adapt_emotion_options import chosen_split, naming_options, setting_and_recipe
from allophone.corpora.corpus import open_corpus
from allophone.errors import SpaceError, UsageError
from emotion_builders import write_emotions

runner = CliRunner()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_emotions(tmp_path_factory.mktemp("options"), n_speakers=5)


def refused(manifest, out, *options):
    done = runner.invoke(app, ["adapt", "emotion", str(manifest), "--out", str(out), *options])
    assert isinstance(done.exception, UsageError), done.output
    assert done.exception.exit_code == 2
    return str(done.exception)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--test-speakers", "s1", "--fold", "fold-0"], ["--fold", "--test-speakers"]),
        (["--test-speakers", "s1", "--folds", "5"], ["--folds", "--test-speakers"]),
        (["--test-speakers", ","], ["--test-speakers ','"]),
        (["--test-speakers", ""], ["--test-speakers ''"]),
        (["--encoder-lr", "0.1"], ["--encoder-lr", "--unfrozen-layers"]),
        (["--encoder-lr", "0.1", "--lora-rank", "2"], ["--encoder-lr", "--unfrozen-layers"]),
        (["--lora-lr", "0.1"], ["--lora-lr", "--lora-rank"]),
        (["--lora-lr", "0.1", "--unfrozen-layers", "all"], ["--lora-lr", "--lora-rank"]),
    ],
)
def test_contradictions(manifest, tmp_path, options, names):
    message = refused(manifest, tmp_path / "m", *options)
    assert all(name in message for name in names)
    assert not (tmp_path / "m").exists()


def test_learning_rates_of_what_is_trained():
    knobs = {"model": "base", "duration_s": 3.0, "lora_rank": 2}
    setting, recipe = setting_and_recipe(knobs, "all", {"lora_lr": 0.1, "encoder_lr": 0.2, "epochs": None}, 3)
    assert (setting.lora_rank, setting.unfrozen_layers) == (2, "all")
    assert (recipe.lora_lr, recipe.encoder_lr, recipe.epochs, recipe.seed) == (0.1, 0.2, 4, 3)


def choose(manifest, path, speakers=(), fold="fold-0", folds=None):
    return chosen_split(open_corpus(str(manifest)), path, list(speakers), fold=fold, folds=folds, seed=0)


def test_a_split_file_and_folds_agree(manifest, tmp_path):
    path = tmp_path / "split.json"
    made, name = choose(manifest, path, fold="fold-2", folds=3)
    assert (len(made.splits), name) == (3, "fold-2")
    assert choose(manifest, path) == (made, "fold-0")
    assert choose(manifest, path, folds=3) == (made, "fold-0")
    with pytest.raises(UsageError, match=r"--folds 4: .*split\.json has 3 splits\. Leave --folds out"):
        choose(manifest, path, folds=4)
    with pytest.raises(UsageError, match=r"--fold 'fold-3': .*split\.json has fold-0, fold-1, fold-2\."):
        choose(manifest, path, fold="fold-3")


def test_five_folds_where_nothing_is_said(manifest, tmp_path):
    assert len(choose(manifest, tmp_path / "split.json")[0].splits) == 5


def test_an_unknown_fold_leaves_no_file(manifest, tmp_path):
    with pytest.raises(UsageError, match="--fold 'fold-9'"):
        choose(manifest, tmp_path / "m/split.json", fold="fold-9")
    assert not (tmp_path / "m").exists()


def test_named_speakers_have_their_own_split(manifest, tmp_path):
    path = tmp_path / "split.json"
    made, name = choose(manifest, path, ["s1"])
    assert (name, made.splits[0].test) == ("fixed", ("s1",))
    assert choose(manifest, path, fold="fixed") == (made, "fixed")
    with pytest.raises(UsageError, match="tests other speakers than --test-speakers"):
        choose(manifest, path, ["s2"])


def test_only_knobs_are_renamed():
    with pytest.raises(SpaceError, match=r"^--lora-rank 17; too much\.$"), naming_options():
        raise SpaceError("lora_rank 17; too much")
    with pytest.raises(SpaceError, match=r"^duration_s 17$"), naming_options():
        raise SpaceError("duration_s 17")
