"""Every write, fsync, rename, link, send and receive of a process is a numbered point at which it can be killed.

`install(kill_at=K)` makes the K-th operation kill the process with SIGKILL before it is carried out (which is also
"after the one before"); with `torn`, a K-th operation that writes gets half its bytes on disk first. The product
has no hook for this: what is patched are the functions of the operating system that it calls.
"""

from __future__ import annotations

import os
import signal
import threading

import httpcore._backends.anyio as sockets

_FILES = ("write", "fsync", "replace", "rename", "link", "unlink", "ftruncate")


class Points:
    def __init__(self, kill_at: int, *, torn: bool) -> None:
        self.kill_at = kill_at
        self.torn = torn
        self.count = 0
        self.names: list[str] = []
        self._lock = threading.Lock()

    def reached(self, name: str, die=lambda: None) -> None:
        with self._lock:
            self.count += 1
            self.names.append(name)
            if self.count == self.kill_at:
                die()
                os.kill(os.getpid(), signal.SIGKILL)


def install(kill_at: int = 0, *, torn: bool = False) -> Points:
    points = Points(kill_at, torn=torn)
    for name in _FILES:
        setattr(os, name, _wrapped(points, name, getattr(os, name)))
    _sockets(points)
    return points


def _wrapped(points: Points, name: str, real):
    def call(*args, **kwargs):
        half = (lambda: real(args[0], bytes(args[1])[: len(args[1]) // 2])) if name == "write" and points.torn else lambda: None
        points.reached(name, half)
        return real(*args, **kwargs)

    return call


def _sockets(points: Points) -> None:
    write, read = sockets.AnyIOStream.write, sockets.AnyIOStream.read

    async def send(self, buffer, timeout=None):  # noqa: ASYNC109 - httpcore's signature
        points.reached("send")
        return await write(self, buffer, timeout)

    async def receive(self, max_bytes, timeout=None):  # noqa: ASYNC109 - httpcore's signature
        points.reached("receive")
        return await read(self, max_bytes, timeout)

    sockets.AnyIOStream.write = send
    sockets.AnyIOStream.read = receive
