"""Every write, fsync, rename, link, send and receive of a process is a numbered point at which it can be killed.

`install(kill_at=K)` makes the K-th operation kill the process with SIGKILL before it is carried out (which is also
"after the one before"); with `torn`, a K-th operation that writes gets half its bytes on disk first; with a `disk`,
the kill takes the power too. The product has no hook for this: what is patched are the functions of the operating
system that it calls.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from pathlib import Path

import httpcore._backends.anyio as sockets

from tests.faults.disk import Disk

_FILES = ("write", "fsync", "replace", "rename", "link", "unlink", "ftruncate")


class Points:
    def __init__(self, kill_at: int, *, torn: bool, disk: Disk | None = None, image: Path | None = None) -> None:
        self.kill_at = kill_at
        self.torn = torn
        self.disk = disk
        self.image = image
        self.count = 0
        self.names: list[str] = []
        self._lock = threading.RLock()

    def reached(self, name: str, die=lambda: None) -> None:
        with self._lock:
            self.count += 1
            self.names.append(name)
            if self.count == self.kill_at:
                if self.disk:
                    self.image.write_bytes(pickle.dumps(self.disk.after()))
                else:
                    die()
                os.kill(os.getpid(), signal.SIGKILL)

    def done(self, name: str, args: tuple) -> None:
        """What the disk learns of an operation that has succeeded."""
        if self.disk:
            with self._lock:
                if name == "fsync":
                    self.disk.synced(args[0])


def install(kill_at: int = 0, *, torn: bool = False, disk: Disk | None = None, image: Path | None = None) -> Points:
    points = Points(kill_at, torn=torn, disk=disk, image=image)
    real = {name: getattr(os, name) for name in _FILES}
    for name in _FILES:
        setattr(os, name, _wrapped(points, name, real[name]))
    _sockets(points)
    return points


def _wrapped(points: Points, name: str, real):
    def call(*args, **kwargs):
        half = (lambda: real(args[0], bytes(args[1])[: len(args[1]) // 2])) if name == "write" and points.torn else lambda: None
        points.reached(name, half)
        if points.disk and name in {"replace", "rename", "unlink"}:
            points.disk.pin()
        found = real(*args, **kwargs)
        points.done(name, args)
        return found

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
