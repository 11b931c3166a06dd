"""Training: it learns, stops, survives a kill to the last bit, and a loss that is no number."""

import pytest

from allophone.corpora.manifest import read_manifest
from allophone.errors import AllophoneError, LedgerError, UsageError
from emotion_builders import tiny_model, write_emotions

pytest.importorskip("torch")

import torch

from allophone.emotion.recipe import Recipe
from allophone.emotion.states import FreshStates
from allophone.emotion.training import Examples, predict_logits, train

LABELS = ("high", "low")
RECIPE = Recipe(epochs=4, patience=4, batch_size=4, head_lr=1e-2, encoder_lr=1e-3, lora_lr=1e-2)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    return list(read_manifest(write_emotions(tmp_path_factory.mktemp("c"), n_speakers=4, per_label=2)))


@pytest.fixture(scope="module")
def parts(utterances):
    classes = [LABELS.index(utterance.label) for utterance in utterances]
    return Examples(tuple(range(12)), tuple(classes[:12])), Examples((12, 13, 14, 15), tuple(classes[12:]))


def trained(utterances, parts, model=None, source=None, recipe=RECIPE, **knobs):
    model = model or tiny_model("wav2vec2", rank=2, unfrozen=1)
    source = source or FreshStates(model, utterances, 0.3)
    return model, source, train(model, source, *parts, recipe, labels=LABELS, **knobs)


def short(seed):
    return RECIPE.model_copy(update={"epochs": 2, "seed": seed})


def numbers(model):
    return {name: value.detach().clone() for name, value in {**model.trained(), **model.head.fixed}.items()}


@pytest.mark.parametrize("knobs", [{}, {"unfrozen": 1}, {"rank": 2}, {"rank": 2, "unfrozen": "all"}])
def test_pitches_are_learned(utterances, parts, knobs):
    model, source, progress = trained(
        utterances,
        parts,
        tiny_model("wav2vec2", **knobs),
        recipe=RECIPE.model_copy(update={"epochs": 12, "patience": 12}),
    )
    assert progress.epochs[-1].loss < progress.epochs[0].loss
    assert progress.best_uar == 1
    assert predict_logits(model, source, parts[1].rows).argmax(1).tolist() == list(parts[1].classes)


def test_frozen_parameters_stay_as_they_were(utterances, parts):
    model = tiny_model("wav2vec2", unfrozen=1)
    before = {name: p.clone() for name, p in model.encoder.module.named_parameters()}
    trained(utterances, parts, model)
    changed = {name for name, p in model.encoder.module.named_parameters() if not torch.equal(p, before[name])}
    expected = {name for name in model.trained() if not name.startswith("head.")}
    assert changed == expected


def test_a_killed_training_ends_as_one_that_was_not(utterances, parts, tmp_path):
    whole, _, progress = trained(utterances, parts)

    def kill(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        trained(utterances, parts, checkpoint=path, key="k", on_epoch=kill)
    seen = []
    resumed, _, again = trained(utterances, parts, checkpoint=path, key="k", on_epoch=seen.append)
    assert [epoch.number for epoch in seen] == [3, 4]
    assert [e.loss for e in again.epochs] == [e.loss for e in progress.epochs]
    assert (again.best_epoch, again.stopped) == (progress.best_epoch, progress.stopped)
    for name, value in numbers(whole).items():
        assert torch.equal(value, numbers(resumed)[name]), name
    _, _, third = trained(utterances, parts, checkpoint=path, key="k", on_epoch=seen.append)
    assert len(seen) == 2  # finished: nothing is trained again
    assert third.epochs == again.epochs


def test_a_checkpoint_of_another_job_or_a_damaged_one_is_refused(utterances, parts, tmp_path):
    path = tmp_path / "checkpoint.pt"
    trained(utterances, parts, recipe=RECIPE.model_copy(update={"epochs": 1}), checkpoint=path, key="k")
    with pytest.raises(UsageError, match="another setting, recipe"):
        trained(utterances, parts, checkpoint=path, key="other")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LedgerError, match="damaged"):
        trained(utterances, parts, checkpoint=path, key="k")


class Breaking(FreshStates):
    """Gives numbers until a call, then none."""

    def __init__(self, *arguments, after):
        super().__init__(*arguments)
        self.after = after

    def lower(self, rows):
        states, inside = super().lower(rows)
        self.after -= 1
        return ([state * float("nan") for state in states] if self.after < 0 else states), inside


def test_a_loss_that_is_no_number_keeps_the_last_good_epoch(utterances, parts, tmp_path):
    # One batch standardises; an epoch is three steps and one validation batch: the eighth call is epoch 2, step 6.
    model = tiny_model("wav2vec2", unfrozen=1)
    source = Breaking(model, utterances, 0.3, after=7)
    _, _, progress = trained(utterances, parts, model, source, checkpoint=tmp_path / "c.pt", key="k")
    assert progress.failed
    assert "not a number at step 6 (epoch 2); epoch 1 is kept" in progress.stopped
    assert (len(progress.epochs), progress.best_epoch) == (1, 1)
    for name, parameter in model.trained().items():
        assert torch.equal(parameter, progress.best[name])
        assert torch.isfinite(parameter).all()
    saved = torch.load(tmp_path / "c.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in saved["best"].values())


def test_a_loss_that_never_was_a_number_is_an_error(utterances, parts):
    model = tiny_model("wav2vec2", unfrozen=1)
    with pytest.raises(AllophoneError, match=r"step 2 \(epoch 1\), before any epoch was finished"):
        trained(utterances, parts, model, Breaking(model, utterances, 0.3, after=2))


def test_training_stops_early_on_the_validation_examples(utterances, parts):
    # Validation labels turned round: learning can only make them worse, so the first epochs stay the best.
    turned = Examples(parts[1].rows, tuple(1 - label for label in parts[1].classes))
    recipe = RECIPE.model_copy(update={"epochs": 40, "patience": 3})
    _, _, progress = trained(utterances, (parts[0], turned), tiny_model("wav2vec2"), recipe=recipe)
    assert progress.stopped == "no better validation UAR for 3 epochs"
    assert len(progress.epochs) == progress.best_epoch + 3 < 40


def test_seeds_give_other_trainings_and_equal_seeds_equal_ones(utterances, parts):
    losses = [
        [e.loss for e in trained(utterances, parts, tiny_model("wav2vec2", unfrozen=1), recipe=short(seed))[2].epochs]
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_padded_lengths_are_counted(utterances, parts):
    _, source, progress = trained(utterances, parts, recipe=RECIPE.model_copy(update={"epochs": 1}))
    epoch = progress.epochs[0]
    assert sum(clips for _, clips in epoch.clips_of_tokens) == 12
    assert epoch.steps == 3
    total = sum(tokens * clips for tokens, clips in epoch.clips_of_tokens)
    assert total >= sum(source.tokens(row) for row in parts[0].rows)
