"""A provider that costs next to nothing: canned replies as fast as a socket takes them, so that clients are what is measured.

    python -m tests.bench.provider [--polls 3] [--crowd 0] [--film FILE]

It speaks the native dialect, says its address first, and ends when its standard input closes. A task is RUNNING until it
was asked for `--polls` times. `GET /film/TASK` answers FILE, a little longer for each task, so that no two renders are
of one size; `GET /bytes/N` so many bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import struct
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.faults.world import ROOT

_MEGABYTE = bytes(1 << 20)


class Canned(asyncio.Protocol):
    """One connection; keeps it as long as the client does."""

    submitted = 0
    crowd = 0
    asked: ClassVar[defaultdict[bytes, int]] = defaultdict(int)
    sending: ClassVar[set[asyncio.Task]] = set()
    polls = 3
    film = b""
    base = ""

    def connection_made(self, transport: asyncio.Transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport, self.data = transport, b""
        self.writing = asyncio.Event()
        self.writing.set()

    def pause_writing(self) -> None:
        self.writing.clear()

    def resume_writing(self) -> None:
        self.writing.set()

    def connection_lost(self, _: Exception | None) -> None:
        self.writing.set()

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.data) < end + 4 + length:
                return
            self.data = self.data[end + 4 + length :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1].partition(b"?")[0].rstrip(b"/")
        if head.startswith(b"POST"):
            Canned.submitted += 1
            self._json({"output": {"task_status": "PENDING", "task_id": f"task-{self.submitted}"}, "request_id": "r"})
        elif path.startswith(b"/bytes/"):
            task = asyncio.ensure_future(self._bytes(int(path[7:])))
            self.sending.add(task)  # else nothing would hold it
            task.add_done_callback(self.sending.discard)
        elif path.startswith(b"/film/"):
            self._write(b"video/mp4", self.film + _free(int(path.partition(b"-")[2])))
        else:
            self._told(path.rsplit(b"/", 1)[1])

    def _told(self, task: bytes) -> None:
        self.asked[task] += 1
        output = {"task_id": task.decode(), "task_status": "RUNNING", "submit_time": "2026-11-21 09:02:03.456"}
        if self.polls and self.asked[task] >= self.polls and self.submitted >= self.crowd:
            output |= {"task_status": "SUCCEEDED", "video_url": f"{self.base}/film/{task.decode()}", "orig_prompt": "Pier"}
        self._json({"request_id": "r", "output": output})

    def _json(self, data: object) -> None:
        self._write(b"application/json", json.dumps(data).encode())

    def _write(self, kind: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
        self.transport.write(head + body)

    async def _bytes(self, count: int) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n" % count)
        while count and not self.transport.is_closing():
            await self.writing.wait()
            self.transport.write(_MEGABYTE[:count])
            count -= min(count, len(_MEGABYTE))


def _free(number: int) -> bytes:
    """So much of nothing at the end of an MP4 and 8 bytes more."""
    return struct.pack(">I4s", 8 + number, b"free") + bytes(number)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", 0, backlog=4096)
    Canned.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(Canned.base, flush=True)
    ended = asyncio.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set)), daemon=True).start()
    await ended.wait()


@contextmanager
def provider(*, polls: int = 3, crowd: int = 0, film: Path | None = None) -> Iterator[str]:
    """The address of one in a process of its own."""
    how = ["--polls", str(polls), "--crowd", str(crowd), *(["--film", str(film)] if film else [])]
    argv = [sys.executable, "-m", "tests.bench.provider", *how]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(10)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--polls", type=int, default=3, help="queries until a task has ended; 0 for never")
    asked.add_argument("--crowd", type=int, default=0, help="no task ends before there are so many")
    asked.add_argument("--film", type=Path)
    how = asked.parse_args()
    Canned.polls, Canned.crowd = how.polls, how.crowd
    Canned.film = how.film.read_bytes() if how.film else b""
    asyncio.run(serve())


if __name__ == "__main__":
    main()
