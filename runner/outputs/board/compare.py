"""A storyboard as it was and as it is → what changed: shots new, gone, renamed, moved, and changed field by field. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal, get_args

from runner.lock import Lock
from runner.outputs.board import sides, words
from runner.outputs.board.sides import Fields, Piece, Side
from runner.outputs.board.views import Card
from runner.plan import Plan, Step, decide
from runner.shots import Manifest, Shot

Kind = Literal["changed", "new", "gone", "renamed", "moved", "follows"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Fields of which a render, and so what is made from it, knows nothing.
_UNSEEN = {"takes", "scene", "output"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What became of one shot; `before` is None for a new one, `after` for one that is gone.

    One that `follows` is written as it was, but linked to shots that are not. `stood` are the shots that a moved one stood
    behind and stands behind, None at the beginning; `doing` is what the next run does about it.
    """

    shot: str
    kinds: tuple[Kind, ...]
    scene: str | None = None
    names: tuple[str, ...] = ()
    was: str | None = None
    follows: tuple[str, ...] = ()
    stood: tuple[str | None, str | None] = (None, None)
    before: Side | None = None
    after: Side | None = None
    doing: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        return (*self.kinds, *self.names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alike:
    """One and the same change of one field in several shots, which comes of something that they share."""

    name: str
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    shots: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """All of it in the storyboard's order, what is gone where it was; `same` are the shots that are as they were.

    `steps` are those of the next run that the changed shots have.
    """

    found: tuple[Change, ...]
    same: tuple[str, ...]
    steps: tuple[Step, ...] = ()

    def of(self, kind: Kind) -> list[str]:
        return [change.shot for change in self.found if kind in change.kinds]

    @property
    def scenes(self) -> list[tuple[str | None, list[Change]]]:
        """The changes under the names of their scenes."""
        return [(name, [*found]) for name, found in groupby(self.found, key=lambda change: change.scene)]

    def files(self) -> dict[str, Path]:
        """Everything that has a poster, by sha256."""
        both = [side for change in self.found for side in (change.before, change.after) if side]
        pictures = [field.picture for side in both for field in side.fields]
        shown = (*pictures, *(side.take or side.still for side in both))
        return {one.sha256: one.file for one in shown if one and one.sha256 and one.file}

    @property
    def tags(self) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for change in self.found:
            for tag in change.tags:
                counts[tag] = counts.get(tag, 0) + 1
        return counts

    @property
    def alike(self) -> list[Alike]:
        """What is changed in the same way in several shots, by a variable, a default or a scene of theirs."""
        shots: dict[tuple[str, tuple[Piece, ...], tuple[Piece, ...]], list[str]] = {}
        for change in self.found:
            if not change.before or not change.after:
                continue
            then, now = ({one.name: one.pieces for one in side.fields} for side in (change.before, change.after))
            for name in {**then, **now}:
                left, right = (tuple(piece for piece in one.get(name, ()) if piece.is_changed) for one in (then, now))
                if left or right:
                    shots.setdefault((name, left, right), []).append(change.shot)
        return [Alike(name=key[0], before=key[1], after=key[2], shots=tuple(found)) for key, found in shots.items() if found[1:]]


def changes(
    before: Manifest, plan: Plan, known: Lock, cards: Mapping[str, Card], *, is_shown: Callable[[str], bool] = lambda _: True
) -> Changes:
    """What became of every shot that `is_shown` on the way to the manifest of the plan; `cards` are the board's, which have the takes."""
    after = plan.manifest
    told = _told(before, plan, known, cards)
    old, new = ({shot.id: shot for shot in manifest.shots} for manifest in (before, after))
    prints = {told.wordings[name]: name for name in old if name not in new and told.wordings[name]}
    renamed = {shot.id: prints.pop(shot.fingerprint) for shot in after.shots if shot.id not in old and shot.fingerprint in prints}
    names = {**{name: name for name in new if name in old}, **renamed}  # now → then
    moved = _moved([names[name] for name in new if name in names], list(old))
    became: dict[str, Change | None] = {}
    for name in _order(list(new), list(old), {then: name for name, then in names.items()}):
        was = names.get(name, name)
        found = _change(told, name, old.get(was), new.get(name))
        if was in moved and names.get(name) == was:
            stood = (_behind(list(old), was), _behind(list(new), name))
            found = replace(found, kinds=(*found.kinds, "moved"), stood=stood)
        became[name] = found if found.kinds else None
    touched = {name for name, change in became.items() if change and {*change.names} - _UNSEEN}
    for name, sources in _following(after, touched):
        change = became[name] or _change(told, name, old.get(names.get(name, name)), new[name])
        became[name] = replace(change, kinds=(*change.kinds, "follows"), follows=sources)
    shown = {name: change for name, change in became.items() if is_shown(name)}
    return Changes(
        found=tuple(change for change in shown.values() if change),
        same=tuple(name for name, change in shown.items() if change is None),
        steps=tuple(step for step in plan.steps if shown.get(step.shot)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told:
    """What is known beside the two storyboards; `wordings` are the fingerprints of then, their links as far as they are known."""

    known: Lock
    cards: Mapping[str, Card]
    steps: Mapping[str, Sequence[Step]]
    wordings: Mapping[str, str | None]


def _told(before: Manifest, plan: Plan, known: Lock, cards: Mapping[str, Card]) -> _Told:
    steps: dict[str, list[Step]] = {}
    for step in plan.steps:
        steps.setdefault(step.shot, []).append(step)
    linked = decide(before, known).manifest if before.linked else before
    return _Told(known=known, cards=cards, steps=steps, wordings={shot.id: shot.fingerprint for shot in linked.shots})


def _change(told: _Told, name: str, was: Shot | None, shot: Shot | None) -> Change:
    """A shot on both sides; its `kinds` are empty where it is as it was."""
    then, now = _fields(was), _fields(shot)
    is_renamed = was is not None and shot is not None and was.id != shot.id
    # The default output has the shot's name in it.
    differing = tuple(one for one in sides.differing(then, now) if not (is_renamed and one == "output")) if then and now else ()
    kinds: list[Kind] = ["new"] if was is None else ["gone"] if shot is None else ["renamed"] if is_renamed else []
    kinds += ["changed"] if differing else []
    left, right = sides.shown(then, now, {"prompt", *differing})
    known, steps = told.known, told.steps.get(name, ())
    cards = [told.cards[one] for one in dict.fromkeys((name, was.id if was else name)) if one in told.cards]
    takes = {take.key: take for card in cards for take in card.takes}
    made = sides.made_from(told.wordings.get(was.id), known, takes) if was else None
    current = (sides.current(told.cards.get(name)) or sides.made_from(shot.fingerprint, known, takes)) if shot else None
    return Change(
        shot=name,
        kinds=tuple(kinds),
        scene=shot.scene if shot else was.scene if was else None,
        names=tuple(words.field(one) for one in differing),
        was=was.id if was and is_renamed else None,
        before=sides.side(was, left, known, made, "no render of this wording here") if was else None,
        after=sides.side(shot, right, known, current, sides.lacking(steps, known.takes)) if shot else None,
        doing=tuple(words.doing(steps)),
    )


def _fields(shot: Shot | None) -> Fields:
    return sides.fields(shot) if shot else {}


def _following(after: Manifest, changed: set[str]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """The shots that are linked to a changed one, also by way of others, each with those it is linked to."""
    shots = {shot.id: shot for shot in after.shots} if after.linked else {}
    touched = set(changed)
    for name in after.linked:  # each after those it needs
        sources = dict.fromkeys(medium.link.shot for medium in shots[name].links if medium.link and medium.link.shot in touched)
        if sources:
            touched.add(name)
            yield name, tuple(sources)


def _behind(names: Sequence[str], name: str) -> str | None:
    place = names.index(name)
    return names[place - 1] if place else None


def _order(new: Sequence[str], old: Sequence[str], stays: Mapping[str, str]) -> list[str]:
    """The storyboard as it is, each shot that is gone behind the one that it stood behind; `stays` has old ids and new ones."""
    behind: dict[str | None, list[str]] = {}
    last: str | None = None
    for name in old:
        if name in stays:
            last = stays[name]
        else:
            behind.setdefault(last, []).append(name)
    ordered = behind.pop(None, [])
    for name in new:
        ordered += [name, *behind.pop(name, ())]
    return [*ordered, *(name for names in behind.values() for name in names)]


def _moved(now: Sequence[str], then: Sequence[str]) -> set[str]:
    """The fewest shots that must have been moved: all but a longest run that kept its order."""
    places = {name: place for place, name in enumerate(then)}
    ends: list[int] = []
    lasts: list[str] = []  # the shot at `ends[n]`: the last of a run n+1 long
    before: dict[str, str | None] = {}
    for name in now:
        at = bisect_left(ends, places[name])
        before[name] = lasts[at - 1] if at else None
        if at == len(ends):
            ends.append(places[name])
            lasts.append(name)
        else:
            ends[at] = places[name]
            lasts[at] = name
    kept: set[str] = set()
    link = lasts[-1] if lasts else None
    while link:
        kept.add(link)
        link = before[link]
    return set(now) - kept
