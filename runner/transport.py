"""httpx requests → responses over connections leased one at a time, newest first; the environment's proxies on the way.

httpcore's pool looks at every connection for every request, which grows with each that is added. So httpcore makes the
connections, with its proxies, its TLS and its strictness about hostile replies, and a list says which are idle. CPU a
poll of our client at 100 and at 5,000 tasks under way, on one core: over httpx's pool of 8 connections 0.97 and 1.02
ms, over a list of httpx transports with a connection each 0.49 and 0.48, over these leases 0.35 and 0.40. aiohttp needs
0.1 to 0.2, but knows no trio (`python -m tests.bench.http`).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable
from urllib.request import getproxies, proxy_bypass

import anyio
import httpcore
import httpx

_IDLE = 30.0  # seconds; the services close theirs after a minute, and polls come every 5 to 15
_PIECE = 256 * 1024  # bytes; as much as asyncio reads at once
_FAULTS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)

Place = tuple[str, str, int | None]


class Leases(httpx.AsyncBaseTransport):
    """As many connections as there are requests at once: whoever asks bounds that.

    With `keep` a connection serves again, the one used last first, so that few stay warm; without it each request has
    one of its own. `proxies`: whether the environment's count. Nothing is ever sent twice.
    """

    def __init__(self, *, proxies: bool, keep: bool = True) -> None:
        self.proxies = proxies
        self.keep = keep
        self._idle: dict[Place, list[tuple[float, httpcore.AsyncConnectionInterface]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        place = (url.scheme, url.host, url.port)
        connection = await self._lively(place) or self._made(url, target.origin)

        async def end() -> None:
            await self._put_back(place, connection)

        try:
            response = await connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    target,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await connection.aclose()
            if isinstance(error, _FAULTS):
                raise _in_httpx_words(error) from error
            raise
        assert isinstance(response.stream, _Stream)  # noqa: S101 - an asynchronous connection's
        body = _Body(response.stream, end)
        return httpx.Response(response.status, headers=response.headers, stream=body, extensions=response.extensions)

    async def aclose(self) -> None:
        while self._idle:
            _, idle = self._idle.popitem()
            for _, connection in idle:
                await connection.aclose()

    async def _lively(self, place: Place) -> httpcore.AsyncConnectionInterface | None:
        """The connection used last that its server has not closed meanwhile."""
        idle = self._idle.get(place)
        while idle:
            _, connection = idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _put_back(self, place: Place, connection: httpcore.AsyncConnectionInterface) -> None:
        """To the end of the list; what has lain at its beginning for too long is closed."""
        if not (self.keep and connection.is_idle()):
            await connection.aclose()
            return
        now = anyio.current_time()
        idle = self._idle.setdefault(place, [])
        idle.append((now, connection))
        while idle[0][0] < now - _IDLE:
            await idle.pop(0)[1].aclose()

    def _made(self, url: httpx.URL, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        """A connection to be. httpcore's pools are asked for one only: they know direct ones, tunnels and SOCKS."""
        trusted = _trust(environment=self.proxies) if url.scheme == "https" else None
        try:
            proxy = proxy_of(url) if self.proxies else None
            if proxy is None:
                pool = httpcore.AsyncConnectionPool(ssl_context=trusted, keepalive_expiry=_IDLE, network_backend=_Wide())
                return pool.create_connection(origin)
            kind = httpcore.AsyncSOCKSProxy if proxy.url.scheme.startswith("socks") else httpcore.AsyncHTTPProxy
            proxied = kind(str(proxy.url), proxy.raw_auth, ssl_context=trusted, keepalive_expiry=_IDLE, network_backend=_Wide())
            return proxied.create_connection(origin)
        except (RuntimeError, ValueError) as error:  # no SOCKS here, or no proxy's address
            raise httpx.ProxyError(str(error)) from error


@runtime_checkable
class _Stream(Protocol):
    """What httpcore reads a body by."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class _Body(httpx.AsyncByteStream):
    """A response's body, whose end gives the connection back."""

    def __init__(self, body: _Stream, end: Callable[[], Awaitable[None]]) -> None:
        self._body = body
        self._end: Callable[[], Awaitable[None]] | None = end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._body:
                yield chunk
        except _FAULTS as error:
            raise _in_httpx_words(error) from error

    async def aclose(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            with anyio.CancelScope(shield=True):
                await self._body.aclose()
                await end()


class _Wide(httpcore.AnyIOBackend):
    """The network, read in larger pieces: in httpcore's 64 kB a render costs up to twice the CPU."""

    async def connect_tcp(self, *args: Any, **how: Any) -> httpcore.AsyncNetworkStream:
        return _WideStream(await super().connect_tcp(*args, **how))


class _WideStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as httpcore calls it
        return await self._stream.read(max(max_bytes, _PIECE), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as httpcore calls it
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def start_tls(self, *args: Any, **how: Any) -> httpcore.AsyncNetworkStream:
        return _WideStream(await self._stream.start_tls(*args, **how))


def proxy_of(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that the environment (on Windows and macOS also the system) names for a URL; ValueError for what is none."""
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    if not proxy or proxy_bypass(f"{url.host}:{url.port}" if url.port else url.host):
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")


def _in_httpx_words(error: Exception) -> httpx.TransportError:
    """The fault of the same name: httpx's are httpcore's, one by one."""
    made: httpx.TransportError = getattr(httpx, type(error).__name__)(str(error))
    return made


@lru_cache(maxsize=2)
def _trust(*, environment: bool) -> ssl.SSLContext:
    """Reading the certificates takes longer than a hundred polls: once, and only where TLS is spoken."""
    return httpx.create_ssl_context(trust_env=environment)
