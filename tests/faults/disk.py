"""A disk that keeps only what was fsynced: what a folder holds after the power has gone.

The model is about the harshest that POSIX permits. A file has the bytes of its last fsync, none if it never had one; a
name is new, gone or changed only once its folder was fsynced after that, so renames, links and removals are undone.
Only for the way to an fsynced folder it is milder: else a render and its folder would vanish together, and the render
would be fetched again. `Disk.after()` is that folder as a value; `rebuilt` puts it in place of the real one when the
process is dead.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass
class Disk:
    """Watches one folder; `lies` are patterns of names whose fsync does nothing ("/" stands for folders)."""

    root: Path
    lies: tuple[str, ...] = ()
    files: dict[int, bytes] = field(default_factory=dict)  # by inode, as are the folders' names
    folders: dict[int, dict[str, int]] = field(default_factory=dict)
    _pins: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """All that is there before the process begins has long been on disk."""
        for path in self._all():
            if path.is_dir():
                self.folders[_inode(path)] = _names(path)
            else:
                self.files[_inode(path)] = path.read_bytes()
        self.pin()

    def _all(self) -> Iterator[Path]:
        yield self.root
        yield from self.root.rglob("*")

    def pin(self) -> None:
        """Keep every file open, so that the number of one that is removed is not given to another."""
        for path in self._all():
            if not path.is_dir() and _inode(path) not in self._pins:
                self._pins[_inode(path)] = os.open(path, os.O_RDONLY)

    def synced(self, fd: int) -> None:
        """Called when an fsync has succeeded."""
        told = os.fstat(fd)
        path = next((one for one in self._all() if _inode(one) == told.st_ino), None)
        if path is None:
            return  # another folder's, or a file that is removed already
        if not stat.S_ISDIR(told.st_mode):
            if not any(fnmatchcase(path.name, lie) for lie in self.lies):
                self.files[told.st_ino] = path.read_bytes()
        elif "/" not in self.lies:
            self.folders[told.st_ino] = _names(path)
            self._reach(path)
        self.pin()

    def _reach(self, folder: Path) -> None:
        """New folders above one that was fsynced last with it, as journalling file systems have it."""
        while folder != self.root:
            self.folders.setdefault(_inode(folder.parent), {})[folder.name] = _inode(folder)
            folder = folder.parent

    def after(self) -> dict:
        """The folder after the power has gone: folders in order, each name with its file's number, and the files' bytes."""
        made: dict = {"folders": [], "names": {}, "files": self.files}
        there = {_inode(path) for path in self._all() if path.is_dir()}

        def fill(inode: int, at: str) -> None:
            for name, inner in self.folders.get(inode, {}).items():
                if inner in self.folders or inner in there:
                    made["folders"].append(f"{at}{name}")
                    fill(inner, f"{at}{name}/")
                else:
                    made["names"][f"{at}{name}"] = inner

        fill(_inode(self.root), "")
        return made


def _inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:  # another thread has removed it
        return -1


def _names(folder: Path) -> dict[str, int]:
    return {path.name: _inode(path) for path in folder.iterdir()}


def rebuilt(root: Path, after: dict) -> None:
    """Make the folder what `after` says; names of one file stay names of one file."""
    for path in root.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name in after["folders"]:
        (root / name).mkdir()
    first: dict[int, Path] = {}
    for name, inode in after["names"].items():
        path = root / name
        if inode in first:
            path.hardlink_to(first[inode])
        else:
            path.write_bytes(after["files"].get(inode, b""))
            first[inode] = path
