"""Options of verbs that run a model: which one, on which device and threads, how long a recording may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.quantities import Quantity, quantity

__all__ = ["Device", "MaxAudio", "Model", "Passes", "Policy", "SavedPoint", "Threads", "Threshold"]

SavedPoint = Annotated[Path | None, typer.Option(help="What 'allophone recommend --out' saved.")]
Model = Annotated[str | None, typer.Option(help="Without a saved point: a model at the context that is safe for it.")]
Policy = Annotated[Path | None, typer.Option(help="A folder that 'allophone route train' wrote.")]
Threshold = Annotated[
    float | None, typer.Option(help="With --policy: escalate above this score instead of the policy's own.")
]
Passes = Annotated[int, typer.Option(min=0, help="Passes at once; 0 as many as the cores take.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads of a pass; 0 chooses by the model's size.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
MaxAudio = Annotated[
    Quantity,
    quantity("--max-audio", "--max-audio-s", help="Longest recording: seconds, or 30m, 2h; a longer one is not read."),
]
