"""A storyboard as it was and as it is → what changed: shots new, gone, renamed, moved, and changed field by field. Pure."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from runner.lock import Entry, Lock
from runner.outputs.board import words
from runner.outputs.board.cards import shape, taken_in
from runner.outputs.board.views import Card, Input, Take
from runner.shots import Manifest, Shot

Kind = Literal["changed", "new", "gone", "renamed", "moved", "follows"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Words, spaces, and single characters of scripts that have no spaces between words.
_TOKEN = re.compile(r"\s+|[\u3000-\u30ff\u3400-\u9fff\uf900-\uffef]|[^\s\u3000-\u30ff\u3400-\u9fff\uf900-\uffef]+")
_MOST_TOKENS = 4000  # of both texts together; beyond it a text is shown as changed whole: the search takes the square of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A part of a text; `is_changed` where the other side has it otherwise."""

    text: str
    is_changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of a shot on one side; `picture` is the medium itself where it is a picture that is here."""

    name: str
    pieces: tuple[Piece, ...]
    picture: Input | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """A shot on one side: what differs of it, and a take made from just this wording, if there is one."""

    fields: tuple[Field, ...]
    take: Take | None
    still: Input | None
    shape: str
    length: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What became of one shot; `before` is None for a new one, `after` for one that is gone.

    One that `follows` is written as it was, but linked to shots that are not.
    """

    shot: str
    kinds: tuple[Kind, ...]
    names: tuple[str, ...] = ()
    was: str | None = None
    follows: tuple[str, ...] = ()
    before: Side | None = None
    after: Side | None = None
    says: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        return (*self.kinds, *self.names)

    @property
    def has_sides(self) -> bool:
        """Whether there is anything to be seen side by side."""
        return bool({"changed", "new", "gone", "renamed"} & {*self.kinds})


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """All of it in the storyboard's order, what is gone where it was; `same` are the shots that are as they were."""

    found: tuple[Change, ...]
    same: tuple[str, ...]

    def of(self, kind: Kind) -> list[str]:
        return [change.shot for change in self.found if kind in change.kinds]

    def files(self) -> dict[str, Path]:
        """Everything that has a poster, by sha256."""
        sides = [side for change in self.found for side in (change.before, change.after) if side]
        pictures = [field.picture for side in sides for field in side.fields]
        shown = (*pictures, *(side.take or side.still for side in sides))
        return {one.sha256: one.file for one in shown if one and one.sha256 and one.file}

    @property
    def tags(self) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for change in self.found:
            for tag in change.tags:
                counts[tag] = counts.get(tag, 0) + 1
        return counts


def changes(
    before: Manifest, after: Manifest, known: Lock, cards: Mapping[str, Card], *, is_shown: Callable[[str], bool] = lambda _: True
) -> Changes:
    """What became of every shot that `is_shown`; `cards` are the board's, which have the takes."""
    old, new = ({shot.id: shot for shot in manifest.shots} for manifest in (before, after))
    prints = {shot.fingerprint: shot.id for shot in before.shots if shot.id not in new and shot.fingerprint}
    renamed = {shot.id: prints.pop(shot.fingerprint) for shot in after.shots if shot.id not in old and shot.fingerprint in prints}
    names = {**{name: name for name in new if name in old}, **renamed}  # now → then
    moved = _moved([names[name] for name in new if name in names], list(old))
    became = {}
    for name in _order(list(new), list(old), {then: name for name, then in names.items()}):
        shot, was = new.get(name), old.get(names.get(name, name))
        became[name] = _change(name, was, shot, known, cards, is_renamed=name in renamed, is_moved=names.get(name) in moved)
    for name, sources in _following(after, {name for name, change in became.items() if change and "changed" in change.kinds}):
        change = became[name] or Change(shot=name, kinds=())
        became[name] = replace(change, kinds=(*change.kinds, "follows"), follows=sources)
    shown = {name: change for name, change in became.items() if is_shown(name)}
    same = tuple(name for name, change in shown.items() if change is None)
    return Changes(found=tuple(change for change in shown.values() if change), same=same)


def _following(after: Manifest, changed: set[str]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """The shots that are linked to a changed one, also by way of others, each with those it is linked to."""
    shots = {shot.id: shot for shot in after.shots} if after.linked else {}
    touched = set(changed)
    for name in after.linked:  # each after those it needs
        sources = dict.fromkeys(medium.link.shot for medium in shots[name].links if medium.link and medium.link.shot in touched)
        if sources:
            touched.add(name)
            yield name, tuple(sources)


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


def _change(
    name: str,
    was: Shot | None,
    shot: Shot | None,
    known: Lock,
    cards: Mapping[str, Card],
    *,
    is_renamed: bool,
    is_moved: bool,
) -> Change | None:
    """None for a shot that is as it was."""
    then, now = (_fields(one) if one else {} for one in (was, shot))
    # The default output has the shot's name in it.
    differing = tuple(
        name
        for name in {**then, **now}
        if _compared(then, name) != _compared(now, name) and not (is_renamed and name == "output")
    )
    kinds: list[Kind] = ["new"] if was is None else ["gone"] if shot is None else []
    if was and shot:
        kinds += ["renamed"] if is_renamed else []
        kinds += ["changed"] if differing else []
        kinds += ["moved"] if is_moved else []
    if not kinds:
        return None
    card = cards.get(name)
    takes = {take.key: take for one in {name, was.id if was else name} if one in cards for take in cards[one].takes}
    shown = {"prompt", *(differing if was and shot else ())}
    return Change(
        shot=name,
        kinds=tuple(kinds),
        names=differing if "changed" in kinds else (),
        was=was.id if was and is_renamed else None,
        before=_side(was, then, now, shown, known, _made_from(was, known, takes)) if was else None,
        after=_side(shot, now, then, shown, known, _current(card)) if shot else None,
        says=tuple(f"{', '.join(keys)}: {says}" for says, keys in card.says.items()) if card and shot else (),
    )


def _compared(fields: Mapping[str, tuple[str, str, Input | None]], name: str) -> tuple[str, str] | None:
    """What a field is compared by: not where its file lies, which is another place at another revision."""
    return fields[name][:2] if name in fields else None


def _fields(shot: Shot) -> dict[str, tuple[str, str, Input | None]]:
    """Every field of a shot: the text that is shown, what it is compared by, and the picture it may be."""
    plain = words.flat(
        [
            ("prompt", shot.prompt),
            ("negative prompt", shot.negative_prompt),
            ("model", shot.model_name),
            ("provider", shot.provider),
            *((f"parameters.{name}", value) for name, value in shot.parameters.items()),
            ("unchecked", shot.unchecked),
            ("takes", str(shot.takes)),
            ("scene", shot.scene),
            ("output", shot.output),
        ]
    )
    found: dict[str, tuple[str, str, Input | None]] = {name: (value, value, None) for name, value in plain}
    for medium in shot.media:
        given = taken_in(medium)
        found[f"media.{medium.role}"] = (given.value, medium.identity, given if given.sha256 else None)
    return found


def _side(shot: Shot, own: Mapping[str, Any], other: Mapping[str, Any], shown: set[str], known: Lock, take: Take | None) -> Side:
    fields = [Field(name=name, pieces=_pieces(own[name], other.get(name)), picture=own[name][2]) for name in own if name in shown]
    stills = (taken_in(medium) for medium in shot.media)
    return Side(
        fields=tuple(fields),
        take=take,
        still=next((one for one in stills if one.sha256), None),
        shape=shape(known.takes.get(take.key) if take else None, shot),
        length=words.length(shot.seconds),
    )


def _current(card: Card | None) -> Take | None:
    return card.main if card and card.main and card.main.file and not card.main.is_dim else None


def _made_from(shot: Shot, known: Lock, takes: Mapping[str, Take]) -> Take | None:
    """The picked or newest take that was made from this wording and is here."""
    entries: Iterable[tuple[Take, Entry]] = ((take, known.takes[key]) for key, take in takes.items() if key in known.takes)
    fitting = [take for take, entry in entries if take.file and shot.fingerprint and entry.fingerprint == shot.fingerprint]
    return next((take for take in fitting if take.is_picked), None) or next(reversed(fitting), None)


def _pieces(own: tuple[str, str, Input | None], other: tuple[str, str, Input | None] | None) -> tuple[Piece, ...]:
    """A text cut where it differs from the other side's."""
    text = own[0]
    if other is None or text == other[0]:
        # The same name may be another file by now.
        is_other = other is not None and own[1] != other[1]
        said = f"{text} ({own[1].removeprefix('sha256:')[:8]})" if is_other else text
        return (Piece(text=said, is_changed=is_other),)
    ours, theirs = _TOKEN.findall(text), _TOKEN.findall(other[0])
    if len(ours) + len(theirs) > _MOST_TOKENS:
        return (Piece(text=text, is_changed=True),)
    blocks = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    cut = ((op != "equal", "".join(ours[start:end])) for op, start, end, _, _ in blocks)
    return tuple(Piece(text=part, is_changed=changed) for changed, part in cut if part)
