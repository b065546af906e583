"""Tasks in a folder: every accepted submit and every change of state is a line on disk before anyone hears of it.

A thousand tasks under way would wait for three thousand fsyncs, one after the other: callers that come while one is
going on share the next.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections import ChainMap, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from runner.errors import LockHeld, Refused

Status = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED"]
_FILE = "tasks.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """One accepted submit. Times are seconds since the epoch; `key` tells API keys apart without saying them."""

    task_id: str
    request_id: str
    at: float
    take: str
    hash: str
    body: Mapping[str, Any]
    key: str = ""
    doom: str | None = None

    @property
    def model(self) -> str:
        return str(self.body["model"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task as it stands now."""

    bill: Bill
    status: Status = "PENDING"
    running_at: float | None = None
    ended_at: float | None = None
    code: str | None = None
    message: str | None = None
    file: str | None = None
    usage: Mapping[str, Any] | None = None


class StoreClosed(Exception):
    """The studio was stopped while a render was still going on; the next start renders it again."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of state to be; `facts` are the task's fields that come with it."""

    task_id: str
    status: Status
    facts: Mapping[str, Any] = field(default_factory=dict)


_BEFORE: Mapping[Status, Status] = {"RUNNING": "PENDING", "CANCELED": "PENDING", "SUCCEEDED": "RUNNING", "FAILED": "RUNNING"}
_Changed = tuple[Mapping[str, Any], Task]  # a line, and the task that it makes
# Told the tasks as they will be; None where there is nothing to change.
_Change = Callable[[Mapping[str, Task]], _Changed | None]


@dataclass(slots=True)
class _Order:
    """Changes that one caller waits for."""

    changes: list[_Change]
    made: list[Task | None] | None = None
    error: Exception | None = None


class Store:
    """The tasks of one folder, for one process at a time (else LockHeld); methods may be called from any thread."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self._path = folder / _FILE
        self._change = threading.Lock()
        self._waiting: deque[_Order] = deque()
        # Not thread-local: the thread that stops a studio need not be the one that started it.
        self._guard = FileLock(folder / "studio.lock", thread_local=False)
        self._hold(folder)
        try:
            self._tasks = {task.bill.task_id: task for task in _replay(_mended(self._path))}
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        except BaseException:
            self._guard.release()
            raise
        self._open = True
        _sync_folder(folder)

    def _hold(self, folder: Path) -> None:
        note = folder / "studio.pid"
        try:
            self._guard.acquire(timeout=0)
        except Timeout as error:
            pid = note.read_text("ascii").strip() if note.exists() else "unknown"
            raise LockHeld(
                f"another studio (process {pid}) is at work in {folder.as_posix()}",
                holder={"pid": pid},
                hint="stop it, or keep the tasks elsewhere: callsheet studio --folder DIR",
            ) from error
        note.write_text(f"{os.getpid()}\n", "ascii")

    def close(self) -> None:
        with self._change:
            if self._open:
                self._open = False
                os.close(self._fd)
                self._guard.release()

    def get(self, task_id: str) -> Task | None:
        return self._tasks.get(task_id)

    def newest_first(self) -> Iterator[Task]:
        return reversed(list(self._tasks.values()))

    def unfinished(self) -> list[str]:
        """Ids of tasks still to be rendered, in order."""
        return [task.bill.task_id for task in self._tasks.values() if task.status in {"PENDING", "RUNNING"}]

    def bills(self) -> list[Bill]:
        """Every accepted submit, in order."""
        return [task.bill for task in list(self._tasks.values())]

    def accept(self, *, body: Mapping[str, Any], take: str, request_hash: str, key: str, doom: str | None) -> Bill:
        """Take a submit on: from its return the task exists, whatever happens to this process."""

        def accepted(_: Mapping[str, Task]) -> _Changed:
            bill = Bill(
                task_id=str(uuid.uuid4()),
                request_id=str(uuid.uuid4()),
                at=self.clock(),
                take=take,
                hash=request_hash,
                body=body,
                key=key,
                doom=doom,
            )
            return {"event": "accepted", **asdict(bill)}, Task(bill=bill)

        (task,) = self._commit([accepted])
        assert task  # noqa: S101 - nothing keeps it from being accepted
        return task.bill

    def move(self, moves: Iterable[Move]) -> list[Task | None]:
        """Changes of state, written together; None for each that no longer fits: a canceled task is not run."""
        return self._commit([partial(self._moved, move=move) for move in moves])

    def cancel(self, task_id: str) -> bool:
        """PENDING → CANCELED; False when the task is anything else."""
        return task_id in self._tasks and self.move([Move(task_id, "CANCELED")]) != [None]

    def _moved(self, tasks: Mapping[str, Task], *, move: Move) -> _Changed | None:
        task = tasks[move.task_id]
        if task.status != _BEFORE[move.status]:
            return None
        at = {"running_at" if move.status == "RUNNING" else "ended_at": self.clock()}
        change = {"status": move.status, **at, **move.facts}
        return {"event": "moved", "task_id": move.task_id, **change}, replace(task, **change)

    def _commit(self, changes: list[_Change]) -> list[Task | None]:
        """Write changes, and be done when they are on disk: whoever comes first writes and syncs for all that wait by then."""
        order = _Order(changes)
        self._waiting.append(order)
        with self._change:
            if order.made is None and order.error is None:
                self._write([self._waiting.popleft() for _ in range(len(self._waiting))])
        if order.error is not None:
            raise order.error
        return order.made or []

    def _write(self, orders: Sequence[_Order]) -> None:
        """All of them or none, in the order in which they came; each change sees what those before it have made."""
        changed: dict[str, Task] = {}
        lines: list[Mapping[str, Any]] = []
        seen = ChainMap(changed, self._tasks)
        try:
            made = [[self._take(change(seen), changed, lines) for change in order.changes] for order in orders]
            if lines:
                self._append(lines)
        except Exception as error:  # noqa: BLE001 - every caller that waits raises it
            for order in orders:
                order.error = error
            return
        self._tasks.update(changed)
        for order, found in zip(orders, made, strict=True):
            order.made = found

    def _take(self, change: _Changed | None, changed: dict[str, Task], lines: list[Mapping[str, Any]]) -> Task | None:
        if change is None:
            return None
        line, task = change
        lines.append(line)
        changed[task.bill.task_id] = task
        return task

    def _append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        if not self._open:
            raise StoreClosed("the studio has been stopped")
        data = memoryview(b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines))
        end = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            os.fsync(self._fd)
        except OSError:
            # A half line would spoil the next one; what is not written was not accepted.
            os.ftruncate(self._fd, end)
            raise


def read_bills(folder: Path) -> list[Bill]:
    """Every accepted submit of a folder, in order, whether or not a studio is at work in it."""
    path = folder / _FILE
    return [task.bill for task in _replay(_whole(path.read_bytes()))] if path.exists() else []


def _mended(path: Path) -> bytes:
    """The file's whole lines; a last line torn by a kill is cut off, since nobody was told of it."""
    data = path.read_bytes() if path.exists() else b""
    whole = _whole(data)
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return whole


def _whole(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _replay(data: bytes) -> list[Task]:
    tasks: dict[str, Task] = {}
    for number, text in enumerate(data.splitlines(), 1):
        try:
            line = json.loads(text)
            event = line.pop("event")
            if event == "accepted":
                tasks[line["task_id"]] = Task(bill=Bill(**line))
            else:
                task_id = line.pop("task_id")
                tasks[task_id] = replace(tasks[task_id], **line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(f"{_FILE}:{number}: no studio wrote this line", hint="move the studio's folder away") from error
    return list(tasks.values())


def _sync_folder(folder: Path) -> None:
    """A new file is only safe once its folder is on disk too; Windows cannot open one and needs none of it."""
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
