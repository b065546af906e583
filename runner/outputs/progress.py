"""Events → what a person sees while a run goes on: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

import click

from runner import money
from runner.fit import mega
from runner.lock import Lock
from runner.outputs.tally import Tally
from runner.plan import Plan
from runner.unseen import marked

_SHOWN = 10  # lines of takes under way; more would only flicker
_WIDEST = 76  # columns; most terminals can then be made narrower without a line being broken
_NARROWEST, _BESIDE = 8, 38  # columns: a take's name has at least so many, and what stands beside it takes about so many
_REDRAWN = 0.25  # seconds between two pictures of the live view
_SAID = 30.0  # seconds between two lines of totals where there is no terminal
_MANY = 50  # takes; beyond that only what went wrong has a line of its own
_TROUBLE = {"failed", "lost", "in_doubt", "blocked", "error"}


class View(Protocol):
    """Takes events one by one; a context, so that a terminal is left tidy."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def __call__(self, event: Mapping[str, Any]) -> None: ...


def view(plan: Plan, known: Lock) -> View:
    """The live view where standard error is a terminal that a person looks at, else plain lines."""
    tally = Tally(plan, known)
    return _Live(tally) if is_live(os.environ) else _Lines(tally, lambda line: click.echo(line, err=True))


def is_live(environ: Mapping[str, str]) -> bool:
    """A terminal that can move its cursor, and no CI's; FORCE_COLOR asks for colours, not for that."""
    return sys.stderr.isatty() and environ.get("TERM") != "dumb" and environ.get("CI", "").lower() in {"", "0", "false"}


def said(event: Mapping[str, Any], width: int) -> str | None:
    """One event as a line, None for those that are not worth one; the take's name is as wide as the run's longest."""
    line = _said(event, width)
    return marked(line) if line else None


def _said(event: Mapping[str, Any], width: int) -> str | None:
    take = str(event.get("take", "")).ljust(width)
    match event["event"]:
        case "submitted":
            return f"{take}  submitted  task {event['task_id']}"
        case "saved":
            but = f"; but {', '.join(event['remarks'])}" if event.get("remarks") else ""
            return f"{take}  saved      {event['path']} ({mega(event['bytes'])}){but}"
        case "failed":
            again = ", may be tried again" if event.get("retryable") else ""
            hint = f"\n{' ' * len(take)}  {' ' * 11}hint: {event['hint']}" if event.get("hint") else ""
            return f"{take}  failed     {event['code']}: {event['message']}{again}{hint}"
        case "in_doubt":
            return f"{take}  in doubt   {event['message']}"
        case "lost":
            return f"{take}  lost       {event['message']}"
        case "blocked":
            return f"{take}  blocked    {event['reason']}"
        case "waiting":
            return f"{take}  waiting    {event['reason']}"
        case "error":
            hint = f" ({event['hint']})" if event.get("hint") else ""
            return f"{take}  error      {event['message']}{hint}"
        case _:
            return None


def shortened(take: str, width: int) -> str:
    """A take's name in so many columns: what tells it from its neighbours stands most often at its end (a matrix's values)."""
    start = width // 4
    return take if len(take) <= width else f"{take[:start]}…{take[start + 1 - width :]}"


def totals(tally: Tally) -> list[str]:
    """Where the run stands: what is done and what is to come, then money and time."""
    counts = [f"{tally.ended['saved']} of {tally.total} saved"]
    counts += [f"{tally.under_way} under way"] if tally.under_way else []
    counts += [f"{tally.to_go} to go"] if tally.to_go else []
    counts += [f"{tally.ended[name]} {name.replace('_', ' ')}" for name in sorted(_TROUBLE) if tally.ended[name]]
    sums = [
        f"{money.amount(tally.spent[currency])} of {money.amount(micros)} {currency}"
        for currency, micros in sorted(tally.planned.items())
    ]
    sums += [f"{tally.unpriced} of unknown price"] if tally.unpriced else []
    left = tally.left() if tally.under_way or tally.to_go else None
    times = [f"{span(tally.elapsed)} so far", *([f"about {roughly(left)} left"] if left else [])]
    return [", ".join(counts), ", ".join([*sums, *times])]


def span(seconds: float) -> str:
    """`0:42`, `12:05`, `3:07:00`: what a clock shows, since it runs."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def beside(so_far: float, expected: float | None) -> str:
    """What a clock is measured by, in seconds; nothing where that is unknown, or less than a clock shows."""
    if not expected or expected < 1:
        return ""
    return f" of about {span(expected)}" if so_far <= expected else f", usually {span(expected)}"


def roughly(seconds: float) -> str:
    """`20 s`, `4 min`, `2 h 10 min`: no more exact than an estimate is."""
    if seconds < 55:
        return f"{max(5, 5 * math.ceil(seconds / 5))} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(10 * math.ceil(minutes / 10), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


class _Lines:
    """A line an event that matters, and the totals now and then; with many takes only what went wrong, and the totals."""

    def __init__(self, tally: Tally, echo: Callable[[str], None]) -> None:
        self.tally = tally
        self.echo = echo
        self._told: set[str] = set()
        self._guard = threading.Lock()
        self._ticker = _Ticker(_SAID, self._tick)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ticker.stop()

    def __call__(self, event: Mapping[str, Any]) -> None:
        with self._guard:
            self.tally.hear(event)
            if is_worth_a_line(event, self.tally, self._told) and (line := said(event, self.tally.width)):
                self.echo(line)

    def _tick(self) -> None:
        with self._guard:
            self._told.clear()
            self.echo(", ".join(totals(self.tally)))


def is_worth_a_line(event: Mapping[str, Any], tally: Tally, told: set[str]) -> bool:
    """Troubles always; of equal reasons to wait one (`told` remembers them); the rest as long as it can be followed."""
    name = event["event"]
    if name == "waiting" and tally.total > _MANY:
        is_new = event["reason"] not in told
        told.add(event["reason"])
        return is_new
    return name in _TROUBLE or name == "waiting" or tally.total <= _MANY


class _Ticker:
    """Calls every so often, in a thread of its own: the run's own loop must not wait for a terminal."""

    def __init__(self, every: float, call: Callable[[], None]) -> None:
        self._every, self._call = every, call
        self._ended = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._go, name="callsheet-progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(1.0)
        if self._fault:
            raise self._fault

    def _go(self) -> None:
        try:
            while not self._ended.wait(self._every):
                self._call()
        except OSError:
            pass  # the terminal has gone; the run's own events meet that too
        except Exception as error:  # noqa: BLE001 - our own bug must not end a run; it is told when the run has ended
            self._fault = error


class _Live:
    """Takes under way, one a line with its state and times, above the totals; what ends scrolls by.

    Events only change the tally; a picture is drawn four times a second, whatever happens in between.
    """

    def __init__(self, tally: Tally) -> None:
        from rich.console import Console  # rich is loaded for terminals only
        from rich.live import Live

        self.tally = tally
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._lines: list[str] = []
        self._told: set[str] = set()
        self._guard = threading.Lock()
        self._widths = [10, 4]  # of the states and of the times so far
        self._drawn: tuple[int, list[int]] = (0, [])  # the terminal's width at the last picture, and those of its lines
        self._ticker = _Ticker(_REDRAWN, self._tick)

    def __enter__(self) -> Self:
        self._live.start()
        self._console.show_cursor(True)  # a run that is killed must not leave a terminal without one
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ticker.stop()
            self._tick()
        finally:
            self._live.stop()

    def __call__(self, event: Mapping[str, Any]) -> None:
        with self._guard:
            self.tally.hear(event)
            if (
                event["event"] != "submitted"
                and is_worth_a_line(event, self.tally, self._told)
                and (line := said(event, self.tally.width))
            ):
                self._lines.append(line)

    def _tick(self) -> None:
        with self._guard:
            lines, self._lines = self._lines, []
            picture = self._picture()
        self._make_room(picture.plain.split("\n"))
        self._live.update(picture)
        if lines:
            self._console.print("\n".join(lines), markup=False, soft_wrap=True)  # draws the picture anew below
        else:
            self._live.refresh()

    def _picture(self) -> Any:
        from rich.text import Text

        width = min(self._console.width - 1, _WIDEST)
        most = max(1, min(_SHOWN, self._console.height - 4))
        rows = [
            Text.assemble((take, "bold"), "  ", (word, "cyan"), "  ", (times, "dim"))
            for take, word, times in self._takes(most, width)
        ]
        if self.tally.under_way > most:
            rows.append(Text(f"… and {self.tally.under_way - most} more", style="dim"))
        counts, times = totals(self.tally)
        rows += [Text(counts, style="bold"), Text(times, style="dim")]
        for row in rows:
            row.truncate(width, overflow="ellipsis")
        return Text("\n").join(rows)

    def _takes(self, most: int, width: int) -> list[tuple[str, str, str]]:
        """The takes under way in columns: name, state, times. A column that has become wide stays so: nothing jumps to and fro."""
        from rich.cells import cell_len

        shown = [*self.tally.shown(most)]
        cells = [(marked(one.word), span(so_far)) for one, so_far, _ in shown]
        name = min(self.tally.longest, max(_NARROWEST, width - _BESIDE))
        self._widths = [max([known, *(cell_len(row[column]) for row in cells)]) for column, known in enumerate(self._widths)]
        rows = []
        for (one, so_far, expected), (word, clock) in zip(shown, cells, strict=True):
            padding = " " * (self._widths[0] - cell_len(word))
            times = clock.rjust(self._widths[1]) + beside(so_far, expected)
            rows.append((shortened(one.take, name).ljust(name), word + padding, times))
        return rows

    def _make_room(self, rows: list[str]) -> None:
        """In a terminal that was made narrower the last picture's lines are broken: it takes more rows than it was drawn on."""
        from rich.cells import cell_len
        from rich.control import Control
        from rich.segment import ControlType

        width = self._console.width
        before, lengths = self._drawn
        if width < before:
            more = sum(max(1, math.ceil(length / width)) - 1 for length in lengths)
            up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *(up * more)))
        self._drawn = (width, [cell_len(row) for row in rows])
