"""Worker threads that take accepted tasks through their states and leave a file for each that succeeds."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import TakeError
from runner.studio.dialects import dialect_of
from runner.studio.families import family_of
from runner.studio.faults import DOOMS, SMALL
from runner.studio.rules import lack, refusal
from runner.studio.settings import Settings
from runner.studio.shelf import Shelf
from runner.studio.store import Store, StoreClosed, Task

if TYPE_CHECKING:
    from runner.studio.card import Card

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
    """Runs `in_flight` tasks at a time, in the order in which they came."""

    def __init__(self, settings: Settings, store: Store, shelf: Shelf) -> None:
        self.settings = settings
        self.store = store
        self.shelf = shelf
        self.dialect = dialect_of(settings.dialect)
        self.renders = settings.folder / "renders"
        self._queue: deque[str] = deque()
        self._change = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"studio-lab-{number}", daemon=True) for number in range(settings.in_flight)
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
            self._change.notify_all()
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        task: Task | None = None
        while not self._stopping:
            try:
                task = task or self._next()
                if task:
                    self._develop(task)
                task = None
            except StoreClosed:
                return
            except OSError:  # the disk is full, say: the task waits until its change of state can be written
                time.sleep(_TICK)

    def _next(self) -> Task | None:
        """The next task, RUNNING; waits for one, None at the end."""
        with self._change:
            while not self._stopping:
                wait = self._until_due()
                if wait is not None and wait <= 0:
                    task = self.store.run(self._queue[0])
                    self._queue.popleft()
                    if task:
                        return task
                else:
                    self._change.wait(wait if wait is None else min(wait, _TICK))
            return None

    def _until_due(self) -> float | None:
        """Seconds until the head of the queue may run; None when the queue is empty."""
        task = self.store.get(self._queue[0]) if self._queue else None
        return task.bill.at + _WAITS * self._lasts(task) - self.settings.clock() if task else None

    def _lasts(self, task: Task) -> float:
        """How long a task takes at least: ±20 %, the same for equal requests."""
        return self.settings.seconds * (0.8 + 0.4 * int(task.bill.hash[:8], 16) / 0xFFFFFFFF)

    def _develop(self, task: Task) -> None:
        outcome = self._outcome(task)
        until = (task.running_at or 0.0) + (1 - _WAITS) * self._lasts(task)
        with self._change:
            while (left := until - self.settings.clock()) > 0 and not self._stopping:
                self._change.wait(min(left, _TICK))
            if left > 0:
                return
        match outcome:
            case Made(file=file, usage=usage):
                self.store.succeed(task.bill.task_id, file=file, usage=usage)
            case Failed(code=code, message=message):
                self.store.fail(task.bill.task_id, code=code, message=message)

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
