"""What leaves the client, and where to: on the wire, byte for byte, and from one link to the next; on both back ends."""

from __future__ import annotations

import base64
import functools
import socket

import anyio
import pytest

from runner import catalog
from runner.client import Client
from runner.errors import Refused, Unreachable
from runner.wire import Request
from tests.test_http1 import PLAIN, Server, serving

KEY = "sk-test-0123456789"
PUBLIC = "https://dashscope-intl.aliyuncs.com/api/v1"


@pytest.fixture(params=["asyncio", "trio"])
def go(request):
    return functools.partial(anyio.run, backend=request.param)


def client(*bases):
    return Client(catalog.load().providers["qwencloud"], bases, KEY)


def at(server, path="/api/v1"):
    return f"http://127.0.0.1:{server.port}{path}"


def moved(server, path="/film"):
    return b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % at(server, path).encode()


async def fetched(client, url, **how):
    async with client.download(url, **how) as response:
        return response.status_code, b"".join([piece async for piece in response.aiter_raw()])


def test_a_submit_a_query_and_a_cancel_as_they_are_heard(go):
    server = Server(PLAIN, until=b"}")
    asked = Server(PLAIN)

    async def main():
        async with serving(server), serving(asked), client(at(server)) as submits, client(at(asked)) as queries:
            await submits.submit(Request(method="POST", path="/made", headers={"X-A": "1"}, body={"a": "ä"}))
            await queries.ask(Request(method="GET", path="/tasks/1", query={"page no": "2"}))
            await queries.ask(Request(method="POST", path="/tasks/1/cancel"))

    go(main)
    ours = f"User-Agent: callsheet\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n{{}}Authorization: Bearer {KEY}\r\n"
    head = f"POST /api/v1/made HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n" + ours.format("X-A: 1\r\n")
    assert server.heard == [(head + 'Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"a":"ä"}').encode()]
    query = f"GET /api/v1/tasks/1?page+no=2 HTTP/1.1\r\nHost: 127.0.0.1:{asked.port}\r\n{ours.format('')}\r\n"
    cancel = f"POST /api/v1/tasks/1/cancel HTTP/1.1\r\nHost: 127.0.0.1:{asked.port}\r\n{ours.format('')}Content-Length: 0\r\n\r\n"
    assert asked.heard == [(query + cancel).encode()]


def test_the_key_goes_to_no_other_host_even_of_the_same_provider_however_often_it_redirects(go):
    first, second = Server(), Server()

    async def main():
        async with serving(first), serving(second):
            first.pieces, second.pieces = [moved(second)], [moved(second)]
            async with client(at(first), at(second)) as provider:
                with pytest.raises(Unreachable, match="too many redirects"):
                    await fetched(provider, at(first, "/content"), key=True)

    go(main)
    assert b"".join(first.heard).count(KEY.encode()) == 1
    assert b"".join(second.heard).count(b"GET /film HTTP/1.1\r\n") == 5
    assert KEY.encode() not in b"".join(second.heard)


def test_a_beginning_is_gone_on_with_after_a_redirect_too(go):
    first, second = Server(), Server(PLAIN)

    async def main():
        async with serving(first), serving(second):
            first.pieces = [moved(second)]
            async with client(at(first)) as provider:
                await fetched(provider, at(first, "/film"), headers={"Range": "bytes=7-"})

    go(main)
    assert b"Range: bytes=7-\r\n" in second.heard[0]


def test_a_redirect_is_followed_without_waiting_for_what_it_says_besides(go):
    first, second = Server(), Server(PLAIN)

    async def main():
        async with serving(first), serving(second):
            first.pieces = [moved(second).replace(b"Length: 0", b"Length: 1000000")]
            async with client(at(first)) as provider:
                with anyio.fail_after(5):
                    assert await fetched(provider, at(first, "/film")) == (200, b"ok")

    go(main)


def test_a_link_that_leads_round_is_given_up_after_five_redirects_and_its_host_may_have_the_key(go):
    server = Server()

    async def main():
        async with serving(server):
            server.pieces = [moved(server)]
            async with client(at(server)) as provider:
                with pytest.raises(Unreachable, match="too many redirects"):
                    await fetched(provider, at(server, "/film"), key=True)

    go(main)
    assert b"".join(server.heard).count(b"GET ") == 6
    assert b"".join(server.heard).count(KEY.encode()) == 6


def test_a_login_in_a_link_is_the_links_own_and_goes_no_further(go):
    first, second = Server(), Server(PLAIN)

    async def main():
        async with serving(first), serving(second):
            first.pieces = [moved(second)]
            async with client(at(first)) as provider:
                await fetched(provider, at(first, "/film").replace("127", "user:p%40ss@127"))

    go(main)
    assert b"Authorization: Basic %s\r\n" % base64.b64encode(b"user:p@ss") in first.heard[0]
    assert b"Authorization" not in second.heard[0]


def test_a_name_that_changes_its_address_after_it_was_checked_gets_nothing(go, monkeypatch):
    """It stands for a public address when it is judged, and for this machine when it is connected to."""
    server, real, looked_up = Server(PLAIN), socket.getaddrinfo, []

    def lying(host, port, *rest, **more):
        if host in {"h.example", b"h.example"}:
            looked_up.append(host)
            host = "93.184.215.14" if len(looked_up) == 1 else "127.0.0.1"
        return real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    async def main():
        async with serving(server), client(PUBLIC) as provider:
            with pytest.raises(Refused, match=r"private network: h\.example"):
                await fetched(provider, f"http://h.example:{server.port}/film")

    go(main)
    assert len(looked_up) >= 2
    assert b"".join(server.heard) == b""
