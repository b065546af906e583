"""Defaults, scene, profile and shot laid over each other → one mapping, and where each of its values was written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.errors import Place
from runner.source import Map, Seq

_SECRET = re.compile(r"\b(?:sk|st)-[A-Za-z0-9_-]{8,}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One mapping of the manifest and the path at which it stands there."""

    data: Map
    path: tuple[str | int, ...]


def merged(layers: Sequence[Layer], under: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Later layers win: mappings merge, lists replace, null removes. `under` is what lies below already; it is not changed."""
    result = dict(under or {})
    for layer in layers:
        _lay(result, layer.data)
    return result


def _lay(under: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if value is None:
            under.pop(key, None)
        elif isinstance(value, dict):
            below = under.get(key)
            mixed = dict(below) if isinstance(below, dict) else {}
            _lay(mixed, value)
            under[key] = mixed
        else:
            under[key] = value


def has(layer: Layer, *path: str | int) -> bool:
    return _walk(layer.data, path) == len(path)


def origin(layers: Sequence[Layer], path: Sequence[str | int]) -> Layer:
    """The last layer that has the value at `path`, else the one that has most of the way, else the last."""
    best, furthest = layers[-1], -1
    for layer in layers:
        if (reached := _walk(layer.data, path)) >= furthest:
            best, furthest = layer, reached
    return best


def place(layers: Sequence[Layer], path: Sequence[str | int], *, of_key: bool = False) -> Place:
    """Where the merged value at `path` was written; the mapping that lacks it where it was not."""
    data: Any = origin(layers, path).data
    found: Place = data.place()
    for position, part in enumerate(path):
        if not has_part(data, part):
            break
        last = position == len(path) - 1
        found = data.place_of_key(str(part)) if of_key and last and isinstance(data, Map) else data.place(part)
        data = data[part]
    return found


def pointer(path: Sequence[str | int]) -> str:
    """A path → JSON Pointer; a key that looks like a secret is not repeated."""
    return _SECRET.sub("…", "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path))


def _walk(data: Any, path: Sequence[str | int]) -> int:
    for depth, part in enumerate(path):
        if not has_part(data, part):
            return depth
        data = data[part]
    return len(path)


def has_part(data: Any, part: str | int) -> bool:
    """Whether a mapping has a key, a list an index."""
    if isinstance(data, Map):
        return part in data
    return isinstance(data, Seq) and isinstance(part, int) and 0 <= part < len(data)
