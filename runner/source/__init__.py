"""YAML text → plain data that knows the place of its every key and value, or every problem of the text."""

from __future__ import annotations

import difflib
import gc
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import ManifestError, Place, Problem
from runner.source import quick
from runner.source.build import Builder, TooDeep
from runner.source.places import Map, Seq
from runner.source.text import decoded, events
from runner.source.words import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Map", "Seq", "Source", "collector_off", "parse", "read", "relative"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The data of one file: Map, Seq, str, int, float, bool or None, only finite numbers, only text as keys.

    `plain` is the file's text where every text of the data stands in it letter by letter, without escapes; else None.
    """

    file: str
    data: Any
    plain: str | None = field(default=None, repr=False, compare=False)

    def place(self, path: Sequence[str | int]) -> Place:
        """Of the value at `path`, or of the last thing on the way that is there."""
        data = self.data
        found = data.place() if isinstance(data, (Map, Seq)) else Place(self.file, 1, 1)
        for part in path:
            if isinstance(data, Map) and part in data:
                found, data = data.place(str(part)), data[str(part)]
            elif isinstance(data, Seq) and isinstance(part, int) and 0 <= part < len(data):
                found, data = data.place(part), data[part]
            else:
                break
        return found


def read(path: Path, *, shown: str | None = None) -> Source:
    """Read a file; `shown` names it in places, else its path from the working folder. Raises ManifestError (E001 to E005)."""
    file = relative(path) if shown is None else shown
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        fact, hint = _unread(path, error)
        raise ManifestError((Problem(code="E005", message=fact, place=Place(file, 1, 1), hint=hint),)) from None
    return parse(data, file=file)


def parse(data: bytes, *, file: str) -> Source:
    """Read the text of a file; raises ManifestError with all its problems (E001 to E004), in its order."""
    return _parsed(data, file=file)


def _parsed(data: bytes, *, file: str, pure: bool = False, quickly: bool = True) -> Source:
    problems: list[Problem] = []
    value = None
    with collector_off():
        try:
            text = decoded(data)
            if quickly and not pure and (plain := quick.read(text, file)) is not None:
                return Source(file=file, data=plain, plain=text)
            builder = Builder(events(text, pure=pure), file=file)
            problems = builder.problems
            value = builder.document()
        except Unreadable as error:
            problems.append(Problem(code=error.code, message=error.fact, place=Place(file, *error.at), hint=error.hint))
        except TooDeep:
            pass  # noted among the problems
    if problems:
        raise ManifestError(tuple(sorted(problems, key=lambda problem: problem.place)))
    return Source(file=file, data=value)


@contextmanager
def collector_off() -> Iterator[None]:
    """Nothing here is garbage before it is done, and looking for it takes half the time of a long file."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def relative(path: Path) -> str:
    """A path as places show it: from the working folder."""
    try:
        return Path(os.path.relpath(path)).as_posix()
    except ValueError:  # another drive, or no path at all
        return path.as_posix()


def _unread(path: Path, error: OSError | ValueError) -> tuple[str, str | None]:
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where the folder above is closed
        return f'"{path.name}" is a folder', _manifests_in(path, "")
    if isinstance(error, FileNotFoundError):
        if not os.path.isdir(path.parent):  # noqa: PTH112
            return f'there is no folder "{path.parent.as_posix()}"', None
        return f'there is no file "{path.name}"', _manifests_in(path.parent, path.name)
    if isinstance(error, PermissionError):
        return f'"{path.name}" may not be read', "give yourself the permission to read it"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f'"{path.name}" cannot be read: {reason[:1].lower()}{reason[1:]}', None


def _manifests_in(folder: Path, wanted: str) -> str | None:
    try:
        names = sorted(found.name for found in folder.glob("*.callsheet.yaml"))
    except OSError:
        return None
    near = difflib.get_close_matches(wanted, names, 1, 0.5) or [name for name in names if wanted and name.startswith(wanted)]
    if near:
        return f'did you mean "{near[0]}"?'
    if names:
        return "there " + ("is " if len(names) == 1 else "are ") + ", ".join(names[:5]) + (" and more" if names[5:] else "")
    return '"callsheet init" writes a manifest to begin with'
