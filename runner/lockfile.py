"""Lock and journal on disk: read together, held by one run at a time, appended before anything is sent, folded.

The journal is the truth of this machine, the lock is what git carries.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import journal as journals
from runner import lock as locks
from runner import lockread, locktext, past
from runner.clock import stamp
from runner.errors import LockHeld, Refused
from runner.journal import DiskError, Journal, disk, says, sync_folder, write_whole
from runner.lock import Lock, Run
from runner.takes import Takes
from runner.united import united

if TYPE_CHECKING:
    from filelock import BaseFileLock

FOLD_EVERY = 30.0  # seconds between two writings of the lock during a run


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """Where one manifest's state lies: the lock beside it, the rest in `.callsheet/`."""

    lock: Path

    @property
    def state(self) -> Path:
        return self.lock.parent / ".callsheet"

    @property
    def name(self) -> str:
        return self.lock.name.removesuffix(".callsheet.lock")

    @property
    def journal(self) -> Path:
        return self.state / f"{self.name}.journal"

    @property
    def guard(self) -> Path:
        return self.state / f"{self.name}.guard"

    @property
    def holder(self) -> Path:
        return self.state / f"{self.name}.holder.json"

    @property
    def parts(self) -> Path:
        """Where downloads grow until they are whole."""
        return self.state / "parts"


def load(files: Files) -> Lock:
    """What lock and journal say together; never writes, and may be called while a run is alive."""
    told = past.read(files.journal)
    text, lock = _read_lock(files.lock, told.lock)
    whole = united(lock, told.lock)
    orphaned = lock.run if lock.run and lock.run.id not in told.runs else None
    serial = f"{told.size}:{sha256(text).hexdigest()[:16]}"
    at = told.lock.picked_at
    picked_at = {shot: at[shot] for shot in at if at[shot] and told.lock.picked.get(shot) == whole.picked.get(shot)}
    known = replace(whole, takes=Takes(whole.takes), used=told.used, picked_at=picked_at)
    return replace(known, serial=serial, orphaned_run=orphaned)


def beside(files: Files) -> dict[str, Lock]:
    """What the other locks of the same folder say, by the lock's name; also those of which only the journal is left."""
    names = {path.name.removesuffix(".callsheet.lock") for path in files.lock.parent.glob("*.callsheet.lock")}
    names |= {path.name.removesuffix(".journal") for path in files.state.glob("*.journal")}
    others = (Files(lock=files.lock.with_name(f"{name}.callsheet.lock")) for name in sorted(names - {files.name}))
    return {other.lock.name: load(other) for other in others}


def _read_lock(path: Path, told: Lock) -> tuple[bytes, Lock]:
    """The lock's file; `told` is what the journal says, so that a text that only repeats it adds nothing and is not judged."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return b"", Lock()
    except OSError as error:
        raise Refused(f"{path}: the lock cannot be read: {error.strerror}") from error
    return text, Lock() if text == locktext.written(told) else lockread.read(text, path)


class Ledger:
    """Writes what happens: to the journal at once, to the lock now and then. Owned by whoever holds the lock."""

    def __init__(self, files: Files, known: Lock, *, now: Callable[[], float] = time.time) -> None:
        self.files = files
        self.lock = known
        self.now = now
        self.run = os.urandom(6).hex()
        self._seq = 0
        self._journal = Journal(files.journal)
        self._pages = locktext.Pages()
        self._named = False
        self._guard: BaseFileLock | None = None
        self._rival: DiskError | None = None  # as the disk's: nothing may go on

    def note(self, event: str, *, sync: bool = True, **fields: Any) -> dict[str, Any]:
        """Append one record and apply it; with `sync` it is on disk when this returns, but for what can be learnt again."""
        self._be_ready()
        if self._rival and event != "submitted":
            raise self._rival
        record = {"event": event, "at": stamp(self.now()), "run": self.run, "seq": self._seq, **fields}
        self._journal.append(record, sync=sync)
        self._seq += 1
        self.lock = locks.apply(self.lock, record)
        return record

    def name_run(self) -> None:
        """Make the lock name this run, on disk, before its first intent: a stranger with only the lock is warned."""
        if not self._named:
            self._be_ready()
            self.lock = replace(self.lock, run=Run(id=self.run, host=socket.gethostname(), since=stamp(self.now())))
            self.fold()
            self._named = True

    def settle_run(self) -> None:
        """Say for good that the run which the lock names, and whose journal is not here, has been looked into."""
        if self.lock.orphaned_run:
            self.note("settled", settled=self.lock.orphaned_run.id)
            self.lock = replace(self.lock, run=None, orphaned_run=None)

    def fold(self) -> None:
        """Write the lock if it says anything new: beside, fsynced, then renamed over the old one."""
        path = self.files.lock
        if not self.lock.takes and not path.exists() and not self.lock.run:
            return
        if says(path, self._pages.of(self.lock)):
            return
        beside = self.files.state / f"{self.files.name}.lock.tmp"
        if self._journal.is_open:
            self._be_ready()
        with disk(path):
            write_whole(beside, self._pages.of(self.lock))
            beside.replace(path)
            sync_folder(path.parent)

    def close(self) -> None:
        """Fold a last time: the lock no longer names a run, and has what a run that died had only in the journal."""
        # A run that was never heard of here stays named: its takes may still have to be found.
        self.lock = replace(self.lock, run=self.lock.orphaned_run)
        self.fold()
        self.abandon()
        self._named = False
        self._pages = locktext.Pages()  # whoever goes on reads the lock anew; this one and its text need not stay

    def abandon(self) -> None:
        """Let go of the journal's file without another write."""
        self._journal.close()
        if self._guard:
            self._guard.release()
            self._guard = None

    def _be_ready(self) -> None:
        """Open the journal; where `.callsheet/` was deleted under way, make it anew with all that this run knows."""
        if self._journal.is_open and not self._journal.is_gone:
            return
        if self._journal.is_open or not self.files.guard.exists():
            self._journal.close()
            self._take_guard()
        self._open()

    def _take_guard(self) -> None:
        """The guard went with the folder. If another run has the new one, this run only notes the replies still to come."""
        from filelock import FileLock, Timeout

        prepare(self.files.state)
        guard = FileLock(self.files.guard, timeout=0)
        try:
            guard.acquire()
        except Timeout:
            who = _held_by(_holder(self.files))
            self._rival = DiskError(f"{self.files.state} was deleted under way, and {who.fact}", hint=who.hint)
        else:
            self._guard = guard
            _sign(self.files)

    def _open(self) -> None:
        """Open the journal, and take in what only the lock's file knows."""
        there = past.read(self.files.journal)
        self._journal.open(there.size)
        told = there.lock
        begun = {"event": "run", "journal": journals.VERSION, "at": stamp(self.now()), "run": self.run, "seq": -1}
        self._journal.append(begun, sync=True)
        for key, entry in self.lock.takes.items():
            if told.takes.get(key) != entry:
                record = {"event": "known", "run": self.run, "take": key, "entry": locktext.entry_json(entry)}
                self._journal.append(record, sync=False)
        for shot in sorted(self.lock.picked.keys() | told.picked.keys()):
            take = self.lock.picked.get(shot)
            if told.picked.get(shot) != take:
                self._journal.append({"event": "picked", "run": self.run, "shot": shot, "take": take}, sync=False)


@contextmanager
def held(files: Files) -> Iterator[None]:
    """Be the only run on this lock; a second one gets LockHeld at once, with who and since when.

    A dead holder on this machine leaves nothing that is in the way. One on another machine (a shared folder) is
    never broken by itself, since nobody here can tell whether it is dead.
    """
    from filelock import FileLock, Timeout  # not for those who only look

    prepare(files.state)
    guard = FileLock(files.guard, timeout=0)
    try:
        guard.acquire()
    except Timeout:
        raise _held_by(_holder_by_now(files)) from None
    except OSError as error:
        hint = "give yourself the permission to write there, or work in a copy of the folder"
        raise DiskError(f"{files.guard}: cannot be locked: {error.strerror or error}", hint=hint) from error
    try:
        there = _holder(files)
        if there.get("host", socket.gethostname()) != socket.gethostname():
            raise _held_by(there, hint=f"if that run is dead, delete {files.holder}")
        _sign(files)
        try:
            yield
        finally:
            files.holder.unlink(missing_ok=True)
    finally:
        guard.release()


def _sign(files: Files) -> None:
    """Say whose lock it is, for those who come second."""
    said = {"pid": os.getpid(), "host": socket.gethostname(), "since": stamp(time.time())}
    with disk(files.holder):
        write_whole(files.holder, json.dumps(said).encode())


def _holder_by_now(files: Files) -> dict[str, object]:
    """Who has it; one that is just starting is given the moment between taking the lock and signing it."""
    for _ in range(20):
        if found := _holder(files):
            return found
        time.sleep(0.025)
    return {}


def _holder(files: Files) -> dict[str, object]:
    try:
        said = json.loads(files.holder.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _held_by(holder: dict[str, object], hint: str | None = None) -> LockHeld:
    who = f"pid {holder.get('pid', '?')} on {holder.get('host', '?')}, since {holder.get('since', '?')}"
    return LockHeld(
        f"another run holds this lock: {who}",
        holder=holder,
        hint=hint or "wait for it, or stop it; `callsheet status` shows how far it is",
    )


def prepare(state: Path) -> None:
    """Make `.callsheet/`, which git is told to leave alone."""
    with disk(state):
        state.mkdir(parents=True, exist_ok=True)
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
