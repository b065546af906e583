"""How far a reel has come → a line on a terminal, from one second on; nothing anywhere else."""

from __future__ import annotations

import sys
import time
from typing import Any, Self

_AFTER = 1.0  # seconds: what is done sooner needs no bar


class Meter:
    """A context that is told what is being done, how far it is and how far it goes; it leaves the terminal as it was."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._is_shown = sys.stderr.isatty() and not quiet
        self._due = time.monotonic() + _AFTER
        self._bar: Any = None
        self._row: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        if not self._is_shown or (self._bar is None and time.monotonic() < self._due):
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._row, description=what, completed=done, total=total)

    def _start(self) -> None:
        from rich.console import Console  # rich is loaded for terminals only
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._row = self._bar.add_task("")
        self._bar.start()
