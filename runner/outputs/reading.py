"""A manifest that takes its time → a bar on the terminal, from one second on; nothing anywhere else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from runner.reading import Seen

PATIENCE = 1.0  # seconds before anybody wonders
_EVERY = 0.2
_CELLS = 24


@contextmanager
def shown(seen: Seen, name: str) -> Iterator[None]:
    """While the manifest is read: how far that is. On a terminal only."""
    out = sys.stderr
    if not out.isatty():
        yield
        return
    done = threading.Event()
    drawing = threading.Thread(target=_draw, args=(out, seen, name, done), daemon=True)
    drawing.start()
    try:
        yield
    finally:
        done.set()
        drawing.join()


def _draw(out: TextIO, seen: Seen, name: str, done: threading.Event) -> None:
    if done.wait(PATIENCE):
        return
    while not done.wait(_EVERY):
        out.write(f"\r{line(seen, name)}\x1b[K")
        out.flush()
    out.write("\r\x1b[K")
    out.flush()


def line(seen: Seen, name: str) -> str:
    """`reading film.callsheet.yaml`, and once its text is read how many of its shots are checked."""
    if not seen.shots:
        return f"reading {name}"
    made = len(seen.made)
    if made > seen.shots:  # a table or a matrix makes several of one
        return f"checking {name}: {made:,} shots"
    full = _CELLS * made // seen.shots
    return f"checking {name} [{'#' * full}{'.' * (_CELLS - full)}] {made:,} of {seen.shots:,} shots"
