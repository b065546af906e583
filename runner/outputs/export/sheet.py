"""A film → CSV for spreadsheets, one row a take: RFC 4180, lines end with CR LF, UTF-8 with a byte order mark.

Without the mark Excel takes UTF-8 for the machine's old code page. A text that a spreadsheet would take for a formula gets an
apostrophe in front, which is how spreadsheets themselves mark text; `--to jsonl` has every text as it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runner.outputs.costs import said
from runner.outputs.export.film import Film, Format, Made, Row

_HEAD = (
    "order", "shot", "scene", "take", "state", "current", "picked", "model", "provider", "seed", "prompt", "negative_prompt", "parameters",
    "seconds", "width", "height", "fps", "sound", "cost", "currency", "file", "here", "bytes", "sha256", "error",
)  # fmt: skip
_BOM = "\ufeff"
# The full-width ones are signs of a formula too where people type them (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def make(film: Film, base: Path) -> Made:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(_HEAD)
    order = {shot.id: number for number, shot in enumerate(film.manifest.shots, 1)}
    for row in film.rows:
        rows.writerow([_cell(value) for value in _values(row, order.get(row.shot_id), film, base)])
    return Made(data=(_BOM + text.getvalue()).encode())


def is_ours(data: bytes) -> bool:
    return data.startswith((_BOM + ",".join(_HEAD)).encode())


FORMAT = Format(name="csv", ending="csv", of_shots=False, to_stdout=True, make=make, is_ours=is_ours)


def _values(row: Row, number: int | None, film: Film, base: Path) -> Iterable[Any]:
    """One take, as the head has it."""
    entry, step, render = row.entry, row.step, row.render
    planned = (step.model, step.provider, step.seed) if step else (None, None, None)
    made = (entry.model, entry.provider, entry.seed) if entry else planned
    parameters = row.request.get("parameters")
    error = entry.error if entry else {}
    yield from (number, row.shot_id, row.shot.scene if row.shot else None, row.take, row.state, row.current, row.picked, *made)
    yield from (row.request.get("prompt"), row.request.get("negative_prompt"))
    yield json.dumps(parameters, ensure_ascii=False, sort_keys=True) if parameters else None
    yield from (render.get(name) for name in ("seconds", "width", "height", "fps", "sound"))
    yield from said(entry)
    yield film.path(str(render["path"]), base) if render else None
    yield from (row.here, render.get("bytes"), render.get("sha256"))
    yield f"{error.get('code')}: {error.get('message')}" if error else None


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
