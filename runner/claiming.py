"""Folders of a colleague → the takes that are missing here, recognised by sha256 whatever their names, each put in its place.

They are copied and not linked: a link would let somebody who edits that file change a take that was paid for.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import media
from runner.lock import Lock
from runner.lockfile import Ledger

_CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A take that is here now, and the file that it was found in."""

    take: str
    source: Path
    render: Mapping[str, Any]


@dataclass(kw_only=True)
class Claimed:
    """What was found, what is still missing, what stands in a take's way, and what could not be read."""

    found: list[Claim] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    blocked: dict[str, str] = field(default_factory=dict)
    unread: list[Path] = field(default_factory=list)


def wanted(known: Lock) -> dict[str, Mapping[str, Any]]:
    """The renders of saved takes whose files are not here, by take."""
    return {
        key: entry.render
        for key, entry in known.takes.items()
        if entry.state == "saved" and entry.render and key not in known.here
    }


def claim(
    root: Path, ledger: Ledger, folders: Iterable[Path], takes: Iterable[str], on_found: Callable[[Claim], None] = lambda _: None
) -> Claimed:
    """Look for these takes in the folders, deep, and take in what is found; files are read only where their size fits.

    Links in the folders are not followed. Nothing here is overwritten: a file in a take's way blocks it, and is told.
    """
    renders = wanted(ledger.lock)
    left = {key: renders[key] for key in takes if key in renders}
    claimed = Claimed()
    for key in [key for key, render in left.items() if os.path.lexists(root / str(render["path"]))]:
        claimed.blocked[key] = f"{left.pop(key)['path']} is in the way: it is not the file that was saved"
    for path, size in _files(folders, claimed):
        fitting = {key: render for key, render in left.items() if render["bytes"] == size}
        if not fitting:
            continue
        for key, render in _same(path, fitting, claimed).items():
            if not _take_in(root, ledger, key, render, path, claimed):
                continue
            left.pop(key)
            on_found(claimed.found[-1])
        if not left:
            break
    claimed.missing = list(left)
    return claimed


def _files(folders: Iterable[Path], claimed: Claimed) -> Iterator[tuple[Path, int]]:
    """Every plain file with its size, in an order that is the same everywhere."""

    def unread(error: OSError) -> None:
        claimed.unread.append(Path(error.filename))

    for folder in folders:
        for place, inner, names in os.walk(folder, onerror=unread):
            inner.sort()
            for name in sorted(names):
                path = Path(place, name)
                with suppress(OSError):  # gone since it was listed
                    seen = path.lstat()
                    if stat.S_ISREG(seen.st_mode):
                        yield path, seen.st_size


def _same(path: Path, fitting: Mapping[str, Mapping[str, Any]], claimed: Claimed) -> dict[str, Mapping[str, Any]]:
    """The takes whose render a file is; two of equal content are both."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        claimed.unread.append(path)
        return {}
    return {key: render for key, render in fitting.items() if render["sha256"] == found}


def _take_in(root: Path, ledger: Ledger, key: str, render: Mapping[str, Any], source: Path, claimed: Claimed) -> bool:
    """Copy beside, judge the copy, give it its name, write it down. A file that changed under way stays where it is."""
    part = ledger.files.parts / f"{ledger.files.name}-{key}.from.part"
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        copied = _copied(source, part)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise media.disk_fault(part, error) from error
    if copied != render["sha256"]:
        part.unlink(missing_ok=True)
        claimed.unread.append(source)
        return False
    media.place(part, root / str(render["path"]))
    ledger.note("saved", take=key, render=dict(render))  # where it was absent, it no longer is
    claimed.found.append(Claim(take=key, source=source, render=render))
    return True


def _copied(source: Path, part: Path) -> str:
    """Copy a file to disk; the sha256 of what was written."""
    digest = hashlib.sha256()
    part.unlink(missing_ok=True)
    with source.open("rb") as reader, part.open("xb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            digest.update(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()
