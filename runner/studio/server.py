"""Settings → a real HTTP server on loopback that speaks the service's own dialect under `/api/v1`."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import ExitStack, asynccontextmanager
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self

import uvicorn
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.errors import UsageError
from runner.studio import replies
from runner.studio.counter import Counter, upload_refused
from runner.studio.desk import Desk, Rejected
from runner.studio.lab import Lab
from runner.studio.links import Signer
from runner.studio.settings import Settings
from runner.studio.shelf import Shelf
from runner.studio.store import Bill, Store
from runner.studio.uploads import UploadRefused
from runner.studio.wires import Protocol

__all__ = ["Settings", "Studio", "create_app", "serve_forever"]

_LOOPBACK = "127.0.0.1"
_API = "/api/v1"


def create_app(settings: Settings) -> Starlette:
    """The studio as an application for somebody else's server; its folder is held from start-up to shutdown.

    Faults that drop connections need the studio's own server: `Studio`.
    """
    app = Starlette(exception_handlers=_HANDLERS, middleware=_middleware(settings))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with ExitStack() as stack:
            app.router.routes.extend(_routes(await run_sync(_opened, settings, stack)))
            yield

    app.router.lifespan_context = lifespan
    return app


class Studio:
    """A studio in a thread of its own: at work between `start` and `stop`, whatever event loop its caller runs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stack = ExitStack()
        self._desk: Desk | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        return f"http://{_LOOPBACK}:{self._port}{_API}"

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        """Answer requests by the time this returns. Raises LockHeld, and UsageError for a port that is taken."""
        with ExitStack() as stack:
            self._desk = _opened(self.settings, stack)
            listener = stack.enter_context(_bound(self.settings.port))
            self._port = listener.getsockname()[1]
            app = Starlette(routes=_routes(self._desk), exception_handlers=_HANDLERS, middleware=_middleware(self.settings))
            stack.callback(_served(app, listener))
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """End within a second or two; tasks that are not finished go on at the next start."""
        self._stack.close()

    def bills(self) -> list[Bill]:
        """Every submit that was accepted in this folder, in order."""
        if self._desk is None:
            raise RuntimeError("the studio was never started")
        return self._desk.store.bills()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def serve_forever(settings: Settings, announce: Callable[[str], None]) -> None:
    """Run a studio until an exception such as KeyboardInterrupt; `announce` is told the base URL once it answers."""
    with Studio(settings) as studio:
        announce(studio.base_url)
        while True:
            time.sleep(0.5)  # not for ever: Windows delivers Ctrl-C only in between


def _opened(settings: Settings, stack: ExitStack) -> Desk:
    """Everything behind the endpoints, at work; the stack closes it."""
    store = Store(settings.folder, settings.clock)
    stack.callback(store.close)
    shelf = Shelf(settings.folder, settings.clock)
    lab = Lab(settings, store, shelf)
    desk = Desk(settings, store, shelf, lab, Signer(settings.folder))
    stack.callback(lab.stop)
    lab.start()
    return desk


def _bound(port: int) -> socket.socket:
    try:
        return socket.create_server((_LOOPBACK, port), backlog=1024)
    except OSError as error:
        raise UsageError(f"port {port} cannot be used: {error.strerror}", hint="leave the port out for a free one") from error


def _served(app: ASGIApp, listener: socket.socket) -> Callable[[], None]:
    """Serve in a thread; returns what ends it."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        # Longer than any client keeps a connection: a POST must not meet one that is just being closed.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="studio", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.002)
    if not server.started:
        raise RuntimeError("the studio's server did not start")

    def end() -> None:
        server.should_exit = True
        thread.join()

    return end


def _routes(desk: Desk) -> list[Route]:
    counter = Counter(desk)
    synthesis = f"{_API}/services/aigc/{{endpoint}}/video-synthesis"
    return [
        Route(synthesis, desk.submit, methods=["POST"]),
        Route(f"{_API}/tasks", desk.list),
        Route(f"{_API}/tasks/", desk.list),
        Route(f"{_API}/tasks/{{task_id}}", desk.query),
        Route(f"{_API}/tasks/{{task_id}}/cancel", desk.cancel, methods=["POST"]),
        Route(f"{_API}/uploads", counter.policy),
        Route("/oss-upload", counter.upload, methods=["POST"]),
        Route("/results/{task_id}.mp4", counter.result),
    ]


async def _rejected(_: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)  # noqa: S101 - the table below says so
    return error.reply()


async def _no_such_call(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse(replies.error("NotFound" if status == 404 else "BadRequest", str(error)), status)


async def _broken(_: Request, error: Exception) -> Response:
    # After an error of ours uvicorn closes the connection, which a client must know before it uses it again.
    return JSONResponse(replies.error("InternalError", f"{type(error).__name__}: {error}"), 500, {"Connection": "close"})


_HANDLERS: MutableMapping[Any, Any] = {
    Rejected: _rejected,
    UploadRefused: upload_refused,
    HTTPException: _no_such_call,
    Exception: _broken,
}


def _middleware(settings: Settings) -> list[Middleware]:
    return [Middleware(_Dated, clock=settings.clock)]


class _Dated:
    """Every reply says the studio's own time, by which clients judge how old a task is."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float]) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self.clock(), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await self.app(scope, receive, dated)
