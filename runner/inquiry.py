"""Shots and takes that a person asks about → what each was made of, and what has changed since, with places. Reads files only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runner import changed, folder, written
from runner import lock as locks
from runner.assets import Link
from runner.changed import Difference
from runner.errors import Place
from runner.lock import Entry, Lock
from runner.plan import Plan, Step
from runner.shots import Shot, is_current
from runner.written import Written

_MOST_FILES = 200  # looked into for the one that a take was made from
_MOST_BYTES = 100_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A difference, and where the value that counts now was written."""

    difference: Difference
    places: tuple[Place, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What is to be said of one shot. `take` is the one compared, None where there is none to compare; `steps` the next run's.

    `shot` is None where it has left the manifest; `heir` is then the shot that takes its takes over, if one does.
    """

    id: str
    shot: Shot | None
    takes: Mapping[str, Entry]
    current: frozenset[str]
    take: str | None
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    heir: str | None = None


def why(plan: Plan, known: Lock, asked: Mapping[str, str | None]) -> tuple[Answer, ...]:
    """For each shot asked about an answer; `asked` names the take to compare, None for the newest one that is made of something."""
    shots = {shot.id: shot for shot in plan.manifest.shots if shot.id in asked}
    texts = written.shots(plan.manifest, shots.keys())
    by_shot: dict[str, list[Step]] = {}
    for step in plan.steps:
        by_shot.setdefault(step.shot, []).append(step)
    names = _Names(plan=plan, known=known)
    heirs = {locks.shot_of(step.was): step.shot for step in plan.steps if step.was}
    grouped = known.by_shot()
    found = []
    for name, take in asked.items():
        steps = by_shot.get(name, [])
        takes = {step.was: known.takes[step.was] for step in steps if step.was and step.was in known.takes}
        takes.update(grouped.get(name, {}))
        shot = shots.get(name)
        current = frozenset(key for key, entry in takes.items() if shot and (entry.is_open or is_current(entry, shot)))
        compared = take or next((key for key in reversed([*takes]) if not takes[key].is_open), None)
        changes: tuple[Change, ...] = ()
        if shot and compared and compared not in current:
            told = _links(shot, steps, known)
            differences = changed.differences(takes[compared], shot)
            changes = tuple(_placed(one, shot, texts.get(name), names, told) for one in differences)
        found.append(
            Answer(
                id=name,
                shot=shot,
                takes=takes,
                current=current,
                take=compared,
                changes=changes,
                steps=tuple(steps),
                heir=heirs.get(name),
            )
        )
    return tuple(found)


@dataclass(kw_only=True)
class _Names:
    """What people call the media that fingerprints only know by content; made when the first one is asked for."""

    plan: Plan
    known: Lock

    @property
    def root(self) -> Path:
        return self.plan.manifest.folder

    @cached_property
    def by_content(self) -> Mapping[str, str]:
        renders = {
            f"sha256:{entry.render['sha256']}": f"the render of {key}" for key, entry in self.known.takes.items() if entry.render
        }
        files = (medium for shot in self.plan.manifest.shots for medium in shot.media if medium.form == "file")
        return {**renders, **{medium.identity: medium.value for medium in files}}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Linked:
    """A link in words: where it is still `open` what it will be, by its value; why it is this take that counts, by role."""

    open: Mapping[str, str]
    why: Mapping[str, str]


def _links(shot: Shot, steps: Sequence[Step], known: Lock) -> _Linked:
    open_: dict[str, str] = {}
    why: dict[str, str] = {}
    for medium in shot.links:
        link, role = medium.link, medium.role.partition("/")[0]
        if link is None:
            continue
        if medium.is_open:
            frame = "" if link.frame is None else link.selector
            waits = next((step.waits for step in steps if step.waits and locks.shot_of(step.waits[0]) == link.shot), ())
            open_[medium.value] = _framed(frame, _expected(link, medium.take, waits))
        elif link.take:
            why[role] = f"the link names take {link.take}"
        elif known.picked.get(link.shot) == medium.take:
            at = known.picked_at.get(link.shot)
            why[role] = f"{medium.take} was picked{f' at {at}' if at else ''}"
        else:
            why[role] = f"{medium.take} is the take of {link.shot} as it is now written"
    return _Linked(open=open_, why=why)


def _expected(link: Link, take: str | None, waits: Sequence[str]) -> str:
    """What a link leads to that leads to no render yet."""
    if take:
        return f"{take}, which is not rendered yet"
    if len(waits) > 1:
        return f"{link.shot}, none of whose takes is picked ({', '.join(waits)})"
    return f"{waits[0]}, which is not there" if waits else f"{link.shot}, which has no render"


def _placed(found: Difference, shot: Shot, text: Written | None, names: _Names, linked: _Linked) -> Change:
    if found.field.startswith("media."):
        found = _named(found, shot, names, linked)
    if text is None:
        return Change(difference=found, places=(shot.place,))
    if found.field == "prompt" and isinstance(found.was, str) and isinstance(found.now, str):
        return Change(difference=found, places=text.prompt_places(changed.new_phrases(changed.compared(found.was, found.now))))
    return Change(difference=found, places=(text.place(found.field),))


def _named(found: Difference, shot: Shot, names: _Names, linked: _Linked) -> Difference:
    """Media by the names that people gave them; the lock has only what was in them."""
    role = found.field.partition(".")[2]
    known = names.by_content
    own = next((medium for medium in shot.media if medium.role.partition("/")[0] == role and medium.path), None)
    wanted = found.was if isinstance(found.was, str) else ""
    if own and own.path and wanted.startswith("sha256:") and _plain(wanted) not in known:
        known = {**known, **_beside(own.path, names.root, wanted)}
    was, now = _said(found.was, known), _said(found.now, known, linked.open)
    note = found.note or linked.why.get(role)
    if own and isinstance(found.was, str) and was == _short(found.was):
        note = f"not the content that the take was made from ({was}), which is nowhere beside it"
        was = None
    return Difference(field=found.field, was=was, now=now, note=note)


def _plain(identity: str) -> str:
    return identity.partition("#")[0]


def _said(identity: Any, names: Mapping[str, str], open_: Mapping[str, str] | None = None) -> Any:
    """An identity as a name, a frame of it in words; a reference's begins with its kind. `open_` are links by their value."""
    if isinstance(identity, list):
        return [_said(one, names, open_) for one in identity]
    if not isinstance(identity, str):
        return identity
    for value, words in (open_ or {}).items():
        if identity.endswith(value):
            return identity.removesuffix(value) + words
    kind, _, rest = identity.rpartition(" ")
    name, _, frame = rest.partition("#")
    return f"{kind} {_framed(frame, names.get(name) or _short(rest))}".strip()


def _framed(frame: str, said: str) -> str:
    """A render, or a frame of it by its selector."""
    told = {"": said, "first": f"the first frame of {said}", "last": f"the last frame of {said}"}.get(frame)
    return told or f"the frame at {frame} s of {said}"


def _short(identity: str) -> str:
    """`sha256:1a2b3c4d…`: enough of it to tell two apart."""
    return f"{identity[:15]}…" if identity.startswith("sha256:") else identity


def _beside(path: Path, root: Path, identity: str) -> Mapping[str, str]:
    """The file of the same folder that has this content, by its name from the manifest's folder."""
    for file in sorted(path.parent.glob(f"*{path.suffix}"))[:_MOST_FILES]:
        try:
            if file.stat().st_size <= _MOST_BYTES and f"sha256:{folder.sha256(file)}" == identity:
                return {identity: file.relative_to(root.resolve()).as_posix()}
        except (OSError, ValueError):
            continue
    return {}
