"""What leaves the client, and where to: on the wire, byte for byte, and from one link to the next; on both back ends."""

from __future__ import annotations

import base64
import functools
import socket

import anyio
import pytest

from runner import catalog
from runner.client import Client
from runner.download import fetch
from runner.errors import Refused, TakeError, Unreachable
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


@pytest.fixture
def names(monkeypatch):
    """What names stand for, one address after the other, the last for good; no proxy stands in between."""
    real, known = socket.getaddrinfo, {}

    def looked_up(host, *rest, **more):
        addresses = known.get(host.decode() if isinstance(host, bytes) else host, [host])
        return real(addresses.pop(0) if len(addresses) > 1 else addresses[0], *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return known


@pytest.mark.parametrize("is_upload", [False, True])
def test_a_name_that_changes_its_address_after_it_was_checked_gets_nothing(go, names, is_upload):
    """It stands for a public address when it is judged, and for this machine when it is connected to."""
    server = Server(PLAIN)
    names["h.example"] = ["93.184.215.14", "127.0.0.1"]

    async def main():
        async with serving(server), client(PUBLIC) as provider:
            link = f"http://h.example:{server.port}/film"
            with pytest.raises(Refused, match=r"private network: h\.example"):
                await (provider.post_form(link, {"a": "b"}, ("f", b"film")) if is_upload else fetched(provider, link))

    go(main)
    assert names["h.example"] == ["127.0.0.1"]
    assert b"".join(server.heard) == b""


def test_a_provider_may_live_behind_a_name_of_a_private_network_and_its_links_lead_there_but_no_others(go, names):
    server, other = Server(PLAIN), Server(PLAIN)
    names["box.example"] = ["127.0.0.1"]

    def at_box(server, path="/api/v1"):
        return at(server, path).replace("127.0.0.1", "box.example")

    async def main():
        async with serving(server), serving(other), client(at_box(server)) as provider:
            assert await fetched(provider, at_box(server, "/film"), key=True) == (200, b"ok")
            for link in (at_box(other, "/film"), at(server, "/film")):
                with pytest.raises(Refused, match="private network"):
                    await fetched(provider, link)

    go(main)
    assert b"".join(other.heard) == b""
    assert len(server.heard) == 1


STRANGE = {
    "http://xn--a/": Unreachable,  # names that cannot be read back
    "http://xn--zzzzzz.example/": Unreachable,
    "http://127.0.0.1:99999/": Refused,
    "http://[::1": Unreachable,
    "http://[fe80::1%25lo]/": Refused,
    "http://h.internal./": Refused,
    "ftp://user:secret@h.example/film?Signature=secret": Refused,
    "http://user:secret@127.0.0.1:1/film?Signature=secret": Unreachable,
}


@pytest.mark.parametrize(("link", "kind"), STRANGE.items(), ids=STRANGE)
def test_a_strange_link_is_refused_or_leads_nowhere_and_is_told_without_its_secrets(go, names, link, kind):
    server = Server()

    async def main():
        async with serving(server), client(at(server)) as provider:
            server.pieces = [moved(server).replace(at(server, "/film").encode(), link.encode())]
            for url in (link, at(server, "/film")):
                with pytest.raises(kind) as told:
                    await fetched(provider, url)
                assert "secret" not in str(told.value)

    go(main)
    assert b"".join(server.heard).count(b"GET ") == 1


@pytest.mark.parametrize("link", ["http://xn--a/", "http://[::1", "h.example", "http://user:secret@127.0.0.1:1/"])
def test_an_upload_to_a_strange_place_is_told_too(go, names, link):
    async def main():
        async with client("http://127.0.0.1:1") as provider:
            with pytest.raises((Refused, Unreachable)) as told:
                await provider.post_form(link, {"a": "b"}, ("f", b"film"))
            assert "secret" not in str(told.value)
            assert not str(told.value).startswith(":")

    go(main)


def test_a_link_in_which_one_reader_finds_a_host_and_another_none_is_refused(go):
    async def main():
        async with client(PUBLIC) as provider:
            with pytest.raises(Refused, match="two ways"):
                await fetched(provider, "http:////h.example/")

    go(main)


def cut(*headers):
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: 9", *headers, b"", b"half"])


REST = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-8/9\r\n"


@pytest.mark.parametrize(
    "rest",
    [
        REST + b"Content-Length: 2\r\n\r\nxx",
        REST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n",
        REST + b"\r\nxx",
    ],
    ids=["length", "chunks", "end"],
)
def test_a_rest_that_is_shorter_than_it_says_makes_no_whole_file(go, tmp_path, rest):
    server = Server(cut(b'ETag: "1"'), stays=False)

    async def main():
        async with serving(server), client(at(server)) as provider:
            for pieces, why in (([server.pieces[0]], "without a whole reply"), ([rest], "6 of 9 bytes")):
                server.pieces = pieces
                with pytest.raises(Unreachable, match=why):
                    await fetch(provider, at(server, "/film"), tmp_path / "film.part")

    go(main)
    assert b"Range: bytes=4-" in server.heard[1]


def test_chunks_count_and_not_the_length_that_is_said_besides(go, tmp_path):
    server = Server(PLAIN[:-2].replace(b"Content", b"Transfer-Encoding: chunked\r\nContent") + b"4\r\nfilm\r\n0\r\n\r\n")

    async def main():
        async with serving(server), client(at(server)) as provider:
            with pytest.raises(TakeError, match="does not decode"):  # whole, but no film
                await fetch(provider, at(server, "/film"), tmp_path / "film.part")

    go(main)


def test_a_mark_of_a_file_that_cannot_be_said_again_is_not_gone_on_with(go, tmp_path):
    server = Server(cut(b'ETag: "\xe9"'), stays=False)

    async def main():
        async with serving(server), client(at(server)) as provider:
            for _ in range(2):
                with pytest.raises(Unreachable, match="without a whole reply"):
                    await fetch(provider, at(server, "/film"), tmp_path / "film.part")

    go(main)
    assert b"Range" not in b"".join(server.heard)
