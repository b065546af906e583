"""The manifest, what it includes and its tables → the drafts of its shots, each with its layers and variables."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner import catalog, judge, source, tables, templates
from runner.assets import Shelf
from runner.errors import ManifestError, Place
from runner.judge import Fault
from runner.layers import Layer
from runner.salvage import Torn
from runner.source import Map, Source
from runner.stack import Columns, Draft, Notes, Outer
from runner.templates import TemplateError

MOST_COMBINATIONS = 1_000_000
_MOST_ID = 200  # characters, variables and all
_ONE = (Columns(),)  # of a shot without matrix and table
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_KEY = re.compile(r"\b(?:sk|st)-[A-Za-z0-9][A-Za-z0-9_-]{15,}")
_LIKE_KEY = re.compile(r"s[kt]-[A-Za-z0-9][A-Za-z0-9_-]{15}")  # whatever a key is too, found in a tenth of the time


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One file with shots: the manifest itself, or one that it includes; with what it inherits."""

    text: Source
    variables: tuple[Map, ...]
    defaults: tuple[Layer, ...]
    scenes: Mapping[str, Layer | None]

    def outer(self, scene: str | None, profile: Layer | None) -> Outer:
        """What lies around the shots of a scene."""
        middle = (self.scenes.get(scene) if scene is not None else None, profile)
        return Outer((*self.defaults, *(layer for layer in middle if layer)), self.variables)


def parts(text: Source, notes: Notes, shelf: Shelf) -> list[Part]:
    """The manifest and the files it includes, in their order."""
    data = text.data
    first = _part(text, None)
    found = [first]
    seen: set[Path] = set()
    for number, pattern in enumerate(data.get("include") or []):
        files = _fitting(shelf.folder, pattern)
        if not files:
            hint = "patterns count from the manifest's folder, such as scenes/*.yaml"
            fault = Fault(code="E206", path=(), message=f'no file fits "{pattern}"', hint=hint)
            notes.add(fault, text.place(("include", number)), ("include", number))
        for file in files:
            if file in seen:
                continue
            seen.add(file)
            name = file.relative_to(shelf.folder).as_posix()
            where = shelf.locate(name)
            if isinstance(where, Fault):
                notes.add(where, text.place(("include", number)), ("include", number))
                continue
            if (included := _included(file, notes)) is not None:
                found.append(_part(included, first))
    return found


def _fitting(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(file for file in folder.glob(pattern) if file.is_file())
    except (ValueError, NotImplementedError, OSError):  # no pattern, or one that begins at the root
        return []


def _included(file: Path, notes: Notes) -> Source | None:
    """An included file in its right form; None where that is broken, which has been told of."""
    try:
        text = source.read(file)
    except ManifestError as error:
        for problem in error.problems:
            notes.tell(problem)
        return None
    whole = catalog.schema("manifest")
    faults = judge.faults({**whole["$defs"]["included"], "$defs": whole["$defs"]}, text.data)
    for fault in faults:
        notes.add(fault, spot(text, fault), fault.path, owner(text, fault.path))
    tell_secrets(text, notes)
    if not isinstance(text.data, Map) or not isinstance(text.data.get("shots"), list):
        return None
    return None if any(fault.path[:1] in {("vars",), ("defaults",), ("scenes",)} for fault in faults) else text


def tell_secrets(text: Source, notes: Notes) -> None:
    """Note every text of a file that looks like a key, wherever it stands."""
    if (text.plain is not None and not _LIKE_KEY.search(text.plain)) or not _has_secret(text.data):
        return
    for path, value, of_key in _strings(text.data, ()):
        if found := _KEY.search(value):
            fault = replace(_secret(found[0]), path=path, of_key=of_key)
            notes.add(fault, spot(text, fault), path[:-1] if of_key else path, owner(text, path))


def _has_secret(value: Any) -> bool:
    """Whether there is any, found without asking where: almost no file has one, and paths take time."""
    if isinstance(value, str):
        return "-" in value and _KEY.search(value) is not None
    if isinstance(value, dict):
        return any(map(_has_secret, value)) or any(map(_has_secret, value.values()))
    return isinstance(value, list) and any(map(_has_secret, value))


def _secret(found: str) -> Fault:
    hint = "keys come from the environment only; take it out and renew it"
    return Fault(code="E501", path=(), message=f"looks like a secret key ({found[:6]}…)", hint=hint)


def _strings(value: Any, path: tuple[str | int, ...]) -> Iterable[tuple[tuple[str | int, ...], str, bool]]:
    """Every text of a file, its keys too: where, what, and whether it is a key."""
    if isinstance(value, str):
        yield path, value, False
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str):
                yield (*path, key), key, True
            yield from _strings(item, (*path, key))


def owner(text: Source, path: Sequence[str | int]) -> str | None:
    """The id, as it is written, of the shot that a path of a file leads into; None where it is none that could be said."""
    if path[:1] != ("shots",) or len(path) == 1:
        return None
    shot = text.data["shots"][path[1]]
    name = shot.get("id") if isinstance(shot, Map) else None
    return name if isinstance(name, str) and name and len(name) <= _MOST_ID and not _KEY.search(name) else None


def spot(text: Source, fault: Fault) -> Place:
    """Where a fault of a file stands: the value, or the key where that is at fault."""
    if fault.of_key:
        parent: Any = text.data
        for part in fault.path[:-1]:
            parent = parent[part]
        if isinstance(parent, Map) and fault.path[-1] in parent:
            found: Place = parent.place_of_key(str(fault.path[-1]))
            return found
    return text.place(fault.path)


def _part(text: Source, outer: Part | None) -> Part:
    data = text.data
    own = Layer(data=_map(data, "defaults"), path=("defaults",))
    scenes: dict[str, Layer | None] = dict(outer.scenes) if outer else {}
    for name, scene in _map(data, "scenes").items():
        scenes[name] = None if scene is None else Layer(data=scene, path=("scenes", name))
    return Part(
        text=text,
        variables=(*(outer.variables if outer else ()), _map(data, "vars")),
        defaults=(*(outer.defaults if outer else ()), own),
        scenes=scenes,
    )


def rows(part: Part, profile: Layer | None, notes: Notes, shelf: Shelf, torn: Mapping[int, Torn]) -> Iterator[Draft]:
    """Every shot of a part, spread over its matrix or its table; `torn` are those whose form is broken, by their number."""
    outers: dict[str | None, Outer] = {None: part.outer(None, profile)}  # by the scene
    for number, shot in enumerate(part.text.data.get("shots") or ()):
        if number in torn:
            shot = torn[number].shot  # noqa: PLW2901 - what is left of the same shot
        if not isinstance(shot, Map):
            continue
        own = Layer(data=shot, path=("shots", number))
        for columns in _spread(own, notes, shelf):
            scene = _scene(part, own, columns, outers[None].variables, notes)
            if scene not in outers:
                outers[scene] = part.outer(scene, profile)
            yield Draft(outers[scene], own, columns)


def _spread(own: Layer, notes: Notes, shelf: Shelf) -> Iterable[Columns]:
    shot = own.data
    tabled = _table(own, notes, shelf) if "each" in shot else _ONE
    if "matrix" not in shot:
        return tabled
    return (columns.with_more(combination, shot) for columns in tabled for combination in _combinations(own, notes))


def _combinations(own: Layer, notes: Notes) -> Iterator[dict[str, Any]]:
    """Every combination of the matrix but those excluded, the last column turning fastest."""
    matrix = own.data.get("matrix") or {}
    excluded = own.data.get("exclude") or []
    for number, one in enumerate(excluded):
        for name, value in one.items():
            path = (*own.path, "exclude", number, name)
            if name not in matrix:
                fault = Fault(
                    code="E207", path=(), message=f'the matrix has no column "{name}"', hint=judge.suggestion(name, matrix)
                )
                notes.add(fault, one.place_of_key(name), path, own.data.get("id"))
            elif value not in matrix[name]:
                hint = judge.suggestion(str(value), map(str, matrix[name]))
                fault = Fault(code="E207", path=(), message=f'the column "{name}" has no value {judge.shown(value)}', hint=hint)
                notes.add(fault, one.place(name), path, own.data.get("id"))
    for values in itertools.islice(itertools.product(*matrix.values()), MOST_COMBINATIONS + 1):
        combination = dict(zip(matrix, values, strict=True))
        if not any(one and all(combination.get(name) == value for name, value in one.items()) for one in excluded):
            yield combination


def _table(own: Layer, notes: Notes, shelf: Shelf) -> Iterator[Columns]:
    name = str(own.data["each"])
    path, place = (*own.path, "each"), own.data.place("each")
    file = shelf.locate(name)
    if isinstance(file, Fault):
        notes.add(file, place, path, own.data.get("id"))
        return
    if file.suffix.lower() not in {".csv", ".jsonl"}:
        hint = "one JSON object a line (.jsonl), or a first line with the columns' names (.csv)"
        notes.add(Fault(code="E207", path=(), message=f'"{name}" is no .csv or .jsonl file', hint=hint), place, path)
        return
    try:
        read = tables.read(file, shown=source.relative(shelf.folder / name))
    except ManifestError as error:
        for problem in error.problems:
            notes.tell(problem)
        return
    if not read:
        notes.add(Fault(code="E207", path=(), message=f'"{name}" has no rows'), place, path, own.data.get("id"))
    for row in read:
        for column, value in row.values.items():
            if isinstance(value, str) and "-" in value and (found := _KEY.search(value)):
                notes.add(_secret(found[0]), row.place(column))
        yield Columns(values=row.values, row=row)


def _scene(part: Part, own: Layer, columns: Columns, variables: Mapping[str, Any], notes: Notes) -> str | None:
    """The scene whose layer lies under a shot; None for none."""
    name: str | None = own.data.get("scene")
    if name is None or not part.scenes:
        return None
    if "$" in name:
        try:
            name = str(templates.expand(name, {**variables, **(own.data.get("vars") or {}), **columns.values}))
        except TemplateError:
            return None  # the shot says so when its own texts are expanded
    if name in part.scenes:
        return name
    # Without a `scenes:` block a scene is just a label; with one, a name that is not in it is a slip.
    fault = Fault(code="E205", path=(), message=f'there is no scene "{name}"', hint=judge.suggestion(name, part.scenes))
    notes.add(fault, own.data.place("scene"), (*own.path, "scene"), own.data.get("id"))
    return None


def _map(data: Any, key: str) -> Map:
    found = data.get(key) if isinstance(data, Map) else None
    return found if isinstance(found, Map) else Map()


def ids(part: Part, numbers: Iterable[int]) -> Iterator[str]:
    """The ids of some of a part's shots as patterns: `*` stands for what a variable would be."""
    for number in numbers:
        shot = part.text.data["shots"][number]
        if isinstance(shot, Map) and isinstance(shot.get("id"), str):
            yield _VARIABLE.sub("*", shot["id"])
