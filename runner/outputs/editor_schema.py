"""The catalogue → the manifest's schema for editors: each model's names, roles and parameters offered where they can stand.

`check` judges by `manifest.schema.json` and, after the layers are merged, by the model's own schema. An editor has one schema
and no merging, so this one is that of the manifest with a branch for each model. It is draft-07 with the few words of its own
that language servers know (`enumDescriptions`, `doNotSuggest`, `errorMessage`, `deprecationMessage`). What `check` passes,
passes here: where the model of a shot cannot be known, everything is offered and only what no model takes is marked.

It serves included files too. One that leaves `callsheet:` out is told by that, and names there are not judged: the manifest
that includes it, which is not seen from there, may bring models and providers of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from runner import catalog
from runner.catalog import Catalog, Model
from runner.outputs.editor_models import (
    SAID,
    Rule,
    judged,
    manifest_says,
    marks,
    offered,
    offers,
    parameters_of,
    unless_open,
    wires,
    with_snippets,
)

_LAYERS = ("scenes", "profiles")
_PREVIEW = "Laid over what `callsheet preview` renders; the provider stays the studio."
_SILENT: Rule = {"not": {"required": ["model"]}}  # a shot that names no model
_OWN_MODELS: Rule = {"anyOf": [{"required": ["models"]}, {"not": {"required": ["callsheet"]}}]}  # its own, or its manifest's


def schema(known: Catalog) -> Rule:
    """The whole schema; equal catalogues give equal ones."""
    models = tuple({model.id: model for model in known.models.values()}.values())
    whole = _draft_7(catalog.schema("manifest"))
    defs = whole["$defs"]
    _loosen(defs)
    defs["open"] = {"type": ["string", "null"], "pattern": r"\$\{"}  # the pattern judges texts only
    defs["models"] = _names(models)
    defs["providers"] = {"enum": [*known.providers], "enumDescriptions": [one.title for one in known.providers.values()]}
    shared = _Shared(defs)
    for model in models:
        defs[f"with.{model.id}"] = offers(model, shared.ref)
        defs[f"shot.{model.id}"] = {"allOf": [{"$ref": f"#/$defs/with.{model.id}"}, marks(model, shared.ref)]}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for model in models:
        for name, rule in parameters_of(model).items():
            found.setdefault(name, []).append(rule)
    defs["any"] = _any(models, found)
    defs["checked"] = _checked(found)
    defs["shot"]["allOf"] = [
        *_branches(models, "shot"),
        {"if": {"anyOf": [_is(models), _SILENT]}, "else": {"$ref": "#/$defs/any"}},
    ]
    defs["layer"]["allOf"] = [*_branches(models, "with"), {"if": _is(models), "else": {"$ref": "#/$defs/any"}}]
    _name_providers(whole, known)
    whole["properties"]["defaults"]["type"] = "object"
    whole["properties"]["profiles"]["properties"] = {"preview": {"allOf": [{"$ref": "#/$defs/layer"}], "description": _PREVIEW}}
    whole["required"] = ["shots"]
    whole["allOf"] = [_needs_version(whole), *_of_defaults(models), *_closed(known)]
    return {**whole, "$schema": "http://json-schema.org/draft-07/schema#", "$id": "callsheet:editor"}


def text(made: Mapping[str, Any]) -> str:
    """The schema as a file: a line a definition, so that git shows what a newer catalogue changed."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    defs = ",\n".join(f"{line(name)}:{line(rule)}" for name, rule in made["$defs"].items())
    rest = [f"{line(name)}:{line(rule)}" for name, rule in made.items() if name != "$defs"]
    return ",\n".join(["{" + rest[0], *rest[1:], '"$defs":{\n' + defs]) + "\n}}\n"


def _draft_7(rule: Any) -> Any:
    """A schema without what came after draft-07; beside a `$ref` that draft sees nothing, so it moves into `allOf`."""
    if isinstance(rule, list):
        return [_draft_7(item) for item in rule]
    if not isinstance(rule, Mapping):
        return rule
    made = {"dependencies" if name == "dependentRequired" else name: _draft_7(value) for name, value in rule.items()}
    if isinstance(made.get("$ref"), str) and len(made) > 1:
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    return with_snippets(made)


def _names(models: Iterable[Model]) -> Rule:
    """All names of all models, each with what it is."""
    said: dict[str, str] = {}
    for model in models:
        about = str(model.schema.get("description", ""))
        said[model.id] = about
        said |= dict.fromkeys(model.about.get("aliases", ()), f"Another name of {model.id}. {about}")
        said |= dict.fromkeys(model.about.get("snapshots", ()), f"A dated version of {model.id}. {about}")
    return {"enum": [*said], "enumDescriptions": [*said.values()]}


def _loosen(defs: Rule) -> None:
    """What the branches say better is only judged here, neither offered nor described; names are offered, and any taken."""
    for name in ("media", "reference"):
        for rule in defs[name]["properties"].values():
            _hush(rule)
    for rule in (defs["media"], defs["nativeMedia"], defs["nativeMedia"]["items"]["properties"]["type"]):
        rule.pop("description", None)
    roles = {"if": {"type": "object"}, "then": {"$ref": "#/$defs/media"}}
    shapes = {"if": {"type": "array"}, "then": {"$ref": "#/$defs/nativeMedia"}, "else": roles}
    defs["anyMedia"] = {"title": "Media", "type": ["object", "array", "null"], **shapes}
    defs["parameters"] = {"title": "Parameters", "type": ["object", "null"]}
    for part, names in (("modelName", "models"), ("providerName", "providers")):
        kept = {word: defs[part][word] for word in ("title", "description")}
        # `type` with null in it would offer null.
        defs[part] = {**kept, "anyOf": [{"$ref": f"#/$defs/{names}"}, {}], "if": {"type": "null"}, "else": {"type": "string"}}


def _hush(rule: Rule) -> None:
    for word in ("description", "examples", "defaultSnippets"):
        rule.pop(word, None)
    rule["doNotSuggest"] = True


class _Shared:
    """Definitions by content: what models have in common is written once."""

    def __init__(self, defs: Rule) -> None:
        self.defs = defs

    def ref(self, name: str, rule: Rule) -> Rule:
        number = 1
        while self.defs.setdefault(label := f"{name}-{number}" if number > 1 else name, rule) != rule:
            number += 1
        return {"$ref": f"#/$defs/{label}"}


def _any(models: Iterable[Model], found: Mapping[str, list[Mapping[str, Any]]]) -> Rule:
    """Of a shot or layer whose model is not known: all roles and parameters of all models."""
    said = catalog.schema("manifest")["$defs"]
    known = manifest_says("media")
    roles = {role: _described(rule) for role, rule in known.items()}
    roles["references"]["items"] = {"properties": {kind: _described(rule) for kind, rule in manifest_says("reference").items()}}
    types = dict.fromkeys(wire for model in models for wire in wires(model))
    native = {"properties": {"type": {"anyOf": [{"enum": [*types]}, {}]}}}
    parameters = {name: _united(name, rules_of) for name, rules_of in found.items()}
    return {
        "properties": {
            "media": {"description": said["anyMedia"]["description"], "properties": roles, "items": native},
            "parameters": {"description": said["parameters"]["description"], "properties": parameters},
        }
    }


def _described(rule: Mapping[str, Any]) -> Rule:
    return with_snippets({word: value for word, value in rule.items() if word in SAID})


def _united(name: str, rules_of: list[Mapping[str, Any]]) -> Rule:
    """One offer for a parameter of several models: all their values, a default where they have the same."""
    values = dict.fromkeys(value for rule in rules_of for value in rule.get("x-shown") or rule.get("enum", ()))
    agreed = {"default"} if all(rule.get("default") == rules_of[0].get("default") for rule in rules_of) else set()
    first = {word: value for word, value in rules_of[0].items() if word in SAID | {"type"} | agreed}
    description = {word: value for word, value in manifest_says("parameters").get(name, {}).items() if word == "description"}
    return offered(name, {**first, **description, **({"enum": [*values]} if values else {})})


def _checked(found: Mapping[str, list[Mapping[str, Any]]]) -> Rule:
    """Parameters of a model that is not known: what no model takes is marked."""
    unknown = {"deprecationMessage": "no model of the catalogue has this parameter; it is not sent"}
    names = {name: unless_open(_either([judged(rule) for rule in rules_of])) for name, rules_of in found.items()}
    return {"properties": {"parameters": {"properties": names, "additionalProperties": unknown}}}


def _either(rules_of: list[Rule]) -> Rule:
    """One rule for what any of several takes; a single one where their messages can be one."""
    alike = [rule for number, rule in enumerate(rules_of) if rule not in rules_of[:number]]
    if len(alike) == 1:
        return alike[0]
    if all(set(rule) == {"enum"} for rule in alike):
        return {"enum": [*dict.fromkeys(value for rule in alike for value in rule["enum"])]}
    if all(rule.get("type") == "integer" and ("enum" in rule or {"minimum", "maximum"} <= rule.keys()) for rule in alike):
        least = min(min(rule.get("enum", [rule.get("minimum")])) for rule in alike)
        most = max(max(rule.get("enum", [rule.get("maximum")])) for rule in alike)
        return {"type": "integer", "minimum": least, "maximum": most}
    return {"anyOf": alike}


def _is(models: Iterable[Model]) -> Rule:
    """A mapping whose model is one of these; a pattern, for language servers take the beginning of an `enum` for all of it."""
    names = "|".join(name.replace(".", r"\.") for model in models for name in model.names)
    return {"required": ["model"], "properties": {"model": {"type": "string", "pattern": f"^({names})$"}}}


def _branches(models: Iterable[Model], kind: str) -> list[Rule]:
    return [{"if": _is([model]), "then": {"$ref": f"#/$defs/{kind}.{model.id}"}} for model in models]


def _needs_version(whole: Rule) -> Rule:
    """`callsheet:` may be left out of a file with nothing in it that only a manifest has."""
    manifest_only = [name for name in whole["properties"] if name not in whole["$defs"]["included"]["properties"]]
    return {"if": {"anyOf": [{"required": [name]} for name in manifest_only]}, "then": {"required": ["callsheet"]}}


def _of_silent_shots(rule: Rule) -> Rule:
    return {"properties": {"shots": {"doNotSuggest": True, "items": {"if": _SILENT, "then": rule}}}}


def _of_defaults(models: tuple[Model, ...]) -> Iterable[Rule]:
    """Shots without a model have that of the defaults, where no scene and no profile has one, also none that is not seen."""
    others = {name: {"additionalProperties": {"if": {"type": "object"}, "then": _SILENT}} for name in _LAYERS}
    for model in models:
        case = {"required": ["callsheet", "defaults"], "properties": {"defaults": _is([model]), **others}}
        yield {"if": case, "then": _of_silent_shots({"$ref": f"#/$defs/shot.{model.id}"})}
    known = {"required": ["callsheet", "defaults"], "properties": {"defaults": _is(models), **others}}
    checked = {"if": _OWN_MODELS, "else": _of_silent_shots({"$ref": "#/$defs/checked"})}
    yield {"if": known, "else": {"allOf": [_of_silent_shots({"$ref": "#/$defs/any"}), checked]}}


def _closed(known: Catalog) -> Iterable[Rule]:
    """What can be judged only where the manifest brings no models or providers of its own."""
    model = _named("model", known.models)
    provider = _named("provider", known.providers)
    layer: Rule = {"allOf": [{"$ref": "#/$defs/checked"}, model]}
    yield {"if": _OWN_MODELS, "else": _everywhere(layer, model)}
    own = {"required": ["callsheet"], "properties": {"providers": {"propertyNames": {"enum": [*known.providers]}}}}
    everywhere = _everywhere(provider, provider)
    everywhere["properties"] |= provider["properties"]
    yield {"if": own, "then": everywhere}


def _named(what: str, names: Iterable[str]) -> Rule:
    rule = {"enum": [*names], "errorMessage": f"no such {what}; `callsheet {what}s` lists them"}
    return {"properties": {what: unless_open(rule)}}


def _everywhere(layer: Rule, shot: Rule) -> Rule:
    hushed = {"doNotSuggest": True}
    spread = {name: {**hushed, "additionalProperties": layer} for name in _LAYERS}
    return {"properties": {"defaults": {**hushed, "allOf": [layer]}, **spread, "shots": {**hushed, "items": shot}}}


def _name_providers(whole: Rule, known: Catalog) -> None:
    """The names of the built-in providers, and the regions of those that have some."""
    providers: Rule = whole["properties"]["providers"]
    providers["properties"] = {
        name: {
            "type": "object",
            "description": one.title,
            "allOf": [{"$ref": "#/$defs/provider"}],
            **({"properties": {"region": {"anyOf": [{"enum": [*one.spec["regions"]]}, {}]}}} if "regions" in one.spec else {}),
        }
        for name, one in known.providers.items()
    }
    extends = whole["$defs"]["provider"]["properties"]["extends"]
    extends["anyOf"] = [{"$ref": "#/$defs/providers"}, {}]
    whole["properties"]["provider"] |= {"anyOf": [{"$ref": "#/$defs/providers"}, {}]}
    whole["properties"]["provider"].pop("examples", None)
