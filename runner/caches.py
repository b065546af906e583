"""`.callsheet/` → what in it no later run needs. The journal is never looked at; what is unknown here stays."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from runner import embedded, folder, lockfile
from runner.errors import LockHeld, Refused
from runner.litter import Item, Kept
from runner.lock import Entry, Lock
from runner.lockfile import Files
from runner.plan import Plan

_GUARD = "studio.lock"  # held by the studio that is at work in its folder
_ENDED = {"failed", "canceled", "lost"}
_SERVED = "the tasks of `callsheet studio`"


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
    return None


def served(item: Item, stack: ExitStack) -> str | None:
    """Keep every studio away from an item that is a studio's folder until `stack` ends; why it stays, if one is at work there."""
    if item.guard:
        try:
            stack.enter_context(FileLock(item.guard, timeout=0))
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
    studios = [*_studios(plan, known, files, others)]
    yield from studios
    gone = any(isinstance(one, Item) and one.name == _SERVED for one in studios)
    if _is_spent(files.state / "uploads.json", now, studio_goes=gone):
        yield from _cache("the list of uploads", [files.state / "uploads.json"])


def _studios(plan: Plan, known: Lock, files: Files, others: Mapping[str, Lock]) -> Iterator[Item | Kept]:
    """The tasks of this lock's studio, of the other locks' studios, and of one that is served from the folder."""
    root = plan.manifest.folder
    fetched = {step.was or step.take for step in plan.doing("fetch")}
    own = {key: entry for key, entry in embedded.asked(known).items() if entry.state != "saved" or key in fetched}
    theirs = {name.removesuffix(".callsheet.lock"): _away(lock, root) for name, lock in others.items()}
    everyone = {**own, **{f"{key} of {name}": entry for name, takes in theirs.items() for key, entry in takes.items()}}
    yield from _tasks("the studio's tasks", embedded.home(files), own, shared=False)
    for place in sorted(files.state.glob("*.studio")):
        if place != embedded.home(files):
            name = place.name.removesuffix(".studio")
            yield from _tasks(f"the tasks of {name}'s studio", place, theirs.get(name, {}))
    yield from _tasks(_SERVED, embedded.served(files), everyone)


def _away(lock: Lock, root: Path) -> dict[str, Entry]:
    """Takes of another lock that a run of it may ask for; what `clean` deleted there is not missed."""
    here = frozenset(key for key, entry in lock.takes.items() if entry.render and folder.is_here(root, entry.render))
    return {key: entry for key, entry in embedded.asked(replace(lock, here=here)).items() if not entry.cleaned_at}


def _tasks(name: str, place: Path, asked: Mapping[str, Entry], *, shared: bool = True) -> Iterator[Item | Kept]:
    """A studio's folder, unless one of these takes is still to be had from it."""
    paths = [path for path in _files(place) if path.name != _GUARD]
    if not paths:
        return
    from runner.studio import read_bills  # the studio is loaded only where one was at work

    try:
        bills = read_bills(place)
    except Refused as error:
        yield Kept(name=name, why=error.fact)
        return
    tasks, takes = {bill.task_id for bill in bills}, {bill.take for bill in bills}
    for key, entry in asked.items():
        # A take in doubt knows no task: whatever came under its name, or under none, may be its own.
        doubtful = {"", key.partition(" ")[0], *entry.was} if entry.state == "intended" else set()
        if doubtful & takes or any(attempt.task_id in tasks for attempt in entry.attempts):
            yield Kept(name=name, why=f"{key} is still to be fetched from it")
            return
    yield from _cache(name, paths, shared=shared, guard=place / _GUARD)


def _cache(name: str, paths: list[Path], *, shared: bool = True, guard: Path | None = None) -> Iterator[Item]:
    if paths:
        size = sum(path.lstat().st_size for path in paths)
        yield Item(kind="caches", name=name, paths=tuple(paths), bytes=size, freed=size, shared=shared, guard=guard)


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
