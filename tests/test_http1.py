"""One request and its reply over one connection: servers that say the usual in unusual ways, and some that do not."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import ipaddress
import socket
import ssl
import struct
from contextlib import asynccontextmanager

import anyio
import httpcore
import httpx
import pytest
from anyio.streams.tls import TLSListener, TLSStream

from runner.errors import Refused
from runner.http1 import Connection, Sending
from runner.transport import Leases, _trust

PATIENCE = {"connect": 5.0, "read": 5.0, "write": 5.0}
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=["asyncio", "trio"])
def go(request):
    return functools.partial(anyio.run, backend=request.param)


class Server:
    """Says `pieces`, one a send, after each request, which ends with `until`; then closes, unless it is to stay."""

    def __init__(self, *pieces, stays=True, until=b"\r\n\r\n"):
        self.pieces, self.stays, self.until = pieces, stays, until
        self.heard, self.opened, self.port = [], 0, 0
        self.answered = anyio.Event()

    async def serve(self, stream):
        number, self.opened = self.opened, self.opened + 1
        self.heard.append(b"")
        async with stream:
            try:
                while True:
                    while not self.heard[number].endswith(self.until):
                        self.heard[number] += await stream.receive()
                    for piece in self.pieces:
                        await stream.send(piece)
                        await anyio.sleep(0.001)  # so that it is a piece of its own
                    self.answered.set()
                    if not self.stays:
                        return
                    self.heard[number] += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass


@asynccontextmanager
async def serving(server, wrapped=lambda listener: listener):
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(wrapped(listener).serve, server.serve)
        yield server
        group.cancel_scope.cancel()


def request(server, scheme="http", **more):
    headers = [(b"Host", b"h"), *more.pop("headers", ())]
    return Sending(
        **{
            "method": "GET",
            "place": (scheme, "127.0.0.1", server.port),
            "target": b"/x",
            "headers": headers,
            "patience": PATIENCE,
            **more,
        }
    )


async def said(leases, sending):
    """Status and body."""
    answer = await leases.send(sending)
    try:
        return answer.status, b"".join([piece async for piece in answer])
    finally:
        await answer.aclose()


def asked(go, server, times=1, **more):
    """What the last of so many requests, one after the other, was answered."""

    async def main():
        with anyio.fail_after(10):
            async with serving(server), Leases(proxies=False) as leases:
                try:
                    return [await said(leases, request(server, **more)) for _ in range(times)][-1]
                except (httpx.HTTPError, Refused) as error:
                    return error

    ended = go(main)
    if isinstance(ended, Exception):
        raise ended
    return ended


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
USUAL = {
    "in one piece": [PLAIN],
    "a byte at a time": [bytes([byte]) for byte in PLAIN],
    "chunks": [CHUNKED + b"1\r\no\r\n1;ext=1\r\nk\r\n0\r\n\r\n"],
    "chunks, a byte at a time, with a trailer": [bytes([byte]) for byte in CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\n\r\n"],
    "after 100 and 103": [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", PLAIN],
    "lines that end in LF alone": [PLAIN.replace(b"\r\n", b"\n")],
    "a reason that is none": [PLAIN.replace(b"200 OK", b"200")],
    "length and chunks": [CHUNKED.replace(b"Tr", b"Content-Length: 99\r\nTr") + b"2\r\nok\r\n0\r\n\r\n"],
    "a length said twice": [PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n")],
}


@pytest.mark.parametrize("pieces", USUAL.values(), ids=USUAL)
def test_the_same_reply_in_every_way_to_say_it_and_the_connection_serves_again(go, pieces):
    server = Server(*pieces)
    assert asked(go, server, times=2) == (200, b"ok")
    assert server.opened == 1


ENDED = {
    "no length": b"HTTP/1.1 200 OK\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nok",
    "it says that it closes": PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
}


@pytest.mark.parametrize("reply", ENDED.values(), ids=ENDED)
def test_a_reply_that_ends_with_its_connection_is_whole(go, reply):
    server = Server(reply, stays=False)
    assert asked(go, server, times=2) == (200, b"ok")
    assert server.opened == 2


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_reply_that_never_has_a_body_is_not_waited_for(go, status):
    server = Server(b"HTTP/1.1 %s\r\nContent-Length: 5\r\n\r\n" % status)
    assert asked(go, server, times=2) == (int(status[:3]), b"")
    assert server.opened == 1


def test_what_nobody_asked_for_is_never_the_answer_to_the_next_request(go):
    """A second reply in the same breath, or later while the connection lies idle."""
    stale = PLAIN.replace(b"ok", b"no")
    for pieces in ([PLAIN + stale], [PLAIN, stale], [PLAIN + b"\0garbage"]):
        server = Server(*pieces)

        async def main(server=server):
            async with serving(server), Leases(proxies=False) as leases:
                assert await said(leases, request(server)) == (200, b"ok")
                await server.answered.wait()  # within one machine, what was sent has come
                assert await said(leases, request(server)) == (200, b"ok")
                assert server.opened == 2

        go(main)


def test_what_nobody_asked_for_is_not_the_next_answer_through_a_proxy_either(go, monkeypatch):
    server = Server(PLAIN + PLAIN.replace(b"ok", b"no"))

    async def main():
        async with serving(server), Leases(proxies=True) as leases:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
            for _ in range(2):
                assert await said(leases, request(server, place=("http", "outside.example", None))) == (200, b"ok")

    go(main)


BROKEN = {
    "closed at once": [],
    "closed within the head": [b"HTTP/1.1 200 OK\r\nContent-Le"],
    "closed within the body": [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"],
    "closed within a chunk": [CHUNKED + b"9\r\nhalf"],
    "closed before the last chunk": [CHUNKED + b"4\r\nhalf\r\n"],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.6\r\n\r\n"],
    "a head without end": [b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"y" * 50_000 + b"\r\n"] * 4],
    "a chunk of no size": [CHUNKED + b"zz\r\nok\r\n0\r\n\r\n"],
    "a chunk of a negative size": [CHUNKED + b"-2\r\nok\r\n0\r\n\r\n"],
    "lengths that differ": [PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")],
    "a length below zero": [PLAIN.replace(b": 2", b": -2")],
    "a coding that is none": [PLAIN.replace(b"Content-Length: 2", b"Transfer-Encoding: gzip, chunked")],
    "another protocol": [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
    "a control in a header": [PLAIN.replace(b"\r\n\r\n", b"\r\nX: a\0b\r\n\r\n")],
}


@pytest.mark.parametrize("pieces", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_reply_is_a_fault_of_the_server_and_its_connection_is_closed(go, pieces):
    server = Server(*pieces, stays=False)

    async def main():
        with anyio.fail_after(10):
            async with serving(server), Leases(proxies=False) as leases:
                for _ in range(2):
                    with pytest.raises(httpx.RemoteProtocolError):
                        await said(leases, request(server))
                assert server.opened == 2

    go(main)


def test_a_reset_in_the_middle_is_a_read_error(go):
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    async def serve(stream):
        await stream.receive()
        await stream.send(server.pieces[0])
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
        await stream.aclose()

    server.serve = serve
    with pytest.raises(httpx.NetworkError):
        asked(go, server)


@pytest.mark.parametrize("pieces", [[], [b"HTTP/1.1 200 OK\r\n"], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]])
def test_silence_is_a_read_timeout_wherever_it_begins(go, pieces):
    server = Server(*pieces)
    with pytest.raises(httpx.ReadTimeout):
        asked(go, server, patience=PATIENCE | {"read": 0.1})


def test_a_request_with_its_body_is_one_write_and_one_without_says_no_more_than_its_head(go):
    server = Server(PLAIN)
    assert asked(go, server) == (200, b"ok")
    assert server.heard == [b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"]
    body = b'{"a":1}\r\n\r\n'
    server = Server(PLAIN, until=body)
    assert asked(go, server, method="POST", headers=[(b"Content-Length", b"11")], body=body) == (200, b"ok")
    assert server.heard == [b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n" + body]


def test_a_body_may_come_in_pieces(go):
    async def pieces():
        for piece in (b"ab", b"cd\r\n"):
            yield piece

    server = Server(PLAIN, until=b"abcd\r\n")
    assert asked(go, server, method="POST", headers=[(b"Content-Length", b"6")], body=pieces()) == (200, b"ok")
    assert server.heard[0].endswith(b"\r\n\r\nabcd\r\n")


def test_a_server_that_refuses_before_it_has_heard_all_is_listened_to(go):
    """The network takes no more of the request, but a reply is there: it counts, and the connection is not used again."""

    class Deaf(httpcore.AsyncMockStream):
        async def write(self, buffer, timeout=None):  # noqa: ASYNC109 - httpcore's signature
            raise httpcore.WriteError

        def get_extra_info(self, info):
            return None

    async def main():
        connection = Connection(Deaf([PLAIN.replace(b"200 OK", b"413 Too Large")]))
        status, _ = await connection.answer(request(Server(), method="POST", headers=[(b"Content-Length", b"2")], body=b"ab"))
        assert (status, await connection.piece(), await connection.piece()) == (413, b"ok", b"")
        assert not await connection.renew()

    go(main)


# What may have left


def left(go, server, **more):
    """Whether a byte may have left, as told; and how the request ended."""
    told = []
    try:
        ended = asked(go, server, leaving=lambda: told.append(server.heard[:]), **more)
    except (httpx.HTTPError, Refused) as error:
        ended = error
    assert len(told) <= 1
    return told, ended


@pytest.mark.parametrize("in_pieces", [False, True])
def test_leaving_is_told_once_and_before_the_first_byte(go, in_pieces):
    done = []

    class Noted(httpcore.AsyncMockStream):
        async def write(self, buffer, timeout=None):  # noqa: ASYNC109 - httpcore's signature
            done.append(bytes(buffer))

        def get_extra_info(self, info):
            return None

    async def pieces():
        yield b"ab"

    async def main():
        sending = request(
            Server(),
            method="POST",
            headers=[(b"Content-Length", b"2")],
            body=pieces() if in_pieces else b"ab",
            leaving=lambda: done.append("leaving"),
        )
        assert await Connection(Noted([PLAIN])).answer(sending) == (200, [(b"Content-Length", b"2")])

    go(main)
    assert done.index("leaving") == 0
    assert b"".join(done[1:]) == b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"


def test_nothing_leaves_where_there_is_no_connection(go):
    class Nobody(Server):
        port = property(lambda _: 1, lambda *_: None)

    told, ended = left(go, Nobody())
    assert told == []
    assert isinstance(ended, httpx.ConnectError)


@pytest.mark.parametrize("bad", [(b"X", b"a\r\nY: b"), (b"X Y", b"z"), (b"X", b"a\0")])
def test_nothing_leaves_of_a_request_that_cannot_be_said(go, bad):
    server = Server(PLAIN)
    told, ended = left(go, server, headers=[bad])
    assert told == []
    assert isinstance(ended, httpx.LocalProtocolError)
    assert b"".join(server.heard) == b""


def test_nothing_leaves_where_the_address_is_refused(go):
    """A name may have come to stand for another address since it was checked: the one that is connected to counts."""
    server, met = Server(PLAIN), []

    def refuse(address):
        met.append(address)
        raise Refused("not there")

    told, ended = left(go, server, met=refuse)
    assert (told, met) == ([], ["127.0.0.1"])
    assert isinstance(ended, Refused)
    assert b"".join(server.heard) == b""


def test_a_reply_that_is_lost_may_have_been_a_yes(go):
    told, ended = left(go, Server(stays=False))
    assert len(told) == 1
    assert isinstance(ended, httpx.RemoteProtocolError)
    assert str(ended) == "nothing was answered"


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def theirs(certificate, monkeypatch):
    """How a server speaks TLS whose certificate the environment has us trust, from the first request on."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    _trust.cache_clear()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    yield context
    _trust.cache_clear()


def test_tls_is_spoken_with_those_who_are_trusted_and_nothing_leaves_to_others(go, theirs, monkeypatch):
    server, told = Server(PLAIN), []

    async def main():
        wrapped = functools.partial(TLSListener, ssl_context=theirs, standard_compatible=False)
        async with serving(server, wrapped), Leases(proxies=False) as leases:
            for _ in range(2):
                assert await said(leases, request(server, "https")) == (200, b"ok")
            assert server.opened == 1
            place = ("https", "localhost", server.port)  # not the host that the certificate names
            with pytest.raises(httpx.ConnectError, match="localhost"):
                await said(leases, request(server, place=place, leaving=lambda: told.append(1)))
        monkeypatch.delenv("SSL_CERT_FILE")
        _trust.cache_clear()
        async with serving(server, wrapped), Leases(proxies=False) as leases:
            with pytest.raises(httpx.ConnectError, match=r"self.signed"):
                await said(leases, request(server, "https", leaving=lambda: told.append(1)))

    go(main)
    assert told == []
    assert server.opened == 1


class Corked(anyio.abc.ByteStream):
    """Lets nothing out while `holds`; then all of it at once."""

    def __init__(self, stream):
        self.stream, self.held, self.holds = stream, b"", False

    async def send(self, item):
        self.held += item
        if not self.holds:
            held, self.held = self.held, b""
            await self.stream.send(held)

    async def receive(self, max_bytes=65536):
        return await self.stream.receive(max_bytes)

    async def send_eof(self):
        await self.stream.send_eof()

    async def aclose(self):
        await self.stream.aclose()


def test_what_nobody_asked_for_is_not_the_next_answer_where_tls_has_it_in_a_record_of_its_own(go, theirs):
    """It leaves the socket together with the answer, which then looks quiet."""
    server = Server()

    async def serve(stream):
        server.opened += 1
        corked = Corked(stream)
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                tls = await TLSStream.wrap(corked, server_side=True, ssl_context=theirs, standard_compatible=False)
                while True:
                    await tls.receive()
                    corked.holds = True
                    await tls.send(PLAIN)
                    await tls.send(PLAIN.replace(b"ok", b"no"))
                    corked.holds = False
                    await corked.send(b"")

    server.serve = serve
    assert asked(go, server, times=2, scheme="https") == (200, b"ok")
    assert server.opened == 2
