"""Lock + Shots → what lies in the folder: whose renders are here, and which files of others stand in the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.lock import Lock
from runner.shots import Manifest


def look(known: Lock, manifest: Manifest) -> Lock:
    """The same lock with `here` and `foreign` as the folder says now; reads names and sizes, hashes only what is doubtful."""
    folder = manifest.folder
    here = frozenset(key for key, entry in known.takes.items() if entry.render and is_here(folder, entry.render))
    renders = by_size(known)
    owned = {entry.render["path"] for entry in known.takes.values() if entry.render}
    foreign = {path for path in _in_takes(folder, manifest) if path not in owned}
    # A saved render whose file now has another size is somebody's work as well.
    saved = [
        entry.render["path"] for key, entry in known.takes.items() if entry.render and entry.state == "saved" and key not in here
    ]
    foreign.update(path for path in saved if (folder / path).exists())
    outputs = [shot.output for shot in manifest.shots]
    there = {name: (folder / name).is_dir() for name in {output.rpartition("/")[0] for output in outputs}}
    foreign.update(output for output in outputs if there[output.rpartition("/")[0]] and not is_ours(folder, output, renders))
    return replace(known, here=here, foreign=frozenset(foreign))


def is_here(folder: Path, render: Mapping[str, Any]) -> bool:
    """Whether a render lies under its name, by its size; its hash was checked when it was put there."""
    try:
        return (folder / str(render["path"])).stat().st_size == int(render["bytes"])
    except OSError:
        return False


@dataclass(slots=True)
class Alike:
    """The renders of one size: their paths and hashes and, from the first question on, which files they are on the disk."""

    paths: list[str] = field(default_factory=list)
    hashes: set[str] = field(default_factory=set)
    files: frozenset[tuple[int, int]] | None = None

    def has(self, folder: Path, file: os.stat_result) -> bool:
        """Whether a file is one of them under another name."""
        if self.files is None:
            self.files = frozenset(filter(None, (_file(folder / path) for path in self.paths)))
        return (file.st_dev, file.st_ino) in self.files


def by_size(known: Lock) -> dict[int, Alike]:
    """Every render of the lock by its bytes, so that a file's likeness is found without reading it."""
    found: dict[int, Alike] = {}
    for entry in known.takes.values():
        if entry.render:
            alike = found.setdefault(int(entry.render["bytes"]), Alike())
            alike.paths.append(str(entry.render["path"]))
            alike.hashes.add(str(entry.render["sha256"]))
    return found


def is_ours(folder: Path, output: str, renders: Mapping[int, Alike]) -> bool:
    """Whether `output` is free to be replaced: nothing there, or a copy of one of the lock's takes."""
    path = folder / output
    try:
        file = path.stat()
    except OSError:
        return not path.is_symlink()
    alike = renders.get(file.st_size)
    # Most are hard links of their take, which need no reading; a film of equal sizes must not compare each with each.
    return alike is not None and (alike.has(folder, file) or sha256(path) in alike.hashes)


def _file(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_takes(folder: Path, manifest: Manifest) -> set[str]:
    places = {shot.take_path(1).rpartition("/")[0] for shot in manifest.shots}
    found: set[str] = set()
    for place in places:
        if (folder / place).is_dir():
            found.update(f"{place}/{entry.name}" for entry in (folder / place).iterdir())
    return found


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
