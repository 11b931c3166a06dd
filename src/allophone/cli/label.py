"""``allophone label``: a decision from few human transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allophone.cli.show import Wide

if TYPE_CHECKING:
    from allophone.frontier.recognition import RecognitionRunSummary
    from allophone.labels.draw import Draw
    from allophone.records.utterance import Utterance

__all__ = ["label"]

_LEVEL = 0.95


def label(
    run: Annotated[Path, typer.Argument(help="A run folder, measured with --reference-model.")],
    budget: Annotated[int | None, typer.Option(help="How many utterances you would transcribe.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The CSV to fill in; else transcripts.csv in the run. What it holds is kept.")
    ] = None,
    apply: Annotated[Path | None, typer.Option(help="A filled CSV: estimate every point's WER from it.")] = None,
    points: Annotated[
        str | None, typer.Option(help="Points to decide between, by name or id, comma-separated; else all of the run.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draw; else 0, or that of the run's draw.")] = None,
    hypotheses: Annotated[
        bool,
        typer.Option("--hypotheses", help="Show what was recognised in the CSV; it makes errors easy to overlook."),
    ] = False,
    wide: Wide = False,
) -> None:
    """Name the utterances whose transcripts would decide between the points, or decide from their transcripts.

    Their inclusion probabilities follow the disagreement of the hypotheses. Transcribe from the top; stop where you
    like. The same command with a larger --budget adds lines. frontier and recommend take the file as --labels.
    """
    from allophone.cli.say import hint, say
    from allophone.cli.show import print_table
    from allophone.errors import UsageError
    from allophone.frontier.pareto import Frontier
    from allophone.frontier.recognition import RecognitionRunSummary
    from allophone.frontier.recommend import recommend
    from allophone.frontier.summarise import summarise_run
    from allophone.labels.apply import apply_transcripts
    from allophone.labels.draw import draw_utterances
    from allophone.report.tables import frontier_table

    if (budget is None) == (apply is None):
        raise UsageError("give --budget N to draw utterances, or --apply FILE to use their transcripts.")
    summary = summarise_run(run, RecognitionRunSummary)
    if apply is not None:
        estimated = apply_transcripts(summary, run, apply)
        print_table(frontier_table(Frontier.from_summary(estimated)), wide=wide)
        answer = recommend(estimated, minimise="wer", confidence=_LEVEL)
        for line in [*answer.explain(), _of_the_chosen(estimated, answer.chosen.name)]:
            say(line)
        hint(f"Next: allophone recommend {run} --labels {apply}")
        return
    assert budget is not None
    n_utterances = len(summary.samples.utterances)
    if not 2 <= budget <= n_utterances:
        raise UsageError(f"--budget {budget}: give from 2 to {n_utterances}, the utterances that all points share.")
    wanted = [name.strip() for name in points.split(",") if name.strip()] if points else None
    draw = draw_utterances(summary, run, wanted, seed)
    path = out or run / "transcripts.csv"
    _write(summary, run, draw, budget, path, hypotheses=hypotheses)
    hint(f"Next: fill in the column 'transcript', then: allophone label {run} --apply {path}")


def _of_the_chosen(estimated: RecognitionRunSummary, chosen: str) -> str:
    from allophone.frontier.confidence import draw_replicates
    from allophone.measure.intervals import intervals
    from allophone.measure.linearised import resample_linearised
    from allophone.records.names import title_of

    samples = estimated.samples
    assert samples.transcribed is not None
    resample = draw_replicates(samples.speakers, _LEVEL)
    found = intervals(resample_linearised(samples.transcribed, resample, simultaneous=True), _LEVEL)
    its = found[samples.points.index(chosen)]
    return (
        f"WER of {title_of(chosen)}, its choice among {len(found)} points included: {100 * its.low:.2f} to "
        f"{100 * its.high:.2f} % with probability {_LEVEL:g}."
    )


def _write(summary: RecognitionRunSummary, run: Path, draw: Draw, budget: int, path: Path, *, hypotheses: bool) -> None:
    from allophone.cli.say import say, tell
    from allophone.labels.draw import read_hypotheses
    from allophone.labels.transcripts import SILENCE, Row, read_cells, write_transcripts

    kept = read_cells(path, draw.utterances) if path.exists() else {}
    ranked = draw.ranked()
    names = [name for index, name in enumerate(ranked) if index < budget or kept.get(name)]
    where, missing = _audio_paths(summary.run.corpus)
    texts = read_hypotheses(run, names) if hypotheses else {}
    rows = [
        Row(
            name,
            where.get(name, ""),
            kept.get(name, ""),
            tuple(dict.fromkeys([texts[name].reference, *texts[name].of.values()])) if hypotheses else (),
        )
        for name in names
    ]
    write_transcripts(path, rows, hypotheses=hypotheses)
    filled = sum(bool(row.transcript) for row in rows)
    say(
        f"{len(rows)} utterances in {path}{f', {filled} of them transcribed already' if filled else ''}. "
        f"Write {SILENCE} where nothing is spoken; an empty cell counts as not done."
    )
    if missing:
        tell(f"{missing} The column 'audio_path' is empty.")


def _audio_paths(corpus: str) -> tuple[dict[str, str], str | None]:
    from allophone.corpora.corpus import open_corpus
    from allophone.errors import AllophoneError

    try:
        return {utterance.id: _part_of(utterance) for utterance in open_corpus(corpus)}, None
    except AllophoneError as error:  # a run can be read where its corpus is not
        return {}, f"The run's corpus cannot be read here ({error})"


def _part_of(utterance: Utterance) -> str:
    """Where to listen: the recording, and of a part its seconds as a media fragment (``#t=12.5,17``)."""
    if utterance.offset_s is None:
        return str(utterance.audio_filepath)
    end = "" if utterance.duration_s is None else f",{utterance.offset_s + utterance.duration_s:g}"
    return f"{utterance.audio_filepath}#t={utterance.offset_s:g}{end}"
