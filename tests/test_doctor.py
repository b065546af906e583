"""`callsheet doctor`: what is well and what is not, against a real studio, and never a paid request."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest

from runner import catalog, doctor, lockfile
from runner.cli import code
from runner.lockfile import Files
from runner.studio import Settings, Studio
from tests.faults.world import storyboard, tiny

KEY = "sk-0123456789abcdef"
CHECKS = {"python", "encoder", "fonts", "clock", "manifest", "folder", "links", "space"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny, api_key=KEY)) as studio:
        yield studio
        assert studio.bills() == [], "the doctor submitted something"


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Runs the doctor in an empty folder with nothing of ours in the environment; its exit code and its checks by name."""
    monkeypatch.chdir(tmp_path)
    for name in ("DASHSCOPE_API_KEY", "QWENCLOUD_BASE_URL", "YUTOAI_BASE_URL", "STUDIO_BASE_URL", "CALLSHEET_TRUST_HOSTS"):
        monkeypatch.delenv(name, raising=False)

    def ask(*args, **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        result = code(["doctor", *args, "--json"])
        text = capsys.readouterr().out
        assert KEY not in text
        checks = json.loads(text)["checks"]
        assert all(check.keys() == {"name", "state", "says", "hint"} for check in checks)
        assert result == (2 if any(check["state"] == "bad" for check in checks) else 0)
        return result, {check["name"]: check for check in checks}

    return ask


def states(checks, *names):
    return [checks[name]["state"] if name in checks else None for name in names]


class Service(BaseHTTPRequestHandler):
    """A service that answers everything with one reply, and remembers what it was asked."""

    reply = (200, {}, b"{}")
    asked: list[str]

    def do_GET(self):
        self.asked.append(f"{self.command} {self.path}")
        status, headers, body = self.reply
        if callable(body):
            body = body(self.headers)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    """Starts a service with one reply; its base URL and the list of what it is asked."""
    servers = []

    def start(status, body, **headers):
        asked = []
        kind = type("One", (Service,), {"reply": (status, headers, body), "asked": asked})
        server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def examined(base_url, *, name="qwencloud", without=(), env="DASHSCOPE_API_KEY", now=time.time, **environ):
    """What the doctor says of an account at another address, less some parts of its profile."""
    spec = {**catalog.load().providers[name].spec, "base_url": base_url, "fallback_urls": [], "auth": {"env": env}}
    provider = catalog.provider_of({part: value for part, value in spec.items() if part not in without})

    async def ask():
        return {check.name: check.data() async for check in doctor.account(provider, {env: KEY, **environ}, (), now)}

    return anyio.run(ask)


def test_a_sound_machine_and_folder(said, tmp_path):
    result, checks = said()
    assert result == 0
    assert checks.keys() == CHECKS
    assert states(checks, "python", "encoder", "clock", "manifest", "folder") == ["ok"] * 5
    assert "2 frames" in checks["encoder"]["says"]
    assert list(tmp_path.iterdir()) == [], "the doctor left something behind"


def test_people_get_a_line_a_check(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert code(["doctor"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "hint:" not in line]
    assert [line.split()[1] for line in lines] == [
        *("python", "encoder", "fonts", "clock", "manifest", "folder", "links", "space"),
    ]
    assert {line.split()[0] for line in lines} <= {"ok", "warn"}


def test_a_key_that_is_let_in(said, studio):
    result, checks = said("qwencloud", DASHSCOPE_API_KEY=KEY, QWENCLOUD_BASE_URL=studio.base_url)
    assert result == 0
    assert states(checks, "address", "trust", "key", "request", "skew") == ["ok"] * 5
    assert checks["key"]["says"].endswith("qwencloud:" + hashlib.sha256(KEY.encode()).hexdigest()[:8])


def test_a_wrong_key_and_where_it_may_belong(said, studio):
    result, checks = said("qwencloud", DASHSCOPE_API_KEY="sk-of-somebody-else", QWENCLOUD_BASE_URL=studio.base_url)
    assert result == 2
    assert checks["request"]["state"] == "bad"
    assert "InvalidApiKey" in checks["request"]["says"]
    assert "another region" in checks["request"]["hint"]
    assert "somebody" not in json.dumps(checks)


def test_no_key_asks_nobody(said, service):
    url, asked = service(200, b"{}")
    result, checks = said("qwencloud", QWENCLOUD_BASE_URL=url)
    assert result == 2
    assert checks["key"]["state"] == "bad"
    assert "DASHSCOPE_API_KEY" in checks["key"]["hint"]
    assert "request" not in checks
    assert asked == []


@pytest.mark.parametrize("key", ["sk-with a space in it", "schlüssel-schlüssel"])
def test_what_cannot_be_a_key_is_told_apart(said, studio, key):
    result, checks = said("qwencloud", DASHSCOPE_API_KEY=key, QWENCLOUD_BASE_URL=studio.base_url)
    assert result == 2
    assert checks["key"]["state"] == "bad"
    assert key not in json.dumps(checks, ensure_ascii=False)


def test_a_key_in_quotes_is_warned_of(said, studio):
    _, checks = said("qwencloud", DASHSCOPE_API_KEY=f'"{KEY}"', QWENCLOUD_BASE_URL=studio.base_url)
    assert checks["key"]["state"] == "warn"


def test_a_host_that_is_not_trusted_gets_no_request(said):
    environ = {"DASHSCOPE_API_KEY": KEY, "QWENCLOUD_BASE_URL": "https://gateway.example.com/api/v1"}
    result, checks = said("qwencloud", **environ)
    assert result == 2
    assert states(checks, "address", "trust", "key", "request") == ["ok", "bad", "ok", None]
    assert "--trust-host DASHSCOPE_API_KEY=gateway.example.com" in checks["trust"]["hint"]


def test_a_host_is_trusted_as_a_run_trusts_it(studio):
    """A variable of one's own needs the user's word, for loopback too."""
    host = studio.base_url.split("/")[2]
    refused = examined(studio.base_url, env="MY_KEY")
    assert states(refused, "trust", "request") == ["bad", None]
    allowed = examined(studio.base_url, env="MY_KEY", CALLSHEET_TRUST_HOSTS=f"MY_KEY={host}")
    assert states(allowed, "trust", "request") == ["ok", "ok"]


def test_plain_http_elsewhere_is_bad_and_gets_no_request(said):
    environ = {"DASHSCOPE_API_KEY": KEY, "QWENCLOUD_BASE_URL": "http://dashscope.example.com/api/v1"}
    _, checks = said("qwencloud", "--trust-host", "DASHSCOPE_API_KEY=dashscope.example.com", **environ)
    assert states(checks, "address", "request") == ["bad", None]


def test_a_provider_without_an_address_says_what_to_set():
    checks = examined(None)
    assert states(checks, "address", "key", "request") == ["bad", "ok", None]
    assert "QWENCLOUD_BASE_URL" in checks["address"]["hint"]


def test_the_studio_is_started_for_the_question(said):
    result, checks = said("studio")
    assert result == 0
    assert states(checks, "key", "request") == ["ok", "ok"]


def test_where_there_is_no_list_a_task_that_never_was_is_asked_for(studio, service):
    checks = examined(studio.base_url, without=("list",))
    assert checks["request"]["state"] == "ok"
    assert "unknown" in checks["request"]["says"]
    url, asked = service(200, b'{"output": {"task_status": "UNKNOWN"}}')
    assert examined(url, without=("list",))["request"]["state"] == "ok"
    assert asked == ["GET /tasks/00000000-0000-0000-0000-000000000000"]


@pytest.mark.parametrize("name", ["aisa", "apiyi", "opeai", "yutoai"])
def test_every_service_is_asked_in_its_own_dialect(tmp_path, name):
    env = catalog.load().providers[name].env
    with Studio(Settings(folder=tmp_path, render=tiny, api_key=KEY, dialect=name)) as studio:
        checks = examined(studio.base_url, name=name, env=env)
        assert states(checks, "address", "trust", "key", "request", "skew") == ["ok"] * 5, checks
        wrong = examined(studio.base_url, name=name, env=env, **{env: "sk-of-somebody-else"})
        assert states(wrong, "key", "request") == ["ok", "bad"], wrong
        assert studio.bills() == []


def test_a_gateway_without_a_host_says_what_to_set(said):
    result, checks = said("yutoai")
    assert result == 2
    assert "YUTOAI_BASE_URL" in checks["address"]["hint"]


@pytest.mark.parametrize(
    ("status", "body", "without", "state"),
    [
        (401, b'{"code": "InvalidApiKey", "message": "no"}', (), "bad"),
        (403, b'{"code": "AccessDenied", "message": "no"}', ("list",), "bad"),
        (400, b'{"code": "task_not_exist", "message": "no"}', ("list",), "ok"),
        (404, b'{"message": "there is no such task"}', ("list",), "ok"),
        (404, b"<html>nginx</html>", ("list",), "warn"),
        (404, b'{"code": "NotFound", "message": "no such path"}', (), "warn"),
        (200, b"<html>welcome</html>", (), "warn"),
        (200, b"<html>welcome</html>", ("list",), "warn"),
        (307, b"", (), "warn"),
        (429, b'{"code": "Throttling", "message": "slow"}', (), "warn"),
        (500, b"unsupported uri", ("list",), "warn"),
        (503, b'{"code": "InternalError", "message": "later"}', (), "warn"),
    ],
)
def test_what_a_reply_says_of_the_account(service, status, body, without, state):
    url, asked = service(status, body)
    assert examined(url, without=without)["request"]["state"] == state
    assert len(asked) == 1
    assert asked[0].startswith("GET ")


def test_a_key_that_the_server_repeats_is_not_shown(service):
    url, _ = service(401, lambda headers: json.dumps({"code": "no", "message": f"bad {headers['Authorization']}"}).encode())
    key = "0123-unlike-any-other"  # nothing that looks like a key by itself
    checks = examined(url, DASHSCOPE_API_KEY=key)
    assert key not in json.dumps(checks)
    assert "bad Bearer …" in checks["request"]["says"]


def test_nobody_there_is_bad(service):
    url, _ = service(200, b"{}")
    gone = url.rsplit(":", 1)[0] + ":9"
    assert states(examined(gone), "request", "skew") == ["bad", None]


@pytest.mark.parametrize(("seconds", "state"), [(30, "ok"), (90, "warn"), (-3600, "warn")])
def test_clocks_that_differ(studio, seconds, state):
    checks = examined(studio.base_url, now=lambda: time.time() + seconds)
    assert checks["skew"]["state"] == state
    if state == "warn":
        assert ("ahead of" if seconds > 0 else "behind") in checks["skew"]["says"]


def test_a_clock_before_the_catalogue_is_wrong():
    checks = {check.name: check for check in doctor.machine(1_500_000_000.0)}
    assert checks["clock"].state == "warn"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere, Windows asks otherwise")
def test_a_folder_that_cannot_be_written_to(said, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "film.callsheet.yaml").write_text("callsheet: 1\nshots: [{id: s, model: wan2.7-t2v, prompt: A}]\n")
    folder.chmod(0o555)
    try:
        result, checks = said("--manifest", str(folder / "film.callsheet.yaml"))
    finally:
        folder.chmod(0o755)
    assert result == 2
    assert states(checks, "folder", "links") == ["bad", None]


def test_a_folder_that_is_not_there_is_bad(tmp_path):
    checks = {check.name: check.state for check in doctor.disk(tmp_path / "gone", None)}
    assert checks == {"folder": "bad", "space": "warn"}


def test_a_file_system_without_hard_links_is_warned_of(said, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    result, checks = said()
    assert (result, checks["links"]["state"]) == (0, "warn")


def test_an_encoder_that_does_not_work_is_bad(said, monkeypatch):
    monkeypatch.setattr("runner.studio.film.ENCODERS", ())
    result, checks = said()
    assert (result, checks["encoder"]["state"]) == (2, "bad")
    assert "pip install" in checks["encoder"]["hint"]


def test_the_only_manifest_and_its_lock_are_looked_at(said, tmp_path, studio):
    path = storyboard(tmp_path / "film", url="http://127.0.0.1:9/api/v1", tag="doctor")
    _, checks = said("--manifest", str(path))
    assert "2 shots" in checks["manifest"]["says"]
    assert "lock" not in checks
    assert not (path.parent / ".callsheet").exists()
    (path.parent / "small.callsheet.lock").write_text('{"callsheet_lock": 1, "takes": {}}\n')
    _, checks = said("--manifest", str(path))
    assert checks["lock"]["state"] == "ok"
    assert "held by nobody" in checks["lock"]["says"]
    assert not (path.parent / ".callsheet").exists()
    files = Files(lock=(path.parent / "small.callsheet.lock").absolute())
    with lockfile.held(files):
        _, checks = said("--manifest", str(path))
        assert checks["lock"]["state"] == "warn"
        assert f"pid {os.getpid()}" in checks["lock"]["says"]
    files.lock.write_text("{")
    result, checks = said("--manifest", str(path))
    assert (result, checks["lock"]["state"]) == (2, "bad")


def test_a_manifest_with_errors_is_bad_and_says_how_to_see_them(said, tmp_path):
    (tmp_path / "film.callsheet.yaml").write_text("callsheet: 1\n")
    result, checks = said()
    assert (result, checks["manifest"]["state"]) == (2, "bad")
    assert "callsheet check" in checks["manifest"]["hint"]


def test_a_provider_of_the_manifest_is_asked_with_the_manifests_words(said, tmp_path, studio):
    (tmp_path / "film.callsheet.yaml").write_text(
        f"callsheet: 1\nproviders: {{mine: {{extends: qwencloud, base_url: '{studio.base_url}', auth: {{env: MY_KEY}}}}}}\n"
        "shots: [{id: s, model: wan2.7-t2v, prompt: A}]\n"
    )
    trust = ("--trust-host", f"MY_KEY={studio.base_url.split('/')[2]}")
    (tmp_path / ".env").write_text(f"MY_KEY={KEY}\n")
    result, checks = said("mine", "--env-file", ".env", *trust)
    assert result == 0, checks
    assert checks["request"]["state"] == "ok"
    assert said("mine", *trust)[1]["key"]["state"] == "bad"


def test_an_unknown_provider_is_wrong_usage(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert code(["doctor", "qwencluod"]) == 2
    assert "qwencloud" in capsys.readouterr().err


def test_its_help_has_an_example(capsys):
    assert code(["doctor", "--help"]) == 0
    assert "callsheet doctor" in capsys.readouterr().out.split("Options:")[0].split("\n", 1)[1]
