"""Lock and journal on disk: read together, held by one run at a time, appended before anything is sent, folded.

The journal is the truth of this machine, the lock is what git carries.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from runner import journal as journals
from runner import lock as locks
from runner import locktext
from runner.clock import stamp
from runner.errors import LockHeld, Refused
from runner.journal import DiskError, Journal, disk, sync_folder, write_whole
from runner.lock import Lock, LockDamaged, Run

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
    text, lock = _read_lock(files.lock)
    records, size = journals.read(files.journal)
    known = Lock(takes={})
    runs = set()
    used = set()
    for record in records:
        known = _applied(known, record, files.journal)
        used.add(record.get("take"))
        if record["event"] == "run":
            runs.add(record["run"])
    whole = locks.united(lock, known)
    orphaned = lock.run if lock.run and lock.run.id not in runs else None
    serial = f"{size}:{sha256(text).hexdigest()[:16]}"
    return replace(whole, used=frozenset(key for key in used if key), serial=serial, orphaned_run=orphaned)


def _applied(known: Lock, record: Mapping[str, Any], path: Path) -> Lock:
    try:
        if record["event"] == "known":
            record = {**record, "entry": locktext.entry_of(record["entry"])}
        return locks.apply(known, record)
    except (LockDamaged, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(
            f"{path}: a record makes no sense: {error}", hint="it was edited or cut; keep a copy and ask for help"
        ) from error


def _read_lock(path: Path) -> tuple[bytes, Lock]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return b"", Lock()
    except OSError as error:
        raise Refused(f"{path}: the lock cannot be read: {error.strerror}") from error
    if b"\n<<<<<<< " in text or b"\n>>>>>>> " in text:
        hint = "keep the takes of both sides (each side's are paid for), then run again"
        raise Refused(f"{path}: the lock has unresolved merge conflicts", hint=hint)
    try:
        data = json.loads(text)
        version = data["callsheet_lock"]
    except (ValueError, KeyError, TypeError) as error:
        hint = "bring it back from git; the journal in .callsheet/ still knows what was paid for"
        raise Refused(f"{path}: this is no lock: {error}", hint=hint) from error
    if version != locks.VERSION:
        raise Refused(f"{path}: the lock has version {version}, this callsheet knows {locks.VERSION}", hint="upgrade callsheet")
    try:
        return text, locktext.from_json(data)
    except (LockDamaged, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"{path}: the lock is damaged: {error}", hint="bring it back from git") from error


class Ledger:
    """Writes what happens: to the journal at once, to the lock now and then. Owned by whoever holds the lock."""

    def __init__(self, files: Files, known: Lock, *, now: Callable[[], float] = time.time) -> None:
        self.files = files
        self.lock = known
        self.now = now
        self.run = uuid.uuid4().hex[:12]
        self._seq = 0
        self._journal = Journal(files.journal)
        self._named = False

    def note(self, event: str, *, sync: bool = True, **fields: Any) -> dict[str, Any]:
        """Append one record and apply it; with `sync` it is on disk when this returns."""
        if not self._journal.is_open:
            self._open()
        record = {"event": event, "at": stamp(self.now()), "run": self.run, "seq": self._seq, **fields}
        self._journal.append(record, sync=sync)
        self._seq += 1
        self.lock = locks.apply(self.lock, record)
        return record

    def name_run(self) -> None:
        """Make the lock name this run, on disk, before its first intent: a stranger with only the lock is warned."""
        if not self._named:
            if not self._journal.is_open:
                self._open()
            self.lock = replace(self.lock, run=Run(id=self.run, host=socket.gethostname(), since=stamp(self.now())))
            self.fold()
            self._named = True

    def fold(self) -> None:
        """Write the lock if it says anything new: beside, fsynced, then renamed over the old one."""
        text = json.dumps(locktext.to_json(self.lock), ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"
        path = self.files.lock
        if not self.lock.takes and not path.exists() and not self.lock.run:
            return
        if path.exists() and path.read_bytes() == text:
            return
        beside = self.files.state / f"{self.files.name}.lock.tmp"
        with disk(path):
            write_whole(beside, text)
            beside.replace(path)
            sync_folder(path.parent)

    def close(self) -> None:
        """Fold a last time: the lock no longer names a run, and has what a run that died had only in the journal."""
        # A run that was never heard of here stays named: its takes may still have to be found.
        self.lock = replace(self.lock, run=self.lock.orphaned_run)
        self.fold()
        self._journal.close()
        self._named = False

    def abandon(self) -> None:
        """Let go of the journal's file without another write."""
        self._journal.close()

    def _open(self) -> None:
        """Open the journal, and take in what only the lock's file knows."""
        records = self._journal.open()
        told = Lock(takes={})
        for record in records:
            told = _applied(told, record, self.files.journal)
        self._journal.append({"event": "run", "at": stamp(self.now()), "run": self.run, "seq": -1}, sync=True)
        for key, entry in self.lock.takes.items():
            if told.takes.get(key) != entry:
                record = {"event": "known", "run": self.run, "take": key, "entry": locktext.entry_json(entry)}
                self._journal.append(record, sync=False)
        for shot, take in self.lock.picked.items():
            if told.picked.get(shot) != take:
                self._journal.append({"event": "picked", "run": self.run, "shot": shot, "take": take}, sync=False)


@contextmanager
def held(files: Files) -> Iterator[None]:
    """Be the only run on this lock; a second one gets LockHeld at once, with who and since when.

    A dead holder on this machine leaves nothing that is in the way. One on another machine (a shared folder) is
    never broken by itself, since nobody here can tell whether it is dead.
    """
    prepare(files.state)
    guard = FileLock(files.guard, timeout=0)
    try:
        guard.acquire()
    except Timeout:
        raise _held_by(_holder(files)) from None
    except OSError as error:
        raise DiskError(f"{files.guard}: cannot be locked: {error.strerror or error}") from error
    try:
        there = _holder(files)
        if there.get("host", socket.gethostname()) != socket.gethostname():
            raise _held_by(there, hint=f"if that run is dead, delete {files.holder}")
        said = {"pid": os.getpid(), "host": socket.gethostname(), "since": stamp(time.time())}
        with disk(files.holder):
            write_whole(files.holder, json.dumps(said).encode())
        try:
            yield
        finally:
            files.holder.unlink(missing_ok=True)
    finally:
        guard.release()


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
