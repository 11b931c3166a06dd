"""Around every request: its id, the count of those that are open, its line in the log, and the end of its work."""

from __future__ import annotations

import json
import logging
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from allophone.serve.service import Service

__all__ = ["LOGGER", "OpenRequests"]

LOGGER = logging.getLogger("allophone.serve")
_ENDPOINTS = {
    "/v1/audio/transcriptions": "transcriptions",
    "/v1/audio/translations": "translations",
    "/v1/models": "models",
    "/live": "live",
    "/ready": "ready",
    "/metrics": "metrics",
    "/status": "status",
    "/": "page",
}
_WORK = ("transcriptions", "translations")


class OpenRequests:
    """ASGI middleware: whatever ends a request, its work is given up, it is counted and logged, without its content.

    Args:
        app: What answers.
        service: What it is counted in.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        service, started, status = self._service, monotonic(), [0]
        endpoint = _ENDPOINTS.get(scope["path"], "models" if scope["path"].startswith("/v1/models/") else "other")
        request_id = uuid4().hex
        state = scope.setdefault("state", {})

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        working = endpoint in _WORK
        service.open_requests += working
        try:
            await self._app(scope, receive, told)
        except Exception:
            status[0] = status[0] or 500
            LOGGER.exception(json.dumps({"event": "defect", "id": request_id, "endpoint": endpoint}))
            raise
        finally:
            service.open_requests -= working
            accepted = state.get("accepted")
            if accepted is not None and not accepted.job.finished:
                service.queue.cancel(accepted.job)
                service.metrics.cancelled.inc()
            seconds = monotonic() - started
            service.metrics.requests.labels(endpoint, str(status[0] or 499)).inc()
            service.metrics.duration.labels(endpoint).observe(seconds)
            if working:
                shown = {"event": "request", "id": request_id, "endpoint": endpoint, "code": status[0] or 499}
                LOGGER.info(json.dumps({**shown, "seconds": round(seconds, 4), **state.get("log", {})}))
