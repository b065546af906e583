"""The append-only record of every transition: one JSON line each, on disk before the caller goes on.

Every record is written by one `os.write` to a file opened for appending; what must survive is fsynced. A line
without its end was never acknowledged, and is cut off when the journal is next opened for writing. Beside it lies a
reserve: a full disk refuses the next intent, but what is learnt of those already sent still finds room.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runner.errors import CallsheetError, Refused

VERSION = 1
# What the next run would learn again from file and provider, without cost: such records share an fsync.
_LEARNT_AGAIN = {"rendered", "saved"}
_GROUP = 0.02  # seconds between two fsyncs for them
_PIECE = 1024 * 1024
_RESERVE = 64 * 1024  # bytes, some two hundred records


class DiskError(CallsheetError):
    """Lock or journal cannot be written; nothing was sent after the last record that could be."""

    exit_code = 3


def read(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Every whole record, one at a time, with the byte at which its line ends. A missing journal is an empty one."""
    end = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                yield _record(line, path, number), end
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused(f"{path}: the journal cannot be read: {error.strerror}") from error


def _record(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, number) from error
    if not isinstance(record, dict) or "event" not in record:
        raise _damaged(path, number)
    if record["event"] == "run" and record.get("journal", VERSION) != VERSION:
        fact = f"{path}:{number}: the journal has version {record['journal']}, this callsheet knows {VERSION}"
        raise Refused(fact, hint="upgrade callsheet; nothing was sent")
    return record


def _damaged(path: Path, number: int) -> Refused:
    hint = "nothing was sent; keep a copy of the file and ask for help: without that line a take could be paid for twice"
    return Refused(f"{path}:{number}: this line of the journal is damaged", hint=hint)


class Journal:
    """The file, open for appending; one writer at a time, which the guard sees to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._reserve = path.with_suffix(".reserve")
        self._is_full = False
        self._synced = 0.0

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    @property
    def is_gone(self) -> bool:
        """Whether the open file is no longer the one under its name: the folder was deleted or replaced under way."""
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return True

    def open(self, size: int) -> None:
        """Open it and cut off what lies beyond `size`, a torn end."""
        with disk(self.path):
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
            if size != os.fstat(self._fd).st_size:
                os.ftruncate(self._fd, size)
            sync_folder(self.path.parent)
        with suppress(OSError):
            if not self._reserve.exists():
                self._reserve.write_bytes(os.urandom(_RESERVE))  # zeros take no room on a disk that compresses

    def append(self, record: Mapping[str, Any], *, sync: bool) -> None:
        """One line; with `sync` it is on disk when this returns, but for what can be learnt again: that waits a moment for others.

        What cannot be written whole is taken back.
        """
        sync = sync and (record["event"] not in _LEARNT_AGAIN or time.monotonic() - self._synced >= _GROUP)
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        is_intent = record["event"] == "intended"
        with disk(self.path):
            if is_intent and self._is_full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            try:
                self._put(line, sync=sync)
            except OSError:
                if is_intent or not self._reserve.exists():
                    raise
                self._reserve.unlink()
                self._is_full = True
                self._put(line, sync=sync)

    def _put(self, line: bytes, *, sync: bool) -> None:
        with self._undone(os.fstat(self._fd).st_size):
            if os.write(self._fd, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sync:
                os.fsync(self._fd)
                self._synced = time.monotonic()

    @contextmanager
    def _undone(self, size: int) -> Iterator[None]:
        """A line half written must not meet the next one."""
        try:
            yield
        except OSError:
            try:
                os.ftruncate(self._fd, size)
            except OSError:
                self.close()  # nothing may be glued to a torn line; the next run cuts it off
            raise

    def close(self) -> None:
        if self.is_open:
            os.close(self._fd)
            self._fd = -1


def write_whole(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write and fsync a file; the caller renames it into place. Many small parts become few writes."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    try:
        for piece in gathered((data,) if isinstance(data, bytes) else data):
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about a megabyte."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def says(path: Path, text: Iterable[bytes]) -> bool:
    """Whether a file has just this text."""
    try:
        with path.open("rb") as file:
            return all(file.read(len(part)) == part for part in gathered(text)) and not file.read(1)
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in a folder last; where folders cannot be opened (Windows) there is nothing to do."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Say in one sentence what the disk refuses."""
    try:
        yield
    except OSError as error:
        hint = "check the disk's space and the folder's permissions, then run again"
        raise DiskError(f"{path}: cannot be written: {error.strerror or error}", hint=hint) from error
