"""What ``allophone adapt emotion`` makes of its options, and which it refuses before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from allophone.cli.sweep_emotion import refuse_options

if TYPE_CHECKING:
    from allophone.corpora.corpus import Corpus
    from allophone.corpora.splits import SplitFile
    from allophone.emotion.recipe import EmotionSetting, Recipe

__all__ = ["check_folders", "chosen_split", "naming_options", "parse_speakers", "setting_and_recipe"]

_FOLDS = 5
_KNOBS = ("lora_rank", "unfrozen_layers")


def setting_and_recipe(
    knobs: Mapping[str, Any], unfrozen_layers: str, given: Mapping[str, Any], seed: int
) -> tuple[EmotionSetting, Recipe]:
    """Return the setting, and its recipe with what was given instead of the defaults.

    Args:
        knobs: Fields of the setting but for the unfrozen layers.
        unfrozen_layers: A number, or ``all``.
        given: Fields of the recipe; None leaves the default.
        seed: Of the recipe.

    Raises:
        UsageError: A value that a field cannot have, or a learning rate of what is not trained.
    """
    from pydantic import ValidationError

    from allophone.emotion.recipe import EmotionSetting, default_recipe
    from allophone.errors import UsageError

    layers: Any = int(unfrozen_layers) if unfrozen_layers.lstrip("-").isdigit() else unfrozen_layers
    try:
        setting = EmotionSetting(**knobs, unfrozen_layers=layers)
        standard = default_recipe(setting, seed=seed)
        changes = {name: value for name, value in given.items() if value is not None}
        recipe = type(standard).model_validate(standard.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{_option(str(first['loc'][0]))} {first['input']}: {first['msg']}.") from None
    if "encoder_lr" in changes and not setting.unfrozen_layers:
        raise UsageError("--encoder-lr: no layer is unfrozen. Give --unfrozen-layers too, or leave it out.")
    if "lora_lr" in changes and not setting.lora_rank:
        raise UsageError("--lora-lr: there are no adapters. Give --lora-rank too, or leave it out.")
    return setting, recipe


def parse_speakers(text: str | None, context: typer.Context) -> list[str]:
    """Return the speakers of ``--test-speakers``, none where it was not given.

    Raises:
        UsageError: It names none, or stands beside an option that it contradicts.
    """
    from allophone.errors import UsageError

    if text is None:
        return []
    refuse_options(context, ("fold", "folds"), "contradicts --test-speakers, which makes one split")
    speakers = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not speakers:
        raise UsageError(f"--test-speakers '{text}': names no speaker. Write them comma-separated, or leave it out.")
    return speakers


def check_folders(out: Path, merged: Path | None) -> None:
    """Refuse folders that a training would spoil, before it.

    Raises:
        UsageError: As :mod:`allophone.emotion.folders`.
    """
    from allophone.emotion.folders import check_merged_folder, check_model_folder

    check_model_folder(out)
    if merged is not None:
        check_merged_folder(merged, out)


def chosen_split(
    corpus: Corpus, path: Path, speakers: list[str], *, fold: str, folds: int | None, seed: int
) -> tuple[SplitFile, str]:
    """Read the split file, or make it where it is missing, and choose one of its splits.

    Args:
        corpus: What is split.
        path: The file.
        speakers: Test speakers, or none for folds.
        fold: Name of a split, where no speakers are named.
        folds: How many are made, or a file must have; None makes five, and takes what a file has.
        seed: Of a split that is made.

    Returns:
        The splits and the name of the chosen one.

    Raises:
        AllophoneError: As :mod:`allophone.corpora.splits`.
        UsageError: The file has other splits than the options say; the message names both.
    """
    from allophone.corpora.splits import fixed_split, make_folds, read_splits, write_splits
    from allophone.errors import UsageError

    remedy = "or name another split file or folder."
    there = path.is_file()
    if there:
        splits = read_splits(path, corpus)
        if speakers and set(speakers) != set(splits.splits[0].test):
            raise UsageError(f"{path}: tests other speakers than --test-speakers. Name another split file or folder.")
        if folds not in (None, len(splits.splits)):
            raise UsageError(f"--folds {folds}: {path} has {len(splits.splits)} splits. Leave --folds out, {remedy}")
    elif speakers:
        splits = fixed_split(corpus, test=speakers, seed=seed)
    else:
        splits = make_folds(corpus, folds=folds or _FOLDS, seed=seed)
    name = splits.splits[0].name if speakers else fold
    known = [split.name for split in splits.splits]
    if name not in known:
        raise UsageError(f"--fold '{name}': {path} has {', '.join(known)}. Name one of them, {remedy}")
    if not there:
        write_splits(path, splits)
    return splits, name


@contextmanager
def naming_options() -> Iterator[None]:
    """Name the option instead of the knob in what an encoder cannot take.

    Raises:
        SpaceError: As within.
    """
    from allophone.errors import SpaceError

    try:
        yield
    except SpaceError as error:
        knob, blank, rest = str(error).partition(" ")
        if knob not in _KNOBS:
            raise
        raise SpaceError(f"{_option(knob)}{blank}{rest}.") from None


def _option(field: str) -> str:
    return "--" + field.replace("_", "-")
