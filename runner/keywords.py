"""The keywords that JSON Schema lacks and the model files need → rules that say in words what does not go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_PLURAL = {"image": "pictures", "video": "videos", "audio": "sounds"}
_ONE = {"image": "picture", "video": "video", "audio": "sound", "voice": "voice"}


@dataclass(kw_only=True, slots=True)
class Broken:
    """A broken rule in its own words; `path` leads to what breaks it, `key` is the member at fault where one is."""

    message: str
    key: str | None = None
    code: str = "E307"
    hint: str | None = None
    path: list[str | int] = field(default_factory=list)


def _combinations(_: Any, allowed: Sequence[Sequence[str]], media: Any, __: Any) -> Iterator[Broken]:
    """Exactly these sets of roles, no other."""
    if not isinstance(media, dict) or set(media) - {role for one in allowed for role in one}:
        return
    if set(media) in [set(one) for one in allowed]:
        return
    hint = "these go together: " + "; ".join(" + ".join(one) for one in allowed)
    given = list(media)
    if not given:
        yield Broken(message='"media" is missing', code="E102", hint=hint)
    elif len(given) > 1:
        yield Broken(message=f"{' + '.join(given)} do not go together", hint=hint)
    else:
        yield Broken(message=f"{given[0]} alone is not enough", hint=hint)


def _one_of(_: Any, names: Sequence[str], value: Any, __: Any) -> Iterator[Broken]:
    """At least one of these is there and not empty."""
    if isinstance(value, dict) and not any(value.get(name) not in (None, {}, []) for name in names):
        yield Broken(message=f"at least one of these is needed: {', '.join(names)}", code="E306")


def _excludes(_: Any, pairs: Sequence[Sequence[Sequence[str]]], media: Any, __: Any) -> Iterator[Broken]:
    """Groups that shut each other out."""
    if not isinstance(media, dict):
        return
    for left, right in pairs:
        ours, theirs = [name for name in left if name in media], [name for name in right if name in media]
        if ours and theirs:
            hint = f"{' and '.join(left)} exclude {', '.join(right)}"
            yield Broken(message=f"{' and '.join(ours)} cannot go with {' and '.join(theirs)}", key=theirs[0], hint=hint)


def _only(_: Any, names: Sequence[str], media: Any, schema: Mapping[str, Any]) -> Iterator[Broken]:
    """In this case no other member has a meaning."""
    if isinstance(media, dict):
        for name in media:
            if name not in names:
                why = f" {schema['x-why']}" if "x-why" in schema else ""
                yield Broken(
                    message=f"{name} has no meaning{why}", key=name, hint=f"there it takes {', '.join(names) or 'nothing'}"
                )


def _same_length(_: Any, pairs: Sequence[Sequence[str]], value: Any, __: Any) -> Iterator[Broken]:
    """Lists that belong together item by item."""
    for left, right in pairs:
        one, other = _at(value, left), _at(value, right)
        if isinstance(one, list) and isinstance(other, list) and len(one) != len(other):
            names = [path.rpartition("/")[2] for path in (left, right)]
            broken = Broken(
                message=f"{names[1]} has {len(other)} items and {names[0]} {len(one)}; they belong together one by one"
            )
            broken.path.extend(right.split("/")[1:])
            yield broken


def _items(_: Any, kinds: Mapping[str, Mapping[str, Any]], references: Any, schema: Mapping[str, Any]) -> Iterator[Broken]:
    """References: which kinds are taken, and how many of each."""
    if not isinstance(references, list):
        return
    counts: Counter[str] = Counter()
    for number, item in enumerate(references):
        for kind in item if isinstance(item, dict) else ():
            if (kind == "voice" and "x-voice" not in schema) or (kind != "voice" and kind not in kinds):
                message = f"takes no {_ONE.get(kind, kind)}, only {' and '.join(_PLURAL[name] for name in kinds)}"
                broken = Broken(message=message, code="E304")
                broken.path.append(number)
                yield broken
            counts[kind] += 1
    for kind, rule in kinds.items():
        if counts[kind] > rule.get("most", counts[kind]) and rule["most"] < schema.get("maxItems", counts[kind]):
            yield Broken(message=f"has {counts[kind]} {_PLURAL[kind]}, the most is {rule['most']}", code="E105")


def _at(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        value = value.get(part) if isinstance(value, dict) else None
    return value


KEYWORDS: Mapping[str, Callable[..., Iterator[Broken]]] = {
    "x-combinations": _combinations,
    "x-one-of": _one_of,
    "x-excludes": _excludes,
    "x-only": _only,
    "x-same-length": _same_length,
    "x-items": _items,
}
