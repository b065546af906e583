"""A shot as it was and as it is → its two sides: the fields that differ, cut where they differ, a take of each wording. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.lock import Entry, Lock
from runner.outputs.board import words
from runner.outputs.board.cards import shape, taken_in
from runner.outputs.board.views import Card, Input, Take
from runner.plan import Step
from runner.shots import Shot

# Spaces, words, signs, and single characters of scripts that have no spaces between words.
_TOKEN = re.compile(r"\s+|[\u3000-\u30ff\u3400-\u9fff\uf900-\uffef]|(?:(?![\u3000-\u30ff\u3400-\u9fff\uf900-\uffef])\w)+|.")
_MOST_TOKENS = 4000  # of both texts together; beyond it a text is shown as changed whole: the search takes the square of it
_SHORT = 3  # characters; so little between two changes is no hold for the eye, but makes one change look like two


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

    @property
    def is_changed(self) -> bool:
        return any(piece.is_changed for piece in self.pieces)


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """A shot on one side: what differs of it, a take made from just this wording, and else what is to be said of that."""

    fields: tuple[Field, ...]
    take: Take | None
    still: Input | None
    shape: str
    length: str
    lacks: str

    @property
    def is_pictured(self) -> bool:
        return bool(self.take or self.still)


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A field's value: the text that is shown, what it is compared by, and the picture it may be."""

    text: str
    identity: str
    picture: Input | None = None


Fields = Mapping[str, Value]


def fields(shot: Shot) -> Fields:
    """Every field of a shot, the media not by where their files lie: that is another place at another revision."""
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
    found = {name: Value(text=value, identity=value) for name, value in plain}
    for medium in shot.media:
        given = taken_in(medium)
        found[f"media.{medium.role}"] = Value(
            text=given.value,
            identity=medium.value if medium.link else medium.identity,  # a link by what is written, not by what it has come to
            picture=given if given.sha256 else None,
        )
    return found


def differing(then: Fields, now: Fields) -> tuple[str, ...]:
    """The names of the fields that are not the same on both sides."""
    return tuple(
        name
        for name in {**then, **now}
        if name not in then or name not in now or (then[name].text, then[name].identity) != (now[name].text, now[name].identity)
    )


def shown(then: Fields, now: Fields, names: Container[str]) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """The fields so named on both sides, in the order that a shot has them: what was and what is."""
    before: list[Field] = []
    after: list[Field] = []
    for name in {**then, **now}:
        if name not in names:
            continue
        old, new = then.get(name), now.get(name)
        left, right = _pieces(old, new, is_alone=not then or not now)
        if old:
            before.append(Field(name=words.field(name), pieces=left, picture=old.picture))
        if new:
            after.append(Field(name=words.field(name), pieces=right, picture=new.picture))
    return tuple(before), tuple(after)


def side(shot: Shot, found: tuple[Field, ...], known: Lock, take: Take | None, lacks: str) -> Side:
    stills = (taken_in(medium) for medium in shot.media)
    return Side(
        fields=found,
        take=take,
        still=next((one for one in stills if one.sha256), None),
        shape=shape(known.takes.get(take.key) if take else None, shot),
        length=words.length(shot.seconds),
        lacks=lacks,
    )


def current(card: Card | None) -> Take | None:
    """The take that shows a shot as it is now written, where it is here."""
    return card.main if card and card.main and card.main.file and not card.main.is_dim else None


def made_from(wording: str | None, known: Lock, takes: Mapping[str, Take]) -> Take | None:
    """The picked or newest take that was made from the wording with this fingerprint and is here."""
    entries: Iterable[tuple[Take, Entry]] = ((take, known.takes[key]) for key, take in takes.items() if key in known.takes)
    fitting = [take for take, entry in entries if take.file and wording and entry.fingerprint == wording]
    return next((take for take in fitting if take.is_picked), None) or next(reversed(fitting), None)


def lacking(steps: Sequence[Step], known: Container[str]) -> str:
    """Why there is no render of a shot as it is now written."""
    action = next((one for one in words.URGENCY if any(step.action == one for step in steps)), None)
    takes = ", ".join(step.take for step in steps if step.action == action)
    is_new = not any(step.take in known for step in steps)
    if action is None or (action == "submit" and is_new):
        return "not rendered yet" if action else "no takes wanted"
    return f"{takes} {words.ACTIONS[action]}"


def _pieces(old: Value | None, new: Value | None, *, is_alone: bool) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts, cut where they differ; in a shot that has one side only (`is_alone`) nothing differs."""
    if old is None or new is None:
        left, right = ([one.text] if one else [] for one in (old, new))
        return _whole(left, not is_alone), _whole(right, not is_alone)
    if old.text == new.text and old.identity == new.identity:
        return _whole([old.text], False), _whole([new.text], False)
    if old.text == new.text:  # the same name is another file by now
        left, right = ([f"{one.text} ({one.identity.removeprefix('sha256:')[:8]})"] for one in (old, new))
        return _whole(left, True), _whole(right, True)
    ours, theirs = _TOKEN.findall(old.text), _TOKEN.findall(new.text)
    if len(ours) + len(theirs) > _MOST_TOKENS:
        return _whole([old.text], True), _whole([new.text], True)
    runs = _runs(ours, theirs)
    before = (piece for is_changed, left, _ in runs for piece in _cut(left, is_changed))
    after = (piece for is_changed, _, right in runs for piece in _cut(right, is_changed))
    return tuple(before), tuple(after)


def _cut(text: str, is_changed: bool) -> Iterable[Piece]:
    """A run without the spaces at its ends, which nobody marks with a pencil."""
    core = text.strip()
    if not is_changed or not core:
        return (Piece(text=text, is_changed=is_changed),) if text else ()
    start = text.index(core)
    parts = ((text[:start], False), (core, True), (text[start + len(core) :], False))
    return (Piece(text=part, is_changed=marked) for part, marked in parts if part)


def _whole(texts: Iterable[str], is_changed: bool) -> tuple[Piece, ...]:
    return tuple(Piece(text=text, is_changed=is_changed) for text in texts)


def _runs(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[bool, str, str]]:
    """Runs that are equal or changed, in turn; changes with hardly anything between them are one."""
    blocks = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    found: list[tuple[bool, str, str]] = []
    for number, (op, start, end, begin, stop) in enumerate(blocks):
        left, right = "".join(ours[start:end]), "".join(theirs[begin:stop])
        is_within = 0 < number < len(blocks) - 1
        is_changed = op != "equal" or (is_within and len(left.strip()) <= _SHORT)
        if found and is_changed and found[-1][0]:
            left, right = found[-1][1] + left, found[-1][2] + right
            found.pop()
        found.append((is_changed, left, right))
    return found
