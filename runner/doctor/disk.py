"""A folder and its manifest → whether a run can write there, and what lock and journal say."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner import lockfile
from runner import manifest as manifests
from runner.doctor.checks import Check, bad, ok, warn
from runner.errors import CallsheetError, LockHeld, ManifestError
from runner.fit import mega
from runner.lockfile import Files
from runner.shots import Manifest, stem

_LOW, _NONE = 1_000_000_000, 100_000_000  # bytes; a minute of 1080P is some tens of MB


def manifest(path: Path | None, folder: Path, environ: Mapping[str, str]) -> tuple[Manifest | None, Check]:
    """The manifest of the folder, where there is one that can be read; media are opened, no URL is."""
    if path is None:
        count = sum(1 for _ in folder.glob("*.callsheet.y*ml"))
        if count:
            return None, ok("manifest", f"{count} in this folder", "--manifest names the one to look at")
        return None, ok("manifest", "none in this folder", "`callsheet init` makes one")
    try:
        read = manifests.read(path, environ=environ)
    except ManifestError as error:
        errors = sum(1 for problem in error.problems if problem.severity == "error")
        told = f"{path.name} has {errors} error{'s' * (errors != 1)}, the first: {error.fact}"
        return None, bad("manifest", told, f"callsheet check {path}")
    shots = len(read.shots)
    return read, ok("manifest", f"{path.name}: {shots} shot{'s' * (shots != 1)}, no error")


def disk(folder: Path, path: Path | None) -> Iterator[Check]:
    """Writes a file into the folder and takes it away again; `path` is the manifest, where one is meant."""
    yield from _writing(folder)
    yield _space(folder)
    for name in _locks(folder, path):
        yield _lock(Files(lock=(folder / f"{name}.callsheet.lock").absolute()))


def _writing(folder: Path) -> Iterator[Check]:
    try:
        with tempfile.TemporaryDirectory(prefix=".callsheet-", dir=folder) as inside:
            one, other = Path(inside, "one"), Path(inside, "other")
            one.write_bytes(b"callsheet")
            yield ok("folder", f"{folder.absolute()} can be written to")
            try:
                os.link(one, other)
                linked = one.samefile(other)
            except OSError:
                linked = False
    except OSError as error:
        hint = "give yourself the permission, or work in another folder"
        yield bad("folder", f"{folder.absolute()} cannot be written to: {error.strerror or error}", hint)
        return
    if linked:
        yield ok("links", "hard links work: a picked take takes no second space")
    else:
        yield warn("links", "this file system has no hard links: the picked take is a copy, which needs its space twice")


def _space(folder: Path) -> Check:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return warn("space", f"the space left is unknown: {error.strerror or error}")
    said = f"{free / 1e9:,.1f} GB left"
    if free < _LOW:
        return (bad if free < _NONE else warn)("space", said, "make room before a run: what is paid for has to be fetched")
    return ok("space", said)


def _locks(folder: Path, path: Path | None) -> list[str]:
    """The names of every lock and journal here: a manifest's own and its profiles'; all of them where none is meant."""
    found = {one.name.removesuffix(".callsheet.lock") for one in folder.glob("*.callsheet.lock")}
    found |= {one.stem for one in folder.glob(".callsheet/*.journal")}
    own = stem(path) if path else ""
    return sorted(name for name in found if not own or name == own or name.startswith(f"{own}."))


def _lock(files: Files) -> Check:
    """What lock and journal know together, and whether a run is alive on them."""
    try:
        known = lockfile.load(files)
        if files.state.is_dir():  # where it is not, nobody ever ran here, and nothing is to be made
            with lockfile.held(files):
                pass
    except LockHeld as error:
        return warn("lock", f"{files.lock.name}: {error.fact}", error.hint)
    except CallsheetError as error:
        return bad("lock", error.fact, error.hint)
    counts = Counter(entry.state for entry in known.takes.values())
    takes = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no takes"
    journal = f"a journal of {mega(files.journal.stat().st_size)}" if files.journal.exists() else "no journal here"
    said = f"{files.lock.name}: {takes}; {journal}; held by nobody"
    if run := known.orphaned_run:
        told = f"{said}; it names a run ({run.id} on {run.host}, since {run.since}) whose journal is not here"
        return warn("lock", told, "finish that run where it was started and commit its lock")
    if counts["intended"]:
        return warn("lock", f"{said}; what is intended may have been paid for", "callsheet status, then callsheet again")
    return ok("lock", said)
