"""Shots whose form is broken → what of them can still be judged, and which parts of them cannot."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner import catalog
from runner.errors import Problem
from runner.source import Map, Source

_SPREADING = {"matrix", "each"}
_PARTED = {"media", "parameters", "vars"}
_OPTIONAL = {"frame", "take"}
_WHOLE = {"model", "provider", "prompt", "negative_prompt"}  # what a shot says itself, whatever its scene says
_LAYERED = {*_WHOLE, "vars", "media", "parameters"}  # what a scene may give


@dataclass(frozen=True, kw_only=True, slots=True)
class Torn:
    """A shot without its broken parts, None where nothing can be made of it; `lost` are the keys that lack something."""

    shot: Map | None
    lost: frozenset[str] = frozenset()


def torn(text: Source, problems: Iterable[Problem]) -> Mapping[int, Torn]:
    """Every shot of a file that has an error already, by its number; `problems` may be of other files too."""
    faults: dict[int, list[tuple[list[str], str]]] = {}
    for problem in problems:
        if problem.place.file == text.file and problem.path.startswith("/shots/") and problem.severity == "error":
            number, *path = [part.replace("~1", "/").replace("~0", "~") for part in problem.path.split("/")[2:]]
            faults.setdefault(int(number), []).append((path, problem.code))
    return {number: _torn(text.data["shots"][number], found) for number, found in faults.items()}


def _torn(shot: object, faults: Sequence[tuple[list[str], str]]) -> Torn:
    if not isinstance(shot, Map):
        return Torn(shot=None)
    known = catalog.schema("manifest")["$defs"]["shot"]["properties"]
    lost: set[str] = set()
    for path, code in faults:
        if not path and code == "E102":  # an id is all that a shot has to have
            lost.add("id")
            continue
        if not (keys := _keys(shot, path)):
            return Torn(shot=None)
        shot = shot.without(keys)
        # Whoever writes `promt` has a prompt, which nobody can judge.
        lost.update([keys[0]] if keys[0] in known else difflib.get_close_matches(keys[0].casefold(), known, 1, 0.6))
    if "scene" in lost:
        lost |= _LAYERED - (shot.keys() & _WHOLE)
    if lost & _SPREADING or ("exclude" in lost and "matrix" in shot):
        return Torn(shot=None)
    return Torn(shot=shot, lost=frozenset(lost))


def _keys(shot: Map, path: Sequence[str]) -> list[str]:
    """The way to what has to go: a role, a variable, of a link no more than its frame or take; else all that a shot says there."""
    found: list[str] = []
    inner: object = shot
    for part in path:
        if not isinstance(inner, Map) or part not in inner:  # a list is one thing, whatever is wrong with its items
            break
        if (found and found[0] not in _PARTED) or (len(found) > 1 and part not in _OPTIONAL):
            break
        found.append(part)
        inner = inner[part]
    return found
