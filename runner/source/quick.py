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
from runner.source.scalars import Scalars, Unfit, is_text

_DEEPEST = 32  # far from what is refused as too deep
_ODD = re.compile("[\t\r\x85\u2028\u2029\ufeff]")  # no line of ours, or read differently by YAML 1.1 and 1.2
_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,99}"
_FIRST = r"(?:[A-Za-z0-9_./$+]|-(?=[0-9]))"
# Possessive throughout: nothing that is taken is ever given back, so a line is looked at once, however it ends.
_LINE = re.compile(
    rf"""(\ *+) (-\ )? (?:({_NAME}):(?:\ ++|(?=\n)))?
    (?: "([^"\\\n]*+)" | '([^'\n]*+)'
      | ({_FIRST} [^:\#\n]*+ (?:(?::(?=[^\s])|(?<=[^\s])\#) [^:\#\n]*+)*+)
      | ([\[{{][^\n]*+) )?
    \ *+(?:(?<![^\n\ ])\#[^\n]*+)?\n""",
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
    if _ODD.search(text):
        return None
    try:
        return _Reader(text if text.endswith("\n") else f"{text}\n", file).read()
    except (_Odd, Unfit):
        return None


class _Reader:
    """One text. `_open` are the containers that the next line may go on with, each with its column, the outermost first."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._scalars = Scalars()
        self._names: dict[str, str] = {}  # keys, known to be texts
        self._open: list[tuple[int, Map | Seq]] = []
        self._waiting: tuple[str, int, int] | None = None  # a key whose value begins on a later line, and its place

    def read(self) -> Map:
        # The long loop of a long file: what can be had without a call is.
        text, scalars, names, end = self._text, self._scalars, self._names, 0
        here: Any = None
        place, line = -1, -1  # of the innermost container the column
        match = _LINE.match
        while found := match(
            text, end
        ):  # not finditer: it would look for a line within one that is none, from each of its characters
            indent, dash, key, double, single, plain, flow = found.groups()
            at, end = found.span()
            line += 1
            if key is None and dash is None:
                if plain or double is not None or single is not None or flow:
                    raise _Odd
                continue  # an empty line, a comment
            column = len(indent)
            if dash or column != place or self._waiting or here.__class__ is not Map:
                here = self._item(line, column, key) if dash else self._member(line, column)
                place = self._open[-1][0]
                column += 2 if dash else 0
            if plain is not None:
                value, start = scalars[plain.rstrip(" ")], found.start(6) - at
            elif double is not None:
                value, start = double, found.start(4) - at - 1
            elif single is not None:
                value, start = single, found.start(5) - at - 1
            elif flow is not None:
                start = found.start(7) - at
                value = self._flow(flow.rstrip(" "), line, start)
            elif key:
                self._waiting = (key, line, column)
                continue
            else:
                raise _Odd
            if key is None:
                here._at.extend((line, start))  # noqa: SLF001 - as in build
                here.append(value)
            elif key in here or (key not in names and not self._is_name(key)):
                raise _Odd
            else:
                here._at.extend((line, column, line, start))  # noqa: SLF001
                here[names[key]] = value
        if end != len(text) or self._waiting or not self._open:
            raise _Odd
        top: Any = self._open[0][1]
        return top  # type: ignore[no-any-return]

    def _is_name(self, key: str) -> bool:
        self._names[key] = key
        return is_text(key)

    def _set(self, here: Any, key: str, value: Any, place: tuple[int, int, int, int]) -> None:
        if key in here or (key not in self._names and not self._is_name(key)):
            raise _Odd
        here._at.extend(place)  # noqa: SLF001
        here[self._names[key]] = value

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
