"""What hostile servers and odd folders have shown up, each in the smallest run that shows it; mended, and kept as guards."""

from __future__ import annotations

import socket
import tempfile

import pytest

from runner import paying
from runner.errors import CallsheetError
from tests.test_hostile import KEY, Film, film, opened, server
from tests.test_states import Desk, desk, done, studio

__all__ = ["Desk", "Film", "desk", "done", "film", "server", "studio"]

PLAIN = "0f3a9c77e1b24d5aa8c6"


def plain(film, monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", PLAIN)
    return film


@pytest.mark.parametrize("status", [400, 502])
def test_a_key_without_the_usual_beginning_that_a_server_echoes_is_in_no_file(film, server, monkeypatch, status):
    plain(film, monkeypatch)
    server.submit = lambda: (status, {}, {"code": "InvalidParameter", "message": f"not for Bearer {PLAIN}", "request_id": PLAIN})
    assert film.do("run", "--json") == 1
    assert film.holds(PLAIN) == []


def test_a_key_without_the_usual_beginning_that_a_query_echoes_is_in_no_file(film, server, monkeypatch):
    plain(film, monkeypatch)
    data = server.succeeded(actual_prompt=f"for {PLAIN}")
    data["usage"] = {"duration": 2, "SR": 720, "caller": PLAIN}
    server.query = lambda: (200, {}, data)
    assert film.do("run", "--json") == 0
    assert film.holds(PLAIN) == []


@pytest.mark.parametrize("where", ["environment", "env file"])
def test_a_bug_tells_no_key_on_the_terminal_or_in_its_log(film, monkeypatch, where):
    if where == "env file":
        monkeypatch.delenv("DASHSCOPE_API_KEY")
        (film.folder / "keys").write_text(f"DASHSCOPE_API_KEY={PLAIN}\n")
    else:
        monkeypatch.setenv("DASHSCOPE_API_KEY", PLAIN)

    def broken(*_, **__):
        raise RuntimeError(f"header {PLAIN}")

    monkeypatch.setattr(paying.wire, "submit", broken)
    logs = film.folder / "logs"
    logs.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(logs))
    assert film.do("run", *(["--env-file", "keys"] if where == "env file" else [])) == 70
    (film.folder / "keys").unlink(missing_ok=True)
    assert list(logs.glob("*.log"))
    assert film.holds(PLAIN) == []


@pytest.mark.parametrize("where", ["vars: {%s: 1}", "%s: 1", "scenes: {%s: {}}", "profiles: {%s: {}}", "providers: {%s: {}}"])
def test_a_key_as_a_name_in_a_manifest_is_an_error_that_does_not_repeat_it(film, where):
    shots = "defaults: {model: wan2.7-t2v}\nshots: [{id: one, prompt: A}]"
    film.manifest.write_text(f"callsheet: 1\n{where % KEY}\n{shots}\n")
    result = film.do("check", str(film.manifest))
    assert KEY not in film.said
    assert result == 2
    assert "[E501]" in film.said


@pytest.mark.parametrize("which", ["renders", "renders/film", "renders/film/takes"])
def test_an_output_folder_that_is_a_link_out_of_the_folder_is_not_written_through(film, server, which):
    """Contract §2: every path lies, after symlinks, inside the manifest's folder, or in an --allow-dir."""
    outside = film.folder.parent / "outside"
    outside.mkdir()
    link = film.folder / which
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    film.do("run")
    assert [*outside.rglob("*")] == []
    assert server.accepted == []


def test_a_takes_folder_that_became_a_link_between_two_runs_is_not_written_through(film, server):
    assert film.do("run") == 0
    outside = film.folder.parent / "outside"
    outside.mkdir()
    takes = film.folder / "renders/film/takes"
    takes.rename(film.folder / "old")
    takes.symlink_to(outside)
    film.do("run")
    assert [*outside.rglob("*")] == []


def test_a_manifest_renamed_without_its_lock_pays_for_nothing_unasked(done):
    """Contract §5: a paid take never looks new. `git mv film.callsheet.yaml movie.callsheet.yaml` leaves film's lock alone."""
    done.manifest.rename(done.folder / "movie.callsheet.yaml")
    assert done.do("run", "movie.callsheet.yaml")[1] == 0, done.said
    assert "film.callsheet.lock" in done.said


@pytest.fixture
def cable(monkeypatch):
    """Nothing leaves this machine: where a connection would have gone is written down, and it fails."""
    real, gone = socket.socket.connect, []

    def connect(self, address):
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1")):
            gone.append(address)
            raise ConnectionRefusedError
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return gone


@pytest.mark.parametrize("link", ["http://10.0.0.1/a.mp4", "http://169.254.169.254/a.mp4"])
def test_a_provider_on_this_machine_gives_no_links_into_the_network(server, cable, link):
    """Contract §6: never from private addresses unless the provider lives there; it lives on this machine, not there."""
    stopped = opened(link, base=f"{server.url}/api/v1")
    assert cable == []
    assert isinstance(stopped, CallsheetError)
    assert "private network" in stopped.fact


def test_a_redirect_from_this_machine_into_the_network_is_refused(server, cable):
    server.film = lambda: (302, {"Location": "http://169.254.169.254/a.mp4"}, b"")
    stopped = opened(f"{server.url}/film.mp4", base=f"{server.url}/api/v1")
    assert cable == []
    assert isinstance(stopped, CallsheetError)
    assert "private network" in stopped.fact
