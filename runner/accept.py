"""A JSON Schema → a function that says whether a value keeps to it, as jsonschema would and many times as fast.

It is compiled once, into closures. A keyword that is not known here makes the whole schema none of ours: jsonschema
decides then, and it alone finds the words for what is refused. `tests/test_accept.py` holds the two against each other.
Values are what YAML and JSON make: mappings with texts as keys, lists, texts, finite numbers, booleans and null.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

from runner.keywords import KEYWORDS

Check = Callable[[Any], bool]
_Schema = Mapping[str, Any]
_Rule = Callable[["_Compiler", Any, _Schema], Check]

# Words about a schema that judge nothing; names that begin with x- are ours and judge only where KEYWORDS has them.
_SILENT = {"title", "description", "examples", "default", "deprecated", "$comment", "$defs", "$schema", "$id"}
# Read together with the keyword that they belong to.
_BESIDE = {"then", "else", "minContains", "maxContains"}


class Unknown(Exception):
    """A keyword, or a use of one, that only jsonschema understands."""


def compiled(schema: _Schema) -> Check | None:
    """The function, or None where jsonschema has to decide."""
    try:
        return _Compiler(schema).check(schema)
    except Unknown:
        return None


def _any(_: Any) -> bool:
    return True


class _Compiler:
    """Works on one schema; references lead into it and are compiled once, since they may be circular."""

    def __init__(self, root: _Schema) -> None:
        self.root = root
        self._named: dict[str, list[Check]] = {}

    def check(self, schema: Any) -> Check:
        if isinstance(schema, bool):
            return (lambda _: True) if schema else (lambda _: False)
        if "$id" in schema and schema is not self.root:
            raise Unknown("$id")  # references below it would count from there
        checks = []
        for keyword, value in schema.items():
            if rule := _RULES.get(keyword):
                checks.append(rule(self, value, schema))
            elif keyword in KEYWORDS:
                checks.append(_ours(keyword, value, schema))
            elif keyword not in _SILENT | _BESIDE and not keyword.startswith("x-"):
                raise Unknown(keyword)
        return _all(checks)

    def referred(self, target: str) -> Check:
        if target not in self._named:
            found: Any = self.root
            if not target.startswith("#/"):
                raise Unknown(target)
            for part in target[2:].split("/"):
                if not isinstance(found, Mapping) or part not in found:
                    raise Unknown(target)
                found = found[part]
            home = self._named[target] = []
            home.append(self.check(found))
        home = self._named[target]
        return home[0] if home else lambda value: home[0](value)  # noqa: PLW0108 - it refers to itself: there is nothing yet


def _all(checks: Sequence[Check]) -> Check:
    match checks:
        case []:
            return _any
        case [one]:
            return one
        case [one, two]:
            return lambda value: one(value) and two(value)
        case [one, two, three]:
            return lambda value: one(value) and two(value) and three(value)
        case [one, two, *rest]:
            more = _all(rest)
            return lambda value: one(value) and two(value) and more(value)
    raise AssertionError  # a sequence is one of these


def _either(checks: Sequence[Check]) -> Check:
    match checks:
        case [one]:
            return one
        case [one, two]:
            return lambda value: one(value) or two(value)
    return lambda value: any(check(value) for check in checks)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return type(value) is int or (isinstance(value, float) and value.is_integer())


_KINDS: Mapping[str, Check] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_whole,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}


def _type(_: _Compiler, names: str | Sequence[str], __: _Schema) -> Check:
    if isinstance(names, str):
        return _KINDS[names]
    return _either([_KINDS[name] for name in names])


def _enum(_: _Compiler, allowed: Sequence[Any], __: _Schema) -> Check:
    if any(isinstance(one, (dict, list)) for one in allowed):
        raise Unknown("enum")
    texts = frozenset(one for one in allowed if isinstance(one, str))
    others = [one for one in allowed if not isinstance(one, str)]
    return lambda value: value in texts if isinstance(value, str) else any(_is_same(one, value) for one in others)


def _is_same(one: Any, value: Any) -> bool:
    """1 and 1.0 are the same to JSON, 1 and true are not."""
    return one is value if isinstance(one, bool) or isinstance(value, bool) else bool(one == value)


def _const(compiler: _Compiler, wanted: Any, schema: _Schema) -> Check:
    return _enum(compiler, [wanted], schema)


def _limit(keeps: Callable[[Any, Any], bool]) -> _Rule:
    return lambda _, limit, __: lambda value: not _is_number(value) or keeps(value, limit)


def _least(kind: type[Sized]) -> _Rule:
    return lambda _, least, __: lambda value: not isinstance(value, kind) or len(value) >= least


def _most(kind: type[Sized]) -> _Rule:
    return lambda _, most, __: lambda value: not isinstance(value, kind) or len(value) <= most


def _pattern(_: _Compiler, pattern: str, __: _Schema) -> Check:
    search = re.compile(pattern).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _items(compiler: _Compiler, schema: Any, _: _Schema) -> Check:
    each = compiler.check(schema)
    return lambda value: not isinstance(value, list) or all(map(each, value))


def _contains(compiler: _Compiler, schema: Any, around: _Schema) -> Check:
    one = compiler.check(schema)
    least, most = around.get("minContains", 1), around.get("maxContains", float("inf"))
    return lambda value: not isinstance(value, list) or least <= sum(map(one, value)) <= most


def _properties(compiler: _Compiler, members: Mapping[str, Any], around: _Schema) -> Check:
    """Together with `additionalProperties: false`, its usual company: one look at each member does for both."""
    known = {name: compiler.check(schema) for name, schema in members.items()}
    others = _none if around.get("additionalProperties") is False and "patternProperties" not in around else _any
    find = known.get

    def check(value: Any) -> bool:
        if isinstance(value, dict):
            for name, item in value.items():
                if not find(name, others)(item):
                    return False
        return True

    return check


def _none(_: Any) -> bool:
    return False


def _additional(compiler: _Compiler, schema: Any, around: _Schema) -> Check:
    if schema is False and "properties" in around and "patternProperties" not in around:
        return _any  # seen to there
    each = compiler.check(schema)
    known = around.get("properties", {})
    patterns = [re.compile(pattern).search for pattern in around.get("patternProperties", {})]

    def check(value: Any) -> bool:
        return not isinstance(value, dict) or all(
            name in known or any(search(name) for search in patterns) or each(item) for name, item in value.items()
        )

    return check


def _patterned(compiler: _Compiler, members: Mapping[str, Any], _: _Schema) -> Check:
    rules = [(re.compile(pattern).search, compiler.check(schema)) for pattern, schema in members.items()]

    def check(value: Any) -> bool:
        return not isinstance(value, dict) or all(
            each(item) for name, item in value.items() for search, each in rules if search(name)
        )

    return check


def _names(compiler: _Compiler, schema: Any, _: _Schema) -> Check:
    each = compiler.check(schema)
    return lambda value: not isinstance(value, dict) or all(map(each, value))


def _required(_: _Compiler, names: Sequence[str], __: _Schema) -> Check:
    if len(names) == 1:
        only = names[0]
        return lambda value: not isinstance(value, dict) or only in value
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


def _dependent(_: _Compiler, needs: Mapping[str, Sequence[str]], __: _Schema) -> Check:
    def check(value: Any) -> bool:
        return not isinstance(value, dict) or all(name in value for key, names in needs.items() if key in value for name in names)

    return check


def _all_of(compiler: _Compiler, schemas: Sequence[Any], _: _Schema) -> Check:
    return _all([compiler.check(schema) for schema in schemas])


def _any_of(compiler: _Compiler, schemas: Sequence[Any], _: _Schema) -> Check:
    return _either([compiler.check(schema) for schema in schemas])


def _not(compiler: _Compiler, schema: Any, _: _Schema) -> Check:
    wrong = compiler.check(schema)
    return lambda value: not wrong(value)


def _if(compiler: _Compiler, schema: Any, around: _Schema) -> Check:
    case = compiler.check(schema)
    then, otherwise = compiler.check(around.get("then", True)), compiler.check(around.get("else", True))
    return lambda value: then(value) if case(value) else otherwise(value)


def _ref(compiler: _Compiler, target: str, _: _Schema) -> Check:
    return compiler.referred(target)


def _ours(keyword: str, rule: Any, schema: _Schema) -> Check:
    broken = KEYWORDS[keyword]
    return lambda value: next(broken(None, rule, value, schema), None) is None


_RULES: Mapping[str, _Rule] = {
    "$ref": _ref,
    "additionalProperties": _additional,
    "allOf": _all_of,
    "anyOf": _any_of,
    "const": _const,
    "contains": _contains,
    "dependentRequired": _dependent,
    "enum": _enum,
    "exclusiveMaximum": _limit(operator.lt),
    "exclusiveMinimum": _limit(operator.gt),
    "if": _if,
    "items": _items,
    "maxItems": _most(list),
    "maxLength": _most(str),
    "maximum": _limit(operator.le),
    "minItems": _least(list),
    "minLength": _least(str),
    "minProperties": _least(dict),
    "minimum": _limit(operator.ge),
    "not": _not,
    "pattern": _pattern,
    "patternProperties": _patterned,
    "properties": _properties,
    "propertyNames": _names,
    "required": _required,
    "type": _type,
}
