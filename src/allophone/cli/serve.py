"""``allophone serve``: an operating point or a policy behind OpenAI's audio API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.engine_options import Device, Model, Passes, Policy, SavedPoint, Threads, Threshold
from allophone.cli.option_defaults import without_defaults
from allophone.cli.quantities import Quantity, check_positive, megabytes, quantity
from allophone.cli.say import say

__all__ = ["serve"]


_LONGEST_QUEUE = Quantity(120.0, "2m")
_LONGEST_AUDIO = Quantity(3600.0, "1h")
_LARGEST_UPLOAD = Quantity(100e6, "100MB")


def serve(
    context: typer.Context,
    point: SavedPoint = None,
    model: Model = None,
    policy: Policy = None,
    threshold: Threshold = None,
    language: Annotated[
        str | None, typer.Option(help="Language code, or auto, of requests that name none; else as measured.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    max_queue_s: Annotated[
        Quantity,
        quantity(
            "--max-queue",
            "--max-queue-s",
            help="Longest wait, as predicted, that a request is taken for: seconds, or 2m; else 429.",
        ),
    ] = _LONGEST_QUEUE,
    max_audio_s: Annotated[
        Quantity,
        quantity(
            "--max-audio",
            "--max-audio-s",
            help="Longest recording, decoded: seconds, or 30m; else 413.",
        ),
    ] = _LONGEST_AUDIO,
    max_upload_bytes: Annotated[
        Quantity,
        quantity(
            "--max-upload",
            "--max-upload-mb",
            read=megabytes,
            help="Largest request: MB, or 0.5GB; else 413.",
        ),
    ] = _LARGEST_UPLOAD,
    api_key_file: Annotated[
        Path | None, typer.Option(help="Digests of the keys that are let in; --new-api-key adds one.")
    ] = None,
    new_api_key: Annotated[
        bool, typer.Option("--new-api-key", help="Add a key to --api-key-file, print it, and stop.")
    ] = False,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Let everybody in who reaches the address, pages of other sites too.")
    ] = False,
    workers: Passes = 0,
    threads: Threads = 0,
    device: Device = "cpu",
) -> None:
    """Serve a point or a policy in the shape of OpenAI's audio API, with what each request cost and why."""
    from allophone.errors import UsageError
    from allophone.extras import importing

    if new_api_key:
        from allophone.serve.keys import add_key

        if api_key_file is None:
            raise UsageError("--new-api-key: where to? Give --api-key-file.")
        say(add_key(api_key_file))
        return
    chosen = without_defaults(context, {"point": point, "model": model, "policy": policy})
    point, model, policy = chosen["point"], chosen["model"], chosen["policy"]
    check_positive("--max-queue", max_queue_s, "a duration, such as 2m")
    check_positive("--max-audio", max_audio_s, "a duration, such as 30m")
    check_positive("--max-upload", max_upload_bytes, "a size, such as 100MB")
    if sum(given is not None for given in (point, model, policy)) != 1:
        raise UsageError("give one of --point (a saved point), --model (a model's name) and --policy (a policy).")
    if threshold is not None and policy is None:
        raise UsageError("--threshold: only a policy has one. Give --policy.")
    with importing("fastapi", "serve"):
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    from allophone.serve.app import make_app
    from allophone.serve.keys import read_keys
    from allophone.serve.origin import is_loopback
    from allophone.serve.run import log_to_stderr, run_server
    from allophone.serve.served import load_served
    from allophone.serve.service import Service
    from allophone.serve.settings import ServeSettings

    keys = None if api_key_file is None else read_keys(api_key_file)
    if keys is None and not without_keys and not is_loopback(host):
        raise UsageError(
            f"--host {host}: others reach this address. Give --api-key-file, or --without-keys to let all of them in."
        )
    settings = ServeSettings(
        max_queue_s=float(max_queue_s), max_audio_s=float(max_audio_s), max_upload_bytes=round(float(max_upload_bytes))
    )
    served = load_served(
        point=point,
        model=model,
        policy=policy,
        threshold=threshold,
        language=language,
        workers=workers,
        threads=threads,
        device=device,
        max_audio_s=float(max_audio_s),
    )
    log_to_stderr()
    service = Service(served, settings)
    run_server(make_app(service, keys, everybody=without_keys), service, host=host, port=port)
