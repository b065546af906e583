"""Plain block YAML, as most manifests are written → Maps, Seqs and values, line by line; None for all that is not plain.

It reads no more than it is sure of: keys that are names, texts on one line, lists and mappings in blocks, short ones in
brackets. An anchor, a tag, an escape, a text over several lines, a comment behind a value, a tab, a key that stands
twice, anything that is wrong: all that is libyaml's, which also finds the words for it. Of what both read, the values
and every place are the same (`tests/test_source.py`); it takes half the time.
"""

from __future__ import annotations

import re
from typing import Any

from runner.source.places import Map, Seq
from runner.source.scalars import Scalars, Unfit, is_text, resolved

_DEEPEST = 32  # far from what is refused as too deep
_LONGEST, _MOST = 60, 5000  # characters of a line that may come again, and such lines at once
_ODD = "\t\r\x85\u2028\u2029\ufeff"  # no line of ours has one, or YAML 1.1 and 1.2 read it differently
_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,99}"
_FIRST = r"(?:[A-Za-z0-9_./$+]|-(?=[0-9])|[^\x00-\x7f])"
# Possessive throughout: nothing that is taken is ever given back, so a line is looked at once, however it ends.
_LINE = re.compile(
    rf"""(\ *+) (-\ )? (?:({_NAME}):(?:\ ++|\Z))?
    (?: "([^"\\]*+)" | '([^']*+)'
      | ({_FIRST} [^:\#]*+ (?:(?::(?=[^\s])|(?<=[^\s])\#) [^:\#]*+)*+)
      | ([\[{{].*+) )?
    \ *+(?:(?<![^\ ])\#.*+)?""",
    re.VERBOSE,
)
_INNER = re.compile(
    rf"""\ *+ (?:({_NAME}):\ ++)?
    (?: "([^"\\\n]*+)" | '([^'\n]*+)' | ({_FIRST} [^][{{}},:\#"'\n]*+ (?: :(?=[A-Za-z0-9]) [^][{{}},:\#"'\n]*+)*+) | (?=[\[{{]) )?
    \ *+""",
    re.VERBOSE,
)
_END = re.compile(r" *(?:(?<= )#.*)?")  # of a line


class _Odd(Exception):
    """Not for us."""


def read(text: str, file: str) -> Map | None:
    """The mapping that the whole text is; None where libyaml has to read it."""
    text = text.replace("\r\n", "\n")
    if any(odd in text for odd in _ODD):
        return None
    try:
        return _Reader(file).read(text)
    except (_Odd, Unfit):
        return None


class _More(str):
    """A value that takes more than a look at its line: what stands in brackets, or nothing yet, and it is on later lines."""

    __slots__ = ()


_KEY, _PLAIN, _FLOW = 3, 6, 7  # groups of a line; 4 and 5 are texts in quotes
# Of a line: the column in which its key or its dash stands, whether there is a dash, the key if any, where the value
# begins and what it is. Of an empty one, and of a comment: nothing.
_Line = tuple[int, bool, str | None, int, Any] | tuple[()]


class _Reader:
    """One text. `_open` are the containers that the next line may go on with, each with its column, the outermost first."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._scalars = Scalars()
        self._names: dict[str, str] = {}  # keys, known to be texts
        self._known: dict[str, _Line] = {}
        self._open: list[tuple[int, Map | Seq]] = []
        self._waiting: tuple[str, int, int] | None = None  # a key whose value begins on a later line, and its place

    def read(self, text: str) -> Map:
        # The long loop of a long file: what can be had without a call is. Most lines of one are like one before them.
        known, looked = self._known.get, self._looked
        here: Any = None
        place = -1  # of the innermost container the column, where that is a mapping and the next line may go on with it
        for line, written in enumerate(text.split("\n")):
            found = known(written)
            if found is None:
                found = looked(written)
            if not found:
                continue
            column, is_item, key, start, value = found
            if is_item or column != place:
                here = self._item(line, column, key) if is_item else self._member(line, column)
                column = place = self._open[-1][0]
            if value.__class__ is _More:
                if key and not value:
                    self._waiting, place = (key, line, column), -1
                    continue
                value = self._flow(value, line, start)
            if key is None:
                place = -1
                here._at.extend((line, start))  # noqa: SLF001 - as in build
                here.append(value)
            elif key in here:
                raise _Odd
            else:
                here._at.extend((line, column, line, start))  # noqa: SLF001
                here[key] = value
        if self._waiting or not self._open:
            raise _Odd
        top: Any = self._open[0][1]
        return top  # type: ignore[no-any-return]

    def _looked(self, written: str) -> _Line:
        """A line as it is by itself, remembered where it is short: long ones hardly come twice."""
        found = _LINE.fullmatch(written)
        if found is None:
            raise _Odd
        kind, key = found.lastindex, found[3]
        line: _Line = ()  # an empty line, a comment
        if kind and kind > 1:
            value: Any = found[kind]
            start = found.start(kind)
            if kind == _PLAIN:
                value = resolved(value.rstrip(" "))
            elif kind == _FLOW:
                value = _More(value.rstrip(" "))
            elif kind > _KEY:
                start -= 1  # the quote
            else:
                value = _More()
            if not key and (kind <= _KEY or not found[2]):
                raise _Odd
            line = found.end(1), found[2] is not None, key and self._name(key), start, value
        if len(written) <= _LONGEST:
            if len(self._known) >= _MOST:
                self._known.clear()  # what comes often is soon back, and the ids of a long film are not kept
            self._known[written] = line
        return line

    def _name(self, key: str) -> str:
        """The key as one object, however often it comes."""
        if key not in self._names:
            if not is_text(key):
                raise _Odd
            self._names[key] = key
        return self._names[key]

    def _set(self, here: Any, key: str, value: Any, place: tuple[int, int, int, int]) -> None:
        if key in here:
            raise _Odd
        here._at.extend(place)  # noqa: SLF001
        here[self._name(key)] = value

    def _begin(self, made: Map | Seq, line: int, column: int) -> Map | Seq:
        """A container in a block: the value of the key that waits for one."""
        if self._waiting:
            key, *at = self._waiting
            self._set(self._open[-1][1], key, made, (*at, line, column))  # type: ignore[arg-type]
            self._waiting = None
        self._open.append((column, made))
        if len(self._open) > _DEEPEST:
            raise _Odd
        return made

    def _back(self, column: int) -> Map | Seq:
        """The container that a line in this column goes on with."""
        opened = self._open
        while opened and opened[-1][0] > column:
            opened.pop()
        if not opened or opened[-1][0] != column:
            raise _Odd
        return opened[-1][1]

    def _member(self, line: int, column: int) -> Map | Seq:
        """The mapping to which a key in this column belongs."""
        if self._waiting:
            if column <= self._open[-1][0]:
                raise _Odd  # a null
            return self._begin(Map(self._file, line + 1, column + 1), line, column)
        if not self._open and not column:
            return self._begin(Map(self._file, line + 1, 1), line, 0)
        here = self._back(column)
        if here.__class__ is Seq:  # one that stands as far left as the key whose value it is
            self._open.pop()
            here = self._back(column)
        if here.__class__ is not Map:
            raise _Odd
        return here

    def _item(self, line: int, column: int, key: str | None) -> Map | Seq:
        """What stands behind a dash in this column belongs to the list, or to a mapping that begins there."""
        if self._waiting:
            if column < self._open[-1][0]:
                raise _Odd
            here = self._begin(Seq(self._file, line + 1, column + 1), line, column)
        else:
            here = self._back(column)
        if here.__class__ is not Seq:
            raise _Odd
        if key is None:
            return here
        made = Map(self._file, line + 1, column + 3)
        here._at.extend((line, column + 2))  # noqa: SLF001
        here.append(made)
        return self._begin(made, line, column + 2)

    def _flow(self, text: str, line: int, column: int) -> Map | Seq:
        """A list or mapping in brackets, on one line."""
        found, end = self._bracket(text, 0, line, column, 1)
        if not _END.fullmatch(text, end):
            raise _Odd
        return found

    def _bracket(self, text: str, at: int, line: int, column: int, depth: int) -> tuple[Map | Seq, int]:
        is_map = text[at] == "{"
        here = (Map if is_map else Seq)(self._file, line + 1, column + at + 1)
        close = "}" if is_map else "]"
        while True:
            at += 1
            inner = _INNER.match(text, at)
            if inner is None or depth > _DEEPEST:
                raise _Odd
            key, double, single, plain = inner.groups()
            end = inner.end()
            value: Any
            if plain is not None:
                value, start = self._scalars[plain.rstrip(" ")], inner.start(4)
            elif double is not None or single is not None:
                value, start = (single, inner.start(3) - 1) if double is None else (double, inner.start(2) - 1)
            elif text[end : end + 1] in ("[", "{"):
                start = end
                value, end = self._bracket(text, end, line, column, depth + 1)
                while text[end : end + 1] == " ":
                    end += 1
            elif not here and key is None and text[end : end + 1] == close:
                return here, end + 1
            else:
                raise _Odd
            if is_map and key:
                self._set(here, key, value, (line, column + inner.start(1), line, column + start))
            elif not is_map and not key:
                here._at.extend((line, column + start))  # noqa: SLF001
                here.append(value)  # type: ignore[union-attr]
            else:
                raise _Odd
            at = end
            if text[at : at + 1] == close:
                return here, at + 1
            if text[at : at + 1] != ",":
                raise _Odd
