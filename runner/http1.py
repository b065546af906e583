"""A request → its reply, over one open connection and by HTTP/1.1; h11 is strict about what a server may say.

httpcore's own connection minds locks and listeners at every step, for requests that share one: with them a query takes
1.6 times the CPU. Here nothing is shared, a request is one write, and most replies are one read.
"""

from __future__ import annotations

import select
import ssl
import sys
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h11
import httpcore

PIECE = 256 * 1024  # bytes; as much as asyncio reads at once
_LONGEST_HEAD = 100 * 1024  # bytes

Headers = Sequence[tuple[bytes, bytes]]
Place = tuple[str, str, int | None]  # scheme, host, port


@dataclass(kw_only=True, slots=True)
class Sending:
    """A request as it goes out.

    `met` is called with the address that a new connection has led to, and may refuse; not where a proxy makes it.
    `leaving` is called just before the first byte of the request is handed to the connection.
    """

    method: str
    place: Place
    target: bytes
    headers: Headers
    body: bytes | AsyncIterable[bytes] = b""
    patience: Mapping[str, float | None]  # seconds for `connect`, a `read`, a `write`
    met: Callable[[str], None] | None = None
    leaving: Callable[[], None] = lambda: None


class Connection:
    """An open stream of bytes, TLS or not, that serves one request after the other."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket: Any = stream.get_extra_info("socket")
        self._tls: ssl.SSLObject | None = stream.get_extra_info("ssl_object")
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        self._patience: float | None = None
        self._is_broken = False

    async def answer(self, sending: Sending) -> tuple[int, Headers]:
        """Send it and read the head of the reply: its status and headers. The body is for `piece`."""
        self._patience = sending.patience["read"]
        head = h11.Request(method=sending.method, target=sending.target, headers=list(sending.headers))
        try:
            await self._send(head, sending)
        except httpcore.WriteError:
            self._is_broken = True  # a server may refuse and close before it has heard all: its reply says why
        while isinstance(event := await self._event(), h11.InformationalResponse):
            pass  # 100 Continue and its like
        if not isinstance(event, h11.Response):
            raise h11.RemoteProtocolError("another protocol was answered")
        return event.status_code, event.headers.raw_items()

    async def _send(self, head: h11.Request, sending: Sending) -> None:
        said, wait = self._said(head), sending.patience["write"]
        if isinstance(sending.body, bytes):
            whole = said + self._said(h11.Data(sending.body)) + self._said(h11.EndOfMessage())
            sending.leaving()
            await self._stream.write(whole, wait)
            return
        sending.leaving()
        await self._stream.write(said, wait)
        async for chunk in sending.body:
            await self._stream.write(self._said(h11.Data(chunk)), wait)
        await self._stream.write(self._said(h11.EndOfMessage()), wait)

    def _said(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""

    async def piece(self) -> bytes:
        """What has come of the reply's body since; nothing at its end."""
        while self._h11.their_state is h11.SEND_BODY:
            event = await self._event()
            if isinstance(event, h11.Data) and event.data:
                return event.data
        return b""

    async def _event(self) -> object:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            data = await self._stream.read(PIECE, self._patience)
            if not data and self._h11.their_state is h11.SEND_RESPONSE:
                raise h11.RemoteProtocolError("nothing was answered")
            self._h11.receive_data(data)
        return event

    async def renew(self) -> bool:
        """Make it ready for the next request: False where either side is not through, or there is more than was asked for."""
        is_through = self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        if not is_through or self._is_broken or self._h11.trailing_data != (b"", False):
            return False
        self._h11.start_next_cycle()
        return True

    def is_quiet(self) -> bool:
        """Whether nothing has come since: else its server has closed it, or answers what nobody has asked."""
        number = self._socket.fileno()
        if number < 0:
            return False
        if sys.platform == "win32":
            return not select.select([number], [], [], 0)[0] and self._is_drained()
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return not poll.poll(0) and self._is_drained()

    def _is_drained(self) -> bool:
        """Whether TLS holds nothing back: a record that came with the last one has left the socket, but is not yet read."""
        if self._tls is None:
            return True
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLError:
            pass  # its end
        return False

    async def aclose(self) -> None:
        await self._stream.aclose()
