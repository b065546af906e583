"""Requests sent, replies read whole: patience, pace and trust. The only module that knows httpx's ways to fail.

Nothing here sends a paid request twice: the transport retries nothing, submits follow no redirect, and each submit has
a connection of its own, so that a kept-alive one that the server has just closed cannot turn a harmless race into a
take in doubt. Submits and queries go to the transport directly: what httpx's client adds (redirects, cookies, a login
in the URL) they must not have, and it is a third of a query's CPU.
"""

from __future__ import annotations

import json
import random
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import anyio
import httpx

from runner.answers import Reply, clean, moment
from runner.catalog import Provider, is_loopback, split
from runner.errors import Refused, Unreachable
from runner.hosts import host_of, is_at, realm
from runner.secrecy import hide, hide_bytes
from runner.transport import Leases
from runner.wire import Request

MOST_REPLY = 8 * 1024 * 1024  # bytes; replies are a few kB, a list page some tens
_WHOLE_SECONDS = 2.0  # the Date header has no fractions, and is as old as the reply took
_UNDER_WAY = 32  # queries at once, and so connections for them: at a second a reply still more than any rate allowed
_SUBMIT = httpx.Timeout(connect=15, read=90, write=90, pool=None)
_ASK = httpx.Timeout(connect=15, read=30, write=30, pool=None)
# httpx's are patient with every byte; one that sends a byte now and then must not hold a take for ever.
_REPLY = 240.0  # seconds for a request and its whole reply
_BODY = 60.0  # seconds for a reply's body, once it has begun
# Only what can be told from a false label is asked for.
_AGENT = {"User-Agent": "callsheet", "Accept": "*/*", "Accept-Encoding": "gzip"}


class Pace:
    """At most `rate` a second, evenly, as a provider counts them; `hold` stops all for a while (Retry-After)."""

    def __init__(self, rate: float, now: Callable[[], float] = time.monotonic) -> None:
        self.gap = 1 / rate
        self.now = now
        self._next = 0.0

    async def turn(self) -> None:
        at = max(self.now(), self._next)
        self._next = at + self.gap
        await anyio.sleep(max(0.0, at - self.now()))

    def hold(self, seconds: float) -> None:
        self._next = max(self._next, self.now() + seconds)


class Client:
    """One provider account. `key` is sent to the provider's own base URL and nowhere else."""

    def __init__(self, provider: Provider, base_urls: Sequence[str], key: str | None) -> None:
        self.provider = provider
        self.base_urls = list(base_urls)  # the one in use first
        self.queries = Pace(provider.limit("queries_per_second"))
        self.submits = Pace(provider.limit("submits_per_second"))
        self.ahead = 0.0  # seconds by which the provider's clock is ahead of ours, as its replies say
        self._key = key
        self._polls = anyio.CapacityLimiter(_UNDER_WAY)
        # A proxy from the environment has no business between us and a server on this machine.
        outside = not is_loopback(self.base_url)
        self._paying = Leases(proxies=outside, keep=False)
        self._asking = Leases(proxies=outside)
        # Checked at every hop, before it is made.
        self._plain = httpx.AsyncClient(
            transport=Leases(proxies=outside),
            timeout=_ASK,
            headers=_AGENT,
            follow_redirects=True,
            max_redirects=5,
            event_hooks={"request": [self._check_hop]},
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in (self._paying, self._asking, self._plain):
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()

    @property
    def base_url(self) -> str:
        return self.base_urls[0]

    @property
    def host(self) -> str:
        return host_of(self.base_url)

    @property
    def hosts(self) -> frozenset[str]:
        """All hosts that are this provider: a task made at one is known at the others."""
        return frozenset(map(host_of, self.base_urls))

    async def submit(self, request: Request) -> Reply:
        """Send a paid request once. Unreachable says whether a byte of it may have left."""
        return await self._send(self._paying, _SUBMIT, request)

    async def ask(self, request: Request) -> Reply:
        """A query, a list page, a policy: harmless, paced, few at once."""
        async with self._polls:
            await self.queries.turn()
            return await self._send(self._asking, _ASK, request)

    async def _send(self, transport: Leases, patience: httpx.Timeout, request: Request) -> Reply:
        """To the host in use; where no byte has left, to the provider's next one, which then stays in use."""
        for left in range(len(self.base_urls) - 1, -1, -1):
            host = self.base_url
            try:
                return await self._sent(transport, patience, request)
            except Unreachable as error:
                if error.sent or not left:
                    raise
                if host == self.base_url:  # another request may have moved on by now
                    self.base_urls.append(self.base_urls.pop(0))
        raise AssertionError("a provider has at least one host")

    async def _sent(self, transport: Leases, patience: httpx.Timeout, request: Request) -> Reply:
        sent = False

        async def trace(name: str, info: Mapping[str, Any]) -> None:
            nonlocal sent
            # A proxy's CONNECT is not yet the request.
            if name.endswith("send_request_headers.started") and getattr(info.get("request"), "method", b"") != b"CONNECT":
                sent = True

        headers = {**_AGENT, **request.headers, **self._auth(request)}
        body = None
        if request.body is not None:
            body = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        try:
            with anyio.fail_after(_REPLY):
                sending = httpx.Request(
                    request.method,
                    _url(self.base_url + request.path),
                    params=dict(request.query) or None,
                    headers=headers,
                    content=body,
                    extensions={"trace": trace, "timeout": patience.as_dict()},
                )
                async with aclosing(await transport.handle_async_request(sending)) as response:
                    reply = await _whole(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(_why(error, self.host), sent=sent) from error
        if (theirs := moment(reply.headers.get("date", ""))) is not None:
            off = theirs - time.time()
            self.ahead = off if abs(off) > _WHOLE_SECONDS else 0.0
        return reply

    def _auth(self, request: Request) -> dict[str, str]:
        if not request.key or not self._key:
            return {}
        auth = self.provider.spec.get("auth", {})
        scheme = auth.get("scheme", "Bearer")
        return {auth.get("header", "Authorization"): self._key if scheme == "bare" else f"{scheme} {self._key}"}

    async def post_form(
        self, url: str, fields: Mapping[str, str], file: tuple[str, bytes], *, name: str = "file", key: bool = False
    ) -> Reply:
        """A multipart upload, the file last; with the key only where the provider itself takes the file."""
        headers = self._auth_for(url) if key else {}
        try:
            async with self._plain.stream(
                "POST", url, data=dict(fields), files={name: file}, headers=headers, follow_redirects=False
            ) as response:
                return await _whole(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(_why(error, urlsplit(url).netloc), sent=True) from error

    @asynccontextmanager
    async def download(
        self, url: str, *, headers: Mapping[str, str] | None = None, key: bool = False
    ) -> AsyncIterator[httpx.Response]:
        """Open a render's link, or with the key the provider's own endpoint for it; the caller reads `aiter_raw`."""
        sent = {"Accept-Encoding": "identity", **(headers or {}), **(self._auth_for(url) if key else {})}
        try:
            async with self._plain.stream("GET", url, headers=sent) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(_why(error, urlsplit(url).netloc), sent=True) from error

    def _auth_for(self, url: str) -> dict[str, str]:
        """The key's header, for the provider's own hosts and nothing else."""
        if not is_at(url, self.base_urls):
            raise Refused(f"the key does not go to {urlsplit(url).netloc}")
        return self._auth(Request(method="GET", path=""))

    async def _check_hop(self, request: httpx.Request) -> None:
        """Before every hop: only where links may lead, and the key not beyond the provider's own hosts."""
        url = str(request.url)
        self.check_link(url)
        await self._check_addresses(request.url.host, request.url.port or 443)
        if not is_at(url, self.base_urls):
            for name in self._auth(Request(method="GET", path="")):
                request.headers.pop(name, None)

    async def _check_addresses(self, host: str, port: int) -> None:
        """A name may stand for this machine or one in its network: what it resolves to counts, in whatever form it is written."""
        if realm(host) == realm(split(self.base_url).hostname or "") != "everywhere":
            return
        try:
            found = await anyio.getaddrinfo(host, port)
        except OSError:
            return  # a proxy may know it; without one there is no connection
        for *_, address in found:
            self._check_realm(str(address[0]), host)

    def _check_realm(self, address: str, shown: str) -> None:
        """A link leads anywhere in the world, or to where the provider itself lives: this machine, or its network."""
        if realm(address) not in {"everywhere", realm(split(self.base_url).hostname or "")}:
            raise Refused(f"the provider gave a link into a private network: {shown}")

    def check_link(self, url: str) -> None:
        """Links come from a server: http(s) only, into this machine or its network only where the provider lives there."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Refused(f'the provider gave a link that is not http(s): "{clean(url, 80)}"')
        self._check_realm(parts.hostname, parts.hostname)


@lru_cache(maxsize=8192)
def _url(text: str) -> httpx.URL:
    """Parsed once: a task's is asked for again and again, and parsing is a seventh of a query's CPU."""
    return httpx.URL(text)


async def _whole(response: httpx.Response) -> Reply:
    """Read to the end, and undo a compression that is really there: some gateways name one that they have not done."""
    chunks = []
    size = 0
    with anyio.fail_after(_BODY):
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > MOST_REPLY:
                raise httpx.DecodingError(f"more than {MOST_REPLY} bytes")
            chunks.append(chunk)
    body = b"".join(chunks)
    if response.headers.get("content-encoding", "").lower() in {"gzip", "x-gzip", "deflate"}:
        body = _unpacked(body)
    headers = {name: hide(value) for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, body=hide_bytes(body))  # some servers repeat the key


def _unpacked(body: bytes) -> bytes:
    packed = zlib.decompressobj(wbits=47)  # gzip or zlib, by its own head
    try:
        plain = packed.decompress(body, MOST_REPLY)
    except zlib.error:
        return body
    if packed.unconsumed_tail:
        raise httpx.DecodingError(f"more than {MOST_REPLY} bytes")
    return plain


def _why(error: Exception, host: str) -> str:
    words = {
        httpx.ConnectTimeout: "no connection in time",
        httpx.ConnectError: "no connection",
        httpx.ReadTimeout: "no reply in time",
        TimeoutError: "no whole reply in time",
        httpx.RemoteProtocolError: "the connection was closed without a whole reply",
        httpx.TooManyRedirects: "too many redirects",
    }
    word = next((text for kind, text in words.items() if isinstance(error, kind)), "the connection broke")
    detail = clean(hide(str(error)), 120)
    return f"{host}: {word}" + (f" ({detail})" if detail else "")


def jittered(seconds: float) -> float:
    """±10 %, so that a thousand takes do not ask in step."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
