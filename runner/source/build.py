"""YAML events → Maps, Seqs and plain values in one pass, and every problem met on the way."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yaml.events import AliasEvent, DocumentStartEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from runner.errors import Place, Problem
from runner.source.places import Map, Seq, pointer
from runner.source.scalars import Scalars, Unfit, is_text, shown, tagged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEEPEST = 64  # levels; whatever walks the data later calls itself at least once a level
GROWTH, SPARE = 10, 100_000  # aliases may make the data ten times what is written, and this much more
ENOUGH = 10**12  # values; counted no further

_TAGS = {Map: (None, "!", "tag:yaml.org,2002:map"), Seq: (None, "!", "tag:yaml.org,2002:seq")}
_NAMES = {bool: "a boolean", int: "a number", float: "a number", type(None): "null", Map: "a mapping", Seq: "a list"}


class TooDeep(Exception):
    """Noted already; reading on would only cost time."""


@dataclass(slots=True)
class _Anchor:
    """What an anchor names, how many values that is with every alias followed, how many levels."""

    value: Any
    is_open: bool = False
    size: int = 1
    height: int = 0


class Builder:
    """Reads one document; `problems` collects what is wrong but lets the reading go on."""

    def __init__(self, told: Iterator[Any], *, file: str) -> None:
        self.problems: list[Problem] = []
        self._told = told
        self._file = file
        self._scalars = Scalars()
        self._names: dict[str, str] = {}  # plain keys, known to be texts
        self._quoted: dict[str, str] = {}  # keys in quotes
        self._trail: list[str | int | None] = []  # the way to what is read; None is a key that is no scalar
        self._anchors: dict[str, _Anchor] = {}
        self._written = 1  # values in the text
        self._repeated = 0  # values that aliases add
        self._widest: tuple[int, Place, str] | None = None
        self._reach = 0  # the deepest level so far

    def document(self) -> Any:
        """The value of the only document there is; raises TooDeep and what the events raise."""
        next(self._told)
        if next(self._told).__class__ is not DocumentStartEvent:
            self._note_empty()
            return None
        value = self._node(next(self._told), 1)
        if value is None and not self.problems:
            self._note_empty()
        next(self._told)
        event = next(self._told)
        if event.__class__ is DocumentStartEvent:
            self._note(event, "a second document begins here", hint='a file holds one; take the "---" away or make two files')
        self._weigh()
        return value

    def _node(self, event: Any, depth: int) -> Any:
        if event.__class__ is ScalarEvent:
            return self._scalar(event)
        if event.__class__ is AliasEvent:
            return self._alias(event, depth)
        return self._container(event, depth)

    def _scalar(self, event: Any) -> Any:
        value = None
        try:
            if event.tag is not None:
                value = tagged(event.tag, event.value)
            elif event.implicit[0]:
                value = self._scalars[event.value]
            else:
                value = event.value
        except Unfit as unfit:
            self._note(event, unfit.fact, hint=unfit.hint)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(value)
        return value

    def _container(self, event: Any, depth: int) -> Map | Seq:
        if depth > DEEPEST:
            self._note(event, f"nested more than {DEEPEST} levels deep")
            raise TooDeep
        self._reach = max(self._reach, depth)
        kind = Map if event.__class__ is MappingStartEvent else Seq
        value = kind(self._file, event.start_mark.line + 1, event.start_mark.column + 1)
        if event.tag not in _TAGS[kind]:
            self._note(event, f'unknown tag "{shown(event.tag)}"', hint='a text that begins with "!" needs quotes')
        if event.anchor is None:
            self._fill(value, depth)
        else:
            self._fill_anchored(event.anchor, value, depth)
        return value

    def _fill_anchored(self, name: str, value: Map | Seq, depth: int) -> None:
        anchor = self._anchors[name] = _Anchor(value, is_open=True)
        before, above = self._written + self._repeated, self._reach
        self._reach = depth
        self._fill(value, depth)
        anchor.is_open = False
        anchor.size = min(self._written + self._repeated - before + 1, ENOUGH)
        anchor.height = self._reach - depth + 1
        self._reach = max(self._reach, above)

    def _fill(self, value: Map | Seq, depth: int) -> None:
        if isinstance(value, Map):
            self._fill_map(value, depth + 1)
        else:
            self._fill_seq(value, depth + 1)
        self._written += len(value)

    def _fill_seq(self, found: Seq, depth: int) -> None:
        at, trail = found._at, self._trail  # noqa: SLF001 - a Seq is made here only
        trail.append(0)
        for event in self._told:
            if event.__class__ is SequenceEndEvent:
                break
            mark = event.start_mark
            at.extend((mark.line, mark.column))
            trail[-1] = len(found)
            found.append(self._node(event, depth))
        trail.pop()

    def _fill_map(self, found: Map, depth: int) -> None:
        # The long loop of a long file: what can be had without a call is.
        at, trail, told, scalar = found._at, self._trail, self._told, self._scalar  # noqa: SLF001 - a Map is made here only
        names, quoted = self._names, self._quoted
        again: list[tuple[str, Place, str]] = []
        trail.append(None)
        try:
            for event in told:
                kind = event.__class__
                if kind is MappingEndEvent:
                    break
                if kind is ScalarEvent and event.tag is None and event.anchor is None:
                    key = (names if event.implicit[0] else quoted).get(event.value) or self._key(event)
                else:
                    key = self._odd_key(event, depth)
                mark, written = event.start_mark, next(told)
                trail[-1] = key
                if key in found:
                    again.append((key, self._place(event), pointer(trail)))
                else:
                    place = written.start_mark
                    at.extend((mark.line, mark.column, place.line, place.column))
                value = scalar(written) if written.__class__ is ScalarEvent else self._node(written, depth)
                found.setdefault(key, value)
        finally:
            if again:
                self._note_again(found, again)
        trail.pop()

    def _note_again(self, found: Map, again: Sequence[tuple[str, Place, str]]) -> None:
        for key, place, path in again:
            message = f'the key "{key}" stands here again; the first is in line {found.place_of_key(key).line}'
            hint = "keep one of them" if key != "id" else 'keep one of them, or begin the next item with "- "'
            self.problems.append(Problem(code="E002", message=message, place=place, path=path, hint=hint))

    def _key(self, event: Any) -> str:
        """A key met for the first time, without tag or anchor; one that is a text is remembered as such."""
        text: str = event.value
        self._trail[-1] = text
        if not event.implicit[0]:
            return self._quoted.setdefault(text, text)
        if text == "<<":
            hint = 'put what shots share under "defaults:", or in "vars:"'
            self._note(event, 'the merge key "<<" is not read', hint=hint)
            return text
        return self._names.setdefault(text, text) if is_text(text) else self._odd_key(event, 0)

    def _odd_key(self, event: Any, depth: int) -> str:
        """A key with a tag or an anchor, or one that is an alias, a list or a mapping."""
        before = len(self.problems)
        written = event.value if event.__class__ is ScalarEvent else None
        self._trail[-1] = written
        value = self._node(event, depth)
        if isinstance(value, str):
            return value
        if len(self.problems) == before:
            self._note_key(event, written, value)
        return written or f"{event.start_mark.line}:{event.start_mark.column}"

    def _note_key(self, event: Any, written: str | None, value: Any) -> None:
        kind = _NAMES[type(value)]
        if isinstance(value, (Map, Seq)):
            hint = 'a text that begins with { or [ needs quotes; a variable is written "${name}"'
            self._note(event, f"{kind} cannot be a key", hint=hint)
        elif written == "":
            self._note(event, "a key is missing before the colon", hint="a text that begins with a colon needs quotes")
        else:
            told = written or f"*{event.anchor}"
            self._note(event, f"the key {told} is {kind}, not a text", hint=f'put it in quotes: "{written or value}"')

    def _alias(self, event: Any, depth: int) -> Any:
        anchor = self._anchors.get(event.anchor)
        if anchor is None:
            near = difflib.get_close_matches(event.anchor, self._anchors, 1)
            hint = f'did you mean "*{near[0]}"?' if near else 'a text that begins with "*" needs quotes'
            self._note(event, f'nothing is named "&{event.anchor}" before this', hint=hint)
            return None
        if anchor.is_open:
            self._note(event, f'"*{event.anchor}" stands within what it names')
            return None
        self._reach = max(self._reach, depth + anchor.height - 1)
        if self._reach > DEEPEST:
            self._note(event, f"nested more than {DEEPEST} levels deep, with its aliases followed")
            raise TooDeep
        self._repeated = min(self._repeated + anchor.size - 1, ENOUGH)
        if not self._widest or anchor.size > self._widest[0]:
            self._widest = (anchor.size, self._place(event), pointer(self._trail))
        return anchor.value

    def _weigh(self) -> None:
        total = self._written + self._repeated
        if self._widest and total > GROWTH * self._written + SPARE:
            _, place, path = self._widest
            count = f"{total:,}" if total < ENOUGH else f"more than {ENOUGH:,}"
            message = f"aliases make {count} values out of {self._written:,}"
            self.problems.append(Problem(code="E004", message=message, place=place, path=path, hint="write them out"))

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _note(self, event: Any, message: str, *, hint: str | None = None) -> None:
        path = pointer(self._trail)
        self.problems.append(Problem(code="E004", message=message, place=self._place(event), path=path, hint=hint))

    def _note_empty(self) -> None:
        hint = '"callsheet init" writes a manifest to begin with'
        message = "there is nothing in this file"
        self.problems.append(Problem(code="E004", message=message, place=Place(self._file, 1, 1), hint=hint))
