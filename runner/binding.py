"""A folder's locks → one process at a time that binds a task to a take: a task has one owner, whoever asks at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runner import lockfile
from runner.errors import Refused
from runner.lock import Lock
from runner.lockfile import Files

_PATIENCE = 30.0  # seconds; it is held for as long as it takes to read the locks and write a line


@contextmanager
def binding(files: Files) -> Iterator[dict[str, Lock]]:
    """The folder's other locks, none of which takes a task while this is open. Raises Refused where one cannot be read."""
    from filelock import FileLock, Timeout  # not for those who only look

    lockfile.prepare(files.state)
    guard = FileLock(files.state / "binding.guard")
    try:
        guard.acquire(timeout=_PATIENCE)
    except Timeout as error:
        raise Refused("another process of this folder is binding tasks and does not end", hint="try again") from error
    except OSError as error:
        raise Refused(f"{files.state}: cannot be locked: {error.strerror or error}") from error
    try:
        yield lockfile.beside(files)
    finally:
        guard.release()
