"""The append-only record of every transition: one JSON line each, on disk before the caller goes on.

Every record is written by one `os.write` to a file opened for appending; what must survive is fsynced. A line
without its end was never acknowledged, and is cut off when the journal is next opened for writing.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.errors import CallsheetError, Refused


class DiskError(CallsheetError):
    """Lock or journal cannot be written; nothing was sent after the last record that could be."""

    exit_code = 3


def read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Every whole record, and how many bytes they take. A missing journal is an empty one."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise Refused(f"{path}: the journal cannot be read: {error.strerror}") from error
    whole = data[: data.rfind(b"\n") + 1]
    records = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise Refused(
                f"{path}:{number}: this line of the journal is damaged", hint="keep a copy of it and ask for help"
            ) from error
    return records, len(whole)


class Journal:
    """The file, open for appending; one writer at a time, which the guard sees to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def open(self) -> list[dict[str, Any]]:
        """Open it and cut off a torn end; what it says so far."""
        with disk(self.path):
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
            records, size = read(self.path)
            if size != os.fstat(self._fd).st_size:
                os.ftruncate(self._fd, size)
            sync_folder(self.path.parent)
        return records

    def append(self, record: Mapping[str, Any], *, sync: bool) -> None:
        """One line; with `sync` it is on disk when this returns. What cannot be written whole is taken back."""
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        before = os.fstat(self._fd).st_size
        with disk(self.path), self._undone(before):
            if os.write(self._fd, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sync:
                os.fsync(self._fd)

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


def write_whole(path: Path, data: bytes) -> None:
    """Write and fsync a file; the caller renames it into place."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)


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
