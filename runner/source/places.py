"""Mappings and lists that know where each of their keys and values was written."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from runner.errors import Place

_FEW = 20  # keys that are sooner looked through than numbered: most shots are asked for one place


class Map(dict[str, Any]):
    """A mapping of the text, to be read and not changed: its places are found by the order of its keys."""

    __slots__ = ("_at", "_order", "column", "file", "line")

    def __init__(self, file: str = "", line: int = 1, column: int = 1) -> None:
        self.file = file
        self.line = line
        self.column = column
        self._at = array("I")  # line and column of the key, of the value, one key after the other, counted from 0
        self._order: dict[str, int] | None = None

    def place(self, key: str | None = None) -> Place:
        """Of the value under `key`; of the mapping itself where there is none."""
        return self._spot(key, 2)

    def place_of_key(self, key: str) -> Place:
        return self._spot(key, 0)

    def without(self, path: Sequence[str]) -> Map:
        """A copy that lacks what stands at the end of a path of keys; all else keeps its place."""
        kept = Map(self.file, self.line, self.column)
        for key, value in self.items():
            if key == path[0] and len(path) == 1:
                continue
            kept[key] = value.without(path[1:]) if key == path[0] else value
            start = 4 * self._number(key)
            kept._at.extend(self._at[start : start + 4])
        return kept

    def _spot(self, key: str | None, offset: int) -> Place:
        if key is None or key not in self:
            return Place(self.file, self.line, self.column)
        start = 4 * self._number(key) + offset
        return Place(self.file, self._at[start] + 1, self._at[start + 1] + 1)

    def _number(self, key: str) -> int:
        if self._order is None:
            if len(self) <= _FEW:
                return list(self).index(key)
            self._order = {known: number for number, known in enumerate(self)}
        return self._order[key]


class Seq(list[Any]):
    """A list of the text, to be read and not changed."""

    __slots__ = ("_at", "column", "file", "line")

    def __init__(self, file: str = "", line: int = 1, column: int = 1) -> None:
        self.file = file
        self.line = line
        self.column = column
        self._at = array("I")  # line and column of each item, counted from 0

    def place(self, index: int | None = None) -> Place:
        """Of the item at `index`; of the list itself where there is none."""
        if index is None or not 0 <= index < len(self):
            return Place(self.file, self.line, self.column)
        return Place(self.file, self._at[2 * index] + 1, self._at[2 * index + 1] + 1)


def pointer(path: Iterable[str | int | None]) -> str:
    """A path → JSON Pointer; None is a part that has no name and is left out."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path if part is not None)
