"""Events → what a person sees while a run goes on: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

import click

from runner.fit import mega

_SHOWN = 12  # lines of takes under way; more would only flicker


class View(Protocol):
    """Takes events one by one; a context, so that a terminal is left tidy."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def __call__(self, event: Mapping[str, Any]) -> None: ...


def view(*, quiet: bool = False) -> View:
    """The live view where standard error is a terminal, else plain lines."""
    if quiet:
        return _Lines(lambda _: None)
    if sys.stderr.isatty():
        return _Live()
    return _Lines(lambda line: click.echo(line, err=True))


def said(event: Mapping[str, Any]) -> str | None:
    """One event as a line, None for those that are not worth one."""
    take = str(event.get("take", "")).ljust(8)
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


class _Lines:
    """A line an event that matters."""

    def __init__(self, echo: Callable[[str], None]) -> None:
        self.echo = echo

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, event: Mapping[str, Any]) -> None:
        if line := said(event):
            self.echo(line)


class _Live:
    """Takes under way, one a line with its state and age, above a line of totals; what ends scrolls by."""

    def __init__(self) -> None:
        from rich.console import Console  # rich is loaded for terminals only
        from rich.live import Live

        self._console = Console(stderr=True)
        self._under_way: dict[str, tuple[str, float]] = {}
        self._counts: Counter[str] = Counter()
        self._wanted = 0
        self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._draw)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Mapping[str, Any]) -> None:
        take = event.get("take")
        match event["event"]:
            case "plan":
                actions = event["totals"]["actions"]
                self._wanted = sum(actions.get(name, 0) for name in ("submit", "watch", "fetch"))
            case "intended" | "submitted" | "rendered" if take:
                word = {"intended": "sending", "submitted": "waiting its turn", "rendered": "fetching"}[event["event"]]
                began = self._under_way.get(take, ("", time.monotonic()))[1]
                self._under_way[take] = (word, began)
            case "status" if take:
                self._under_way[take] = (str(event["word"]).lower(), self._under_way.get(take, ("", time.monotonic()))[1])
            case "saved" | "failed" | "lost" | "in_doubt" | "blocked" as name:
                self._under_way.pop(str(take), None)
                self._counts[name] += 1
        if event["event"] != "submitted" and (line := said(event)):
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _draw(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        rows = Table.grid(padding=(0, 2))
        for take, (word, began) in list(self._under_way.items())[:_SHOWN]:
            rows.add_row(
                Text(take, style="bold"), Text(word, style="cyan"), Text(f"{time.monotonic() - began:.0f} s", style="dim")
            )
        hidden = len(self._under_way) - _SHOWN
        if hidden > 0:
            rows.add_row(Text(f"… and {hidden} more", style="dim"))
        ended = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self._counts.items())
        rows.add_row(Text(f"{self._counts['saved']} of {self._wanted}", style="bold"), Text(ended, style="dim"))
        return rows
