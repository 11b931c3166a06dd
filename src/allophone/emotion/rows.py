"""From a split to examples, and from logits to one row a test utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from allophone.corpora.splits import PARTS, Part, Split
from allophone.costs.emotion import inference_flops
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.emotion.clips import load_clip
from allophone.emotion.model import EmotionModel
from allophone.emotion.record import EmotionRow
from allophone.emotion.states import StateSource
from allophone.emotion.training import Examples
from allophone.errors import CorpusError
from allophone.models.stopwatch import Stopwatch
from allophone.records.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["bill_rows", "mean_inference_flops", "report_rows", "split_examples", "time_rows"]


def split_examples(
    utterances: Sequence[Utterance], split: Split, labels: Sequence[str], failures: Mapping[int, str]
) -> dict[Part, Examples]:
    """Return places and class numbers of every part's utterances; those that failed are left out.

    Args:
        utterances: The corpus, in its order.
        split: Whose speakers belong where.
        labels: Classes in the order of their numbers.
        failures: Why an utterance cannot be used, by place.

    Raises:
        CorpusError: No usable utterance is left in a part, or a class has none to train on.
    """
    place = {utterance.id: row for row, utterance in enumerate(utterances)}
    number = {label: index for index, label in enumerate(labels)}
    examples: dict[Part, Examples] = {}
    for part in PARTS:
        used = [(place[u.id], number[u.label or ""]) for u in split.select(utterances, part)]
        used = [(row, label) for row, label in used if row not in failures]
        if not used:
            raise CorpusError(f"split '{split.name}': no usable {part} utterance is left. Mend the recordings.")
        examples[part] = Examples(tuple(row for row, _ in used), tuple(label for _, label in used))
    if absent := set(range(len(labels))) - set(examples["train"].classes):
        raise CorpusError(
            f"split '{split.name}': no usable training utterance has the label '{labels[min(absent)]}'. Mend the "
            "recordings, or leave the label out."
        )
    return examples


def report_rows(
    utterances: Sequence[Utterance],
    split: Split,
    labels: tuple[str, ...],
    failures: Mapping[int, str],
    posteriors: NDArray[np.float64],
) -> tuple[EmotionRow, ...]:
    """Return a row for every test utterance, in the corpus's order; failed ones carry their error.

    Args:
        utterances: The corpus.
        split: Its test speakers are reported.
        labels: Classes in the order of the posteriors.
        failures: Why an utterance could not be used, by place.
        posteriors: Of the test utterances that did not fail, shape ``(n_utterances, n_classes)``.
    """
    rows = []
    remaining = iter(posteriors.tolist())
    speakers = set(split.test)
    for place, utterance in enumerate(utterances):
        if utterance.speaker not in speakers:
            continue
        error = failures.get(place)
        posterior = () if error else tuple(next(remaining))
        correct = bool(posterior) and labels[posterior.index(max(posterior))] == utterance.label
        rows.append(EmotionRow(utterance.id, utterance.speaker, utterance.label or "", posterior, correct, None, error))
    return tuple(rows)


def bill_rows(
    model: EmotionModel, source: StateSource, rows: Sequence[EmotionRow], utterances: Sequence[Utterance]
) -> tuple[EmotionRow, ...]:
    """Note how much each row's recogniser heard and what its inference executes; failed rows stay as they are.

    Args:
        model: The model.
        source: States of the corpus.
        rows: From :func:`report_rows`.
        utterances: The corpus.
    """
    place = {utterance.id: number for number, utterance in enumerate(utterances)}
    return tuple(
        row
        if row.error is not None
        else replace(
            row,
            heard_s=source.samples(place[row.utterance_id]) / SAMPLE_RATE,
            executed_flops=_flops(model, source, place[row.utterance_id]),
        )
        for row in rows
    )


def time_rows(
    model: EmotionModel,
    rows: Sequence[EmotionRow],
    utterances: Sequence[Utterance],
    count: int | None,
    *,
    twice: bool = False,
) -> tuple[EmotionRow, ...]:
    """Run test utterances again, one at a time from their samples with adapters merged, and note the seconds.

    The posterior stays the one from the states; decoding the file is not timed. The first run is a warm-up.

    Args:
        model: Trained and saved; its adapters are merged.
        rows: From :func:`report_rows`.
        utterances: The corpus.
        count: How many rows, evenly spread; None: all.
        twice: Whether they are run a second time when all have been run, to learn what the machine's noise does.
    """
    usable = [number for number, row in enumerate(rows) if row.error is None]
    count = len(usable) if count is None else min(count, len(usable))
    wanted = [usable[index * len(usable) // count] for index in range(count)]
    by_id = {utterance.id: utterance for utterance in utterances}
    timed = list(rows)
    model.train(False)
    model.merge()
    on_cpu = next(model.encoder.module.parameters()).device.type == "cpu"
    for turn, number in enumerate([*wanted[:1], *wanted, *(wanted if twice else [])]):
        clip = load_clip(by_id[rows[number].utterance_id], model.setting.duration_s)
        watch = Stopwatch()
        model.clip_logits(clip).cpu()
        wall_s, cpu_s = watch.lap()
        took = (wall_s, cpu_s if on_cpu else None)  # else the processor only waits
        if 1 <= turn <= len(wanted):
            timed[number] = replace(rows[number], latency_s=took[0], cpu_s=took[1])
        elif turn:
            timed[number] = replace(timed[number], again=took)
    return tuple(timed)


def mean_inference_flops(model: EmotionModel, source: StateSource, rows: Sequence[int]) -> int:
    """Executed FLOPs of one inference, mean over utterances."""
    return round(sum(_flops(model, source, row) for row in rows) / len(rows))


def _flops(model: EmotionModel, source: StateSource, row: int) -> int:
    dims, classes = model.encoder.dimensions, model.adaptation.classes
    return inference_flops(dims, classes, samples=source.samples(row))
