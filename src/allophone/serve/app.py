"""The routes: transcriptions, models, health, metrics, the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic, time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from allophone.models.engine import Task
from allophone.serve.api_error import ApiError, bad_request
from allophone.serve.fields import AskedFor, read_fields
from allophone.serve.form import read_form
from allophone.serve.keys import ApiKeys
from allophone.serve.open_requests import OpenRequests
from allophone.serve.origin import refuse_other_sites
from allophone.serve.replies import delta_event, done_event, error_event, reply_body
from allophone.serve.request import ALIASES
from allophone.serve.service import Accepted, Service, read_timeout
from allophone.version import __version__

__all__ = ["make_app"]

_PAGE = Path(__file__).parent / "page.html"
_PULSE_S = 15.0  # a comment in a stream that has nothing to tell, so that nobody on the way takes it for dead
_CLOSED_REQUEST = 499  # nginx's word for a client that went away


def make_app(service: Service, keys: ApiKeys | None = None, *, everybody: bool = False) -> FastAPI:
    """Return the application.

    Args:
        service: Loaded and warm.
        keys: Who is let in; None lets in whoever reaches the server, but pages of other sites.
        everybody: Without keys, let those in too.
    """
    app = FastAPI(title="allophone", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    routes = _Routes(service, keys, everybody=everybody)
    app.add_api_route("/v1/audio/transcriptions", routes.transcriptions, methods=["POST"], response_model=None)
    app.add_api_route("/v1/audio/translations", routes.translations, methods=["POST"], response_model=None)
    app.add_api_route("/v1/models", routes.models, response_model=None)
    app.add_api_route("/v1/models/{name:path}", routes.model, response_model=None)
    app.add_api_route("/live", routes.live, response_model=None)
    app.add_api_route("/ready", routes.ready, response_model=None)
    app.add_api_route("/metrics", routes.metrics, response_model=None)
    app.add_api_route("/status", routes.status, response_model=None)
    app.add_api_route("/", routes.page, response_model=None)
    app.add_exception_handler(ApiError, routes.answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(Exception, _answer_defect)
    app.add_middleware(OpenRequests, service=service)
    return app


class _Routes:
    def __init__(self, service: Service, keys: ApiKeys | None, *, everybody: bool) -> None:
        self._service, self._keys, self._everybody, self._since = service, keys, everybody, int(time())

    async def transcriptions(self, request: Request) -> Response:
        return await self._answer(request, "transcribe")

    async def translations(self, request: Request) -> Response:
        return await self._answer(request, "translate")

    async def _answer(self, request: Request, task: Task) -> Response:
        self._let_in(request)
        service = self._service
        service.refuse_early()
        form = await read_form(request, service.settings, service.held, lambda: service.draining)
        try:
            asked = read_fields(form.fields, task)
            if form.file is None:
                raise bad_request("file", "the field 'file' is missing, or has no file name: send the recording in it.")
            timeout_s = None if asked.stream else read_timeout(request.headers.get("x-stainless-read-timeout"))
            accepted = await service.accept(
                form.file, asked, priority=request.headers.get("x-allophone-priority"), timeout_s=timeout_s
            )
        finally:
            form.close()
        request.state.accepted = accepted  # given up when the request ends, however it does
        if asked.stream:
            return StreamingResponse(self._events(request, accepted), media_type="text/event-stream")
        return await self._whole(request, asked, accepted)

    async def answer_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        request.state.log = {"error": error.code}
        self._service.metrics.rejected.labels(error.code).inc()
        return JSONResponse(error.body(), status_code=error.status, headers=error.headers)

    async def models(self, request: Request) -> Response:
        self._let_in(request)
        names = [self._service.served.name, *(name for name in ALIASES if name != self._service.served.name)]
        return JSONResponse({"object": "list", "data": [self._model(name) for name in names]})

    async def model(self, request: Request, name: str) -> Response:
        self._let_in(request)
        self._service.check_model(AskedFor(name))
        return JSONResponse(self._model(name))

    async def live(self) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(self) -> Response:
        ready, shown = await self._service.readiness()
        return JSONResponse(shown, status_code=200 if ready else 503)

    async def metrics(self) -> Response:
        return Response(self._service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def status(self) -> Response:
        return JSONResponse(self._service.status())

    async def page(self) -> Response:
        return HTMLResponse(_PAGE.read_text(encoding="utf-8"))

    def _model(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": self._since,
            "owned_by": "allophone",
            "allophone": {"served": self._service.served.name, **self._service.served.describe()},
        }

    def _let_in(self, request: Request) -> None:
        if self._keys is None and not self._everybody:
            refuse_other_sites(request.headers.get("origin"))
        if self._keys is not None and not self._keys.knows(request.headers.get("authorization")):
            raise ApiError(
                401,
                "no key, or not one of this server's. Send 'Authorization: Bearer KEY'.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _whole(self, request: Request, asked: AskedFor, accepted: Accepted) -> Response:
        async def collect() -> list[Any]:
            return [result async for result in self._service.results(accepted)]

        work, gone = asyncio.ensure_future(collect()), asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            results = work.result()
        finally:
            work.cancel()
            gone.cancel()
        transcript, cost = self._service.finish(accepted, results)
        request.state.log = {"audio_s": round(transcript.duration_s, 3), **cost.as_log()}
        body, media_type = reply_body(asked, transcript, cost)
        return Response(body, media_type=media_type, headers=cost.headers())

    async def _events(self, request: Request, accepted: Accepted) -> AsyncIterator[str]:
        results: list[Any] = []
        told, started = False, monotonic()
        try:
            async for result in self._service.results(accepted, pulse_s=_PULSE_S):
                if result is None:
                    yield ": waiting\n\n"
                    continue
                results.append(result)
                if text := self._service.served.text_of(result):
                    if not told:
                        self._service.metrics.first_delta.observe(monotonic() - started)
                    yield delta_event(f" {text}" if told else text)
                    told = True
            transcript, cost = self._service.finish(accepted, results)
            request.state.log = {"audio_s": round(transcript.duration_s, 3), **cost.as_log()}
            yield done_event(transcript, cost)
        except ApiError as error:
            request.state.log = {"error": error.code}
            yield error_event(error.body())


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    shown = ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}.", code="no_such_route")
    return JSONResponse(shown.body(), status_code=error.status_code, headers=error.headers)


async def _answer_nobody(request: Request, error: Exception) -> Response:
    del error
    request.state.log = {"error": "client_gone"}
    return Response(status_code=_CLOSED_REQUEST)


async def _answer_defect(request: Request, error: Exception) -> Response:
    request.state.log = {"error": type(error).__name__}
    shown = ApiError(500, "the server failed at this request.", kind="server_error", code="internal_error")
    return JSONResponse(shown.body(), status_code=500, headers={"x-should-retry": "false"})
