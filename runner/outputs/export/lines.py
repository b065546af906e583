"""A film → JSONL, one line a saved take: the metadata of a data set. UTF-8, lines end with LF.

As `metadata.jsonl` in the manifest's folder it is what Hugging Face's `videofolder` reads: `file_name` counts from the file's folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runner.outputs.costs import costs
from runner.outputs.export.film import Film, Format, Made, Row

_FIRST = '{"file_name":'


def make(film: Film, base: Path) -> Made:
    """Takes whose file is not here are left out, unless `film.all_takes`."""
    saved = [row for row in film.rows if row.state == "saved" and row.render]
    rows = [row for row in saved if row.here or film.all_takes]
    lines = [json.dumps(_line(row, film, base), ensure_ascii=False, separators=(",", ":")) for row in rows]
    return Made(
        data="".join(f"{line}\n" for line in lines).encode(),
        remarks=tuple(_remarks(film, base, saved, rows)),
        left_out=tuple(row.take for row in saved if not (row.here or film.all_takes)),
    )


def is_ours(data: bytes) -> bool:
    return data.startswith(_FIRST.encode()) and b'"shot":' in data.split(b"\n", 1)[0]


FORMAT = Format(name="jsonl", ending="jsonl", of_shots=False, to_stdout=True, make=make, is_ours=is_ours)


def _line(row: Row, film: Film, base: Path) -> Mapping[str, Any]:
    """The same keys in every line, null where nothing is known: readers of tables ask for that."""
    entry, render = row.entry, row.render
    found = costs(entry)
    return {
        "file_name": film.path(str(render["path"]), base),
        "shot": row.shot_id,
        "take": row.take,
        "scene": row.shot.scene if row.shot else None,
        "prompt": row.request.get("prompt"),
        "negative_prompt": row.request.get("negative_prompt"),
        "seed": entry.seed if entry else None,
        "model": entry.model if entry else None,
        "provider": entry.provider if entry else None,
        "parameters": row.request.get("parameters", {}),
        "sha256": render["sha256"],
        "bytes": render["bytes"],
        **{name: render.get(name) for name in ("seconds", "width", "height", "fps", "sound")},
        # Of a take tried in two currencies the one of the attempt that made the render.
        "cost": found[-1].said() if found else None,
        "picked": row.picked,
        "current": row.current,
    }


def _remarks(film: Film, base: Path, saved: list[Row], rows: list[Row]) -> Iterable[str]:
    if left := len(saved) - len(rows):
        yield f"{left} saved takes left out, since their files are not here; --all has them too"
    if any(film.path(str(row.render["path"]), base).startswith("../") for row in rows):
        yield f"file_name leads out of this file's folder; data set readers want it below: --out {film.manifest.folder / 'metadata.jsonl'}"
