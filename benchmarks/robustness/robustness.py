"""What damaged and hostile recordings do to the decoder: read, refused with a reason, or worse; memory and time."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from allophone.audio.decode import decode_audio
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import AudioError
from benchmarks.robustness.files import Input, damaged_inputs, hostile_inputs, sound_inputs
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import markdown_table, stamp_line, write_result

SEED = 7
LIMIT_S = 60
LIMIT_BYTES = 12 << 30
NOTICED_S = 0.5  # a file that is read, shorter by more than this and without a notice, was taken for whole


@dataclass(frozen=True, slots=True)
class Outcome:
    """What decoding one file led to.

    Args:
        input: The file.
        result: ``read``, ``read with a notice``, ``refused``, ``foreign error`` (a library's exception, told as an
            error of the recording), ``traceback``, or ``killed`` (crashed, or over the limit of time).
        seconds: Of audio, where it was read.
        peak_bytes: Resident memory that decoding added to the process.
        wall_s: Time it took, a fork included.
        why: The message, if there is one.
    """

    input: Input
    result: str
    seconds: float | None
    peak_bytes: int
    wall_s: float
    why: str


def main() -> None:
    """Decode every file in a process of its own, and write counts."""
    begin(command_line(__doc__))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        whole = [decode(one, path) for one in sound_inputs().values()]
        damaged = [decode(one, path) for one in damaged_inputs(SEED)][:: sized(1, 40)]
        hostile = [decode(one, path) for one in list(hostile_inputs())[:: sized(1, 10)]]
    kinds = list(dict.fromkeys(one.input.kind for one in damaged))
    figures: dict[str, Any] = {
        "undamaged": counts(whole),
        "damaged": counts(damaged),
        "by_kind": {kind: counts([one for one in damaged if one.input.kind == kind]) for kind in kinds},
        "hostile": [
            {
                "what": one.input.kind,
                "bytes": len(one.input.content),
                "result": one.result,
                "audio_s": one.seconds,
                "peak_mb": round(one.peak_bytes / 1e6),
                "wall_s": round(one.wall_s, 1),
                "why": one.why,
            }
            for one in hostile
        ],
    }
    settings = {"seed": SEED, "limit_s": LIMIT_S, "noticed_s": NOTICED_S}
    write_result("robustness", settings, figures, page(figures))


def decode(given: Input, path: Path) -> Outcome:
    """Decode a file in a child process."""
    path.write_bytes(given.content)
    receiver, sender = os.pipe()
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
        signal.alarm(LIMIT_S)
        before = peak_bytes()
        found = attempt(path)
        os.write(sender, pickle.dumps((*found, peak_bytes() - before)))
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    wall_s = time.perf_counter() - started
    if not content:
        return Outcome(given, "killed", None, 0, wall_s, f"status {status}")
    result, seconds, why, peak = pickle.loads(content)
    return Outcome(given, result, seconds, peak, wall_s, why.replace(str(path), "recording"))


def attempt(path: Path) -> tuple[str, float | None, str]:
    """Decode here; return the result, the seconds read and the message."""
    try:
        decoded = decode_audio(path)
        assert np.isfinite(decoded.samples).all()
    except AudioError as error:
        foreign = "cannot be processed" in str(error) or "fit into memory" in str(error)
        return "foreign error" if foreign else "refused", None, str(error)
    except BaseException:
        return "traceback", None, traceback.format_exc()[-500:]
    result = "read with a notice" if decoded.notices else "read"
    return result, decoded.samples.size / SAMPLE_RATE, "; ".join(decoded.notices)


def peak_bytes() -> int:
    """Return the most resident memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return how many files ended how."""
    results = ("read", "read with a notice", "refused", "foreign error", "traceback", "killed")
    return {
        "files": len(outcomes),
        **{result: sum(one.result == result for one in outcomes) for result in results},
        "shortened unnoticed": sum(map(shortened, outcomes)),
        "peak_mb": round(max(one.peak_bytes for one in outcomes) / 1e6),
        "slowest_s": round(max(one.wall_s for one in outcomes), 2),
    }


def shortened(outcome: Outcome) -> bool:
    """Whether a file was read without a notice though sound is missing."""
    stated, read = outcome.input.seconds, outcome.seconds
    return outcome.result == "read" and stated is not None and read is not None and read < stated - NOTICED_S


def page(figures: dict[str, Any]) -> str:
    """Return the page of the results."""
    return "\n\n".join(
        [
            "# What damaged recordings do",
            "Recordings in 16 encodings, undamaged and damaged in ways drawn with a fixed seed, and small files that "
            "claim to be large, each decoded in a process of its own. *Refused*: an error that names the file and says "
            "why. *Foreign error*: a library raised something that nobody foresaw; it is told as an error of the "
            "recording. *Shortened unnoticed*: read without a notice though over half a second is missing, as an MP3 "
            "file cut without a header, whose frames say nothing of how many there should be. Bits that flip in plain "
            "samples (WAV, AIFF) or in a codec without checksums change the sound and nothing that could be checked.",
            markdown_table(
                [
                    "damage",
                    "files",
                    "read",
                    "with a notice",
                    "refused",
                    *BAD,
                    "shortened unnoticed",
                    "peak MB",
                    "slowest s",
                ],
                [row(name, found) for name, found in _rows(figures)],
            ),
            "## Small files that claim much",
            markdown_table(
                ["file", "kB", "result", "audio s", "peak MB", "s", "why"],
                [
                    [
                        one["what"],
                        f"{one['bytes'] / 1000:.0f}",
                        one["result"],
                        "" if one["audio_s"] is None else f"{one['audio_s']:.1f}",
                        str(one["peak_mb"]),
                        str(one["wall_s"]),
                        one["why"].replace("|", "/"),
                    ]
                    for one in figures["hostile"]
                ],
            ),
            f"Peak is resident memory over that of the process before it decoded. {stamp_line()}. Written by "
            "`benchmarks/robustness/robustness.py`.",
        ]
    )


BAD = ("foreign error", "traceback", "killed")


def _rows(figures: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    yield "none", figures["undamaged"]
    yield from figures["by_kind"].items()
    yield "all damaged", figures["damaged"]


def row(name: str, found: dict[str, Any]) -> list[str]:
    """Return a line of the table."""
    keys = ("files", "read", "read with a notice", "refused", *BAD, "shortened unnoticed", "peak_mb", "slowest_s")
    return [name, *(str(found[key]) for key in keys)]


if __name__ == "__main__":
    main()
