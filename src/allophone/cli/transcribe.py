"""``allophone transcribe``: run a saved operating point on recordings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from allophone.cli.engine_options import Device, MaxAudio, Model, Passes, Policy, SavedPoint, Threads, Threshold
from allophone.cli.option_defaults import without_defaults
from allophone.cli.quantities import LONGEST, check_positive
from allophone.cli.say import is_verbose, say, tell

if TYPE_CHECKING:
    from allophone.errors import AudioError
    from allophone.models.engine import Task
    from allophone.records.transcript import Transcript
    from allophone.routing.transcriber import PolicyTranscriber, RoutedTranscript
    from allophone.transcription.transcriber import Transcriber

__all__ = ["transcribe"]

_FORMATS = ("text", "json", "srt", "vtt")


def transcribe(
    context: typer.Context,
    audio: Annotated[
        list[Path],
        typer.Argument(help="Recordings in any format that FFmpeg reads, or folders of them; - is standard input."),
    ],
    point: SavedPoint = None,
    model: Model = None,
    policy: Policy = None,
    threshold: Threshold = None,
    style: Annotated[
        str,
        typer.Option(
            "--format",
            help="text, json (of several recordings one object per line), srt or vtt; several with --out: srt,json.",
        ),
    ] = "text",
    language: Annotated[
        str | None,
        typer.Option(help="Language code, or auto; else as measured; with --model auto, if it knows many."),
    ] = None,
    task: Annotated[str, typer.Option(help="transcribe, or translate into English.")] = "transcribe",
    prompt: Annotated[
        str, typer.Option(help="Text taken for what was said before: names are spelled as they stand in it.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Write one file per recording and format into this folder; what is there is passed over."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what --out holds already.")] = False,
    jobs: Passes = 0,
    batch_size: Annotated[int, typer.Option(min=0, help="Windows in one pass; 0 takes 1, on a GPU 16.")] = 0,
    threads: Threads = 0,
    device: Device = "cpu",
    max_audio_s: MaxAudio = LONGEST,
) -> None:
    """Transcribe recordings at a saved point, with a model or by a policy; unreadable ones are reported and skipped."""
    from allophone.errors import AudioError, LedgerError, UsageError
    from allophone.files import write_whole
    from allophone.models.engine import Task

    chosen = without_defaults(context, {"point": point, "model": model, "policy": policy})
    point, model, policy = chosen["point"], chosen["model"], chosen["policy"]
    check_positive("--max-audio", max_audio_s, "a duration, such as 30m")
    styles = _styles(style, out)
    audio = [path for given in audio for path in _recordings(given)]
    written = {path: [_target(out, path, one) for one in styles] for path in audio} if out is not None else {}
    _refuse_one_name_for_two(written)
    wanted = [path for path in audio if overwrite or path not in written or not all(map(os.path.exists, written[path]))]
    if threshold is not None and policy is None:
        raise UsageError("--threshold: only a policy has one. Give --policy.")
    if task not in get_args(Task):
        raise UsageError(f"--task '{task}': write {' or '.join(get_args(Task))}.")
    if policy is not None and (prompt or task != "transcribe"):
        raise UsageError("--task and --prompt: a policy was trained without them. Give --point or --model.")
    transcriber = _load(point, model, policy, threshold, language, threads, device, max_audio_s)
    several = len(audio) > 1
    failed, audio_s, started = 0, 0.0, monotonic()
    with ExitStack() as stack:
        advance = stack.enter_context(_progress(len(wanted))) if out is not None and len(wanted) > 1 else None
        results = _results(transcriber, wanted, set(styles) != {"text"}, jobs, batch_size, cast("Task", task), prompt)
        for done, (path, found) in enumerate(zip(wanted, results, strict=True), start=1):
            try:
                if isinstance(found, AudioError):
                    raise found
                _tell(path, found, style)
                for one, target in zip(styles, written.get(path, ()), strict=False):
                    write_whole(target, _shown(found, one) + "\n")
                if out is None:
                    say(_for_stdout(path, found, style, several=several))
                audio_s += _transcript(found).duration_s
            except (AudioError, LedgerError) as error:  # the others are not touched
                say(f"allophone: {error}", err=True)
                if style == "json" and several and out is None:  # every recording keeps its line
                    say(json.dumps({"audio": str(path), "error": str(error)}, ensure_ascii=False))
                failed += 1
            if advance is not None:
                advance(done)
    if several:
        tell(_summary(len(wanted) - failed, len(audio) - len(wanted), audio_s, monotonic() - started))
    if failed:
        say(f"allophone: {failed} of {len(audio)} recordings could not be transcribed.", err=True)
        raise typer.Exit(1)


def _styles(style: str, out: Path | None) -> tuple[str, ...]:
    from allophone.errors import UsageError

    styles = tuple(dict.fromkeys(style.split(",")))
    if unknown := [one for one in styles if one not in _FORMATS]:
        raise UsageError(f"--format '{unknown[0]}': write one of {', '.join(_FORMATS)}, or several as srt,json.")
    if len(styles) > 1 and out is None:
        raise UsageError(f"--format {style}: several formats are files of their own. Give --out FOLDER.")
    return styles


def _recordings(given: Path) -> list[Path]:
    """What is meant by an argument: a recording, standard input, or all recordings below a folder."""
    from allophone.corpora.folders import read_folder
    from allophone.corpora.passed_over import PassedOver
    from allophone.errors import UsageError

    if given == Path("-"):
        return [Path("/dev/stdin")]
    if not given.is_dir():
        return [given]
    passed_over = PassedOver(given)
    found = list(dict.fromkeys(utterance.audio_filepath for utterance in read_folder(given, passed_over)))
    for sentence in passed_over.sentences():
        tell(f"allophone: {given}: {sentence}")
    if not found:
        raise UsageError(f"{given}: no recording in this folder. Name files, or another folder.")
    return found


def _target(out: Path, recording: Path, style: str) -> Path:
    return out / f"{recording.stem}.{'txt' if style == 'text' else style}"


def _load(
    point: Path | None,
    model: str | None,
    policy: Path | None,
    threshold: float | None,
    language: str | None,
    threads: int,
    device: str,
    max_audio_s: float,
) -> Transcriber | PolicyTranscriber:
    from allophone.errors import UsageError
    from allophone.routing.transcriber import load_policy
    from allophone.transcription.defaults import default_point
    from allophone.transcription.transcriber import load_point

    if sum(given is not None for given in (point, model, policy)) != 1:
        raise UsageError("give one of --point (a saved point), --model (a model's name) and --policy (a policy).")
    if policy is not None:
        return load_policy(
            policy,
            language=language,
            threshold=threshold,
            threads=threads,
            device=device,
            max_audio_s=float(max_audio_s),
        )
    chosen = point if point is not None else default_point(str(model))
    return load_point(chosen, language=language, threads=threads, device=device, max_audio_s=float(max_audio_s))


def _results(
    transcriber: Transcriber | PolicyTranscriber,
    audio: Sequence[Path],
    words: bool,
    jobs: int,
    batch_size: int,
    task: Task,
    prompt: str,
) -> Iterator[Transcript | RoutedTranscript | AudioError]:
    from allophone.errors import AudioError
    from allophone.transcription.transcriber import Transcriber

    if isinstance(transcriber, Transcriber):
        yield from transcriber.transcribe_many(
            audio, jobs=jobs, batch_size=batch_size, words=words, task=task, prompt=prompt
        )
        return
    for path in audio:  # a policy decides on one recording at a time
        try:
            yield transcriber.transcribe(path, words=words)
        except AudioError as error:
            yield error


def _tell(path: Path, found: Transcript | RoutedTranscript, style: str) -> None:
    from allophone.routing.transcriber import RoutedTranscript

    if isinstance(found, RoutedTranscript) and style != "json":
        tell(f"allophone: {path}: {found.explain()}")
    for notice in _transcript(found).notices:
        tell(f"allophone: {path}: {notice}.")


def _transcript(found: Transcript | RoutedTranscript) -> Transcript:
    from allophone.routing.transcriber import RoutedTranscript

    return found.transcript if isinstance(found, RoutedTranscript) else found


def _refuse_one_name_for_two(written: dict[Path, list[Path]]) -> None:
    from allophone.errors import UsageError

    first: dict[Path, Path] = {}
    for path, (target, *_) in written.items():
        if first.setdefault(target, path) != path:
            raise UsageError(
                f"--out: {first[target]} and {path} would both be written to {target.name}. Transcribe them into "
                "different folders."
            )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    from allophone.cli.show import show_progress
    from allophone.sweeps.recognition.run import Progress

    started = monotonic()
    with show_progress() as show:

        def advance(done: int) -> None:
            show(Progress("transcribing", done, total, (monotonic() - started) / done * (total - done)))

        yield advance


def _summary(done: int, passed_over: int, audio_s: float, seconds: float) -> str:
    kept = f"; {passed_over} were there already (--overwrite does them again)" if passed_over else ""
    rate = f", {audio_s / seconds:.1f} times real time" if done else ""
    return f"allophone: {done} recordings, {audio_s:.1f} s of audio in {seconds:.1f} s{rate}{kept}."


def _for_stdout(path: Path, found: Transcript | RoutedTranscript, style: str, *, several: bool) -> str:
    """One recording's text, or one of several: with its name, as JSON one object per line."""
    if not several:
        return _shown(found, style)
    if style == "json":
        return json.dumps({"audio": str(path), **_fields(found)}, ensure_ascii=False)
    name = str(path).replace("\n", "\\n")
    return f"{name}: {_shown(found, style)}" if style == "text" else f"{name}:\n{_shown(found, style)}\n"


def _fields(found: Transcript | RoutedTranscript) -> dict[str, Any]:
    from allophone.routing.transcriber import RoutedTranscript
    from allophone.transcription.subtitles import transcript_dict

    if isinstance(found, RoutedTranscript):
        return {**transcript_dict(found.transcript, internals=is_verbose()), "route": found.route_dict()}
    return transcript_dict(found, internals=is_verbose())


def _shown(found: Transcript | RoutedTranscript, style: str) -> str:
    from allophone.routing.transcriber import RoutedTranscript
    from allophone.transcription.subtitles import format_transcript

    if style == "json":
        return json.dumps(_fields(found), indent=1, ensure_ascii=False)
    transcript = found.transcript if isinstance(found, RoutedTranscript) else found
    return format_transcript(transcript, style)  # type: ignore[arg-type]
