"""Rows of a benchmark → one table that every benchmark prints, or one JSON object.

A row's figures are texts, as people read them; `ok` says whether the goal is met, None where nothing was measured.
Every goal is a ratio of two figures of the same run: this machine may be slow, busy or both.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

_HEADS = ("what", "ours", "otherwise", "limit", "goal", "")
_VERDICTS = {True: "ok", False: "NOT MET", None: "-"}


@dataclass(frozen=True)
class Row:
    """One comparison: ours, what a user would otherwise pick, what nothing can beat, and what we want to be."""

    what: str
    ours: str
    other: str = ""
    limit: str = ""
    goal: str = ""
    ok: bool | None = None


def show(title: str, rows: list[Row], *, as_json: bool | None = None) -> bool:
    """Print the rows; whether no goal is missed. `--json` on the command line prints one object instead of the table."""
    if as_json if as_json is not None else "--json" in sys.argv[1:]:
        print(json.dumps({"title": title, "rows": [asdict(row) for row in rows]}, ensure_ascii=False, indent=2))
    else:
        print(table(title, rows), flush=True)
    return all(row.ok is not False for row in rows)


def table(title: str, rows: list[Row]) -> str:
    """The title and the rows in columns as wide as they need."""
    lines = [_HEADS, *((row.what, row.ours, row.other, row.limit, row.goal, _VERDICTS[row.ok]) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADS))]
    said = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join((title, "", said[0], *("  ".join("-" * width for width in widths).rstrip(),), *said[1:]))
