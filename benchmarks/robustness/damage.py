"""Damaged and hostile files of a run folder and of a policy: each is a name and an edit of a copy."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

Edit = Callable[[Path], object]

_NESTED = "[" * 100_000
_TEXTS = {"empty": "", "cut": '{"looks_done": 1, "elim', "null": "null", "list": "[]", "nested": _NESTED, "number": "5"}
_TEXTS["wrong types"] = '{"looks_done": "x", "eliminated": [{"point": 1}], "ended": 3}'


def run_edits(run: Path) -> Iterator[tuple[str, Edit]]:
    """Yield what may be wrong with the files of a run, whose first finished point is the one that suffers."""
    yield from _record_edits(run)
    first = sorted((run / "measurements").glob("*.parquet"))[0]
    yield from _parquet_edits(first)
    yield from _journal_edits(first)
    for name in ("race.json", "throughput.json", "decision.json"):
        for label, text in _TEXTS.items():
            yield f"{name} {label}", _text(name, text)
    stranger = {"point": "nobody", "utterances": 20, "dominated_by": "no", "p_dominated": 1.0, "loss": 0.5, "cost": 1.0}
    yield "race.json of a stranger", _json("race.json", {"looks_done": 1, "ended": False, "eliminated": [stranger]})
    hostile = {**stranger, "point": first.stem, "dominated_by": "[/b]\x1b[31m"}
    yield "race.json with an escape", _json("race.json", {"looks_done": 1, "ended": False, "eliminated": [hostile]})


def _text(name: str, content: str | bytes) -> Edit:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def _json(name: str, fields: Any) -> Edit:
    return _text(name, json.dumps(fields))


def _record_edits(run: Path) -> Iterator[tuple[str, Edit]]:
    whole = (run / "run.json").read_text(encoding="utf-8")
    record: dict[str, Any] = json.loads(whole)
    for end in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        yield f"run.json cut at {end}", _text("run.json", whole[:end])
    texts = {"nested": _NESTED, "nested objects": '{"a":' * 100_000, "null": "null", "binary": bytes(range(256))}
    texts["a number of 5,000 digits"] = '{"schema_version": ' + "9" * 5000 + "}"
    for label, text in texts.items():
        yield f"run.json {label}", _text("run.json", text)
    yield "run.json is a folder", lambda folder: ((folder / "run.json").unlink(), (folder / "run.json").mkdir())
    yield "run.json missing", lambda folder: (folder / "run.json").unlink()
    point = record["points"][0]
    changes: dict[str, dict[str, Any]] = {
        "duration NaN": {"duration_s": float("nan")},
        **{f"{count} utterances": {"n_utterances": count} for count in (0, -1, 3, 10**9, 10**30)},
        "no points": {"points": []},
        "task of emotion": {"task": "emotion"},
        "task a list": {"task": ["x"]},
        "space of objects": {"space": {"a": [{"b": [1]}]}},
        "a point twice": {"points": [*record["points"], point]},
        "a point more": {"points": [*record["points"], {**point, "token_stride": 7}]},
        "a model of another folder": {"points": [{**point, "model": "../../../etc/passwd"}]},
        "relative to markup": {"relative_to": "[/b]x[red]"},
        "corpus of markup and escapes": {"corpus": "[/b]<script>alert(1)</script>\x1b[31m"},
    }
    for label, fields in changes.items():
        yield f"run.json {label}", _json("run.json", {**record, **fields})


def _parquet_edits(first: Path) -> Iterator[tuple[str, Edit]]:
    whole = first.read_bytes()
    for end in (0, 4, 100, 2000):
        yield f"parquet cut at {end}", _text(f"measurements/{first.name}", whole[:end])
    for seed in range(8):
        chance, flipped = random.Random(seed), bytearray(whole)
        for _ in range(20):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        yield f"parquet with 20 flipped bits {seed}", _text(f"measurements/{first.name}", bytes(flipped))
    yield "parquet is text", _text(f"measurements/{first.name}", "hello")
    yield "parquet missing", lambda folder: (folder / "measurements" / first.name).unlink()
    yield "all parquet missing", lambda folder: [path.unlink() for path in (folder / "measurements").iterdir()]
    yield "parquet of no point", lambda folder: shutil.copy(first, folder / "measurements" / "stranger.parquet")
    rows = f"read_parquet('{first}')"
    queries = {
        "latency infinite": f"SELECT * REPLACE ('inf'::DOUBLE AS encode_s) FROM {rows}",
        "index out of the corpus": f"SELECT * REPLACE (utterance_index + 1000 AS utterance_index) FROM {rows}",
        "index negative": f"SELECT * REPLACE (-1 AS utterance_index) FROM {rows}",
        "index null": f"SELECT * REPLACE (NULL::BIGINT AS utterance_index) FROM {rows}",
        "index text": f"SELECT * REPLACE ('x' AS utterance_index) FROM {rows}",
        "columns missing": f"SELECT point, utterance_index FROM {rows}",
        "rows twice": f"SELECT * FROM {rows} UNION ALL SELECT * FROM {rows}",
        "no rows": f"SELECT * FROM {rows} LIMIT 0",
        "half the rows": f"SELECT * FROM {rows} WHERE utterance_index % 2 = 0",
        "hits negative": f"SELECT * REPLACE (-5 AS hits) FROM {rows}",
        "another point's rows": f"SELECT * REPLACE ('other' AS point) FROM {rows}",
        "texts null": f"SELECT * REPLACE (NULL::VARCHAR AS hypothesis, NULL::VARCHAR AS reference) FROM {rows}",
    }
    for label, query in queries.items():
        yield f"parquet {label}", _query(first.name, query)


def _query(name: str, query: str) -> Edit:
    def edit(folder: Path) -> None:
        duckdb.execute(f"COPY ({query}) TO '{folder / 'measurements' / name}' (FORMAT parquet)")

    return edit


def _journal_edits(first: Path) -> Iterator[tuple[str, Edit]]:
    found = duckdb.execute(f"SELECT * FROM read_parquet('{first}') ORDER BY utterance_index LIMIT 20")
    names = [column[0] for column in found.description]
    lines = [json.dumps(dict(zip(names, row, strict=True))).encode() for row in found.fetchall()]

    def moved(index: int) -> bytes:
        return json.dumps({**json.loads(lines[0]), "utterance_index": index}).encode()

    listed = {
        "with a torn end": [*lines, lines[0][:40]],
        "with garbage within": [*lines[:10], b"garbage{{{", *lines[10:]],
        "with half a line within": [*lines[:10], lines[10][:100], *lines[11:]],
        "with two lines glued": [*lines[:10], lines[10][:100] + lines[11], *lines[12:]],
        "with blank lines": [*lines[:10], b"", b"", *lines[10:]],
        "with zeros within": [*lines[:10], bytes(4096) + lines[10], *lines[11:]],
        "with zeros at the end": [*lines, bytes(4096)],
        "with a line of zeros": [*lines, bytes(4096), b""],
        "that is no UTF-8": [*lines[:10], b'{"point": "\xff\xfe"}', *lines[10:]],
        "with an index out of the corpus": [*lines, moved(5000)],
        "with a negative index": [*lines, moved(-1)],
        "with null": [*lines, b"null"],
        "with a list": [*lines, b"[1, 2]"],
        "of nested brackets": [*lines, _NESTED.encode()],
        "with rows twice": [*lines, *lines],
        "that is empty": [],
        "of one newline": [b""],
    }
    for label, parts in listed.items():
        content = b"\n".join(parts) + (b"" if label in ("with a torn end", "that is empty") else b"\n")
        yield f"journal {label}", _journal(first, content)


def _journal(first: Path, content: bytes) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / "measurements" / first.name
        path.unlink()
        path.with_suffix(".jsonl").write_bytes(content)

    return edit


def policy_edits(policy: Path) -> Iterator[tuple[str, Edit]]:
    """Yield what may be wrong with a policy's files, or what a stranger may have made of them."""
    whole = (policy / "policy.json").read_text(encoding="utf-8")
    card: dict[str, Any] = json.loads(whole)
    step = card["steps"][0]
    content = (policy / step).read_bytes()
    for end in (0, 1, len(whole) // 2, len(whole) - 2):
        yield f"card cut at {end}", _text("policy.json", whole[:end])
    for label, text in {"nested": _NESTED, "null": "null", "a list": "[]", "a number": "5", "zeros": "\0" * 50}.items():
        yield f"card {label}", _text("policy.json", text)
    yield "card missing", lambda folder: (folder / "policy.json").unlink()
    for digests in (card["files_sha256"], None):
        how = "" if digests else ", card without digests"
        for label, data in {
            "cut": content[:200],
            "empty": b"",
            "text": b"no graph",
            "one bit": _flipped(content),
        }.items():
            yield f"model {label}{how}", _both(step, data, {**card, "files_sha256": digests})
    yield "model missing", lambda folder: (folder / step).unlink()
    yield "model a folder", lambda folder: ((folder / step).unlink(), (folder / step).mkdir())
    nan, points = float("nan"), card["points"]
    changes: dict[str, dict[str, Any]] = {
        "no steps": {"steps": []},
        "steps elsewhere": {"steps": ["../x.onnx"]},
        "steps at an absolute path": {"steps": ["/etc/passwd"]},
        "steps that are the card": {"steps": ["policy.json"]},
        "steps twice": {"steps": [step, step]},
        "no points": {"points": []},
        "one point": {"points": points[:1]},
        "points of another model": {"points": [{**point, "model": "fake:small"} for point in points]},
        "a model of 5,000 characters": {"points": [{**points[0], "model": "x" * 5000}, *points[1:]]},
        "a window of 1e-9 s": {"points": [{**points[0], "window_s": 1e-9}, *points[1:]]},
        "kind decider": {"kind": "decider"},
        "kind faithful": {"kind": "faithful"},
        "kind unknown": {"kind": "guess"},
        "reads mel": {"reads": "mel"},
        "no GFLOPs": {"gflops_by_duration": []},
        "GFLOPs of NaN": {"gflops_by_duration": [[nan, nan, nan]] * len(card["gflops_by_duration"])},
        "threshold NaN": {"threshold": nan},
        "threshold text": {"threshold": "high"},
        "threshold infinite": {"threshold": float("inf")},
        "no digests of weights": {"weights": {}},
        "other weights": {"weights": dict.fromkeys(card["weights"], "0" * 64)},
        "weights of nobody": {"weights": {**card["weights"], "nobody": "0" * 64}},
        "language unknown": {"language": "klingon"},
        "schema of the future": {"schema_version": 99},
        "a field more": {"surprise": 1},
        "score ranges missing": {"score_range": []},
        "duration NaN": {"duration_s": [nan, nan]},
        "overhead negative": {"overhead_flops": -1e30},
        "choices of a step": {"choices": [step]},
        "choices missing": {"choices": ["gone.onnx"]},
        "calibration a list": {"calibration": []},
        "training missing": {"training": None},
    }
    for label, fields in changes.items():
        yield f"card with {label}", _json("policy.json", {**card, **fields})


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _both(name: str, content: bytes, card: Any) -> Edit:
    return lambda folder: (_text(name, content)(folder), _json("policy.json", card)(folder))
