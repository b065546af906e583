"""Requests sent, replies read whole: patience, pace and trust. The only module that knows httpx's ways to fail.

Nothing here sends a paid request twice: the transport retries nothing, submits follow no redirect, and each submit has
a connection of its own, so that a kept-alive one that the server has just closed cannot turn a harmless race into a
take in doubt. All but uploads go to the transport directly: what httpx's client adds (redirects by its own rules,
cookies, defaults merged for each request) they must not have, and it is a third of a request's CPU.
"""

from __future__ import annotations

import json
import random
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial
from types import TracebackType
from typing import Self
from urllib.parse import unquote_to_bytes

import anyio
import httpx

from runner import reach
from runner.answers import Reply, clean, moment
from runner.catalog import Provider, hostname, is_loopback, split
from runner.errors import Refused, Unreachable
from runner.hosts import Realm, host_of, is_at, realm
from runner.http1 import Headers, Sending
from runner.replies import whole
from runner.secrecy import hide
from runner.transport import Leases, place_of
from runner.wire import Request

MOST_REPLY = 8 * 1024 * 1024  # bytes; replies are a few kB, a list page some tens
_WHOLE_SECONDS = 2.0  # the Date header has no fractions, and is as old as the reply took
_UNDER_WAY = 32  # queries at once, and so connections for them: at a second a reply still more than any rate allowed
_SUBMIT = {"connect": 15.0, "read": 90.0, "write": 90.0}  # seconds
_ASK = {"connect": 15.0, "read": 30.0, "write": 30.0}
# httpx's are patient with every byte; one that sends a byte now and then must not hold a take for ever.
_REPLY = 240.0  # seconds for a request and its whole reply
_BODY = 60.0  # seconds for a reply's body, once it has begun
_MOST_HOPS = 6  # requests for a link: itself and five redirects
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
        if (pause := at - self.now()) > 0:
            await anyio.sleep(pause)

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
        self._fetching = Leases(proxies=outside)
        self._uploading = httpx.AsyncClient(
            transport=Leases(proxies=outside),
            timeout=httpx.Timeout(**_ASK, pool=None),
            headers=_AGENT,
            event_hooks={"request": [self._check_upload]},
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in (self._paying, self._asking, self._fetching, self._uploading):
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

    async def _send(self, transport: Leases, patience: Mapping[str, float], request: Request) -> Reply:
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

    async def _sent(self, transport: Leases, patience: Mapping[str, float], request: Request) -> Reply:
        sent = False

        def leaving() -> None:
            nonlocal sent
            sent = True

        try:
            with anyio.fail_after(_REPLY) as scope:
                answer = await transport.send(self._sending(request, patience, leaving))
                try:
                    scope.deadline = min(scope.deadline, anyio.current_time() + _BODY)
                    reply = await whole(answer.status, answer.headers, answer, MOST_REPLY)
                finally:
                    await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(_why(error, self.host), sent=sent) from error
        if (theirs := moment(reply.headers.get("date", ""))) is not None:
            off = theirs - time.time()
            self.ahead = off if abs(off) > _WHOLE_SECONDS else 0.0
        return reply

    def _sending(self, request: Request, patience: Mapping[str, float], leaving: Callable[[], None]) -> Sending:
        url = _url(self.base_url + request.path)
        if request.query:
            url = url.copy_with(params=dict(request.query))
        headers = {"Host": url.netloc.decode("ascii"), **_AGENT, **request.headers, **self._auth(request)}
        body = b""
        if request.body is not None:
            body = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        if request.method != "GET":
            headers["Content-Length"] = str(len(body))
        return Sending(
            method=request.method,
            place=place_of(url),
            target=url.raw_path,
            headers=_encoded(headers),
            body=body,
            patience=patience,
            leaving=leaving,
        )

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
            async with self._uploading.stream("POST", url, data=dict(fields), files={name: file}, headers=headers) as response:
                with anyio.fail_after(_BODY):
                    return await whole(response.status_code, response.headers.raw, response.aiter_raw(), MOST_REPLY)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:  # the last: a name that is none
            raise Unreachable(_why(error, host_of(url)), sent=True) from error

    @asynccontextmanager
    async def download(
        self, url: str, *, headers: Mapping[str, str] | None = None, key: bool = False
    ) -> AsyncIterator[httpx.Response]:
        """Open a render's link, or with the key the provider's own endpoint for it; the caller reads `aiter_raw`."""
        sent = {**_AGENT, "Accept-Encoding": "identity", **(headers or {})}
        try:
            response = await self._followed(httpx.URL(url), sent, self._auth_for(url) if key else {})
            try:
                yield response
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(_why(error, host_of(url)), sent=True) from error

    async def _followed(self, url: httpx.URL, headers: dict[str, str], auth: Mapping[str, str]) -> httpx.Response:
        """What a link leads to. Every hop is checked before it is made, and the key goes to no other host than the first."""
        first = url
        for _ in range(_MOST_HOPS):
            met = await self._checked(url)
            said = {"Host": url.netloc.decode("ascii"), **headers, **(auth if is_at(str(url), [str(first)]) else {})}
            if url.userinfo:  # a login in the link itself
                said["Authorization"] = f"Basic {b64encode(unquote_to_bytes(url.userinfo)).decode()}"
            with anyio.fail_after(_REPLY):
                answer = await self._fetching.send(
                    Sending(
                        method="GET",
                        place=place_of(url),
                        target=url.raw_path,
                        headers=_encoded(said),
                        patience=_ASK,
                        met=met,
                    )
                )
            response = httpx.Response(answer.status, headers=list(answer.headers), stream=answer)
            if not response.has_redirect_location:
                return response
            await response.aclose()
            url = url.join(response.headers["location"])
        raise httpx.TooManyRedirects(f"more than {_MOST_HOPS - 1}")

    def _auth_for(self, url: str) -> dict[str, str]:
        """The key's header, for the provider's own hosts and nothing else."""
        if not is_at(url, self.base_urls):
            raise Refused(f"the key does not go to {host_of(url)}")
        return self._auth(Request(method="GET", path=""))

    def check_link(self, url: str) -> None:
        """Whether it may be followed, as far as can be told without the network."""
        reach.check(url, self._home)

    @property
    def _home(self) -> Realm:
        return realm(split(self.base_url).hostname or "")

    async def _checked(self, url: httpx.URL) -> Callable[[str], None] | None:
        """Refuses what may not be followed; then what judges the address that a connection leads to."""
        self.check_link(str(url))
        _, host, port = place_of(url)
        if host.lower() != hostname(str(url)):
            raise Refused("the provider gave a link that can be read in two ways")
        if is_at(str(url), self.base_urls):
            return None  # the provider itself, wherever it lives
        await reach.check_name(host, port or 443, self._home)
        # Between the check of a name and the connection it may have come to stand for something else.
        return partial(reach.check_address, shown=host, home=self._home)

    async def _check_upload(self, request: httpx.Request) -> None:
        request.extensions["met"] = await self._checked(request.url)


def _encoded(headers: Mapping[str, str]) -> Headers:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


@lru_cache(maxsize=8192)
def _url(text: str) -> httpx.URL:
    """Parsed once: a task's is asked for again and again, and parsing is a seventh of a query's CPU."""
    return httpx.URL(text)


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
    return f"{clean(host, 80) or 'a link'}: {word}" + (f" ({detail})" if detail else "")


def jittered(seconds: float) -> float:
    """±10 %, so that a thousand takes do not ask in step."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
