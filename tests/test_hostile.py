"""Secrets that must not show, and servers, locks and manifests that mean harm: each ends as defined, shown on a real run.

The servers here are raw ones on loopback: the studio is too well-behaved to say such things.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest

from runner import answers, catalog, client, download, fetching, paying
from runner.answers import Reply
from runner.assets import unsigned
from runner.cli import code
from runner.client import Client
from runner.errors import CallsheetError, Refused
from runner.hosts import realm
from tests.fakes import FILM

KEY = "sk-secret-0123456789abcdef"
STORYBOARD = """\
callsheet: 1
title: Hostile
provider: qwencloud
providers:
  qwencloud:
    base_url: "{url}/api/v1"
    poll: {{first: 0.02, every: 0.02, unknown_for: 0.2, give_up: 60}}
    limits: {{submits_per_second: 200, queries_per_second: 500}}
budget: {{takes: 50}}
attempts: 1
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: one, prompt: A pier}}
"""
TASK = "0385dc79-5ff8-4d82-bcb6-7f2a0e6a0a5c"


class Server:
    """A server whose every reply a test may put into other words; `accepted` is what it would bill."""

    def __init__(self):
        self.accepted, self.asked, self.fetched, self.authorizations = [], [], [], []
        self.submit = lambda: (200, {}, {"output": {"task_id": TASK, "task_status": "PENDING"}, "request_id": "r"})
        self.query = lambda: (200, {}, self.succeeded())
        self.film = lambda: (200, {"Content-Type": "video/mp4"}, FILM)
        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    def succeeded(self, url=None, **more):
        output = {"task_id": TASK, "task_status": "SUCCEEDED", "video_url": url or f"{self.url}/film.mp4"}
        return {"output": {**output, **more}, "usage": {"duration": 2, "SR": 720}, "request_id": "r"}

    def failed(self, code, message):
        return {"output": {"task_id": TASK, "task_status": "FAILED", "code": code, "message": message}, "request_id": "r"}

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.authorizations.append(self.headers.get("Authorization"))
            server.accepted.append(self.path)
            self._say(*server.submit())

        def do_GET(self):
            if self.path.startswith("/api/v1/tasks?"):
                return self._say(500, {}, {"code": "InternalError", "message": "no list today"})
            server.authorizations.append(self.headers.get("Authorization"))
            if self.path.startswith("/api/v1/"):
                server.asked.append(self.path)
                return self._say(*server.query())
            server.fetched.append(self.path)
            return self._say(*server.film())

        def _drip(self, status, chunks):
            """A byte now and then, far longer than anybody waits."""
            self.send_response(status)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with suppress(OSError):
                for chunk in chunks:
                    self.wfile.write(chunk)
                    time.sleep(0.05)
            self.close_connection = True

        def _say(self, status, headers, body):
            if isinstance(body, list):
                self._drip(status, body)
                return
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            # It closes after each reply, and says so: else the next request might go down a connection that is about to end.
            for name, value in {"Content-Length": str(len(data)), "Connection": "close", **headers}.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # whoever asked has heard enough
                self.wfile.write(data)
            self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler


class Film:
    def __init__(self, folder, server, capsys):
        self.folder, self.server, self._capsys = folder, server, capsys
        self.manifest = folder / "film.callsheet.yaml"
        self.manifest.write_text(STORYBOARD.format(url=server.url))
        self.said = ""

    def do(self, *argv):
        self._capsys.readouterr()
        result = code([*argv])
        found = self._capsys.readouterr()
        self.said = found.out + found.err
        return result

    def run(self, *args):
        """The exit code, told in lines; nothing that was said or written may be obeyed by a terminal."""
        result = self.do("run", *args)
        self.is_clean()
        return result

    def be_impatient(self):
        """For tasks that never come to an end here."""
        self.manifest.write_text(self.manifest.read_text().replace("give_up: 60", "give_up: 0.5"))

    def is_clean(self):
        written = [self.said, *(path.read_text("utf-8") for path in self.folder.glob("**/film.*") if path.suffix != ".reserve")]
        for text in written:
            wrong = re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]", text)
            assert not wrong, text[max(0, wrong.start() - 60) : wrong.end() + 60]
            assert "\\u001b" not in text
            assert len(text) < 100_000

    @property
    def entry(self):
        return json.loads((self.folder / "film.callsheet.lock").read_text())["takes"]["one@1"]

    @property
    def state(self):
        return self.entry["state"]

    def holds(self, secret):
        """Where a secret stands, in what was said or in any file."""
        found = [path for path in self.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        return [*found, *(["said"] if secret in self.said else [])]


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def film(tmp_path, server, capsys, monkeypatch):
    folder = tmp_path / "film"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    monkeypatch.setattr(fetching, "_PAUSES", (0, 0, 0, 0))
    return Film(folder, server, capsys)


def test_the_raw_server_is_one_that_a_run_gets_on_with(film, server):
    assert film.run() == 0, film.said
    assert film.state == "saved"
    assert server.authorizations[0] == f"Bearer {KEY}"


# Texts


ESCAPES = "\x1b[2J\x1b[31m\x1b]0;owned\x07\x1b]8;;http://evil.example\x07go\x1b]8;;\x07\r\x9b1A\u202eevil\u2066\u200f\x00\nline\u2028end"
TEXTS = {
    "escapes": ESCAPES,
    "long": "A" * 1_500_000,
    "long escapes": "\x1b[31m" * 100_000,
    "links": "http://" * 200_000,
    "link": "https://h.example/a.mp4?Expires=1&Signature=abc",
    "half characters": "a\ud800b",
    "list": ["\x1b[31m"],
    "number": 10**400,
    "mapping": {"\x1b": "\x1b"},
    "true": True,
    "nested": json.loads("[" * 500 + "]" * 500),
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_a_refusal_says_is_safe_to_print_and_to_keep(film, server, text):
    server.submit = lambda: (400, {}, {"code": "InvalidParameter", "message": TEXTS[text], "request_id": TEXTS[text]})
    assert film.run() == 1, film.said
    assert film.state == "failed"
    assert film.entry["attempts"][0]["error"]["code"] == "InvalidParameter"
    assert "Signature" not in film.said


@pytest.mark.parametrize("text", TEXTS)
def test_what_a_failed_task_says_is_safe_to_print_and_to_keep(film, server, text):
    server.query = lambda: (200, {}, server.failed(TEXTS[text], TEXTS[text]))
    assert film.run() == 1, film.said
    assert film.state == "failed"
    assert film.do("status") == 1
    film.is_clean()


@pytest.mark.parametrize("text", TEXTS)
def test_what_an_unclear_submit_says_is_safe_and_in_doubt(film, server, text):
    server.submit = lambda: (500, {}, {"code": TEXTS[text], "message": TEXTS[text]})
    assert film.run() == 1, film.said
    assert film.state == "intended"
    assert film.run() == 1
    assert len(server.accepted) == 1


@pytest.mark.parametrize("text", TEXTS)
def test_what_a_finished_task_tells_besides_is_safe_to_keep(film, server, text):
    def told():
        data = server.succeeded(actual_prompt=TEXTS[text], orig_prompt=TEXTS[text])
        data["usage"] = {"duration": 2, "SR": 720, str(TEXTS[text])[:50]: TEXTS[text]}
        return 200, {}, data

    server.query = told
    server.submit = lambda: (200, {}, {"output": {"task_id": TASK}, "request_id": TEXTS[text]})
    assert film.run() == 0, film.said
    assert film.entry["attempts"][0]["cost"]["amount"] == "0.20"


@pytest.mark.parametrize("page", [b"\x1b[31mBad Gateway\x9b", b"\xff\xfe\x00\xd8", b"<html>" + b"x" * 3_000_000, b""])
def test_a_page_that_is_no_json_is_safe_to_print(film, server, page):
    server.submit = lambda: (502, {}, page)
    assert film.run() == 1, film.said
    assert film.state == "intended"
    assert len(server.accepted) == 1


@pytest.mark.parametrize("usage", [{"duration": -5}, {"duration": 1e300}, {"duration": 10**400}, {"SR": -1}, [], "much", 5])
def test_a_usage_that_makes_no_sense_makes_no_cost_cheaper(film, server, usage):
    server.query = lambda: (200, {}, {**server.succeeded(), "usage": usage})
    assert film.run() == 0, film.said
    assert film.entry["attempts"][0]["cost"]["amount"] == "0.20", "the planned figure stands"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_reach_no_file(film, server, number):
    server.query = lambda: (200, {}, json.dumps(server.succeeded()).replace('"duration": 2', f'"duration": {number}').encode())
    assert film.run() == 0, film.said
    for name in ("film.callsheet.lock", ".callsheet/film.journal"):
        assert not re.search(r"\b(NaN|Infinity)\b", (film.folder / name).read_text())


BOMBS = {
    "lists": b"[" * 200_000,
    "closed lists": b"[" * 100_000 + b"]" * 100_000,
    "mappings": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "inside": b'{"output": {"task_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "digits": b'{"output": {"task_id": ' + b"9" * 100_000 + b"}}",
    "not UTF-8": b'{"output": {"task_id": "\xff\xfe"}}',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_json_bombs_of_a_submit_are_in_doubt_and_never_sent_again(film, server, bomb):
    server.submit = lambda: (200, {}, BOMBS[bomb])
    assert film.run() == 1, film.said
    assert film.state == "intended"
    assert film.run() == 1
    assert len(server.accepted) == 1


@pytest.mark.parametrize("bomb", BOMBS)
def test_json_bombs_of_a_query_end_no_take(film, server, bomb):
    film.be_impatient()
    server.query = lambda: (200, {}, BOMBS[bomb])
    assert film.run() == 75, film.said
    assert film.state == "submitted"
    server.query = lambda: (200, {}, server.succeeded())
    assert film.run() == 0
    assert len(server.accepted) == 1


@contextmanager
def quicker_than_the_trickle():
    """Nobody has waited for its end, which is 20 s away."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 18


def test_a_submits_reply_that_trickles_in_for_ever_is_given_up_and_in_doubt(film, server, monkeypatch):
    monkeypatch.setattr(client, "_BODY", 0.4)
    server.submit = lambda: (200, {}, [b" "] * 400)
    with quicker_than_the_trickle():
        assert film.run() == 1
    assert film.state == "intended"
    assert len(server.accepted) == 1


def test_a_querys_reply_that_trickles_in_for_ever_is_a_blip(film, server, monkeypatch):
    monkeypatch.setattr(client, "_BODY", 0.4)
    replies = iter([[b" "] * 400])
    server.query = lambda: (200, {}, next(replies, server.succeeded()))
    with quicker_than_the_trickle():
        assert film.run() == 0
    assert len(server.accepted) == 1


def test_a_render_that_trickles_in_for_ever_is_given_up_and_fetched_anew(film, server, monkeypatch):
    monkeypatch.setattr(download, "_WINDOW", 0.4)
    films = iter([[b"\0"] * 400])
    server.film = lambda: (200, {}, next(films, FILM))
    with quicker_than_the_trickle():
        assert film.run() == 0
    assert len(server.accepted) == 1
    assert len(server.fetched) == 2


def test_a_reply_without_end_is_given_up_and_in_doubt(film, server, monkeypatch):
    monkeypatch.setattr("runner.client.MOST_REPLY", 100_000)
    server.submit = lambda: (200, {}, b" " * 1_000_000)
    assert film.run() == 1, film.said
    assert "more than 100000 bytes" in film.said
    assert film.state == "intended"


# Ids and words


GOOD_IDS = ["a/b", "a%2Fb", "../../../etc/passwd", "任务-1", "task id"[:4], 12345, "x" * 500, "?a=b#c", "a..b"]
BAD_IDS = [
    "",
    " ",
    ".",
    "..",
    "a b",
    "a\nb",
    "a\x00b",
    "\x1b[31m",
    "a\u202eb",
    "x" * 10_000,
    "\ud800",
    True,
    1.5,
    [],
    {},
    ["a"],
    10**600,
]


@pytest.mark.parametrize("task_id", GOOD_IDS)
def test_an_id_of_any_spelling_is_kept_and_asked_for_as_one_part_of_the_path(film, server, task_id):
    server.submit = lambda: (200, {}, {"output": {"task_id": task_id}})
    assert film.run() == 0, film.said
    assert film.entry["attempts"][0]["task_id"] == str(task_id)
    assert len({path.count("/") for path in server.asked}) == 1
    assert server.asked[0].count("/") == len(["", "api", "v1", "tasks", ""]) - 1
    assert "?" not in server.asked[0]


@pytest.mark.parametrize("task_id", BAD_IDS, ids=lambda value: repr(value)[:20])
def test_what_can_be_no_id_leaves_the_take_in_doubt(film, server, task_id):
    server.submit = lambda: (200, {}, {"output": {"task_id": task_id}})
    assert film.run() == 1, film.said
    assert film.state == "intended"
    assert film.run() == 1
    assert len(server.accepted) == 1


@pytest.mark.parametrize("word", [{"a": 1}, ["SUCCEEDED"], 5, None, True, "", "\x1b[31mSUCCEEDED\x1b", "X" * 100_000, "\u202e"])
def test_a_status_that_is_no_known_word_ends_no_take(film, server, word):
    film.be_impatient()
    server.query = lambda: (200, {}, {"output": {"task_id": TASK, "task_status": word}})
    assert film.run() == 75, film.said
    assert film.state == "submitted"
    assert film.run("--json") == 75


# Links


LINKS = [
    "file:///etc/passwd",
    "ftp://h.example/a.mp4",
    "javascript:alert(1)",
    "data:video/mp4;base64,AAAA",
    "//h.example/a.mp4",
    "http://",
    "http://h.example/a b",
    "http://[::1",
    "http://\x1b[31m/",
    "",
    5,
    None,
    [],
    {"url": "http://h.example"},
]


@pytest.mark.parametrize("link", LINKS, ids=lambda value: repr(value)[:20])
def test_what_is_no_link_to_the_web_is_never_followed(film, server, link):
    film.be_impatient()
    server.query = lambda: (200, {}, {"output": {"task_status": "SUCCEEDED", "video_url": link}})
    assert film.run() in {1, 75}, film.said
    assert server.fetched == []
    assert film.state in {"submitted", "rendered"}, "the task has ended well and is still there"
    server.query = lambda: (200, {}, server.succeeded())
    assert film.run() == 0, film.said
    assert len(server.accepted) == 1


PUBLIC = "https://dashscope-intl.aliyuncs.com/api/v1"
INSIDE = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "localhost",
    "LOCALHOST", "localhost.", "127.0.0.1.", "a.localhost", "169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1",
    "[fe80::1]", "[fc00::1]", "metadata.google.internal", "printer.local",
]  # fmt: skip


def opened(link, *, base=PUBLIC):
    """Open a link as a run does whose provider lives at `base`; what stopped it."""
    client = Client(catalog.load().providers["qwencloud"], [base], KEY)

    async def main():
        with anyio.fail_after(5):
            async with client, client.download(link) as response:
                return response.status_code

    try:
        return anyio.run(main)
    except CallsheetError as error:
        return error


@pytest.mark.parametrize("host", INSIDE)
def test_links_into_this_machine_or_its_network_are_refused_before_a_connection(server, host, monkeypatch):
    made = []
    monkeypatch.setattr(socket.socket, "connect", lambda *where: made.append(where))
    stopped = opened(f"http://{host}:{server.httpd.server_address[1]}/a.mp4")
    assert isinstance(stopped, CallsheetError)
    assert "private network" in stopped.fact or stopped.fact.endswith(("not known)", "'0177.0.0.1')")), stopped.fact
    assert made == []
    assert server.fetched == []


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("64:ff9b::7f00:1", "this machine"),
        ("64:ff9b::a00:1", "the network"),
        ("64:ff9b:1::a00:1", "the network"),
        ("64:ff9b::808:808", "everywhere"),
        ("2002:7f00:1::", "this machine"),
        ("::ffff:127.0.0.1", "this machine"),
        ("::10.0.0.1", "the network"),
        ("::1", "this machine"),
        ("2606:4700::1", "everywhere"),
    ],
)
def test_an_address_inside_an_address_counts_as_what_it_leads_to(host, where):
    assert realm(host) == where


def test_a_public_name_that_stands_for_a_private_address_is_refused(server, monkeypatch):
    real = socket.getaddrinfo

    def lying(host, port, *rest, **more):
        return real("127.0.0.1" if host in {"h.example", b"h.example"} else host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    stopped = opened(f"http://h.example:{server.httpd.server_address[1]}/a.mp4")
    assert isinstance(stopped, CallsheetError)
    assert "private network" in stopped.fact
    assert server.fetched == []


def test_a_chain_of_redirects_ends_and_takes_no_key_along(film, server):
    server.film = lambda: (302, {"Location": "/again.mp4"}, b"")
    server.query = lambda: (200, {}, server.succeeded())
    assert film.run() == 75, film.said
    assert "too many redirects" in film.said
    assert len(server.fetched) <= 6 * 5


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://h.example/x", "javascript:alert(1)"])
def test_a_redirect_to_what_is_no_web_is_not_followed(film, server, where):
    server.film = lambda: (302, {"Location": where}, b"")
    assert film.run() in {1, 75}, film.said
    assert film.state == "rendered"
    assert "Traceback" not in film.said


def test_the_key_is_not_sent_to_a_links_host(film, server):
    other = Server()
    try:
        server.query = lambda: (200, {}, server.succeeded(url=f"{other.url}/film.mp4"))
        assert film.run() == 0, film.said
        assert other.authorizations == [None]
    finally:
        other.close()


# Downloads


def test_content_disposition_names_no_file(film, server):
    server.film = lambda: (200, {"Content-Disposition": 'attachment; filename="../../../evil.mp4"'}, FILM)
    assert film.run() == 0, film.said
    assert film.entry["render"]["path"] == "renders/film/takes/one@1.mp4"
    assert not [*film.folder.parent.rglob("evil*")]


def test_more_than_was_announced_is_no_whole_render(film, server):
    server.film = lambda: (200, {"Content-Length": str(len(FILM) - 100)}, FILM)
    assert film.run() in {1, 75}, film.said
    assert film.state == "rendered"
    assert not (film.folder / "renders/film/takes/one@1.mp4").exists()


def test_a_body_without_end_is_cut_at_the_cap(film, server, monkeypatch):
    monkeypatch.setattr(download, "MOST", 100_000)
    server.film = lambda: (200, {"Content-Length": None, "Connection": "close"}, b"\0" * 3_000_000)
    assert film.run() in {1, 75}, film.said
    assert "larger than 100000 bytes" in film.said
    assert sum(path.stat().st_size for path in film.folder.rglob("*.part")) <= 200_000
    assert film.state == "rendered"


@pytest.mark.parametrize("body", [b"", b"#!/bin/sh\nrm -rf /\n", b"<html>", b"#EXTM3U\nfile:///etc/passwd\n", FILM[:200]])
def test_what_is_no_film_never_gets_a_final_name(film, server, body):
    server.film = lambda: (200, {}, body)
    assert film.run() in {1, 75}, film.said
    assert not [*film.folder.rglob("*.mp4")]


# What a manifest says


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: one", 'id: "../one"', "E202"),
        ("id: one", 'id: "/one"', "E202"),
        ("id: one", 'id: "a/b"', "E202"),
        ("id: one", 'id: "a\\\\b"', "E202"),
        ("id: one", 'id: "a\\0b"', "E202"),
        ("id: one", "id: ..", "E202"),
        ("id: one", "id: CON", "E202"),
        ("id: one", "id: nul.txt", "E202"),
        ("id: one", "id: one.", "E202"),
        ("id: one", "id: .hidden", "E202"),
        ("attempts: 1", "output: ../x.mp4", "E410"),
        ("attempts: 1", "output: /tmp/x.mp4", "E410"),
        ("attempts: 1", "output: 'C:/x.mp4'", "E410"),
        ("attempts: 1", "output: 'a\\..\\x.mp4'", "E410"),
        ("attempts: 1", "output: .git/hooks/x.mp4", "E410"),
        ("attempts: 1", "vars: {dir: ..}\noutput: '${dir}/x.mp4'", "E410"),
        ("attempts: 1", "output: '${scene}/x.mp4'\nscenes: {'../..': {}}", "E410"),
    ],
)
def test_names_that_lead_out_of_the_folder_are_errors_before_anything_is_sent(film, server, old, new, said):
    text = film.manifest.read_text()
    assert old in text
    text = text.replace(old, new)
    text = text.replace("prompt: A pier", 'prompt: A pier, scene: "../.."') if "scenes" in new else text
    film.manifest.write_text(text)
    assert film.do("run") == 2, film.said
    assert f"[{said}]" in film.said
    assert server.accepted == []


@pytest.mark.parametrize(
    "medium",
    [
        "../secret.png",
        "/etc/passwd",
        ".env.png",
        ".ssh/id.png",
        "link.png",
        "ring.png",
        '"a\\0b.png"',
        "folder",
        "pipe.png",
        "a" * 5000,
    ],
)
def test_media_come_from_the_folder_and_from_real_files_only(film, server, medium):
    secret = film.folder.parent / "secret.png"
    secret.write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in (".env.png",):
        (film.folder / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    (film.folder / "link.png").symlink_to(secret)
    (film.folder / "ring.png").symlink_to("ring.png")
    (film.folder / "folder").mkdir()
    os.mkfifo(film.folder / "pipe.png")
    text = film.manifest.read_text().replace(
        "prompt: A pier", f"prompt: A pier, model: wan2.7-i2v, media: {{first_frame: {medium}}}"
    )
    film.manifest.write_text(text)
    assert film.do("run") == 2, film.said
    assert "E40" in film.said or "E410" in film.said
    assert server.accepted == []


def test_a_link_to_a_medium_inside_the_folder_is_as_good_as_the_file(film, server):
    from PIL import Image

    (film.folder / "art").mkdir()
    Image.new("RGB", (640, 360), "navy").save(film.folder / "art/keeper.png")
    (film.folder / "link.png").symlink_to("art/keeper.png")
    text = film.manifest.read_text().replace(
        "prompt: A pier", "prompt: A pier, model: wan2.7-i2v, media: {first_frame: link.png}"
    )
    film.manifest.write_text(text)
    assert film.do("check") == 0, film.said


@pytest.mark.parametrize("is_there", [True, False])
def test_an_output_that_is_a_link_is_never_written_through(film, is_there):
    """A symlink where the output would be is somebody's: neither it nor what it names is touched."""
    victim = film.folder.parent / "victim.mp4"
    if is_there:
        victim.write_bytes(b"mine")
    place = film.folder / "renders/film"
    place.mkdir(parents=True)
    (place / "one.mp4").symlink_to(victim)
    assert film.run() == 1, film.said
    assert not is_there or victim.read_bytes() == b"mine"
    assert victim.exists() == is_there
    assert (place / "one.mp4").is_symlink()


def test_a_take_that_became_a_link_or_another_file_is_never_written_through(film, server):
    assert film.run() == 0
    take = film.folder / film.entry["render"]["path"]
    victim = film.folder.parent / "victim.mp4"
    victim.write_bytes(b"mine")
    take.unlink()
    take.symlink_to(victim)
    assert film.run() in {0, 1}, film.said
    assert victim.read_bytes() == b"mine"
    assert len(server.accepted) == 1


def test_a_hard_link_to_a_strangers_file_is_not_written_into(film, server):
    assert film.run() == 0
    victim = film.folder.parent / "victim.mp4"
    victim.write_bytes(b"mine")
    part = film.folder / ".callsheet/parts/film-one@1.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    os.link(victim, part)
    for path in film.folder.glob("renders/**/*.mp4"):
        path.unlink()
    assert film.run() == 0, film.said
    assert victim.read_bytes() == b"mine"
    assert len(server.accepted) == 1


# Secrets


SHAPES = {
    "refusal": lambda key: (400, {}, {"code": f"Bad-{key}", "message": f"not for Bearer {key}, {key}", "request_id": key}),
    "page": lambda key: (502, {"Server": key}, f"<html>Authorization: Bearer {key}</html>".encode()),
    "no id": lambda key: (200, {}, {"code": "Odd", "message": f"Authorization={key}"}),
    "html cut": lambda key: (502, {}, f"{'x' * 150}{key}".encode()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_key_that_a_server_echoes_is_in_no_file_and_no_line(film, server, shape):
    server.submit = lambda: SHAPES[shape](KEY)
    assert film.do("run") == 1, film.said
    assert film.holds(KEY) == []
    assert film.do("run", "--json") == 1
    assert film.do("status") == 1
    assert film.holds(KEY) == []


def test_a_key_that_a_query_echoes_is_in_no_file_and_no_line(film, server):
    data = server.succeeded(actual_prompt=f"for {KEY}")
    data["usage"] = {"duration": 2, "SR": 720, "caller": KEY, KEY: 1}
    server.query = lambda: (200, {"Set-Cookie": KEY}, data)
    assert film.do("run", "--json") == 0
    assert film.holds(KEY) == []


def test_a_proxy_that_repeats_what_it_was_sent_tells_no_key(film, server, monkeypatch):
    monkeypatch.setattr(paying, "_TRIES_UNREACHED", 1)
    shots = "defaults: {model: wan2.7-t2v, parameters: {resolution: 720P}}\nshots: [{id: one, prompt: A pier}]\n"
    film.manifest.write_text(f"callsheet: 1\nprovider: qwencloud\nbudget: {{takes: 5}}\n{shots}")
    heard = []
    listener = socket.create_server(("127.0.0.1", 0))

    def proxy():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            heard.append(connection.recv(65_536))
            connection.sendall(f"HTTP/1.1 407 Bearer {KEY} for user:proxypass\r\nContent-Length: 0\r\n\r\n".encode())
            connection.close()

    threading.Thread(target=proxy, daemon=True).start()
    address = f"http://user:proxypass@127.0.0.1:{listener.getsockname()[1]}"
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert film.do("run") in {1, 75}, film.said
    listener.close()
    assert heard, "the proxy was asked"
    assert all(KEY.encode() not in said for said in heard), "a proxy never sees the key"
    assert film.holds(KEY) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Hostile", f"title: {KEY}"),
        ("prompt: A pier", f"prompt: A pier {KEY}"),
        ("prompt: A pier", f"prompt: A pier, negative_prompt: {KEY}"),
        ("prompt: A pier", f"prompt: A pier, scene: {KEY}"),
        ("attempts: 1", f"vars: {{key: {KEY}}}"),
        ("attempts: 1", f"output: '{KEY}/${{shot}}.mp4'"),
        ("attempts: 1", f"scenes: {{a: {{vars: {{b: [1, {KEY}]}}}}}}"),
        ("attempts: 1", f"profiles: {{draft: {{prompt: {KEY}}}}}"),
        ("    limits:", f"    auth: {{env: {KEY}}}\n    limits:"),
        ("/api/v1", f"/api/v1?key={KEY}"),
        ("prompt: A pier", f"prompt: A pier, unchecked: {{input: {{key: {KEY}}}}}"),
        ("prompt: A pier", f"prompt: A pier, media: {{driving_audio: 'https://h.example/a.mp3?api_key={KEY}'}}"),
        ("id: one", f"id: {KEY}"),
    ],
)
def test_a_key_anywhere_in_a_manifest_is_an_error_that_does_not_repeat_it(film, server, old, new):
    text = film.manifest.read_text()
    assert old in text
    film.manifest.write_text(text.replace(old, new))
    assert film.do("run") == 2, film.said
    assert "[E501]" in film.said
    assert KEY not in film.said
    assert film.do("check", "--format", "json", str(film.manifest)) == 2
    assert '"E501"' in film.said
    assert KEY not in film.said
    assert server.accepted == []


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://user:pa55word@h.example/a.mp3", "https://h.example/a.mp3"),
        ("https://token@h.example/a.mp3", "https://h.example/a.mp3"),
        ("https://h.example/a.mp3?api_key=pa55word&v=2", "https://h.example/a.mp3?v=2"),
        ("https://h.example/a.mp3?X-Api-Key=pa55word", "https://h.example/a.mp3"),
        ("https://h.example/a.mp3?access_token=pa55word", "https://h.example/a.mp3"),
        ("https://h.example/a.mp3?Signature=pa55word&Expires=1", "https://h.example/a.mp3"),
        ("https://user:pa55word@h.example/a.mp3?password=pa55word#t", "https://h.example/a.mp3"),
    ],
)
def test_a_mediums_address_is_kept_without_its_secrets(film, server, url, kept):
    film.manifest.write_text(
        film.manifest.read_text().replace("prompt: A pier", f"prompt: A pier, media: {{driving_audio: '{url}'}}")
    )
    assert film.do("run", "--json") == 0, film.said
    assert film.entry["request"]["media"]["driving_audio"] == kept
    film.manifest.unlink()  # where the author wrote it down
    assert film.holds("pa55word") == []


def test_addresses_without_secrets_are_kept_as_written():
    for url in ("https://h.example/a.mp3", "https://h.example/a%20b.png#x", "oss://bucket/a", "https://h.example/?key=picture"):
        assert unsigned(url) == url
    assert unsigned("http://[::1").startswith("sha256:")


# The border itself: values alone, faster than a run and closer to what is promised


@pytest.mark.parametrize("text", [text for text in TEXTS.values() if isinstance(text, str)])
def test_clean_texts_are_short_and_say_nothing_to_a_terminal(text):
    found = answers.clean(text, 100)
    assert len(found) <= 100
    assert found.isprintable()
    found.encode()


@pytest.mark.parametrize("link", LINKS, ids=lambda value: repr(value)[:20])
def test_what_is_no_link_to_the_web_is_not_taken_for_one(link):
    assert not answers.is_link(link)


@pytest.mark.parametrize("link", ["http://127.0.0.1/a", "http://[::1]/a", "http://localhost/a", "ftp://h.example/a", "file:///a"])
def test_links_are_judged_as_written_before_any_name_is_looked_up(link):
    with pytest.raises(Refused):
        Client(catalog.load().providers["qwencloud"], [PUBLIC], KEY).check_link(link)


def test_a_reply_that_is_none_is_none():
    for body in (*BOMBS.values(), b"", b"\xff", b"nul"):
        data = Reply(status=200, headers={}, body=body).data()
        assert data is None or not answers.is_id(answers.pick(data, "/output/task_id"))
