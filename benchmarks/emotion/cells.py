"""The cells of the emotion table: which settings are measured on which folds and seeds, in order of usefulness.

A cell is one setting trained on one fold with one seed. The order: frozen probes of every model and duration; a star
of all adaptations at 3 s; the durations of the adaptations that a cache makes cheap; the rest; then further folds and
seeds. Within a stage the cost model decides: what takes fewer FLOPs comes first, a first pass over the corpus included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from allophone.costs.adaptation import frozen_flops, setting_adaptation, training_step_flops
from allophone.costs.formulas import stem_flops
from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, whisper_dimensions
from allophone.emotion.recipe import EmotionSetting, default_recipe

MODELS = ("tiny.en", "base")
DURATIONS_S = (3.0, 1.0, 2.0, 4.0, 6.0)
ADAPTATIONS: tuple[tuple[int, int | str], ...] = (
    (0, 0),
    (0, 2),
    (0, 4),
    (0, "all"),
    (8, 0),
    (16, 0),
    (32, 0),
    (16, 2),
    (16, 4),
)
CENTRE_S = 3.0
FOLDS, FIRST_FOLDS, SEEDS = 5, 3, 3
CLASSES = 6
TRAINING_CLIPS, VALIDATION_CLIPS, TEST_CLIPS = 4163, 1064, 1306
ALL_CLIPS = TRAINING_CLIPS + VALIDATION_CLIPS + TEST_CLIPS
TOKENS_PER_S = 50
MEAN_S = 2.54  # of CREMA-D's clips, of which a shorter duration keeps a part
LIKELY_EPOCHS = 8  # of an adapted encoder, early stopping considered


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting on one fold with one seed."""

    setting: EmotionSetting
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """Unique among cells."""
        return f"{self.setting.name}-fold{self.fold}-seed{self.seed}"


def planned_cells() -> list[Cell]:
    """All cells, the most useful first."""
    return sorted(_cells(), key=lambda cell: (_stage(cell), predicted_flops(cell), cell.name))


def predicted_flops(cell: Cell, *, filled: bool = False) -> float:
    """FLOPs that a cell will likely execute.

    Args:
        cell: The cell.
        filled: Whether an earlier cell of the same setting left its cache; else the pass that fills it is counted.
    """
    dims = whisper_dimensions(cell.setting.model)
    tokens = round(min(cell.setting.duration_s, MEAN_S) * TOKENS_PER_S)
    adaptation = setting_adaptation(cell.setting, dims.n_audio_layer, CLASSES)
    below = 0 if adaptation.lora_rank else dims.n_audio_layer - adaptation.unfrozen_layers
    above = frozen_flops(dims, tokens=tokens, layers=dims.n_audio_layer - below)
    epochs = default_recipe(cell.setting).epochs if below == dims.n_audio_layer else LIKELY_EPOCHS
    steps = TRAINING_CLIPS * epochs * training_step_flops(dims, adaptation, tokens=tokens)
    reading = (VALIDATION_CLIPS * epochs + TEST_CLIPS) * above
    front = stem_flops(dims, FRAMES_PER_AUDIO_TOKEN * tokens) + frozen_flops(dims, tokens=tokens, layers=below)
    return float(steps + reading + (0 if filled else ALL_CLIPS * front))


def _cells() -> Iterator[Cell]:
    for model in MODELS:
        layers = whisper_dimensions(model).n_audio_layer
        for duration_s in DURATIONS_S:
            for rank, unfrozen in ADAPTATIONS:
                if unfrozen == layers:  # the same as all
                    continue
                setting = EmotionSetting(model=model, duration_s=duration_s, lora_rank=rank, unfrozen_layers=unfrozen)
                for fold in range(FOLDS):
                    for seed in range(SEEDS):
                        yield Cell(setting, fold, seed)


def _stage(cell: Cell) -> int:
    setting = cell.setting
    frozen = not setting.lora_rank and not setting.unfrozen_layers
    if cell.seed:
        return 6
    if cell.fold >= FIRST_FOLDS:
        return 5
    if frozen:
        return 0
    if setting.duration_s == CENTRE_S:
        return 1 if not setting.lora_rank and setting.unfrozen_layers != "all" else 2
    return 3 if setting.unfrozen_layers in (2, 4) and not setting.lora_rank else 4
