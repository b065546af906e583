"""A render on its way to the disk: what lies in its way, and a disk that takes it only in appearance."""

from __future__ import annotations

import errno
import functools
import os

import anyio
import pytest

from runner import catalog
from runner.client import Client
from runner.download import fetch
from runner.errors import TakeError
from tests.fakes import FILM
from tests.test_http1 import Server, serving

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FILM) + FILM


@pytest.fixture(params=["asyncio", "trio"])
def go(request):
    return functools.partial(anyio.run, backend=request.param)


def fetched(go, path):
    async def main():
        server = Server(WHOLE)
        async with serving(server):
            url = f"http://127.0.0.1:{server.port}"
            async with Client(catalog.load().providers["qwencloud"], [url], "sk-test-0123456789") as client:
                try:
                    return await fetch(client, f"{url}/film.mp4", path)
                except TakeError as error:
                    return error

    return go(main)


def test_the_folder_is_made_where_there_is_none(go, tmp_path):
    path = tmp_path / "not" / "yet" / "s010@1.part"
    assert fetched(go, path).facts["bytes"] == len(FILM)
    assert path.read_bytes() == FILM


def test_what_lies_there_is_never_written_into(go, tmp_path):
    """After a crash it may be another name of a finished render."""
    finished, path = tmp_path / "s010@1.mp4", tmp_path / "s010@1.part"
    finished.write_bytes(b"an earlier render")
    os.link(finished, path)
    assert fetched(go, path).facts["bytes"] == len(FILM)
    assert path.read_bytes() == FILM
    assert finished.read_bytes() == b"an earlier render"


def test_a_disk_that_refuses_only_at_the_end_is_the_disks_fault_and_not_the_providers(go, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    stopped = fetched(go, tmp_path / "s010@1.part")
    assert isinstance(stopped, TakeError)
    assert stopped.code == "Disk"
    assert "No space left" in stopped.fact
