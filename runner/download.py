"""A link → a whole, decodable render beside its place; what broke off is gone on with where the server vouches for it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from runner.client import Client
from runner.errors import TakeError, Unreachable
from runner.media import disk_fault
from runner.probe import ProbeError, check_video

MOST = 4 * 1024**3  # bytes; a 30 s 1080P render has some tens of MB
_WINDOW = 60.0  # seconds
_SLOWEST = 1024  # bytes a second, over a minute: what comes slower holds a place for ever and is asked for anew
_DEAD = {400, 401, 403, 404, 410}


class LinkDead(TakeError):
    """The link has expired or is refused; the task may give a fresh one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A whole, decodable render that lies beside, not yet under its name."""

    part: Path
    facts: Mapping[str, Any]


class _Part:
    """The file as it grows: so many bytes of it are here, with their hash; `validator` is by what the server knows it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.length: int | None = None
        self.validator = ""
        self.digest: Any = hashlib.sha256()
        self._note = self.path.with_name(f"{self.path.name}.json")
        self.is_noted = False
        with suppress(OSError):
            self.is_noted = self._note.exists()

    def take_up(self) -> None:
        """What an earlier attempt has left, if it was surely on the disk and can be gone on with."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            self._take_up()

    def _take_up(self) -> None:
        note = json.loads(self._note.read_text("utf-8"))
        size, length, validator = int(note["size"]), int(note["length"]), str(note["validator"])
        seen = self.path.stat()
        # A file with a second name is a finished render: never written into.
        if validator and validator.isascii() and 0 < size < length and seen.st_size == size and seen.st_nlink == 1:
            with self.path.open("rb") as file:
                self.digest = hashlib.file_digest(file, "sha256")
            self.size, self.length, self.validator = size, length, validator

    def begin(self, headers: Mapping[str, str], *, goes_on: bool) -> int:
        """Open it for what comes now; what is written from here on is vouched for only by `keep`."""
        if not goes_on:
            self.size, self.digest = 0, hashlib.sha256()
            etag = headers.get("etag", "")
            # Only a strong validator vouches for every byte.
            self.validator = etag if etag and not etag.startswith("W/") else headers.get("last-modified", "")
            announced = "" if "transfer-encoding" in headers else headers.get("content-length", "")  # RFC 9112, 6.3
            self.length = int(announced) if announced.isdigit() else None
        self.forget()
        try:
            if goes_on:
                return os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
            # Never written into as it is: after a crash it may be another name of a finished render.
            how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with suppress(FileExistsError, FileNotFoundError):
                return os.open(self.path, how, 0o644)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            return os.open(self.path, how, 0o644)
        except OSError as error:
            raise disk_fault(self.path, error) from error

    def add(self, fd: int, chunk: bytes) -> None:
        if self.size + len(chunk) > MOST:
            raise TakeError(f"the render is larger than {MOST} bytes", code="TooLarge")
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(fd, view) :]
        except OSError as error:
            raise disk_fault(self.path, error) from error
        self.size += len(chunk)
        self.digest.update(chunk)

    def end(self) -> None:
        if self.length is not None and self.length != self.size:
            raise Unreachable(f"the render was cut short: {self.size} of {self.length} bytes", sent=True)

    def keep(self, fd: int) -> None:
        """Note how far it has come, so that the next attempt can go on; without the note it is fetched whole."""
        if self.validator and self.length is not None:
            with suppress(OSError):
                os.fsync(fd)
                note = {"validator": self.validator, "length": self.length, "size": self.size}
                self.is_noted = True
                self._note.write_text(json.dumps(note), "utf-8")

    def forget(self) -> None:
        if self.is_noted:
            with suppress(OSError):
                self._note.unlink(missing_ok=True)
                self.is_noted = False


async def fetch(client: Client, url: str, path: Path, *, headers: Mapping[str, str] | None = None, key: bool = False) -> Fetched:
    """Stream a render to `path`, check its length and that it decodes. Raises LinkDead, TakeError, Unreachable.

    An earlier beginning of the same file is gone on with by Range and If-Range (RFC 9110, 13.1.5 and 14).
    """
    part = _Part(path)
    if part.is_noted:
        await anyio.to_thread.run_sync(part.take_up)  # it hashes all that is there
    asked = {"Range": f"bytes={part.size}-", "If-Range": part.validator} if part.size else {}
    async with client.download(url, headers={**(headers or {}), **asked}, key=key) as response:
        goes_on = part.size > 0 and response.status_code == 206 and _continues(response.headers, part)
        if response.status_code != 200 and not goes_on:
            part.forget()
            if response.status_code in _DEAD:
                raise LinkDead(f"the link answers HTTP {response.status_code}", code="LinkDead", retryable=True)
            raise Unreachable(f"the link answers HTTP {response.status_code}", sent=True)
        fd = part.begin(response.headers, goes_on=goes_on)
        try:
            await _pour(response, part, fd)
            facts = await anyio.to_thread.run_sync(_settled, fd, path)
        except TakeError:
            raise
        except BaseException:
            part.keep(fd)
            raise
        finally:
            os.close(fd)
    return Fetched(part=path, facts={**facts, "sha256": part.digest.hexdigest(), "bytes": part.size})


async def _pour(response: Any, part: _Part, fd: int) -> None:
    since, seen = anyio.current_time(), part.size
    async for chunk in response.aiter_raw():
        part.add(fd, chunk)
        if (seconds := anyio.current_time() - since) >= _WINDOW:
            if part.size - seen < _SLOWEST * seconds:
                raise Unreachable(f"the link sends less than {_SLOWEST} bytes a second", sent=True)
            since, seen = anyio.current_time(), part.size
    part.end()


def _continues(headers: Mapping[str, str], part: _Part) -> bool:
    return part.length is not None and headers.get("content-range", "") == f"bytes {part.size}-{part.length - 1}/{part.length}"


def _settled(fd: int, path: Path) -> dict[str, Any]:
    """On the disk, and decoded; in one go, as each way into a thread and back costs as much as hashing 100 kB."""
    try:
        os.fsync(fd)
    except OSError as error:
        raise disk_fault(path, error) from error
    return _facts(path)


def _facts(path: Path) -> dict[str, Any]:
    try:
        seen = check_video(path)
    except ProbeError as error:
        raise TakeError(f"the render does not decode: {error.fact}", code="Damaged", retryable=True) from error
    facts = {"width": seen.width, "height": seen.height, "fps": seen.fps, "sound": seen.sound}
    lasts = seen.pictures or seen.seconds  # of the pictures: with `fps` it gives their number where the file is not at hand
    return {**facts, "seconds": None if lasts is None else round(lasts, 3)}
