"""What may be deleted and what stays: the values that `clean` finds, shows and carries out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.lock import Entry

Kind = Literal["outdated", "orphaned", "caches"]
KINDS: tuple[Kind, ...] = ("outdated", "orphaned", "caches")


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Something that may go: a take's file (`take`, by `sha256`) under all names that are ours, or a cache's files.

    `freed` is the room that it gives back, less than its `bytes` where a file has other names that stay (hard links); `note`
    is what a person should know before saying yes.
    """

    kind: Kind
    name: str
    paths: tuple[Path, ...]
    bytes: int
    freed: int
    sha256: str | None = None
    entry: Entry | None = None
    note: str = ""
    shared: bool = False  # with the other manifests of the folder
    guard: Path | None = None  # held by a studio that is at work in these files


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Something that looks as if it could go, and why it stays."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    items: tuple[Item, ...] = ()
    kept: tuple[Kept, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(item.bytes for item in self.items)

    @property
    def freed(self) -> int:
        return sum(item.freed for item in self.items)
