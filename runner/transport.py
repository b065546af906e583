"""Requests → replies over connections leased one at a time, newest first; the environment's proxies on the way.

httpcore's pool looks at every connection for every request, which grows with each that is added. So a list says which
are idle. CPU a poll of our client at 100 and at 5,000 tasks under way, on one core: over httpx's pool of 8 connections
0.97 and 1.02 ms, over a list of httpx transports with a connection each 0.49 and 0.48, over httpcore's connections
leased as here 0.35 and 0.40, over ours 0.62 of that. aiohttp needs 0.1 to 0.2 ms, but knows no trio
(`python -m tests.bench.http`).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Any, Protocol
from urllib.request import getproxies, proxy_bypass

import anyio
import h11
import httpcore
import httpx

from runner.http1 import PIECE, Connection, Headers, Place, Sending

_IDLE = 30.0  # seconds; the services close theirs after a minute, and polls come every 5 to 15
_PORTS = {"http": 80, "https": 443}
_FAULTS = (
    h11.ProtocolError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class _Line(Protocol):
    """What requests go over: a connection of ours, or one of httpcore's through a proxy."""

    async def answer(self, sending: Sending) -> tuple[int, Headers]: ...

    async def piece(self) -> bytes: ...

    async def renew(self) -> bool: ...

    def is_quiet(self) -> bool: ...

    async def aclose(self) -> None: ...


class Leases(httpx.AsyncBaseTransport):
    """As many connections as there are requests at once: whoever asks bounds that.

    With `keep` a connection serves again, the one used last first, so that few stay warm; without it each request has
    one of its own. `proxies`: whether the environment's count. Nothing is ever sent twice.
    """

    def __init__(self, *, proxies: bool, keep: bool = True) -> None:
        self.proxies = proxies
        self.keep = keep
        self._idle: dict[Place, list[tuple[float, _Line]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The way in for httpx's client; `send` is the short one."""
        assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 - an asynchronous client's
        sending = Sending(
            method=request.method,
            place=place_of(request.url),
            target=request.url.raw_path,
            headers=request.headers.raw,
            body=request.stream,
            patience=request.extensions["timeout"],
            met=request.extensions.get("met"),
        )
        answer = await self.send(sending)
        return httpx.Response(answer.status, headers=list(answer.headers), stream=answer)

    async def send(self, sending: Sending) -> Answer:
        """The head of the reply. Whoever gets it closes it, read or not. Raises httpx's faults."""
        line = await self._lively(sending.place)
        try:
            line = line or await self._opened(sending)
            status, headers = await line.answer(sending)
        except BaseException as error:
            if line:
                with anyio.CancelScope(shield=True):
                    await line.aclose()
            if isinstance(error, _FAULTS):
                raise _in_httpx_words(error) from error
            raise
        return Answer(self, sending.place, line, status, headers)

    async def aclose(self) -> None:
        while self._idle:
            _, idle = self._idle.popitem()
            for _, line in idle:
                await line.aclose()

    async def _lively(self, place: Place) -> _Line | None:
        """The connection used last that its server has not closed meanwhile."""
        idle = self._idle.get(place)
        while idle:
            since, line = idle.pop()
            if since > anyio.current_time() - _IDLE and line.is_quiet():
                return line
            await line.aclose()
        return None

    async def put_back(self, place: Place, line: _Line) -> None:
        """To the end of the list; what has lain at its beginning for too long is closed."""
        if not (self.keep and await line.renew()):
            await line.aclose()
            return
        now = anyio.current_time()
        idle = self._idle.setdefault(place, [])
        idle.append((now, line))
        while idle and idle[0][0] < now - _IDLE:  # while one is being closed, others may be taken
            await idle.pop(0)[1].aclose()

    async def _opened(self, sending: Sending) -> _Line:
        scheme, host, port = sending.place
        if scheme not in _PORTS:
            raise httpx.UnsupportedProtocol(f"{scheme}: neither http nor https")
        trusted = _trust() if scheme == "https" else None
        try:
            if self.proxies and (proxy := proxy_of(sending.place)):
                return _Proxied(proxy, sending.place, trusted)
        except (RuntimeError, ValueError) as error:  # no SOCKS here, or no proxy's address
            raise httpx.ProxyError(str(error)) from error
        wait = sending.patience["connect"]
        stream = await httpcore.AnyIOBackend().connect_tcp(host, port or _PORTS[scheme], timeout=wait)
        try:
            if sending.met:
                sending.met(_led_to(stream))
            if trusted:
                stream = await stream.start_tls(trusted, host, wait)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await stream.aclose()
            raise
        return Connection(stream)


def _led_to(stream: httpcore.AsyncNetworkStream) -> str:
    """The address at the other end."""
    if (address := stream.get_extra_info("server_addr")) is None:
        raise httpx.ConnectError("closed at once")
    return str(address[0])


class Answer(httpx.AsyncByteStream):
    """A reply whose body is still to come, a piece at a time; its end gives the connection back."""

    def __init__(self, leases: Leases, place: Place, line: _Line, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self._leases = leases
        self._place = place
        self._line: _Line | None = line

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._line.piece() if self._line else b""
        except _FAULTS as error:
            raise _in_httpx_words(error) from error
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        line, self._line = self._line, None
        if line:
            with anyio.CancelScope(shield=True):
                await self._leases.put_back(self._place, line)


class _Proxied:
    """A connection through a proxy. httpcore's: it knows forwarding, tunnels and, where it is installed, SOCKS.

    It serves once: what comes behind a reply, unasked, httpcore would take for the next one, and does not show it.
    """

    def __init__(self, proxy: httpx.Proxy, place: Place, trusted: ssl.SSLContext | None) -> None:
        self._place = place
        kind = httpcore.AsyncSOCKSProxy if proxy.url.scheme.startswith("socks") else httpcore.AsyncHTTPProxy
        # Its pool is asked for one connection only.
        pool = kind(str(proxy.url), proxy.raw_auth, ssl_context=trusted, network_backend=_Wide())
        self._connection = pool.create_connection(self._url(b"/").origin)
        self._body: Any = None
        self._pieces: Any = None

    def _url(self, target: bytes) -> httpcore.URL:
        scheme, host, port = self._place
        return httpcore.URL(scheme=scheme, host=host, port=port, target=target)

    async def answer(self, sending: Sending) -> tuple[int, Headers]:
        async def trace(name: str, info: dict[str, Any]) -> None:
            # A proxy's CONNECT is not yet the request.
            if name.endswith("send_request_headers.started") and getattr(info.get("request"), "method", b"") != b"CONNECT":
                sending.leaving()

        request = httpcore.Request(
            sending.method,
            self._url(sending.target),
            headers=list(sending.headers),
            content=httpx.ByteStream(sending.body) if isinstance(sending.body, bytes) else sending.body,
            extensions={"trace": trace, "timeout": dict(sending.patience)},
        )
        response = await self._connection.handle_async_request(request)
        self._body = response.stream
        self._pieces = aiter(self._body)
        return response.status, response.headers

    async def piece(self) -> bytes:
        return await anext(self._pieces, b"")

    async def renew(self) -> bool:
        await self._body.aclose()
        return False

    def is_quiet(self) -> bool:
        return False

    async def aclose(self) -> None:
        await self._connection.aclose()


class _Wide(httpcore.AnyIOBackend):
    """The network, read in larger pieces: in httpcore's 64 kB a render costs up to twice the CPU."""

    async def connect_tcp(self, *args: Any, **how: Any) -> httpcore.AsyncNetworkStream:
        return _WideStream(await super().connect_tcp(*args, **how))


class _WideStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as httpcore calls it
        return await self._stream.read(max(max_bytes, PIECE), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as httpcore calls it
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def start_tls(self, *args: Any, **how: Any) -> httpcore.AsyncNetworkStream:
        try:
            return _WideStream(await self._stream.start_tls(*args, **how))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.aclose()  # httpcore forgets it where it is canceled
            raise


def place_of(url: httpx.URL) -> Place:
    return url.scheme, url.raw_host.decode("ascii"), url.port


def proxy_of(place: Place) -> httpx.Proxy | None:
    """The proxy that the environment (on Windows and macOS also the system) names for a place; ValueError for what is none."""
    scheme, host, port = place
    named = getproxies()
    proxy = named.get(scheme) or named.get("all")
    if not proxy or proxy_bypass(f"{host}:{port}" if port else host):
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")


def _in_httpx_words(error: Exception) -> httpx.TransportError:
    """The fault of the same name: httpx's are httpcore's, one by one."""
    made: httpx.TransportError = getattr(httpx, type(error).__name__)(str(error))
    return made


@cache
def _trust() -> ssl.SSLContext:
    """Reading the certificates takes longer than a hundred polls: once, and only where TLS is spoken."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
