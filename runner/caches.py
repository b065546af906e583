"""`.callsheet/` → what in it no later run needs. The journal is never looked at; what is unknown here stays."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from runner import folder, lockfile
from runner.errors import LockHeld
from runner.litter import Item, Kept
from runner.lock import Entry, Lock
from runner.lockfile import Files
from runner.plan import Plan

_GUARD = "studio.lock"  # held by the studio that is at work in its folder
_OPEN = {"intended", "submitted", "rendered"}  # states in which a provider may still have to be asked
_ENDED = {"failed", "canceled", "lost"}


def find(plan: Plan, known: Lock, files: Files, others: Mapping[str, Lock], now: float) -> Iterator[Item | Kept]:
    """Caches that may go, and those that a later run would miss. `others` are the folder's other locks, by name."""
    yield from _downloads(known, files)
    yield from _shared(plan, known, files, others, now)


def busy(files: Files, stack: ExitStack) -> str | None:
    """Keep every other run of the folder away from the shared caches until `stack` ends; why they stay, if one is alive."""
    for name in lockfile.beside(files):
        try:
            stack.enter_context(lockfile.held(Files(lock=files.lock.with_name(name))))
        except LockHeld:
            return f"a run on {name} is alive and may use them"
    studio = files.state / "studio"
    if studio.is_dir():
        try:
            stack.enter_context(FileLock(studio / _GUARD, timeout=0))
        except Timeout:
            return "a studio is at work in them"
    return None


def _downloads(known: Lock, files: Files) -> Iterator[Item]:
    """Beginnings of renders that no run goes on with, and a lock that a dead run was about to write."""
    left = []
    for key, entry in known.takes.items():
        if entry.state in _ENDED or (entry.state == "saved" and key in known.here):
            left += [files.parts / f"{files.name}-{key}{ending}" for ending in (".part", ".part.json", ".from.part")]
    left.append(files.state / f"{files.name}.lock.tmp")
    yield from _cache("leftover downloads", [path for path in left if path.is_file()], shared=False)


def _shared(plan: Plan, known: Lock, files: Files, others: Mapping[str, Lock], now: float) -> Iterator[Item | Kept]:
    """Caches that all manifests of the folder use."""
    yield from _cache("the board's posters", _files(files.state / "posters"))
    yield from _cache("the chains' frames", _frames(files, known, others, plan.manifest.folder))
    studio = [path for path in _files(files.state / "studio") if path.name != _GUARD]
    user = _studio_user(plan, known, others) if studio else None
    if user:
        yield Kept(name="the studio's tasks", why=f"{user} is still to be fetched from it")
    else:
        yield from _cache("the studio's tasks", studio)
    if _is_spent(files.state / "uploads.json", now, studio_goes=bool(studio) and not user):
        yield from _cache("the list of uploads", [files.state / "uploads.json"])


def _cache(name: str, paths: list[Path], *, shared: bool = True) -> Iterator[Item]:
    if paths:
        size = sum(path.lstat().st_size for path in paths)
        yield Item(kind="caches", name=name, paths=tuple(paths), bytes=size, freed=size, shared=shared)


def _files(place: Path) -> list[Path]:
    """All plain files of a folder of ours, deep; links are not followed."""
    if place.is_symlink() or not place.is_dir():
        return []
    found = (Path(root) / name for root, _, names in os.walk(place) for name in names)
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _frames(files: Files, known: Lock, others: Mapping[str, Lock], root: Path) -> list[Path]:
    """Frames that can be cut again, their render being here, and those of renders that nobody knows any more."""
    renders = [entry.render for lock in (known, *others.values()) for entry in lock.takes.values() if entry.render]
    elsewhere = {str(render["sha256"]) for render in renders} - {
        str(render["sha256"]) for render in renders if folder.is_here(root, render)
    }
    return [path for path in _files(files.state / "frames") if not any(sha256 in path.name for sha256 in elsewhere)]


def _studio_user(plan: Plan, known: Lock, others: Mapping[str, Lock]) -> str | None:
    """A take of this folder that a later run would still ask the embedded studio for."""
    catalogue = plan.manifest.catalog.providers

    def is_studios(entry: Entry) -> bool:
        provider = catalogue.get(entry.provider or "")
        return provider is None or provider.base_url is None

    fetched = {step.was or step.take for step in plan.doing("fetch")}
    for key, entry in known.takes.items():
        if is_studios(entry) and (entry.state in _OPEN or key in fetched):
            return key
    for name, lock in others.items():
        for key, entry in lock.takes.items():
            is_away = entry.state == "saved" and not folder.is_here(
                plan.manifest.folder, entry.render or {"path": "", "bytes": -1}
            )
            if is_studios(entry) and (entry.state in _OPEN or is_away):
                return f"{key} of {name}"
    return None


def _is_spent(path: Path, now: float, *, studio_goes: bool) -> bool:
    """Whether no row of the upload cache is of use any more: expired, or a copy in the studio that goes."""
    try:
        rows: Any = json.loads(path.read_text("utf-8"))
    except OSError:
        return False
    except ValueError:
        return True
    if not isinstance(rows, dict):
        return True
    return not any(
        isinstance(row, dict) and isinstance(row.get("until"), (int, float)) and now < row["until"]
        for account, row in rows.items()
        if not (studio_goes and account.partition(" ")[0] == "studio")
    )
