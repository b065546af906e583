"""A film → numbered deliverables in a folder: `001_s010.mp4` and so on, each a hard link to its take, else a copy.

A number is the shot's place in the whole storyboard, so that a missing shot keeps its own and a part exported later fits in.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner import folder
from runner.journal import disk, sync_folder
from runner.lock import Lock
from runner.outputs.export.film import Film, Piece

How = Literal["linked", "copied", "kept", "replaced", "in the way", "missing", "not here"]
_FEWEST = 3  # digits
_OURS = re.compile(r"\d{3,}_.+\.mp4")


@dataclass(frozen=True, kw_only=True, slots=True)
class Deliverable:
    """What became of one shot: a file is there but for the last three, which have no render to be one, or no room for it."""

    number: int
    shot: str
    take: str | None
    file: str
    how: How


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """All of them; `strays` are files that an earlier export has left under names that are no longer any shot's."""

    shots: tuple[Deliverable, ...]
    strays: tuple[str, ...]

    @property
    def files(self) -> tuple[Deliverable, ...]:
        """Those that are there."""
        return tuple(one for one in self.shots if one.how not in {"missing", "not here", "in the way"})

    def being(self, *how: How) -> tuple[Deliverable, ...]:
        return tuple(one for one in self.shots if one.how in how)


def deliver(film: Film, target: Path) -> Delivery:
    """Put every chosen shot's shown take into `target`. What is there and is not a copy of a take that is kept stays."""
    with disk(target):
        target.mkdir(parents=True, exist_ok=True)
    digits = max(_FEWEST, len(str(len(film.manifest.shots))))
    shots = tuple(_one(piece, f"{piece.number:0{digits}}_{piece.shot.id}.mp4", target, film) for piece in film.pieces)
    with disk(target):
        sync_folder(target)
    names = {f"{number:0{digits}}_{shot.id}.mp4" for number, shot in enumerate(film.manifest.shots, 1)}
    there = sorted(path.name for path in target.iterdir())
    return Delivery(shots=shots, strays=tuple(name for name in there if _OURS.fullmatch(name) and name not in names))


def _one(piece: Piece, name: str, target: Path, film: Film) -> Deliverable:
    clip = piece.clip

    def told(how: How) -> Deliverable:
        return Deliverable(number=piece.number, shot=piece.shot.id, take=clip.take, file=name, how=how)

    if clip.file is None:
        return told("not here" if clip.take else "missing")
    path = target / name
    if not os.path.lexists(path):
        return told(_put(clip.file, path))
    if _is(path, clip.file, str(piece.render["sha256"])):
        return told("kept")
    if _is_kept_elsewhere(path, film):
        _put(clip.file, path)
        return told("replaced")
    return told("in the way")


def _is(path: Path, take: Path, sha256: str) -> bool:
    """Whether a file is the take already."""
    if path.is_symlink() or not path.is_file():
        return False
    return path.samefile(take) or (path.stat().st_size == take.stat().st_size and folder.sha256(path) == sha256)


def _is_kept_elsewhere(path: Path, film: Film) -> bool:
    """Whether a file is a copy of another take whose own file is here: then nothing is lost with it."""
    if path.is_symlink() or not path.is_file():
        return False
    return any(_is(path, take, sha256) for take, sha256 in _takes(film.manifest.folder, film.known, path.stat().st_size))


def _takes(base: Path, known: Lock, size: int) -> Iterable[tuple[Path, str]]:
    for key in known.here:
        render = known.takes[key].render
        if render and render["bytes"] == size:
            yield base / str(render["path"]), str(render["sha256"])


def _put(take: Path, path: Path) -> How:
    """Under its name in one step, whole: a reader never sees half a film."""
    beside = path.with_name(f".{path.name}.new")
    how: How = "linked"
    with disk(path):
        beside.unlink(missing_ok=True)
        try:
            os.link(take, beside)
        except OSError:  # a file system without links, or another one
            shutil.copyfile(take, beside)
            with beside.open("rb+") as copy:
                os.fsync(copy.fileno())
            how = "copied"
        beside.replace(path)
    return how
