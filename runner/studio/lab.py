"""Threads that take accepted tasks through their states and leave a file for each that succeeds."""

from __future__ import annotations

import heapq
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from runner.errors import TakeError
from runner.studio.dialects import dialect_of
from runner.studio.families import family_of
from runner.studio.faults import DOOMS, SMALL
from runner.studio.rules import lack, refusal
from runner.studio.settings import Settings
from runner.studio.shelf import Shelf
from runner.studio.store import Move, Status, Store, StoreClosed, Task

if TYPE_CHECKING:
    from runner.studio.card import Card

_RENDERERS = 4
_WAITS = 0.2  # the share of a task's time that it is PENDING at least
_TICK = 0.1  # seconds between looks at the clock, which a test may set
_PATIENCE = 0.5  # seconds that the end waits for renders


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    file: str
    usage: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    code: str
    message: str


class Lab:
    """Runs `in_flight` tasks at a time, in the order in which they came.

    One thread has its eye on the clock, for all of them; a few render, since more would only take each other's cores.
    """

    def __init__(self, settings: Settings, store: Store, shelf: Shelf) -> None:
        self.settings = settings
        self.store = store
        self.shelf = shelf
        self.dialect = dialect_of(settings.dialect)
        self.renders = settings.folder / "renders"
        self._queue: deque[str] = deque()
        self._running = 0
        self._easels: SimpleQueue[Task | None] = SimpleQueue()
        self._ends: list[tuple[float, int, Move]] = []  # a heap, by when the task may end
        self._number = count()  # what ends at the same moment ends in order
        self._change = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._keep_time, name="studio-clock", daemon=True),
            *(
                threading.Thread(target=self._develop, name=f"studio-lab-{number}", daemon=True)
                for number in range(min(settings.in_flight, _RENDERERS))
            ),
        ]

    def start(self) -> None:
        """Begin, first of all with what an earlier studio left undone."""
        self.renders.mkdir(exist_ok=True)
        for left in self.renders.glob("part-*"):
            left.unlink(missing_ok=True)
        self._queue.extend(self.store.unfinished())
        for thread in self._threads:
            thread.start()

    def put(self, task_id: str) -> None:
        with self._change:
            self._queue.append(task_id)
            self._change.notify()

    def stop(self) -> None:
        """Take nothing up any more; a render that does not end at once is left behind and done again at the next start."""
        with self._change:
            self._stopping = True
            self._change.notify()
        for _ in self._threads[1:]:
            self._easels.put(None)
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def _keep_time(self) -> None:
        while not self._stopping:
            try:
                if not (self._begin() | self._end()):
                    self._wait()
            except StoreClosed:
                return
            except OSError:  # the disk is full, say: a task waits until its change of state can be written
                time.sleep(_TICK)

    def _wait(self) -> None:
        """Until there is something to do, as far as anyone knows."""
        with self._change:
            waits = [self._until_due()] if self._running < self.settings.in_flight else []
            waits += [self._ends[0][0] - self.settings.clock()] if self._ends else []
            known = [wait for wait in waits if wait is not None]
            if not self._stopping and not any(wait <= 0 for wait in known):
                self._change.wait(min([*known, _TICK]) if known else None)

    def _begin(self) -> bool:
        """Let those run whose turn it is; whether there were any."""
        due: list[str] = []
        while self._running + len(due) < self.settings.in_flight:
            wait = self._until_due(len(due))
            if wait is None or wait > 0:
                break
            due.append(self._queue[len(due)])
        pending = [task_id for task_id in due if self._is("PENDING", task_id)]
        self.store.move(Move(task_id, "RUNNING") for task_id in pending)
        for task_id in due:
            self._queue.popleft()
            task = self.store.get(task_id)
            if task and task.status == "RUNNING":  # else it was canceled
                self._running += 1
                self._easels.put(task)
        return bool(due)

    def _end(self) -> bool:
        """Let those end whose render is made and whose time is over; whether there were any."""
        with self._change:
            now = self.settings.clock()
            over = []
            while self._ends and self._ends[0][0] <= now:
                over.append(heapq.heappop(self._ends))
        try:
            self.store.move(move for *_, move in over)
        except OSError:
            with self._change:
                for each in over:
                    heapq.heappush(self._ends, each)
            raise
        self._running -= len(over)
        return bool(over)

    def _is(self, status: Status, task_id: str) -> bool:
        task = self.store.get(task_id)
        return task is not None and task.status == status

    def _until_due(self, place: int = 0) -> float | None:
        """Seconds until a task of the queue may run; None when there is none at that place."""
        task = self.store.get(self._queue[place]) if place < len(self._queue) else None
        return task.bill.at + _WAITS * self._lasts(task) - self.settings.clock() if task else None

    def _lasts(self, task: Task) -> float:
        """How long a task takes at least: ±20 %, the same for equal requests."""
        return self.settings.seconds * (0.8 + 0.4 * int(task.bill.hash[:8], 16) / 0xFFFFFFFF)

    def _develop(self) -> None:
        while (task := self._easels.get()) and not self._stopping:
            match self._outcome(task):
                case Made(file=file, usage=usage):
                    move = Move(task.bill.task_id, "SUCCEEDED", {"file": file, "usage": usage})
                case Failed(code=code, message=message):
                    move = Move(task.bill.task_id, "FAILED", {"code": code, "message": message})
            until = (task.running_at or 0.0) + (1 - _WAITS) * self._lasts(task)
            with self._change:
                heapq.heappush(self._ends, (until, next(self._number), move))
                self._change.notify()

    def _outcome(self, task: Task) -> Made | Failed:
        bill = task.bill
        family = family_of(bill.model)
        if bill.doom and bill.doom in DOOMS:
            code, message = DOOMS[bill.doom]
            return Failed(code=code, message=message)
        if family is None:
            return Failed(code="ModelNotFound", message=f"there is no model {bill.model}")
        wrong = refusal(family, bill.body.get("parameters", {})) or lack(family, bill.body["input"], strings=self.dialect.strings)
        if wrong:
            return Failed(code="InvalidParameter", message=wrong)
        try:
            from runner.studio.cards import card_of  # start-up time

            card, usage = card_of(bill, family, self.shelf.find)
            if bill.doom == SMALL:
                card = replace(card, width=640, height=360, audio=None, sounds=False)
                return Made(file=self._render(card, f"small-{bill.hash}"), usage=usage)
            return Made(file=self._render(card, bill.hash), usage=usage)
        except TakeError as error:
            return Failed(code=error.code, message=error.fact)
        except Exception as error:  # noqa: BLE001 - whatever a renderer does, its task must not stay RUNNING for ever
            return Failed(code="InternalError", message=f"the render failed: {type(error).__name__}: {error}")

    def _render(self, card: Card, name: str) -> str:
        """The name of the file; equal requests share one. Under its name a file is always whole."""
        final = self.renders / f"{name[:32]}.mp4"
        if final.exists():
            return final.name
        part = self.renders / f"part-{uuid.uuid4().hex}.mp4"
        try:
            (self.settings.render or _animatic)(card, part)
            _sync(part)
            if not final.exists():
                part.replace(final)
        finally:
            part.unlink(missing_ok=True)
        return final.name


def _animatic(card: Card, target: Path) -> None:
    from runner.studio.animatic import render  # start-up time

    render(card, target)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
