"""A film → a Markdown table of plan and status, to paste into a review. UTF-8, lines end with LF.

Prompts and errors are other people's words: nothing in them is markup, a mention or a line of its own here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from runner.outputs.costs import costs
from runner.outputs.export.edl import plain
from runner.outputs.export.film import Film, Format, Made, Row
from runner.outputs.text import cost, totals
from runner.report import report

_MARK = "<!-- callsheet export -->"
_HEAD = ("shot", "take", "state", "next", "model", "provider", "length", "cost", "prompt")
_LONG = 160  # characters of a prompt; a table with more is no longer read
# Entities rather than backslashes where a mention, an entity or a tag could begin: those are found before backslashes are.
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "|": "&#124;", "`": "&#96;"})
_SPECIAL = re.compile(r"([\\*_{}\[\]#!~$^=])")


def make(film: Film, base: Path) -> Made:  # noqa: ARG001 - every format is made alike
    head = [f"# {escaped(film.title)}", "", escaped(totals(film.plan)), ""]
    table = [_line(_HEAD), _line(["---"] * len(_HEAD)), *(_line(_cells(row)) for row in film.rows)]
    sums = report(film.known, film.plan).data["cost"]
    spent = [f"{one['currency']}: {one['spent']} spent, {one['under_way']} under way, {one['in_doubt']} in doubt" for one in sums]
    tail = ["", *(f"- {escaped(line)}" for line in spent)] if spent else []
    return Made(data="".join(f"{line}\n" for line in [_MARK, "", *head, *table, *tail]).encode())


def is_ours(data: bytes) -> bool:
    return data.startswith(_MARK.encode())


FORMAT = Format(name="md", ending="md", of_shots=False, to_stdout=True, make=make, is_ours=is_ours)


def _cells(row: Row) -> Iterable[str]:
    """A take in words. Ids and take keys hold no markup, so they stand as code, where `@1` is no mention."""
    entry, step = row.entry, row.step
    yield f"`{row.shot_id}`"
    yield f"`{row.take}`"
    yield ", ".join([row.state, *_marks(row)])
    yield escaped(f"{step.action}: {step.reason}" if step else "")
    yield escaped((entry.model if entry else step.model if step else None) or "")
    yield escaped((entry.provider if entry else step.provider if step else None) or "")
    seconds = row.render.get("seconds") or (step.seconds if step else None)
    yield f"{seconds:g} s" if seconds else ""
    paid = " + ".join("free" if not one.micros else str(one) for one in costs(entry))
    yield escaped(paid or (cost(step) if step and step.action == "submit" else ""))
    yield escaped(_short(plain(str(row.request.get("prompt") or ""))))


def _marks(row: Row) -> Iterable[str]:
    if row.picked:
        yield "**picked**"
    if row.shot is None:
        yield "orphaned"
    elif row.entry and not row.current:
        yield "outdated"
    if row.state == "saved" and not row.here:
        yield "not here"


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1].rstrip()}…"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no tag, no mention, no end of a cell or line."""
    return _SPECIAL.sub(r"\\\1", plain(text)).translate(_ENTITIES)
