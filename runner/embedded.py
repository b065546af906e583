"""A lock → the studio of its own: where it keeps its tasks, and which takes may still be asked of it.

A folder a lock, since whoever holds the lock is then the only one in it: a preview beside a run, two manifests in one
folder and a `callsheet studio` that serves from there never meet.
"""

from __future__ import annotations

from pathlib import Path

from runner.lock import Entry, Lock
from runner.lockfile import Files

_OPEN = {"intended", "submitted", "rendered"}  # states in which a provider may still have to be asked


def home(files: Files) -> Path:
    """Where the studio that a run of this lock starts keeps its tasks."""
    return files.state / f"{files.name}.studio"


def served(files: Files) -> Path:
    """Where `callsheet studio` keeps its tasks, if it is not told otherwise."""
    return files.state / "studio"


def asked(known: Lock) -> dict[str, Entry]:
    """Takes whose provider may have to be asked for them: in doubt, under way, to be fetched, or saved and not here."""
    return {
        key: entry
        for key, entry in known.takes.items()
        if entry.state in _OPEN or (entry.state == "saved" and key not in known.here)
    }
