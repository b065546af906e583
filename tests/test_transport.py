"""Connections leased one at a time: over real sockets on loopback, on both back ends."""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
import trio
import trio.testing

from runner.http1 import Sending
from runner.transport import Leases, place_of, proxy_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=["asyncio", "trio"])
def go(request):
    return functools.partial(anyio.run, backend=request.param)


class Server:
    """Answers every request with `reply`; `requests` are (number of the connection, head), `closed` the numbers that ended."""

    def __init__(self, reply=OK):
        self.reply, self.requests, self.closed, self.opened = reply, [], [], []
        self.hold = None
        self.port = 0
        self.news = anyio.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, stream):
        number = len(self.opened)
        self.opened.append(stream)
        self.tell()
        async with stream:
            with anyio.CancelScope() as scope:
                try:
                    while True:
                        head = b""
                        while not head.endswith(b"\r\n\r\n"):
                            head += await stream.receive()
                        self.requests.append((number, head.decode()))
                        self.tell()
                        if self.hold:
                            await self.hold.wait()
                        await stream.send(self.reply)
                        if self.reply != OK:
                            break
                except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                    scope.cancel()
        self.closed.append(number)
        self.tell()

    def tell(self):
        self.news.set()
        self.news = anyio.Event()

    async def until(self, is_so):
        with anyio.fail_after(10):
            while not is_so():
                await self.news.wait()


@asynccontextmanager
async def serving(reply=OK):
    server = Server(reply)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.serve)
        yield server
        group.cancel_scope.cancel()


async def ask(leases, url, **patience):
    wait = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": None} | patience
    response = await leases.handle_async_request(httpx.Request("GET", url, extensions={"timeout": wait}))
    try:
        return b"".join([chunk async for chunk in response.aiter_raw()])
    finally:
        await response.aclose()


def test_a_kept_connection_serves_again_and_the_last_one_first(go):
    async def main():
        async with serving() as server, Leases(proxies=False) as leases:
            server.hold = anyio.Event()
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(ask, leases, server.url)
                await server.until(lambda: len(server.requests) == 3)
                server.hold.set()
            for _ in range(4):
                assert await ask(leases, server.url) == b"ok"
            assert len(server.opened) == 3
            assert len({number for number, _ in server.requests[3:]}) == 1

    go(main)


def test_without_keeping_each_request_has_a_connection_of_its_own(go):
    async def main():
        async with serving() as server, Leases(proxies=False, keep=False) as leases:
            for _ in range(3):
                await ask(leases, server.url)
            await server.until(lambda: len(server.closed) == 3)
            assert [number for number, _ in server.requests] == [0, 1, 2]

    go(main)


def test_a_connection_that_its_server_has_closed_is_not_used_again(go):
    async def main():
        async with serving() as server, Leases(proxies=False) as leases:
            await ask(leases, server.url)
            await server.opened[0].aclose()
            await server.until(lambda: server.closed == [0])
            assert await ask(leases, server.url) == b"ok"
            assert [number for number, _ in server.requests] == [0, 1]

    go(main)


def test_what_lies_idle_for_long_is_closed_and_at_the_end_all_is():
    async def two(server, leases):
        server.hold = anyio.Event()
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(ask, leases, server.url)
            await server.until(lambda: len(server.requests) == 2)
            server.hold.set()

    async def main():
        clock = trio.lowlevel.current_clock()
        async with serving() as server:
            async with Leases(proxies=False) as leases:
                await two(server, leases)
                for _ in range(2):
                    assert not server.closed
                    clock.jump(20)
                    await ask(leases, server.url)
                await server.until(lambda: len(server.closed) == 1)
                assert server.requests[-1][0] not in server.closed
                clock.jump(31)
                await ask(leases, server.url)
                await server.until(lambda: len(server.closed) == 2)
                assert server.requests[-1][0] == 2
            await server.until(lambda: len(server.closed) == 3)

    trio.run(main, clock=trio.testing.MockClock(rate=1))


def test_while_old_ones_are_being_closed_the_last_may_be_taken(go):
    class Line:
        def __init__(self):
            self.closing, self.end = anyio.Event(), anyio.Event()

        async def renew(self):
            return True

        def is_quiet(self):
            return True

        async def aclose(self):
            self.closing.set()
            await self.end.wait()

    async def main():
        place, old, new = ("http", "h.example", None), Line(), Line()
        leases = Leases(proxies=False)
        leases._idle[place] = [(anyio.current_time() - 60, old)]
        async with anyio.create_task_group() as group:
            group.start_soon(leases.put_back, place, new)
            await old.closing.wait()
            assert await leases._lively(place) is new
            old.end.set()

    go(main)


def test_one_that_was_canceled_in_the_middle_is_closed_and_never_used_again(go):
    async def main():
        async with serving() as server, Leases(proxies=False) as leases:
            server.hold = anyio.Event()
            async with anyio.create_task_group() as group:
                group.start_soon(ask, leases, server.url)
                await server.until(lambda: len(server.requests) == 1)
                group.cancel_scope.cancel()
            server.hold.set()
            await server.until(lambda: server.closed == [0])
            assert await ask(leases, server.url) == b"ok"
            assert [number for number, _ in server.requests] == [0, 1]

    go(main)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", httpx.RemoteProtocolError),
        (b"", httpx.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", httpx.RemoteProtocolError),
    ],
    ids=["cut", "nothing", "no HTTP"],
)
def test_faults_are_told_in_httpx_words(go, reply, error):
    async def main():
        async with serving(reply) as server, Leases(proxies=False) as leases:
            with pytest.raises(error):
                await ask(leases, server.url)

    go(main)


def test_nobody_there_and_nobody_answering_are_httpx_words_too(go):
    async def main():
        async with serving() as server, Leases(proxies=False) as leases:
            server.hold = anyio.Event()
            with pytest.raises(httpx.ReadTimeout):
                await ask(leases, server.url, read=0.05)
        with pytest.raises(httpx.ConnectError):
            await ask(leases, server.url)

    go(main)


def test_a_proxy_that_never_ends_its_greeting_is_left_when_canceled(go, monkeypatch):
    async def main():
        async with serving() as server, Leases(proxies=True) as leases:
            monkeypatch.setenv("https_proxy", server.url.replace("http:", "https:"))
            async with anyio.create_task_group() as group:
                group.start_soon(ask, leases, "https://outside.example/")
                await server.until(lambda: server.opened)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            await server.until(lambda: server.closed == [0])

    go(main)


def test_the_environments_proxy_is_asked_where_it_is_to_be(go, monkeypatch):
    async def main():
        async with serving() as server:
            monkeypatch.setenv("http_proxy", server.url)
            monkeypatch.setenv("no_proxy", "inside.example")
            async with Leases(proxies=True) as leases:
                assert await ask(leases, "http://outside.example/film.mp4") == b"ok"
            async with Leases(proxies=False) as leases:
                assert await ask(leases, f"{server.url}/direct") == b"ok"
            lines = [head.split("\r\n")[0] for _, head in server.requests]
            assert lines == ["GET http://outside.example/film.mp4 HTTP/1.1", "GET /direct HTTP/1.1"]

    go(main)


def test_what_a_proxy_is_told_first_is_not_yet_the_request(go, monkeypatch):
    """A tunnel that it refuses has let nothing of the request out; what it forwards has left."""

    async def left(url):
        told, place = [], place_of(httpx.URL(url))
        wait = {"connect": 5.0, "read": 5.0, "write": 5.0}
        headers = [(b"Host", b"outside.example")]
        async with Leases(proxies=True, keep=False) as leases:
            sending = Sending(
                method="GET", place=place, target=b"/x", headers=headers, patience=wait, leaving=lambda: told.append(1)
            )
            try:
                answer = await leases.send(sending)
            except httpx.ProxyError:
                return told, None
            await answer.aclose()
            return told, answer.status

    async def main():
        async with serving(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as server:
            for name in ("http_proxy", "https_proxy"):
                monkeypatch.setenv(name, server.url)
            assert await left("https://outside.example/x") == ([], None)
            assert await left("http://outside.example/x") == ([1], 502)
        assert [head.split(" ")[0] for _, head in server.requests] == ["CONNECT", "GET"]

    go(main)


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://a.example/", None),
        ({"https_proxy": "http://p:1"}, "https://a.example/", "http://p:1"),
        ({"https_proxy": "p:1"}, "https://a.example/", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "http://a.example/", None),
        ({"all_proxy": "http://p:1"}, "http://a.example/", "http://p:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "a.example"}, "http://b.a.example/", None),
        ({"all_proxy": "http://p:1", "no_proxy": "a.example:8080"}, "http://a.example:8080/", None),
        ({"all_proxy": "http://p:1", "no_proxy": "*"}, "http://a.example/", None),
    ],
)
def test_which_proxy_a_url_has(monkeypatch, environ, url, proxy):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = proxy_of(place_of(httpx.URL(url)))
    assert (found and str(found.url)) == proxy


def test_an_address_that_is_no_proxy_is_a_fault_of_the_road(go, monkeypatch):
    async def main():
        monkeypatch.setenv("http_proxy", "gopher://p:1")
        async with Leases(proxies=True) as leases:
            with pytest.raises(httpx.ProxyError):
                await ask(leases, "http://outside.example/")

    go(main)
