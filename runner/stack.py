"""One shot's layers as one thing: merged, its texts expanded, and every fault told at the layer it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from runner import layers, tables, templates
from runner.assets import Shelf
from runner.errors import Place, Problem
from runner.judge import Fault
from runner.layers import Layer
from runner.source import Map
from runner.tables import Row
from runner.templates import TemplateError

MOST_TEXT = 100_000  # bytes of an expanded text


class Notes(Protocol):
    def add(self, fault: Fault, place: Place, path: Sequence[str | int] = (), shot: str | None = None) -> None: ...

    def tell(self, problem: Problem) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The variables that a matrix or a row of a table gives to one shot, and where they stand."""

    values: Mapping[str, Any] = field(default_factory=dict)
    row: Row | None = None
    matrix: Map | None = None

    def with_more(self, combination: Mapping[str, Any], shot: Map) -> Columns:
        return Columns(values={**self.values, **combination}, row=self.row, matrix=shot.get("matrix"))

    def place(self, name: str) -> Place | None:
        """Where a variable was written; None for one that is not of these."""
        if self.matrix is not None and name in self.matrix:
            return self.matrix.place(name)
        return self.row.place(name) if self.row and name in self.row.values else None

    def cell(self, text: str) -> Place | None:
        """Where the only cell stands that a text is made of; None where there is none or more than one."""
        cells = [found for name in sorted(_names(text)) if (found := self.place(name))] if self.values else ()
        return cells[0] if len(cells) == 1 else None

    def typed(self, written: Any, value: Any, rule: Mapping[str, Any]) -> Any:
        """What became of `written`, of a table's text the number or boolean that the model's rule asks for; other text stays."""
        if isinstance(value, str) and isinstance(written, str) and any(map(self._is_text, _names(written))):
            return tables.typed(value, rule)
        return value

    def _is_text(self, name: str) -> bool:
        """Whether a variable is text only because its table knows nothing else."""
        return bool(self.row and self.row.texts and name in self.row.values and name not in (self.matrix or ()))


@lru_cache(maxsize=128)
def _names(text: str) -> frozenset[str]:
    """The variables of a text that every row asks for again."""
    return frozenset(templates.names(text))


def _is_too_long(text: str) -> bool:
    return len(text) * 4 > MOST_TEXT and len(text.encode()) > MOST_TEXT  # a character has at most four bytes


class Broken(Exception):
    """What is wrong has been told; of the part at hand nothing more can be said."""


class Outer:
    """What all layers but the innermost come to: found once for the many shots that have the same ones."""

    def __init__(self, rows: Sequence[Layer], variables: Sequence[Map]) -> None:
        self.layers = rows
        self.written = variables
        self.data = layers.merged(rows)
        self.variables: dict[str, Any] = {}
        for said in (*variables, *(layer.data.get("vars") or {} for layer in rows)):
            self.variables.update(said)
        self.is_plain = not any(isinstance(value, str) and "$" in value for value in self.variables.values())
        # Of several layers the innermost one's prompt counts, as everywhere; one that asks for `${prompt}` wraps the shot's.
        said = [layer for layer in rows if "prompt" in layer.data]
        self.prompt = said[-1] if said and said[-1].data["prompt"] is not None else None
        text = self.prompt.data["prompt"] if self.prompt else None
        self.wraps = isinstance(text, str) and "prompt" in templates.names(text)


class Draft(NamedTuple):
    """What becomes one shot: the layers around it, its own, and the columns of its matrix or table."""

    outer: Outer
    own: Layer
    columns: Columns


class Stack:
    """The layers of one shot, the outermost first, and the variables that they give.

    `lost` are the keys of which something is broken; whoever finds more adds it.
    """

    def __init__(self, draft: Draft, *, notes: Notes, shelf: Shelf, lost: Iterable[str] = ()) -> None:
        self._outer, self.own, self.columns = draft
        self.layers = (*self._outer.layers, self.own)
        self.lost = set(lost)
        self.id = str(self.own.data.get("id", ""))
        self._notes = notes
        self._shelf = shelf
        self.data = layers.merged((self.own,), self._outer.data)
        own = self.own.data.get("vars")
        self._has_own = bool(own or self.columns.values)
        self.variables = (
            {**self._outer.variables, **(own or {}), **self.columns.values} if self._has_own else self._outer.variables
        )
        try:
            self.id = str(self.expanded(self.id, "id"))
        except Broken:
            self.lost.add("id")

    def note(self, fault: Fault, *path: str | int, of_key: bool = False) -> None:
        if self.lost and self._follows(fault, path):
            return
        where = layers.origin(self.layers, path)
        self._notes.add(fault, self.place(*path, of_key=of_key), (*where.path, *path), self.id or None)

    def _follows(self, fault: Fault, path: Sequence[str | int]) -> bool:
        """Whether a fault may be there only because something is lost, of which enough has been said."""
        if fault.code in {"E203", "W304"}:
            return fault.code == "W304" or "vars" in self.lost
        if fault.code not in {"E102", "E306", "E307"}:
            return False
        return path[0] in self.lost if path else any(name in fault.message for name in self.lost)

    def place(self, *path: str | int, of_key: bool = False) -> Place:
        """Where a value was written: in the manifest, or in the cell of the table or matrix that it is made of."""
        if not self.columns.values and not of_key and len(path) == 1 and path[0] in self.own.data:
            return self.own.data.place(str(path[0]))  # as nearly all are; the long way leads there too
        value: Any = layers.origin(self.layers, path).data
        for part in path:
            value = value[part] if layers.has_part(value, part) else None
        if isinstance(value, str) and not of_key and (cell := self.columns.cell(value)):
            return cell
        return layers.place(self.layers, path, of_key=of_key)

    def check_variables(self) -> None:
        if self._outer.is_plain and not self._has_own:
            return
        for name, value in self.variables.items():
            if isinstance(value, str) and "$" in value and templates.names(value):
                where = next((layer for layer in reversed(self.layers) if name in (layer.data.get("vars") or {})), None)
                outer = next((one for one in reversed(self._outer.written) if name in one), Map())
                place = self.columns.place(name) or (where.data["vars"].place(name) if where else outer.place(name))
                path = (*where.path, "vars", name) if where else ("vars", name)
                fault = Fault(code="E203", path=(), message="a variable cannot use another variable", hint="write the text out")
                self._notes.add(fault, place, path)
                raise Broken

    def expanded(self, value: Any, *path: str | int, more: Mapping[str, Any] | None = None) -> Any:
        if isinstance(value, (int, float)) or (isinstance(value, str) and "$" not in value and not _is_too_long(value)):
            return value
        try:
            expanded = templates.expand_all(value, {**self.variables, **more} if more else self.variables)
        except TemplateError as error:
            self.note(Fault(code="E203", path=(), message=error.fact, hint=error.hint), *path)
            raise Broken from None
        if isinstance(expanded, str) and _is_too_long(expanded):
            self.note(Fault(code="E105", path=(), message=f"is longer than {MOST_TEXT:,} bytes when expanded"), *path)
            raise Broken
        return expanded

    def text(self, key: str) -> str | None:
        value = self.data.get(key)
        expanded = self.expanded(value, key) if isinstance(value, str) else None
        return None if expanded is None else str(expanded)

    def prompt(self) -> str | None:
        """The shot's own prompt, wrapped by the default one where that asks for `${prompt}`; else the default one."""
        outer, wraps = self._outer.prompt, self._outer.wraps
        own = self.own.data.get("prompt")
        if "prompt" not in self.own.data:
            return None if outer is None or wraps else self._written(outer.data["prompt"], outer)
        inner = None if own is None else self._written(own, self.own)
        if inner is None or outer is None or not wraps:
            return inner
        return str(self._within(outer.data["prompt"], outer, {"prompt": inner}))

    def _written(self, value: Any, layer: Layer) -> str:
        if isinstance(value, Mapping):
            value = self._file(str(value.get("file")), layer)
        return str(self._within(value, layer, {}))

    def _within(self, value: str, layer: Layer, more: Mapping[str, Any]) -> Any:
        try:
            variables = {**self.variables, **more} if more else self.variables
            expanded = templates.expand(value, variables) if "$" in value else value
        except TemplateError as error:
            fault = Fault(code="E203", path=(), message=error.fact, hint=error.hint)
            if not self._follows(fault, ("prompt",)):
                self._notes.add(fault, layer.data.place("prompt"), (*layer.path, "prompt"), self.id or None)
            raise Broken from None
        if _is_too_long(str(expanded)):
            self.note(Fault(code="E105", path=(), message=f"is longer than {MOST_TEXT:,} bytes when expanded"), "prompt")
            raise Broken
        return expanded

    def _file(self, name: str, layer: Layer) -> str:
        """A prompt's file: UTF-8, CRLF as LF, one final newline dropped."""
        found = self._shelf.locate(name)
        if isinstance(found, Path):
            try:
                return found.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n")
            except (OSError, UnicodeDecodeError) as error:
                why = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "cannot be read"
                found = Fault(code="E402", path=(), message=f'"{name}" {why}')
        self._notes.add(found, layer.data["prompt"].place("file"), (*layer.path, "prompt", "file"), self.id or None)
        raise Broken
