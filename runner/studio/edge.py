"""A desk and its dialect → the application: which path leads where, how errors are told, what every reply carries."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.studio.counter import Counter, upload_refused
from runner.studio.desk import Desk, Rejected, unsupported
from runner.studio.dialects import Dialect, dialect_of
from runner.studio.settings import Settings
from runner.studio.uploads import UploadRefused

_MINUTE = 60
_REQUESTS = 600  # a minute, as told to a caller; AIsa's Starter plan


def application(settings: Settings) -> Starlette:
    """Without routes, which need a desk."""
    dialect = dialect_of(settings.dialect)
    return Starlette(exception_handlers=_handlers(dialect), middleware=[Middleware(_Dressed, settings=settings)])


def routes(desk: Desk) -> list[Route]:
    dialect, counter = desk.dialect, Counter(desk)
    served = [
        (dialect.stray, _stray, "GET"),
        (dialect.submit, desk.submit, "POST"),
        (dialect.query, desk.query, "GET"),
        (dialect.content, counter.content, "GET"),
        (dialect.files, counter.publish, "POST"),
        (dialect.files and "/files/{name}", counter.file, "GET"),
        (dialect.landing, counter.landing, "GET"),
        ("/results/{task_id}.mp4", counter.result, "GET"),
    ]
    if dialect.lists:
        served += [
            (f"{dialect.base}/tasks", desk.list, "GET"),
            (f"{dialect.base}/tasks/", desk.list, "GET"),
            (f"{dialect.base}/tasks/{{task_id}}/cancel", desk.cancel, "POST"),
            (f"{dialect.base}/uploads", counter.policy, "GET"),
            ("/oss-upload", counter.upload, "POST"),
        ]
    return [Route(path, endpoint, methods=[method]) for path, endpoint, method in served if path]


async def _stray(_: Request) -> Response:
    return unsupported()


def _handlers(dialect: Dialect) -> dict[Any, Any]:
    def told(status: int, code: str, message: str, headers: Any = None) -> Response:
        status, body = dialect.error(status, code, message)
        return JSONResponse(body, status, headers)

    async def rejected(_: Request, error: Exception) -> Response:
        assert isinstance(error, Rejected)  # noqa: S101 - the table below says so
        return told(error.status, error.code, str(error), error.headers)

    async def no_such_call(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = "NotFound" if status == 404 else "BadRequest"
        return told(status, code, f"Invalid URL ({request.method} {request.url.path})")

    async def broken(_: Request, error: Exception) -> Response:
        # After an error of ours uvicorn closes the connection, which a client must know before it uses it again.
        return told(500, "InternalError", f"{type(error).__name__}: {error}", {"Connection": "close"})

    return {Rejected: rejected, UploadRefused: upload_refused, HTTPException: no_such_call, Exception: broken}


class _Dressed:
    """Headers that every reply carries: the studio's own time, by which clients judge how old a task is, and the dialect's."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.clock: Callable[[], float] = settings.clock
        self.faults = settings.faults
        self.dialect = dialect_of(settings.dialect)
        self._minute, self._asked = 0, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = Headers(scope=scope).get("accept-encoding", "").strip().lower() == "identity"
        limits = self._limits() if self.dialect.counts and scope["path"].startswith(f"{self.dialect.base}/") else {}

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Date"] = formatdate(self.clock(), usegmt=True)
                headers.update(limits)
                if headers.get("content-type") == "application/json" and not plain and self._is_mislabelled():
                    headers["Content-Encoding"] = "gzip"
            await send(message)

        await self.app(scope, receive, dressed)

    def _is_mislabelled(self) -> bool:
        return self.dialect.false_gzip or self.faults.take("gzip-label")

    def _limits(self) -> dict[str, str]:
        """What is left of this minute's requests, and when the next one begins; nothing is ever refused for it."""
        minute = int(self.clock() // _MINUTE)
        self._asked = self._asked + 1 if minute == self._minute else 1
        self._minute = minute
        return {
            "X-RateLimit-Limit-Requests": str(_REQUESTS),
            "X-RateLimit-Remaining-Requests": str(max(0, _REQUESTS - self._asked)),
            "X-RateLimit-Reset-Requests": str((minute + 1) * _MINUTE),
        }
