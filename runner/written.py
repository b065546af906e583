"""A manifest's text and a shot's id → where each of its fields was written: layer, table, prompt file or variable."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import rows, source, templates
from runner.assets import Shelf
from runner.errors import Place, Problem
from runner.judge import Fault
from runner.layers import Layer
from runner.shots import Manifest
from runner.source import Map
from runner.stack import Broken, Stack


class _Unheard:
    """Takes the problems that were told when the manifest was read."""

    def add(self, fault: Fault, place: Place, path: Sequence[str | int] = (), shot: str | None = None) -> None:
        pass

    def tell(self, problem: Problem) -> None:
        pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """One shot as its author wrote it: its layers, and the folder that its files' names count from."""

    stack: Stack
    top: Map
    folder: Path

    def place(self, field: str) -> Place:
        """Of `model`, `negative_prompt`, `parameters.duration`, `media.first_frame` …; of what would have it where nothing does."""
        part, _, rest = field.partition(".")
        if part == "provider" and not any("provider" in layer.data for layer in self.stack.layers):
            return self.top.place("provider") if "provider" in self.top else self.top.place()
        return self.stack.place(part, *([rest] if rest else []))

    def prompt_places(self, phrases: Sequence[str]) -> tuple[Place, ...]:
        """Where these phrases of the expanded prompt come from, as far as one text alone has them; else the prompt itself."""
        texts = [*self._texts()]
        pairs = [(phrase, next((pair for pair in texts if phrase in pair[0]), None)) for phrase in phrases]
        found = [_line_of(phrase, *pair) for phrase, pair in pairs if pair]
        return tuple(dict.fromkeys(found)) or (self.stack.place("prompt"),)

    def _texts(self) -> Iterator[tuple[str, Place]]:
        """Every text that the prompt is made of: the shot's own, the one that wraps it, their variables."""
        layers = [layer for layer in self.stack.layers if layer.data.get("prompt") is not None]
        own = [layer for layer in layers if layer is self.stack.own]
        used: set[str] = set()
        for layer in (*own, *[layer for layer in layers if layer is not self.stack.own][-1:]):
            said = layer.data["prompt"]
            text, place = (said, layer.data.place("prompt")) if isinstance(said, str) else self._file(layer)
            used |= templates.names(text)
            yield text, place
        for name in sorted(used & self.stack.variables.keys()):
            yield str(self.stack.variables[name]), self._variable(name)

    def _file(self, layer: Layer) -> tuple[str, Place]:
        name = str(layer.data["prompt"].get("file"))
        try:
            text = (self.folder / name).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        except (OSError, UnicodeDecodeError):
            return "", layer.data.place("prompt")
        return text, Place(source.relative(self.folder / name), 1, 1)

    def _variable(self, name: str) -> Place:
        if cell := self.stack.columns.place(name):
            return cell
        sources = [self.top.get("vars"), *(layer.data.get("vars") for layer in self.stack.layers)]
        found = next((one for one in reversed(sources) if isinstance(one, Map) and name in one), None)
        return found.place(name) if found is not None else self.stack.place("prompt")


def _line_of(phrase: str, text: str, place: Place) -> Place:
    """In a file of its own a phrase has its own line; a text in the manifest may be folded, so its beginning stands for it."""
    if place.line != 1 or place.column != 1:
        return place
    before = text[: text.index(phrase)]
    return Place(place.file, 1 + before.count("\n"), 1 + len(before) - (before.rfind("\n") + 1))


def shots(manifest: Manifest, ids: Collection[str]) -> Mapping[str, Written]:
    """The shots of these ids, from the files as they are now."""
    text = source.read(manifest.path)
    shelf, notes = Shelf(manifest.folder), _Unheard()
    profile = _profile(text.data, manifest.profile)
    found: dict[str, Written] = {}
    for part in rows.parts(text, notes, shelf):
        for row in rows.rows(part, profile, notes, shelf, {}):
            said = str(row.own.data.get("id"))
            if "$" not in said and said not in ids:
                continue
            try:
                stack = Stack(row, notes=notes, shelf=shelf)
            except Broken:
                continue
            if stack.id in ids:
                found[stack.id] = Written(stack=stack, top=text.data, folder=manifest.folder)
    return found


def _profile(data: Any, name: str | None) -> Layer | None:
    said = (data.get("profiles") or {}).get(name) if name else None
    return Layer(data=said, path=("profiles", str(name))) if isinstance(said, Map) else None
