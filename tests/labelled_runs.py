"""A run relative to a big model whose human transcripts are known, for tests of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from allophone.records.point import OperatingPoint
from builders import write_run

FAST, SLOW = OperatingPoint(model="tiny.en", token_stride=2), OperatingPoint(model="tiny.en")
BIG = "base-full-s1-int8-b5"
WORDS = ("red", "green", "blue", "black", "white", "brown", "grey", "pink", "gold", "silver")


def write_relative_run(folder: Path, n: int = 60, n_speakers: int = 12, seed: int = 0) -> dict[str, str]:
    """Write the run; return what was really said, by utterance id.

    Ten words an utterance. The big model gets word 0 wrong in every third utterance, and the slow point makes the same
    mistake; the fast point gets word 0 right, and word 1 wrong in every fourth utterance. So relative to the big model
    the slow point is faultless, and in truth the fast one is better.
    """
    rng = np.random.default_rng(seed)
    said: dict[str, str] = {}
    fast, slow = [], []
    for index in range(n):
        words = list(rng.permutation(WORDS))
        said[f"u{index}"] = " ".join(words)
        big = ["orange", *words[1:]] if index % 3 == 0 else words
        quick = [words[0], "orange", *words[2:]] if index % 4 == 0 else words
        errors = sum(one != other for one, other in zip(big, quick, strict=True))
        common = {
            "reference": " ".join(big),
            "speaker": f"s{index % n_speakers}",
            "relative_to": BIG,
        }
        slow.append({**common, "hypothesis": " ".join(big)})
        fast.append(
            {**common, "hypothesis": " ".join(quick), "hits": 10 - errors, "substitutions": errors, "latency_s": 0.5}
        )
    write_run(folder, {FAST: fast, SLOW: slow}, relative_to=BIG, n_speakers=n_speakers)
    return said
