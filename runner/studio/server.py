"""Settings → a real HTTP server on loopback that speaks a service's own dialect."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

import uvicorn
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.types import ASGIApp

from runner.errors import UsageError
from runner.studio import edge
from runner.studio.desk import Desk
from runner.studio.dialects import dialect_of
from runner.studio.lab import Lab
from runner.studio.links import Signer
from runner.studio.settings import Settings
from runner.studio.shelf import Shelf
from runner.studio.store import Bill, Store
from runner.studio.wires import Protocol

__all__ = ["Settings", "Studio", "create_app", "serve_forever"]

_LOOPBACK = "127.0.0.1"


def create_app(settings: Settings) -> Starlette:
    """The studio as an application for somebody else's server; its folder is held from start-up to shutdown.

    Faults that drop connections need the studio's own server: `Studio`.
    """
    app = edge.application(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with ExitStack() as stack:
            app.router.routes.extend(edge.routes(await run_sync(_opened, settings, stack)))
            yield

    app.router.lifespan_context = lifespan
    return app


class Studio:
    """A studio in a thread of its own: at work between `start` and `stop`, whatever event loop its caller runs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._base = dialect_of(settings.dialect).base
        self._stack = ExitStack()
        self._desk: Desk | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        """What a user writes as the provider's base URL."""
        return f"http://{_LOOPBACK}:{self._port}{self._base}"

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        """Answer requests by the time this returns. Raises LockHeld, and UsageError for a port that is taken."""
        with ExitStack() as stack:
            self._desk = _opened(self.settings, stack)
            listener = stack.enter_context(_bound(self.settings.port))
            self._port = listener.getsockname()[1]
            app = edge.application(self.settings)
            app.router.routes.extend(edge.routes(self._desk))
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
