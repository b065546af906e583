"""Plan + Lock + folder → which takes and caches may be deleted, which stay and why; then the deletion, each file judged anew.

The lock keeps every entry, so that a take number is never used twice: a take without its file is simply not here.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from runner import caches, folder, lockfile
from runner import lock as locks
from runner.journal import disk, sync_folder
from runner.litter import KINDS, Found, Item, Kept, Kind
from runner.lock import Entry, Lock
from runner.lockfile import Files, Ledger
from runner.plan import Plan
from runner.shots import Shot, is_current


def find(plan: Plan, known: Lock, files: Files, *, kinds: Collection[Kind] = KINDS, now: float) -> Found:
    """Everything of these kinds, by the plan and the folder as they are now. Reads names and sizes, deletes nothing."""
    others = lockfile.beside(files)
    judged = [*_takes(plan, known, others, kinds)]
    if "caches" in kinds:
        judged += caches.find(plan, known, files, others, now)
    items = tuple(one for one in judged if isinstance(one, Item))
    return Found(items=items, kept=tuple(one for one in judged if isinstance(one, Kept)))


def delete(found: Found, ledger: Ledger) -> Found:
    """Delete what was found, by whoever holds the lock; what went, and what did not and why.

    That a take was cleaned is in journal and lock before its file goes. A crash in between leaves the file: it is here,
    and what is here needs no reason.
    """
    gone: list[Item] = []
    kept: list[Kept] = []
    with ExitStack() as stack:
        busy = caches.busy(ledger.files, stack) if any(item.shared for item in found.items) else None
        seen: dict[str, list[tuple[int, ...]]] = {}
        for item in found.items:
            looks = _looks(item)
            why = (busy if item.shared else None) or caches.served(item, stack) or _changed(item)
            if why:
                kept.append(Kept(name=item.name, why=why))
            else:
                seen[item.name] = looks
        going = [item for item in found.items if item.name in seen]
        _record(going, ledger)
        for item in going:
            if _looks(item) != seen[item.name]:
                kept.append(Kept(name=item.name, why="its file has just changed"))
                continue
            _unlink(item)
            gone.append(item)
    return Found(items=tuple(gone), kept=tuple(kept))


def _record(going: Sequence[Item], ledger: Ledger) -> None:
    takes = [item.name for item in going if item.sha256]
    for number, take in enumerate(takes, 1):
        ledger.note("cleaned", sync=number == len(takes), take=take)  # one fsync is for all
    if takes:
        ledger.fold()


def _looks(item: Item) -> list[tuple[int, ...]]:
    """By what a take's files are told from others that have taken their places since."""
    looks: list[tuple[int, ...]] = []
    for path in item.paths if item.sha256 else ():
        with suppress(OSError):
            seen = path.stat()
            looks.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
    return looks


def _unlink(item: Item) -> None:
    for path in item.paths:
        with disk(path):
            path.unlink(missing_ok=True)
    for place in {path.parent for path in item.paths}:
        with suppress(OSError):  # what comes back after a crash is listed again
            sync_folder(place)


def _takes(plan: Plan, known: Lock, others: Mapping[str, Lock], kinds: Collection[Kind]) -> Iterator[Item | Kept]:
    """Saved takes whose file is here, and which neither the storyboard nor a person has any use for."""
    judge = _Judge(plan, known, others)
    taken_over = {step.was for step in plan.steps if step.was}
    for key in sorted(known.takes, key=lambda key: (locks.shot_of(key), locks.number_of(key))):
        entry, shot = known.takes[key], judge.shots.get(locks.shot_of(key))
        kind: Kind = "outdated" if shot else "orphaned"
        if entry.state != "saved" or kind not in kinds or key in taken_over or (shot and is_current(entry, shot)):
            continue
        path = judge.root / str((entry.render or {})["path"])
        if not os.path.lexists(path):
            continue
        output = judge.output(key, path)
        if why := judge.reason(key, entry, path) or judge.shown(key, output):
            yield Kept(name=key, why=why)
        else:
            yield _take(key, entry, kind, path, output)


class _Judge:
    """What speaks for a take that is not current, gathered once for all of them."""

    def __init__(self, plan: Plan, known: Lock, others: Mapping[str, Lock]) -> None:
        self.root = plan.manifest.folder
        self.shots = {shot.id: shot for shot in plan.manifest.shots}
        self.known = known
        self._picked = set(known.picked.values())
        self._users = _users(plan.manifest.shots)
        self._owners = {
            str(entry.render["path"]): name for name, lock in others.items() for entry in lock.takes.values() if entry.render
        }
        self._outputs = {shot.output.casefold(): shot.id for shot in plan.manifest.shots}

    def reason(self, key: str, entry: Entry, path: Path) -> str | None:
        """Why a take that is not current stays nonetheless, if it does."""
        render, shot = entry.render or {}, self.shots.get(locks.shot_of(key))
        if key in self._picked:
            return "picked"
        if shot and shot.fingerprint is None:
            return "whether it is current shows when the shot that it is linked to is rendered"
        if user := self._users.get(str(render["sha256"])):
            return f"{user} is made from it"
        if path.is_symlink() or not path.resolve().is_relative_to(self.root.resolve()):
            return f"{render['path']} is a link that leads elsewhere"
        if key not in self.known.here:
            return f"{render['path']} is not the file that was saved: its size differs"
        owner = self._owners.get(str(render["path"]))
        return f"{owner} has it too" if owner else None

    def shown(self, key: str, output: Path | None) -> str | None:
        """Why a take stays that its shot still shows: there is nothing yet to be shown in its place."""
        shot = self.shots.get(locks.shot_of(key))
        if shot is None or output is None or any(self._is_shown_next(take, shot) for take in self.known.of_shot(shot.id)):
            return None
        return f"{shot.output} shows it, and no current take of {shot.id} is here"

    def _is_shown_next(self, take: str, shot: Shot) -> bool:
        entry = self.known.takes[take]
        return entry.state == "saved" and take in self.known.here and is_current(entry, shot)

    def output(self, key: str, path: Path) -> Path | None:
        """The name under which a take that is about to go is still shown; for a shot that left, the name it had by default."""
        name = locks.shot_of(key)
        shot = self.shots.get(name)
        if shot is None and path.parent.name != "takes":
            return None
        output = self.root / shot.output if shot else path.parent.parent / f"{name}.mp4"
        if output.is_symlink() or not output.is_file():
            return None
        if self._outputs.get(output.relative_to(self.root).as_posix().casefold(), name) != name:
            return None  # another shot's by now
        same = output.samefile(path) or (
            output.stat().st_size == path.stat().st_size and folder.sha256(output) == folder.sha256(path)
        )
        return output if same else None


def _users(shots: Iterable[Shot]) -> dict[str, str]:
    """Renders by sha256 that a shot is made from, by a link or as a file, with the shot."""
    found: dict[str, str] = {}
    for shot in shots:
        for medium in shot.media:
            name, _, sha256 = medium.identity.partition("#")[0].partition(":")
            if name == "sha256":
                found[sha256] = shot.id
    return found


def _take(key: str, entry: Entry, kind: Kind, path: Path, output: Path | None) -> Item:
    seen = path.stat()
    paths = (path, output) if output else (path,)
    linked = 1 + bool(output and output.samefile(path))
    size = seen.st_size * (1 + len(paths) - linked)  # `output` is a copy where the file system has no links
    freed = size if seen.st_nlink <= linked else size - seen.st_size
    sha256 = str((entry.render or {})["sha256"])
    note = "still its shot's output" if output else ""
    return Item(kind=kind, name=key, paths=paths, bytes=size, freed=freed, sha256=sha256, entry=entry, note=note)


def _changed(item: Item) -> str | None:
    """Why a take's file is not the one that was saved, if it isn't; all of it is read."""
    for path in item.paths if item.sha256 else ():
        try:
            if path is not item.paths[0] and path.samefile(item.paths[0]):
                continue
            if folder.sha256(path) != item.sha256:
                return f"{path.name} is not the file that was saved: its content differs"
        except OSError as error:
            return f"{path.name} cannot be read: {error.strerror}"
    return None
