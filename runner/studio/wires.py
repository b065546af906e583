"""Replies that break off: connections closed before, instead of, or in the middle of an answer."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from weakref import WeakValueDictionary

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# An ASGI application cannot reach its connection; the pair of addresses says which one it is.
_OPEN: WeakValueDictionary[tuple[Any, Any], asyncio.Transport] = WeakValueDictionary()


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, which answers at once and remembers its connection for as long as it is open."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # uvicorn writes head and body apart: without this each reply waits 40 ms for the client's delayed ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _OPEN[self.client, self.server] = transport


class Dropped(Response):
    """No answer at all: the connection closes without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        await _hang_up(scope, receive)


class Cut(Response):
    """Another response's head and half of its body, then the connection closes."""

    def __init__(self, whole: Response) -> None:
        super().__init__()
        self.whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = 0

        async def half(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = int(dict(message["headers"])[b"content-length"]) // 2
                await send(message)
            elif body := message.get("body", b"")[:left]:
                left -= len(body)
                await send({"type": "http.response.body", "body": body, "more_body": True})

        await self.whole(scope, receive, half)
        await _hang_up(scope, receive)


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Send what was written, close, and wait until uvicorn knows, so that it does not try to answer for us."""
    transport = _OPEN.get((scope.get("client"), scope.get("server")))
    if transport is None:
        raise RuntimeError("only a studio's own server can drop a connection")
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
