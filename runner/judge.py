"""A value and its JSON Schema → what is wrong, in words: jsonschema judges what `accept` does not take, this says it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from runner import accept
from runner.forms import Check
from runner.keywords import KEYWORDS, Broken

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}
_FEW = 12
_SECRET = re.compile(r"\b(?:sk|st)-[A-Za-z0-9_-]{8,}")  # what looks like a key is not repeated
_Error = Any  # a ValidationError; its stubs type every part as perhaps unset


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One fault: where (a path into the value; `of_key` when the key itself is wrong), what, and a hint."""

    code: str
    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    of_key: bool = False


def faults(schema: Mapping[str, Any], value: Any) -> list[Fault]:
    """Every way in which `value` breaks `schema`."""
    held = _Held(schema)
    if (accepts := _acceptor(held)) and accepts(value):
        return []
    errors = _voice(held).iter_errors(value)
    found = [_reasoned(fault, schema, error) for error in errors for fault in _worded(error)]
    mistyped = {fault.path for fault in found if fault.code == "E103"}
    return [fault for fault in found if not (fault.code == "E104" and fault.path in mistyped)]


def _reasoned(fault: Fault, schema: Mapping[str, Any], error: _Error) -> Fault:
    """With the schema's own reason (`x-why`, as rules that hold only in some cases carry) where no better hint is known."""
    part: Any = schema
    why = None
    for step in error.absolute_schema_path:
        why = part.get("x-why", why) if isinstance(part, dict) else why
        try:
            part = part[step]
        except (KeyError, IndexError, TypeError):  # a $ref leads away from here; no model has one
            break
    return replace(fault, hint=why) if why and fault.hint is None else fault


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether `value` keeps to `schema`."""
    return fitting(schema)(value)


def fitting(schema: Mapping[str, Any]) -> Check:
    """`fits` for one schema and many values."""
    held = _Held(schema)
    return _acceptor(held) or (lambda value: bool(validator(held).is_valid(value)))


class _Held:
    """Keeps the schema alive and hashes by identity, so that what judges by it is made once a schema."""

    __slots__ = ("schema",)

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.schema is self.schema


@lru_cache(maxsize=512)
def _acceptor(held: _Held) -> Check | None:
    return accept.compiled(held.schema)


@lru_cache(maxsize=512)
def validator(held: _Held) -> Any:
    return _judge()(held.schema)


@cache
def _judge() -> Any:
    """The validator of jsonschema with our keywords. Loaded for what is refused only: that takes longer than a small manifest."""
    from jsonschema import Draft202012Validator, ValidationError, validators

    def told(rule: Callable[..., Iterator[Broken]]) -> Callable[..., Iterator[_Error]]:
        def errors(*about: Any) -> Iterator[_Error]:
            for broken in rule(*about):
                error: _Error = ValidationError(broken.message, path=broken.path)
                error.broken = broken
                yield error

        return errors

    extend: Any = validators.extend
    return extend(Draft202012Validator, {name: told(rule) for name, rule in KEYWORDS.items()})


@lru_cache(maxsize=512)
def _voice(held: _Held) -> Any:
    """The validator of what is refused: of a list it looks at the refused items only, since one slip may be among thousands."""
    from jsonschema import validators

    by_itself = _judge().VALIDATORS["items"]
    checks: dict[int, Check | None] = {}

    def items(validator: Any, each: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[_Error]:
        if not isinstance(value, list) or not isinstance(each, dict) or "prefixItems" in schema:
            yield from by_itself(validator, each, value, schema)
            return
        if id(each) not in checks:
            checks[id(each)] = accept.compiled(each, held.schema)
        fits = checks[id(each)]
        for number, item in enumerate(value):
            if fits is None or not fits(item):
                yield from validator.descend(item, each, path=number)

    extend: Any = validators.extend
    return extend(_judge(), {"items": items})(held.schema)


def _worded(error: _Error) -> Iterable[Fault]:
    path = tuple(error.absolute_path)
    if broken := getattr(error, "broken", None):
        at = (
            path[:-1] if broken.code == "E102" else (*path, broken.key) if broken.key else path
        )  # what is missing, is so at its parent
        return [Fault(code=broken.code, path=at, message=broken.message, hint=broken.hint, of_key=bool(broken.key))]
    if "propertyNames" in error.relative_schema_path:
        return [_named(path, error)]  # it is about the key, whatever rule it breaks
    match error.validator:
        case "additionalProperties":
            return [_unknown(path, key, error.schema) for key in _extra(error)]
        case "required":
            return [_missing(path, error)]
        case "enum" | "const":
            return [_not_allowed(path, error)]
        case "type":
            return [
                Fault(code="E103", path=path, message=f"must be {_types(error.validator_value)}, not {shown(error.instance)}")
            ]
        case "dependentRequired":
            return [_dependent(path, error)]
        case "anyOf" | "oneOf":
            return _alternatives(path, error)
        case _:
            return [_limit(path, error)]


def _extra(error: _Error) -> list[str]:
    known, patterns = error.schema.get("properties", {}), error.schema.get("patternProperties", {})
    return [str(key) for key in error.instance if key not in known and not any(re.search(one, str(key)) for one in patterns)]


def _unknown(path: tuple[str | int, ...], key: str, schema: Mapping[str, Any]) -> Fault:
    hint = suggestion(key, schema.get("properties", {}))
    where = "parameter" if path[-1:] == ("parameters",) else "role" if path[-1:] == ("media",) else "key"
    return Fault(code="E101", path=(*path, key), message=f"unknown {where} {shown(key)}", hint=hint, of_key=True)


def _named(path: tuple[str | int, ...], error: _Error) -> Fault:
    key = str(error.instance)
    known = error.schema.get("enum", ()) if isinstance(error.schema, dict) else ()
    hint = suggestion(key, known) or (error.schema.get("description") if isinstance(error.schema, dict) else None)
    return Fault(code="E101", path=(*path, key), message=f"{shown(key)} cannot be a name here", hint=hint, of_key=True)


def _missing(path: tuple[str | int, ...], error: _Error) -> Fault:
    lacking = [key for key in error.validator_value if key not in error.instance]
    key = next((key for key in lacking if f"'{key}'" in error.message), lacking[0])
    about = error.schema.get("properties", {}).get(key, {})
    example = about.get("examples", [None])[0] if isinstance(about, dict) else None
    hint = f"for example {key}: {json.dumps(example, ensure_ascii=False)}" if isinstance(example, (str, int)) else None
    return Fault(code="E102", path=path, message=f'"{key}" is missing', hint=hint)


def _not_allowed(path: tuple[str | int, ...], error: _Error) -> Fault:
    allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
    message = f"{shown(error.instance)} is not allowed"
    if len(allowed) == 1:
        return Fault(code="E104", path=path, message=f"must be {shown(allowed[0])}, not {shown(error.instance)}")
    return Fault(code="E104", path=path, message=message, hint=suggestion(str(error.instance), [str(item) for item in allowed]))


def _dependent(path: tuple[str | int, ...], error: _Error) -> Fault:
    key = next(key for key, needs in error.validator_value.items() if key in error.instance and set(needs) - set(error.instance))
    lacking = [name for name in error.validator_value[key] if name not in error.instance]
    return Fault(code="E307", path=(*path, key), message=f"{key} goes only together with {' and '.join(lacking)}", of_key=True)


def _limit(path: tuple[str | int, ...], error: _Error) -> Fault:
    value, limit = error.instance, error.validator_value
    words = {
        "minimum": f"{shown(value)} is too small, the least is {limit}",
        "maximum": f"{shown(value)} is too large, the most is {limit}",
        "exclusiveMinimum": f"{shown(value)} is too small, it must be above {limit}",
        "exclusiveMaximum": f"{shown(value)} is too large, it must be below {limit}",
        "minLength": "must not be empty" if limit == 1 else f"is {len(str(value))} characters long, the least is {limit}",
        "maxLength": f"is {len(str(value))} characters long, the most is {limit}",
        "minItems": "must not be empty" if limit == 1 else f"has too few items, the least is {limit}",
        "maxItems": f"has {len(value) if isinstance(value, list) else 0} items, the most is {limit}",
        "minProperties": "must not be empty",
        "pattern": f"{shown(value)} has the wrong form",
        "multipleOf": f"{shown(value)} must be a multiple of {limit}",
        "maxContains": f"has more than {limit} of a kind of which {limit} at most may be",
        "uniqueItems": "has the same item twice",
        "not": f"{shown(value)} is not allowed here",
    }
    hint = error.schema.get("description") if error.validator == "pattern" and isinstance(error.schema, dict) else None
    code = "E106" if error.validator == "pattern" else "E105"
    return Fault(code=code, path=path, message=words.get(str(error.validator), error.message), hint=hint)


def _alternatives(path: tuple[str | int, ...], error: _Error) -> list[Fault]:
    """Of several forms, speak of the one that the author most likely meant: the one of the value's own type."""
    branches: dict[int, list[_Error]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [errors for errors in branches.values() if not any(_is_about_type(inner, error) for inner in errors)]
    if len(fitting) == 1 or (fitting and isinstance(error.instance, dict)):
        nearest = min(fitting, key=lambda errors: (len(errors), -max(len(inner.absolute_path) for inner in errors)))
        return [fault for inner in nearest for fault in _worded(inner)]
    wanted = [
        name
        for inner in error.context or ()
        if inner.validator == "type" and not inner.path
        for name in _listed(inner.validator_value)
    ]
    if wanted:
        return [
            Fault(code="E103", path=path, message=f"must be {_types(list(dict.fromkeys(wanted)))}, not {shown(error.instance)}")
        ]
    return [fault for inner in next(iter(branches.values()), []) for fault in _worded(inner)] or [
        Fault(code="E103", path=path, message=error.message)
    ]


def _is_about_type(inner: _Error, outer: _Error) -> bool:
    return inner.validator == "type" and list(inner.absolute_path) == list(outer.absolute_path)


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """`did you mean …?` for a near miss, else the accepted words when they are few."""
    known = list(known)
    folded = {item.casefold(): item for item in known}
    near = difflib.get_close_matches(word.casefold(), folded, 1, 0.6)
    if near:
        return f'did you mean "{folded[near[0]]}"?'
    return f"one of: {', '.join(known)}" if 0 < len(known) <= _FEW else None


def shown(value: Any) -> str:
    """A value as a message quotes it: short, on one line."""
    match value:
        case str() if _SECRET.search(value):
            return '"sk-…"'
        case str():
            return f'"{value if len(value) <= 60 else value[:57] + "…"}"'.replace("\n", "\\n")
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _listed(types: Any) -> list[str]:
    return [types] if isinstance(types, str) else list(types)


def _types(types: Any) -> str:
    return " or ".join(_TYPES.get(name, name) for name in _listed(types) if name != "null" or types == "null")
