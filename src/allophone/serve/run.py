"""A server until it is told to stop: it then takes no more work, finishes what it took, and exits with 0."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from allophone.errors import UsageError
from allophone.serve.open_requests import LOGGER
from allophone.serve.service import Service

__all__ = ["DrainingServer", "listen", "log_to_stderr", "run_server", "url_of"]


class DrainingServer(uvicorn.Server):
    """Uvicorn, with the first signal to stop answered by draining; a second one ends at once.

    Args:
        config: Uvicorn's.
        service: What is drained.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say where."""
        await super().startup(sockets)
        for listener in sockets or ():
            shown = {"event": "serving", "model": self._service.served.name, "url": url_of(listener)}
            LOGGER.info(json.dumps(shown))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; at the second signal, stop."""
        if self._service.draining:
            self.force_exit = self.should_exit = True
            return
        self._service.draining = True
        LOGGER.info('{"event": "draining", "signal": "%s"}', signal.Signals(sig).name)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop: when draining is done, or uvicorn says so."""
        if self._service.draining and not self._service.open_requests:
            self.should_exit = True
        return await super().on_tick(counter)


def url_of(listener: socket.socket) -> str:
    """Return the address of a bound socket as a URL, an IPv6 one in brackets."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(config: uvicorn.Config) -> socket.socket:
    """Return uvicorn's bound socket, with Nagle's algorithm off for the connections that it takes.

    asyncio turns it off only for sockets that name their protocol, which uvicorn's does not: each reply, whose head and
    body are two writes, would wait some 40 ms for the client's delayed acknowledgement.
    """
    listener = config.bind_socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def run_server(app: FastAPI, service: Service, *, host: str, port: int) -> None:
    """Serve until a signal.

    Args:
        app: The application.
        service: Its service, closed at the end.
        host: Address to bind.
        port: Port; 0 takes a free one, which the log names.

    Raises:
        UsageError: The address cannot be bound.
    """
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False, timeout_keep_alive=65
    )
    try:
        listener = listen(config)
    except SystemExit:  # uvicorn has logged why
        raise UsageError(f"--host {host} --port {port}: cannot be bound. Another server may run there.") from None
    try:
        asyncio.run(DrainingServer(config, service).serve(sockets=[listener]))
    finally:
        service.close()


def log_to_stderr() -> None:
    """Write the log to standard error, one JSON object a line, uvicorn's errors as it words them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name, level in (("allophone.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
