"""Shots linked to other shots' renders → the same with what each link will be, and an order in which each comes after its own.

Judged when all shots are there: that the other shot exists, that none waits for itself along whatever way, and, as far
as can be known before anything is rendered, that its render will suit the role and have the frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Protocol

from runner import fit
from runner.assets import Medium
from runner.judge import Fault, suggestion
from runner.lock import Entry, number_of, shot_of
from runner.probe import Probe
from runner.shots import Shot
from runner.stack import Stack

_NEAR = 2_000  # ids among which a misspelt one is looked for


class Cast(Protocol):
    """The media of one shot with the places where they were written, as `roles` makes it."""

    media: list[Medium]
    paths: dict[str, tuple[str | int, ...]]
    stack: Stack

    def check(self, wired: Mapping[str, Any], ratio: str | None) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Tied:
    """A shot with links as it was composed; `cast` knows where each was written, `ratio` is the storyboard's.

    Of one that is not whole only its links are of interest: whatever else it says may be lost.
    """

    shot: Shot
    cast: Cast
    ratio: str | None
    is_whole: bool

    def note(self, code: str, medium: Medium, message: str, *key: str, hint: str | None = None) -> None:
        path = self.cast.paths[medium.role]
        self.cast.stack.note(Fault(code=code, path=(), message=message, hint=hint), *path, *key)


def tie(
    shots: Iterable[Shot | None],
    tied: Sequence[Tied],
    broken: Sequence[str],
    skipped: Sequence[str],
    made: Callable[[], Mapping[str, Entry]],
) -> tuple[dict[str, Shot], tuple[str, ...]]:
    """The linked shots with their links' `probe` set, by id, and their ids in an order in which none comes before its source.

    Faults are noted at the links. Of broken shots enough has been said: `broken` are their ids, `skipped` the patterns of those
    that were not even looked at. `made` reads the lock's takes; it is called only for a
    link to a take that the manifest does not ask for.
    """
    known = {shot.id: shot for shot in shots if shot}
    folded = {name.casefold() for name in broken}

    def is_broken(name: str) -> bool:
        return name.casefold() in folded or any(fnmatchcase(name, pattern) for pattern in skipped)

    for one in tied:
        _tell_missing(one, known, is_broken, broken)
    whole: dict[str, Shot] = {}
    for one in _ordered(tied):
        if not one.is_whole:
            continue
        media = tuple(replace(medium, probe=_planned(medium, known)) if medium.link else medium for medium in one.shot.media)
        known[one.shot.id] = whole[one.shot.id] = one.shot.with_media(media)
        one.cast.media = list(media)
        for medium in whole[one.shot.id].links:
            _check(one, medium, known)
            _check_take(one, medium, known, made)
        one.cast.check(one.shot.wired, one.ratio)
    return whole, tuple(whole)


def _tell_missing(one: Tied, known: Mapping[str, Shot], is_broken: Callable[[str], bool], broken: Sequence[str]) -> None:
    for medium in one.shot.links:
        name = medium.link.shot if medium.link else ""
        if name not in known and not is_broken(name):
            hint = suggestion(name, [*dict.fromkeys([*known, *filter(None, broken)])][:_NEAR])
            one.note("E208", medium, f'there is no shot "{name}"', "shot", hint=hint)


def _ordered(tied: Sequence[Tied]) -> list[Tied]:
    """Sources before those that are made of them; of shots in a ring each is left out, and the ring is told."""
    by_id = {one.shot.id: one for one in tied}
    needs = {name: {medium.link.shot for medium in one.shot.links if medium.link} & by_id.keys() for name, one in by_id.items()}
    users: dict[str, list[str]] = {}
    for name, sources in needs.items():
        for source in sources:
            users.setdefault(source, []).append(name)
    ready = deque(name for name, sources in needs.items() if not sources)
    left = {name: len(sources) for name, sources in needs.items() if sources}
    places = {name: number for number, name in enumerate(by_id)}
    order = []
    while ready or left:
        if not ready:
            ring = _ring(left, needs, places)
            _tell(by_id, ring)
            ready.extend(ring)
            for name in ring:
                del left[name]
        name = ready.popleft()
        order.append(name)
        for user in users.get(name, ()):
            if user in left:
                left[user] -= 1
                if not left[user]:
                    del left[user]
                    ready.append(user)
    return [by_id[name] for name in order]


def _ring(left: Mapping[str, int], needs: Mapping[str, set[str]], places: Mapping[str, int]) -> list[str]:
    """Shots that wait for each other, each for the next one and the last one for the first, which is the storyboard's first."""
    way: dict[str, None] = {}
    name = next(iter(left))
    while name not in way:
        way[name] = None
        name = next(source for source in sorted(needs[name]) if source in left)
    seen = [*way]
    ring = seen[seen.index(name) :]
    at = ring.index(min(ring, key=places.__getitem__))
    return [*ring[at:], *ring[:at]]


def _tell(by_id: Mapping[str, Tied], ring: Sequence[str]) -> None:
    one, needed = by_id[ring[0]], ring[1 % len(ring)]
    medium = next(medium for medium in one.shot.links if medium.link and medium.link.shot == needed)
    if len(ring) == 1:
        one.note("E209", medium, "waits for itself", "shot", hint="link it to another shot, or to a file")
        return
    way = " → ".join([*ring, ring[0]])
    one.note("E209", medium, f"these shots wait for each other: {way}", "shot", hint="one of them must begin with something else")


def _planned(medium: Medium, known: Mapping[str, Shot]) -> Probe | None:
    """What the link's render will be as far as the other shot says."""
    source = known.get(medium.link.shot) if medium.link else None
    if source is None:
        return None
    width, height = _sides(source)
    if medium.kind == "image":
        return Probe(kind="image", format="png", bytes=0, width=width, height=height)
    return Probe(kind="video", format="mp4", bytes=0, width=width, height=height, seconds=source.seconds)


def _sides(source: Shot) -> tuple[int | None, int | None]:
    field: Mapping[str, Any] = source.model.parameters.get("size", {})
    width, _, height = str(source.wired.get("size", field.get("default", ""))).partition("*")
    return (int(width), int(height)) if width.isdigit() and height.isdigit() else (None, None)


def _check(one: Tied, medium: Medium, known: Mapping[str, Shot]) -> None:
    link, source = medium.link, known.get(medium.link.shot) if medium.link else None
    if link is None or source is None or medium.probe is None:
        return
    if fault := link.beyond(source.seconds):
        one.note(fault.code, medium, fault.message, "frame", hint=fault.hint)
    for fault in fit.misfits(medium.rule, medium.probe):
        one.note(fault.code, medium, f"{link.named()} {fault.message}", "shot", hint=fault.hint)


def _check_take(one: Tied, medium: Medium, known: Mapping[str, Shot], made: Callable[[], Mapping[str, Entry]]) -> None:
    """Warn of a link that no run will ever bring anything for: a take that is neither wanted nor there."""
    link, source = medium.link, known.get(medium.link.shot) if medium.link else None
    if link is None or source is None or (link.take or 1) <= source.takes:
        return
    there = [number_of(take) for take, entry in made().items() if shot_of(take) == source.id and (link.take or entry.render)]
    if link.take in there or (there and link.take is None):
        return
    if link.take is None:
        hint = "let it have a take, or link to a file"
        one.note("W208", medium, f"{source.id} has no render and wants no takes", "shot", hint=hint)
        return
    wants = "no takes" if not source.takes else f"only {source.takes} take{'s' * (source.takes > 1)}"
    message = f"{source.id}@{link.take} is not in the lock, and {source.id} wants {wants}"
    one.note("W208", medium, message, "take", hint="leave take: out for the one that is picked")
