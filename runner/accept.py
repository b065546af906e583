"""A JSON Schema → a function that says whether a value keeps to it, as jsonschema would and many times as fast.

It is compiled once, into closures for each type that a value may have, so that no rule asks what it is looking at. A
keyword that is not known here makes the whole schema none of ours: jsonschema decides then, and it alone finds the words
for what is refused. `tests/test_accept.py` holds the two against each other.
Values are what YAML and JSON make: mappings with texts as keys, lists, texts, finite numbers, booleans and null.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from runner.forms import NAMES, Check, Form, Rule, anything, every, nothing, some
from runner.keywords import KEYWORDS

_Schema = Mapping[str, Any]
_Reader = Callable[["_Compiler", Any, _Schema], Rule]

# Words about a schema that judge nothing; names that begin with x- are ours and judge only where KEYWORDS has them.
_SILENT = {"title", "description", "examples", "default", "deprecated", "$comment", "$defs", "$schema", "$id"}
# Read together with the keyword that they belong to.
_BESIDE = {"then", "else", "minContains", "maxContains"}


class Unknown(Exception):
    """A keyword, or a use of one, that only jsonschema understands."""


def compiled(schema: _Schema, root: _Schema | None = None) -> Check | None:
    """The function, or None where jsonschema has to decide; `root` is what the schema is a part of."""
    try:
        return (
            _Compiler(schema if root is None else root).form(schema).__call__
        )  # not the form itself, which as a mapping would be false while empty
    except Unknown:
        return None


class _Compiler:
    """Works on one schema; references lead into it and are compiled once, since they may be circular."""

    def __init__(self, root: _Schema) -> None:
        self.root = root
        self._named: dict[str, Form] = {}

    def form(self, schema: Any) -> Form:
        return Form(self._rules(schema))

    def _rules(self, schema: Any) -> list[Rule]:
        if isinstance(schema, bool):
            return [] if schema else [lambda _: nothing]
        if "$id" in schema and schema is not self.root:
            raise Unknown("$id")  # references below it would count from there
        rules = []
        for keyword, value in schema.items():
            if read := _READERS.get(keyword):
                rules.append(read(self, value, schema))
            elif keyword in KEYWORDS:
                rules.append(_ours(keyword, value, schema))
            elif keyword not in _SILENT | _BESIDE and not keyword.startswith("x-"):
                raise Unknown(keyword)
        return rules

    def referred(self, target: str) -> Form:
        if target not in self._named:
            found: Any = self.root
            if not target.startswith("#/"):
                raise Unknown(target)
            for part in target[2:].split("/"):
                if not isinstance(found, Mapping) or part not in found:
                    raise Unknown(target)
                found = found[part]
            form = self._named[target] = Form([])  # there already for what refers to itself
            form.rules = self._rules(found)
        return self._named[target]


def _of(kinds: Sequence[type], check: Check) -> Rule:
    """A rule about some types only."""
    return lambda kind: check if kind in kinds else anything


def _type(_: _Compiler, names: str | Sequence[str], __: _Schema) -> Rule:
    wanted = {names} if isinstance(names, str) else {*names}

    def rule(kind: type) -> Check:
        if wanted & NAMES.get(kind, set()):
            return anything
        return float.is_integer if kind is float and "integer" in wanted else nothing

    return rule


def _enum(_: _Compiler, allowed: Sequence[Any], __: _Schema) -> Rule:
    if any(isinstance(one, (dict, list)) for one in allowed):
        raise Unknown("enum")
    texts = frozenset(one for one in allowed if isinstance(one, str))
    others = [one for one in allowed if not isinstance(one, str)]
    return lambda kind: texts.__contains__ if kind is str else some([partial(_is_same, one) for one in others])


def _is_same(one: Any, value: Any) -> bool:
    """1 and 1.0 are the same to JSON, 1 and true are not."""
    return one is value if isinstance(one, bool) or isinstance(value, bool) else bool(one == value)


def _const(compiler: _Compiler, wanted: Any, schema: _Schema) -> Rule:
    return _enum(compiler, [wanted], schema)


def _limit(keeps: Callable[[Any, Any], bool]) -> _Reader:
    """`keeps(limit, value)` of numbers."""
    return lambda _, limit, __: _of((int, float), partial(keeps, limit))


def _least(kind: type) -> _Reader:
    return lambda _, least, __: _of((kind,), lambda value: len(value) >= least)


def _most(kind: type) -> _Reader:
    return lambda _, most, __: _of((kind,), lambda value: len(value) <= most)


def _pattern(_: _Compiler, pattern: str, __: _Schema) -> Rule:
    search = re.compile(pattern).search
    return _of((str,), lambda value: search(value) is not None)


def _items(compiler: _Compiler, schema: Any, _: _Schema) -> Rule:
    each = compiler.form(schema)

    def check(value: Any) -> bool:
        for item in value:  # noqa: SIM110 - a long list, and a generator takes its time
            if not each[type(item)](item):
                return False
        return True

    return _of((list,), check)


def _contains(compiler: _Compiler, schema: Any, around: _Schema) -> Rule:
    one = compiler.form(schema)
    least, most = around.get("minContains", 1), around.get("maxContains", float("inf"))
    return _of((list,), lambda value: least <= sum(map(one, value)) <= most)


def _properties(compiler: _Compiler, members: Mapping[str, Any], around: _Schema) -> Rule:
    """Together with `additionalProperties: false`, its usual company: one look at each member does for both."""
    known = {name: compiler.form(schema) for name, schema in members.items()}
    others = compiler.form("patternProperties" in around or around.get("additionalProperties") is not False)
    find = known.get

    def check(value: Any) -> bool:
        for name, item in value.items():  # noqa: SIM110 - as above
            if not find(name, others)[type(item)](item):
                return False
        return True

    return _of((dict,), check)


def _additional(compiler: _Compiler, schema: Any, around: _Schema) -> Rule:
    if schema is False and "properties" in around and "patternProperties" not in around:
        return lambda _: anything  # seen to there
    each = compiler.form(schema)
    known = around.get("properties", {})
    patterns = [re.compile(pattern).search for pattern in around.get("patternProperties", {})]

    def check(value: Any) -> bool:
        return all(name in known or any(search(name) for search in patterns) or each(item) for name, item in value.items())

    return _of((dict,), check)


def _patterned(compiler: _Compiler, members: Mapping[str, Any], _: _Schema) -> Rule:
    rules = [(re.compile(pattern).search, compiler.form(schema)) for pattern, schema in members.items()]
    return _of((dict,), lambda value: all(each(item) for name, item in value.items() for search, each in rules if search(name)))


def _names(compiler: _Compiler, schema: Any, _: _Schema) -> Rule:
    each = compiler.form(schema)
    return _of((dict,), lambda value: all(map(each, value)))


def _required(_: _Compiler, names: Sequence[str], __: _Schema) -> Rule:
    wanted = frozenset(names)
    if len(wanted) == 1:
        (only,) = wanted
        return _of((dict,), lambda value: only in value)
    return _of((dict,), lambda value: wanted <= value.keys())


def _dependent(_: _Compiler, needs: Mapping[str, Sequence[str]], __: _Schema) -> Rule:
    return _of((dict,), lambda value: all(name in value for key, names in needs.items() if key in value for name in names))


def _all_of(compiler: _Compiler, schemas: Sequence[Any], _: _Schema) -> Rule:
    forms = [compiler.form(schema) for schema in schemas]
    return lambda kind: every([form[kind] for form in forms])


def _any_of(compiler: _Compiler, schemas: Sequence[Any], _: _Schema) -> Rule:
    forms = [compiler.form(schema) for schema in schemas]
    return lambda kind: some([form[kind] for form in forms])


def _not(compiler: _Compiler, schema: Any, _: _Schema) -> Rule:
    wrong = compiler.form(schema)
    return lambda _: lambda value: not wrong(value)


def _if(compiler: _Compiler, schema: Any, around: _Schema) -> Rule:
    case = compiler.form(schema)
    then, otherwise = compiler.form(around.get("then", True)), compiler.form(around.get("else", True))
    return lambda _: lambda value: then(value) if case(value) else otherwise(value)


def _ref(compiler: _Compiler, target: str, _: _Schema) -> Rule:
    form = compiler.referred(target)
    return lambda kind: form[kind]


def _ours(keyword: str, rule: Any, schema: _Schema) -> Rule:
    broken = KEYWORDS[keyword]
    return lambda _: lambda value: next(broken(None, rule, value, schema), None) is None


_READERS: Mapping[str, _Reader] = {
    "$ref": _ref,
    "additionalProperties": _additional,
    "allOf": _all_of,
    "anyOf": _any_of,
    "const": _const,
    "contains": _contains,
    "dependentRequired": _dependent,
    "enum": _enum,
    "exclusiveMaximum": _limit(operator.gt),
    "exclusiveMinimum": _limit(operator.lt),
    "if": _if,
    "items": _items,
    "maxItems": _most(list),
    "maxLength": _most(str),
    "maximum": _limit(operator.ge),
    "minItems": _least(list),
    "minLength": _least(str),
    "minProperties": _least(dict),
    "minimum": _limit(operator.le),
    "not": _not,
    "pattern": _pattern,
    "patternProperties": _patterned,
    "properties": _properties,
    "propertyNames": _names,
    "required": _required,
    "type": _type,
}
