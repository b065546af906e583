"""The fast way to say "this fits" against jsonschema, which is the judge: over every schema we have and hostile values."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import accept, catalog, judge, source

HERE = Path(__file__).parent

MODELS = sorted({model.id: model for model in catalog.load().models.values()}.items())
SCHEMAS = {
    **{name: model.schema for name, model in MODELS},
    **{
        f"{name}, warning {number}": rule["if"]
        for name, model in MODELS
        for number, rule in enumerate(model.schema.get("x-warnings", ()))
    },
    **{f"{name}.schema": catalog.schema(name) for name in ("manifest", "lock", "provider", "model")},
}
# Each keyword on its own, since what a large schema refuses it mostly refuses for several reasons.
NUMBER = {"type": "number"}
SMALL = {
    "whole": {"type": "integer", "minimum": 0, "maximum": 2},
    "between": {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "one of a few": {"enum": [1, True, None, "true", 0.5]},
    "just one": {"const": 1},
    "kinds": {"type": ["number", "null"]},
    "texts": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-zé]"},
    "lists": {"items": NUMBER, "minItems": 1, "maxItems": 2},
    "two of a kind": {"contains": NUMBER, "minContains": 2, "maxContains": 3},
    "none of a kind": {"contains": NUMBER, "minContains": 0, "maxContains": 1},
    "some of a kind": {"type": "array", "contains": NUMBER},
    "neither": {"not": {"enum": [1, "5", None]}},
    "cases": {"if": NUMBER, "then": {"maximum": 1}, "else": {"type": "string"}},
    "one case": {"if": NUMBER, "then": {"minimum": 1}},
    "either": {"anyOf": [NUMBER, {"type": "boolean"}, {"minLength": 2, "type": "string"}]},
    "all": {"allOf": [NUMBER, {"minimum": 1}, {"maximum": 5}, {"type": "integer"}]},
    "members": {"properties": {"a": NUMBER, "b": False}, "required": ["a", "c"], "minProperties": 2},
    "no others": {"properties": {"a": NUMBER}, "additionalProperties": False},
    "others": {"properties": {"a": NUMBER}, "additionalProperties": {"type": "string"}},
    "only others": {"additionalProperties": NUMBER},
    "nothing": {"additionalProperties": False},
    "patterns": {"patternProperties": {"^a": NUMBER, "c$": {"type": "string"}}, "additionalProperties": False},
    "patterns and members": {"properties": {"b": {}}, "patternProperties": {"^a": NUMBER}, "additionalProperties": False},
    "names": {"propertyNames": {"enum": ["a", "abc"]}},
    "together": {"dependentRequired": {"a": ["b"], "abc": ["a", "c"]}},
    "references": {
        "$defs": {"n": NUMBER, "l": {"items": {"$ref": "#/$defs/l"}, "not": {"$ref": "#/$defs/n"}}},
        "$ref": "#/$defs/l",
    },
}
# What a careless check would let through: booleans are no numbers, 5.0 is a whole one, texts that only look right.
NUMBERS = (0, 1, -1, 1.0, 5.0, 0.5, -0.0, 2**31, 2**64, 1e300)
TEXTS = ("", " ", "5", "true", "720p", "720P", "16:9", "é", "x" * 6000)
HOSTILE = (
    None,
    True,
    False,
    *NUMBERS,
    *TEXTS,
    [],
    [[]],
    {},
    {"": ""},
    [{}],
    {"shot": "s010"},
    ["a", "a"],
    {"type": "x", "url": "a.png"},
)
ODD = st.sampled_from(HOSTILE)
ANY = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=4
)


def values(schema, root, depth=0):
    """Values that a schema is about: mostly right, at its limits, and wrong in one place or another."""
    if isinstance(schema, bool) or depth > 6:
        return ANY
    if "$ref" in schema:
        found = root
        for part in schema["$ref"][2:].split("/"):
            found = found[part]
        return values(found, root, depth + 1)
    near = [ODD]
    near += [st.sampled_from(schema["enum"])] * 3 if "enum" in schema else []
    near += [st.just(schema[word]) for word in ("const", "default") if word in schema]
    near += [st.sampled_from(schema["examples"])] * 3 if schema.get("examples") else []
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if word in schema:
            near += [st.sampled_from([schema[word] - 1, schema[word], float(schema[word]), schema[word] + 1, schema[word] + 0.5])]
    for word in ("minLength", "maxLength"):
        if word in schema:
            near += [st.integers(max(0, schema[word] - 1), schema[word] + 1).map(lambda length: "é" * length)]
    branches = [
        *schema.get("anyOf", ()),
        *schema.get("allOf", ()),
        *(schema[word] for word in ("if", "then", "else") if word in schema),
    ]
    near += [values(branch, root, depth + 1) for branch in branches]
    if "items" in schema or "contains" in schema:
        inner = values(schema.get("items", schema.get("contains")), root, depth + 1)
        near += [st.lists(inner, max_size=schema.get("maxItems", 3) + 1)] * 3
    if members := members_of(schema):
        near += [mapping(members, schema, root, depth)] * 4
    elif isinstance(schema.get("additionalProperties"), dict):
        near += [
            st.dictionaries(
                st.sampled_from(["a", "s010@1", "x"]), values(schema["additionalProperties"], root, depth + 1), max_size=2
            )
        ] * 3
    return st.one_of(near)


def members_of(schema):
    """The members that a schema speaks of, in its cases too."""
    cases = [
        schema,
        *schema.get("allOf", ()),
        *(schema[word] for word in ("if", "then", "not") if isinstance(schema.get(word), dict)),
    ]
    found = {}
    for case in cases:
        for name, about in case.get("properties", {}).items():
            found.setdefault(name, about)
    return found


def mapping(members, schema, root, depth):
    inner = {name: values(about, root, depth + 1) for name, about in members.items()}
    required = {name: inner[name] for name in schema.get("required", ()) if name in inner}
    few = st.fixed_dictionaries(required, optional={name: one for name, one in inner.items() if name not in required})
    return few | st.dictionaries(st.sampled_from([*members, "unheard_of"]), ANY, max_size=3)


def jsonschema_says(schema, value):
    return judge.validator(judge._Held(schema)).is_valid(value)


SMALL_VALUES = st.lists(ODD, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c", "abc", "x"]), ODD, max_size=4) | ANY


@pytest.mark.parametrize("name", SMALL)
def test_each_keyword_says_what_jsonschema_says(name):
    schema = SMALL[name]
    ours = accept.compiled(schema)
    said = {ours(value) for value in HOSTILE}

    @settings(max_examples=300, deadline=None, database=None)
    @given(value=values(schema, schema) | SMALL_VALUES)
    def agree(value):
        said.add(ours(value))
        assert ours(value) == jsonschema_says(schema, value), value

    agree()
    assert said == {True, False}


def subschemas(schema, root):
    """Every part of a schema that is a schema itself, made to stand alone."""
    yield {**schema, **({"$defs": root["$defs"]} if "$defs" in root else {})}
    inner = [
        schema[word] for word in ("items", "contains", "not", "if", "then", "else", "additionalProperties") if word in schema
    ]
    inner += [*schema.get("anyOf", ()), *schema.get("allOf", ()), *members_of(schema).values(), *schema.get("$defs", {}).values()]
    for one in inner:
        if isinstance(one, dict):
            yield from subschemas(one, root)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_part_of_a_schema_says_what_jsonschema_says(name):
    root = SCHEMAS[name]
    for schema in {repr(one): one for one in subschemas(root, root)}.values():
        ours = accept.compiled(schema)
        limits = [schema[word] for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if word in schema]
        near = [near for limit in limits for near in (limit - 1, limit, float(limit), limit + 1, limit + 0.5)]
        near += [*schema.get("enum", ()), *schema.get("examples", ()), *([schema["const"]] if "const" in schema else [])]
        near += ["é" * (schema[word] + off) for word in ("minLength", "maxLength") if word in schema for off in (-1, 0, 1)]
        for value in (*HOSTILE, *near):
            assert ours(value) == jsonschema_says(schema, value), (schema, value)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_of_ours_is_understood(name):
    assert accept.compiled(SCHEMAS[name]), "jsonschema would have to decide"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_whole_says_what_jsonschema_says(name):
    schema = SCHEMAS[name]
    ours = accept.compiled(schema)

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(value=values(schema, schema))
    def agree(value):
        assert ours(value) == jsonschema_says(schema, value), value

    agree()


WRITTEN = {
    "manifest": [
        *sorted((HERE / "models").glob("*.yaml"))[:4],
        *sorted((HERE.parent / "manifests").glob("*.callsheet.yaml"))[:4],
    ],
    "provider": sorted((catalog.SCHEMAS / "providers").glob("*.yaml")),
    "model": sorted((catalog.SCHEMAS / "models").glob("*.json"))[::6],
}
FILES = [(name, path) for name, paths in WRITTEN.items() for path in paths]


@pytest.mark.parametrize(("name", "path"), FILES, ids=lambda one: getattr(one, "name", one))
def test_a_file_of_ours_is_taken_and_refused_alike_with_one_thing_changed(name, path):
    schema = catalog.schema(name)
    ours = accept.compiled(schema)
    data = source.read(path).data
    assert ours(data)
    assert jsonschema_says(schema, data)
    hostile = itertools.cycle(HOSTILE)
    ways = [way for way in paths(plain(data)) if way]
    refused = 0
    for way in ways[:: max(1, len(ways) // 60)]:
        changed = plain(data)
        inner = changed
        for part in way[:-1]:
            inner = inner[part]
        inner[way[-1]] = copy.deepcopy(next(hostile))
        assert ours(changed) == jsonschema_says(schema, changed), way
        refused += not ours(changed)
    assert refused


@pytest.mark.parametrize("name", WRITTEN)
def test_of_a_long_list_every_refused_item_is_told_of_as_jsonschema_does(name):
    """Although the accepted ones are not shown to it."""
    schema = {"type": "array", "items": {"$ref": "#/$defs/one"}, "maxItems": 40, "$defs": {"one": {**catalog.schema(name)}}}
    for key in ("$defs", "$id", "$schema"):
        found = schema["$defs"]["one"].pop(key, {})
        schema["$defs"].update(found if key == "$defs" else {})
    good = plain(source.read(WRITTEN[name][0]).data)
    ways = [way for way in paths(good) if way]
    hostile = itertools.cycle(HOSTILE)
    many = [copy.deepcopy(good) for _ in range(41)]
    for item, way in zip(many[::3], itertools.cycle(ways[:: max(1, len(ways) // 14)]), strict=False):
        inner = item
        for part in way[:-1]:
            inner = inner[part]
        inner[way[-1]] = copy.deepcopy(next(hostile))
    told = [(tuple(error.absolute_path), error.message) for error in judge.validator(judge._Held(schema)).iter_errors(many)]
    ours = [(tuple(error.absolute_path), error.message) for error in judge._voice(judge._Held(schema)).iter_errors(many)]
    assert ours == told
    assert len({path[0] for path, _ in told if path}) > 3
    assert () in {path for path, _ in told}, "the list itself is too long"


def plain(data):
    """A copy that may be changed."""
    if isinstance(data, dict):
        return {key: plain(item) for key, item in data.items()}
    return [plain(item) for item in data] if isinstance(data, list) else data


def paths(data, way=()):
    yield way
    for key, item in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from paths(item, (*way, key))
