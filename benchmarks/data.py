"""The public speech that the benchmarks hear: fetched from its publishers, or small synthetic stand-ins for a trial.

    python -m benchmarks.data list
    python -m benchmarks.data fetch librispeech-test-other speechocean762-test
    python -m benchmarks.data fetch crema-d --source FOLDER      from archives or files that are there already
    python -m benchmarks.data synthesise --to FOLDER

Sets go beside the checkout, where the benchmarks look for them; ``sets/`` holds the ids of those that are samples. The
figures of docs/results were measured on copies of all but ``librispeech-test-other`` at 32 kbit/s (Opus), so the
originals may give slightly others.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from allophone.audio.decode import load_audio
from allophone.dimensions.whisper import SAMPLE_RATE
from benchmarks.shared.recording import ROOT

BESIDE = ROOT.parent / "shared" / "data"
IDS = Path(__file__).with_name("sets")
_OPENSLR = "https://www.openslr.org/resources"
_CREMA_D = "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master/AudioWAV"
_CREMA_D_ACTORS = [actor for actor in range(1001, 1092) if actor % 8 != 7]  # every eighth is kept for other uses
_CREMA_D_SENTENCES = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
_CREMA_D_LABELS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A set that others publish.

    Args:
        address: Of the archive, or of the folder of its files.
        licence: Under which it is published.
        read: Yields the manifest rows of a source folder, each with the open audio: see :func:`fetch`.
    """

    address: str
    licence: str
    read: Callable[[str, Path], Iterator[tuple[dict[str, str], Path]]]


def main() -> int:
    """List, fetch or synthesise; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("list", help="name every set, its licence and whether it is there")
    fetching = steps.add_parser("fetch", help="fetch sets from their publishers")
    fetching.add_argument("names", nargs="+", choices=list(SETS), metavar="SET")
    fetching.add_argument("--source", type=Path, help="folder of archives or files, in the place of the network")
    making = steps.add_parser("synthesise", help="make small stand-ins of every set, of one synthetic voice")
    for step in (fetching, making):
        step.add_argument("--to", type=Path, default=BESIDE, help="folder of the sets (%(default)s)")
    asked = parser.parse_args()
    if asked.step == "list":
        for name, known in SETS.items():
            there = "there" if (BESIDE / name / "manifest.jsonl").is_file() else "not there"
            print(f"{name}: {there}; {known.licence}; {known.address}")
    elif asked.step == "synthesise":
        print(synthesise(asked.to))
    else:
        for name in asked.names:
            print(fetch(name, asked.to, asked.source))
    return 0


def fetch(name: str, to: Path, source: Path | None = None) -> Path:
    """Write a set's audio and its ``manifest.jsonl``; return the path of the manifest.

    Args:
        name: Of the set.
        to: Folder of all sets.
        source: Folder with the publisher's archive (or files), if they are here already.

    Raises:
        SystemExit: The publisher is out of reach, the source lacks the archive, or utterances are missing from it.
    """
    folder = to / name
    manifest = folder / "manifest.jsonl"
    if manifest.is_file():
        return manifest
    downloads = source or to / "downloads"
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for row, path in SETS[name].read(name, downloads):
        kept = folder / "audio" / f"{row['id']}{path.suffix.lower()}"
        if not kept.is_file():
            shutil.copyfile(path, kept)
        duration_s = round(load_audio(kept).size / SAMPLE_RATE, 3)
        rows.append({**row, "audio_filepath": f"audio/{kept.name}", "duration": duration_s})
    missing = set(wanted_ids(name) or ()) - {row["id"] for row in rows}
    if missing or not rows:
        told = ", ".join(sorted(missing)[:5]) or "all"
        raise SystemExit(
            f"{downloads}: {name} lacks {len(missing) or 'all'} of its utterances ({told}). Fetch it anew."
        )
    lines = "".join(json.dumps(row) + "\n" for row in sorted(rows, key=lambda row: str(row["id"])))
    partial = manifest.with_suffix(".partial")
    partial.write_text(lines, encoding="utf-8")
    partial.replace(manifest)
    return manifest


def wanted_ids(name: str) -> list[str] | None:
    """Return the ids of a set that is a sample of what its publisher has; None where it is all of it."""
    if name == "crema-d":
        return list(_crema_d_ids())
    path = IDS / f"{name}.txt"
    return path.read_text(encoding="utf-8").split() if path.is_file() else None


def _crema_d_ids() -> Iterator[str]:
    left_out = set((IDS / "crema-d-left-out.txt").read_text(encoding="utf-8").split())  # damaged, doubled or silent
    for actor in _CREMA_D_ACTORS:
        for sentence in _CREMA_D_SENTENCES:
            for emotion in _CREMA_D_LABELS:
                for level in ("LO", "MD", "HI") if sentence == "IEO" and emotion != "NEU" else ("XX",):
                    if (name := f"{actor}_{sentence}_{emotion}_{level}") not in left_out:
                        yield name


def _librispeech(name: str, source: Path) -> Iterator[tuple[dict[str, str], Path]]:
    tree = _unpacked(name, source)
    kept = wanted_ids(name)
    for transcript in sorted(tree.rglob("*.trans.txt")):
        for line in transcript.read_text(encoding="utf-8").splitlines():
            utterance, _, text = line.partition(" ")
            if kept is None or utterance in kept:
                row = {"id": utterance, "text": text, "speaker": utterance.partition("-")[0]}
                yield row, transcript.with_name(f"{utterance}.flac")


def _speechocean(name: str, source: Path) -> Iterator[tuple[dict[str, str], Path]]:
    tree, kept = _unpacked(name, source), set(wanted_ids(name) or ())
    audio = {path.stem: path for path in tree.rglob("*") if path.suffix.lower() == ".wav"}
    for table in sorted(tree.rglob("text")):
        speakers = dict(line.split() for line in table.with_name("utt2spk").read_text(encoding="utf-8").splitlines())
        for line in table.read_text(encoding="utf-8").splitlines():
            utterance, *words = line.split()
            if utterance in kept and utterance in audio:
                yield {"id": utterance, "text": " ".join(words), "speaker": speakers[utterance]}, audio[utterance]


def _crema_d(name: str, source: Path) -> Iterator[tuple[dict[str, str], Path]]:
    for utterance in wanted_ids(name) or ():
        path = source / "AudioWAV" / f"{utterance}.wav"
        if not path.is_file():
            _download(f"{SETS[name].address}/{path.name}", path)
        actor, sentence, emotion, intensity = utterance.split("_")
        more = {"label": _CREMA_D_LABELS[emotion], "sentence": sentence, "intensity": intensity}
        yield {"id": utterance, "speaker": actor, **more}, path


def _unpacked(name: str, source: Path) -> Path:
    """Return the folder of a set's archive, fetched and unpacked where it is not yet."""
    address = SETS[name].address
    archive = source / PurePosixPath(address).name
    tree = source / archive.name.removesuffix(".tar.gz")
    if not tree.is_dir():
        if not archive.is_file():
            _download(address, archive)
        partial = tree.with_name(tree.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(partial, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise SystemExit(f"{archive}: cannot be unpacked ({error}). Remove it, and fetch it again.") from error
        partial.rename(tree)
    return tree


def _download(address: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with urllib.request.urlopen(address, timeout=60) as answer, partial.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except OSError as error:
        raise SystemExit(
            f"{address}: cannot be fetched ({error}). Fetch it elsewhere and name its folder: python -m "
            "benchmarks.data fetch SET --source FOLDER. For a trial make stand-ins: python -m benchmarks.data "
            "synthesise --to FOLDER."
        ) from error
    partial.replace(path)


SETS = {
    "librispeech-test-other": PublicSet(f"{_OPENSLR}/12/test-other.tar.gz", "CC BY 4.0", _librispeech),
    "librispeech-train-clean-5": PublicSet(f"{_OPENSLR}/31/train-clean-5.tar.gz", "CC BY 4.0", _librispeech),
    "speechocean762-test": PublicSet(f"{_OPENSLR}/101/speechocean762.tar.gz", "free for any use", _speechocean),
    "speechocean762-train": PublicSet(f"{_OPENSLR}/101/speechocean762.tar.gz", "free for any use", _speechocean),
    "crema-d": PublicSet(_CREMA_D, "ODbL 1.0 and DbCL 1.0", _crema_d),
}
# Utterances and speakers of a stand-in; a set for choosing has speakers enough for a policy to be calibrated.
STAND_INS = {
    "librispeech-test-other": (8, 4),
    "librispeech-train-clean-5": (72, 24),
    "speechocean762-test": (8, 4),
    "speechocean762-train": (72, 24),
    "crema-d": (72, 12),
}


def synthesise(to: Path) -> Path:
    """Write small stand-ins of every set and of ``noise``; return their folder.

    All say the sentences of the demo corpus in its one synthetic voice; labels of emotions are made up. They tell
    whether a benchmark runs, and nothing else.

    Raises:
        SystemExit: The folder holds a set that is no stand-in, which would be lost.
    """
    import numpy as np

    from allophone.demo.corpus import build_demo_corpus

    source = build_demo_corpus()
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    labels = list(_CREMA_D_LABELS.values())
    mark = "a synthetic stand-in\n"
    for name, (n_utterances, n_speakers) in STAND_INS.items():
        folder = to / name
        if (folder / "manifest.jsonl").exists() and not (folder / "STAND-IN").exists():
            raise SystemExit(f"{folder}: holds a set that is no stand-in. Name another folder with --to.")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "STAND-IN").write_text(mark, encoding="utf-8")
        lines = []
        for number, row in enumerate(rows[:n_utterances]):
            each = n_utterances // n_speakers
            told = {"id": row["id"], "audio_filepath": str(source.parent / row["audio_filepath"])}
            told |= {"duration": row["duration"], "speaker": f"s{number // each:02d}"}
            more = {"label": labels[number % len(labels)]} if name == "crema-d" else {"text": row["text"]}
            lines.append(json.dumps(told | more) + "\n")
        (folder / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")
    rng = np.random.default_rng(0)
    (to / "noise").mkdir(exist_ok=True)
    for name in ("hiss", "rumble"):
        sound = rng.standard_normal(5 * SAMPLE_RATE)
        if name == "rumble":
            sound = np.cumsum(sound - sound.mean()) / 100
        _write_flac(to / "noise" / f"{name}.flac", 0.1 * sound / np.abs(sound).max())
    return to


def _write_flac(path: Path, samples: object) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE)
        stream.layout = "mono"
        values = np.rint(32767 * np.asarray(samples)).astype("<i2")
        frame = av.AudioFrame.from_ndarray(values[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    sys.exit(main())
