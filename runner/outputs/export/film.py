"""Manifest + Lock + Plan → what every export is made from: the chosen shots in their order, and every take as a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from runner import lock as locks
from runner.cut import Clip, cut
from runner.lock import Entry, Lock
from runner.outputs.export.timing import Length, length
from runner.plan import Plan, Step
from runner.shots import Manifest, Shot, is_current, relative

FPS = Fraction(24)  # of a film of which nothing is rendered yet
Chosen = Callable[[str, str], bool]  # a take's key and its state (`new` for one not made yet) → whether it is asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One take: known to the lock (`entry`), planned (`step`) or both; `shot` is None where it left the manifest."""

    take: str
    shot: Shot | None
    entry: Entry | None
    step: Step | None
    picked: bool
    here: bool

    @property
    def shot_id(self) -> str:
        return locks.shot_of(self.take)

    @property
    def state(self) -> str:
        return self.entry.state if self.entry else "new"

    @property
    def current(self) -> bool:
        return bool(self.shot and (self.entry is None or self.entry.is_open or is_current(self.entry, self.shot)))

    @property
    def request(self) -> Mapping[str, Any]:
        """What was asked; for a take that was never sent what would be."""
        return (self.entry.request if self.entry else None) or (self.shot.request() if self.shot else {})

    @property
    def render(self) -> Mapping[str, Any]:
        return (self.entry.render if self.entry else None) or {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One shot's place in the film. `number` counts the whole storyboard from 1, whatever was chosen."""

    number: int
    clip: Clip
    length: Length

    @property
    def shot(self) -> Shot:
        return self.clip.shot

    @property
    def render(self) -> Mapping[str, Any]:
        """Of the take that is shown; empty where none is saved."""
        return (self.clip.entry.render if self.clip.entry else None) or {}

    @property
    def is_elsewhere(self) -> bool:
        """Whether its take is saved, and the file is not here."""
        return self.clip.take is not None and self.clip.file is None

    @property
    def has_sound(self) -> bool:
        return bool(self.render.get("sound"))


@dataclass(frozen=True, kw_only=True)
class Film:
    """What was chosen of a lock and the plan decided from it.

    `new` is the most takes not made yet that count, None for all; `all_takes` asks for those whose files are elsewhere too.
    """

    known: Lock
    plan: Plan
    chosen: Chosen = lambda _take, _state: True
    new: int | None = None
    all_takes: bool = False

    @property
    def manifest(self) -> Manifest:
        """As the plan has it, its links to other shots' renders known."""
        return self.plan.manifest

    @property
    def title(self) -> str:
        return self.manifest.title or self.manifest.name

    def path(self, render: str, base: Path) -> str:
        """Where a render lies, seen from the folder `base`; the whole path where none leads there (another drive)."""
        path = self.manifest.folder / render
        try:
            return relative(path, base)
        except ValueError:
            return path.absolute().as_posix()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Every chosen take in the storyboard's order, what left it behind."""
        found = [row for row in _rows(self.manifest, self.known, self.plan) if self.chosen(row.take, row.state)]
        made = [row for row in found if row.entry is None][: self.new]
        kept = {row.take for row in made}
        return tuple(row for row in found if row.entry or row.take in kept)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Every chosen shot in order: by the take that it shows, else by any take that it has or would have."""
        keys: dict[str, list[tuple[str, str]]] = {}
        for row in _rows(self.manifest, self.known, self.plan):
            keys.setdefault(row.shot_id, []).append((row.take, row.state))
        left = len(self.manifest.shots) if self.new is None else self.new
        found = []
        for number, clip in enumerate(cut(self.manifest, self.known), 1):
            if clip.take is not None:
                fits = self.chosen(clip.take, clip.takes[clip.take].state)
            else:
                fits = left > 0 and any(self.chosen(*key) for key in keys.get(clip.shot.id, [(f"{clip.shot.id}@1", "new")]))
                left -= fits
            if fits:
                found.append(Piece(number=number, clip=clip, length=length(clip)))
        return tuple(found)

    @cached_property
    def rate(self) -> Fraction:
        """Pictures a second of the sequence: those of most of its rendered seconds."""
        seconds: dict[Fraction, Fraction] = {}
        for piece in self.pieces:
            if piece.length.rate:
                seconds[piece.length.rate] = seconds.get(piece.length.rate, Fraction(0)) + piece.length.seconds
        return max(seconds, key=lambda rate: seconds[rate], default=FPS)

    @property
    def missing(self) -> tuple[Piece, ...]:
        """The shots that have no saved take."""
        return tuple(piece for piece in self.pieces if piece.clip.take is None)

    @property
    def elsewhere(self) -> tuple[Piece, ...]:
        """The shots whose take is saved, and whose file is not here."""
        return tuple(piece for piece in self.pieces if piece.is_elsewhere)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """An export's bytes, what a person should know of it, and the chosen takes that it leaves out."""

    data: bytes
    remarks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One thing to export to. `make` gets the folder that the paths in it count from; `is_ours` knows an earlier export.

    `of_shots` tells a film of shots from a table of takes; `to_stdout` is where it goes when nobody says; `ending` is its file's.
    """

    name: str
    ending: str
    of_shots: bool
    to_stdout: bool
    make: Callable[[Film, Path], Made]
    is_ours: Callable[[bytes], bool]


def _rows(manifest: Manifest, known: Lock, plan: Plan) -> list[Row]:
    """Shot by shot what the lock has, then what a run would make; at the end what the manifest no longer has."""
    steps = {step.was or step.take: step for step in plan.steps}
    takes: dict[str, list[str]] = {}
    for key in sorted({*known.takes, *steps}, key=locks.number_of):
        takes.setdefault(locks.shot_of(key), []).append(key)
    shots = {shot.id: shot for shot in manifest.shots}
    order = [*shots, *sorted(name for name in takes if name not in shots)]
    return [
        Row(
            take=key,
            shot=shots.get(name),
            entry=known.takes.get(key),
            step=steps.get(key),
            picked=known.picked.get(name) == key,
            here=key in known.here,
        )
        for name in order
        for key in takes.get(name, ())
    ]
