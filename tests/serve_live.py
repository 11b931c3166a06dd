"""A server on a free loopback port, in a thread, for tests that talk to it as clients do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from time import monotonic

import httpx2
import numpy as np
import openai
import uvicorn

from allophone.records.point import OperatingPoint
from allophone.serve.app import make_app
from allophone.serve.keys import ApiKeys
from allophone.serve.run import DrainingServer, listen
from allophone.serve.served import Served
from allophone.serve.served_point import ServedPoint
from allophone.serve.service import Service
from allophone.serve.settings import ServeSettings
from allophone.transcription.transcriber import Transcriber

FAKE = OperatingPoint(model="fake:tiny.en", context="fit", margin_s=1.0, tail="all", guard=True)


def sound(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """Bursts of noise, which the fake engine takes for words."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=round(seconds * 16_000)) * np.repeat(rng.random(round(seconds * 10)) + 0.1, 1600)
    return (0.05 * samples).astype(np.float32)


def wait_until(true: Callable[[], object], limit_s: float = 30.0) -> None:
    """Ask again and again until it is so; fail where it is not within the limit."""
    deadline = monotonic() + limit_s
    while not true():
        assert monotonic() < deadline, "not within the limit"


@dataclass(frozen=True)
class Live:
    """A running server."""

    service: Service
    url: str
    clients: dict[object, openai.OpenAI] = field(default_factory=dict)

    def client(self, **options) -> openai.OpenAI:
        """Return a client with these options, the same at every call; it is closed with the server."""
        chosen = {"api_key": "any", "max_retries": 0, "timeout": 60, **options}
        key = tuple(sorted(chosen.items()))
        if key not in self.clients:
            self.clients[key] = openai.OpenAI(base_url=f"{self.url}/v1", **chosen)
        return self.clients[key]

    def async_client(self, **options) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=f"{self.url}/v1", **{"api_key": "any", "max_retries": 0, "timeout": 60, **options}
        )

    def get(self, path: str, **options) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=30, **options)

    def post(self, files, data=None, path: str = "/v1/audio/transcriptions", **options) -> httpx2.Response:
        return httpx2.post(self.url + path, files=files, data=data or {"model": "whisper-1"}, timeout=60, **options)


def fake_point(point: OperatingPoint = FAKE, workers: int = 2) -> ServedPoint:
    return ServedPoint(Transcriber(point), None, workers)


@contextmanager
def live_server(
    served: Served | None = None,
    settings: ServeSettings | None = None,
    keys: ApiKeys | None = None,
    *,
    everybody: bool = False,
) -> Iterator[Live]:
    """Serve until the block ends; the thread then stops within its limit."""
    service = Service(served or fake_point(), settings or ServeSettings())
    config = uvicorn.Config(
        make_app(service, keys, everybody=everybody), host="127.0.0.1", port=0, log_config=None, access_log=False
    )
    socket = listen(config)
    server = DrainingServer(config, service)
    thread = Thread(target=lambda: asyncio.run(server.serve(sockets=[socket])), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    live = Live(service, f"http://127.0.0.1:{socket.getsockname()[1]}")
    try:
        yield live
    finally:
        for client in live.clients.values():
            client.close()
        server.should_exit = True
        thread.join(20)
        service.close()
        assert not thread.is_alive()
