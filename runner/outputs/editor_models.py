"""A model → what an editor offers and says wherever it is named, and what it marks in a shot of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from runner import catalog
from runner.catalog import Model
from runner.outputs.model_view import medium, rules
from runner.shots import size_of

Rule = dict[str, Any]
Ref = Callable[[str, Rule], Rule]  # a definition's name and content → a reference to it
OPEN: Rule = {"$ref": "#/$defs/open"}
SAID = {"title", "description", "examples"}
# Offered where a size list decides; what is near enough is taken too.
_SHAPES = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "9:21")
_LATER = {"contains", "minContains", "maxContains"}  # draft-07 lacks them or means something else; `check` judges them


def offers(model: Model, ref: Ref) -> Rule:
    """What a shot or layer of this model is offered; this judges nothing."""
    roles = {role: ref(f"role.{role}", _role(role, rule)) for role, rule in model.roles.items()}
    members = {name: ref(f"parameter.{name}", offered(name, rule)) for name, rule in parameters_of(model).items()}
    native = {"properties": {"type": {"anyOf": [{"enum": wires(model)}, {}]}}} if model.roles else {}
    null = "null takes one away that comes from an outer layer"
    return {
        "properties": {
            "media": {"description": _told(model), "properties": roles, "items": native},
            "parameters": {"description": f"Those of {model.id}; {null}.", "properties": members},
        }
    }


def marks(model: Model, ref: Ref) -> Rule:
    """What is wrong in a shot of this model, whatever the layers around it say."""
    texts = {
        name: unoffered({"type": "null", "errorMessage": f"{model.id} has no {name}"})
        for name in ("prompt", "negative_prompt")
        if name not in model.schema["properties"]
    }
    checked = {name: ref(f"checked.{name}", unless_open(judged(rule))) for name, rule in parameters_of(model).items()}
    media = _only(model, "media", {role: _references(rule) for role, rule in model.roles.items()})
    native = {"properties": {"type": {"enum": wires(model)}}} if model.roles else media["additionalProperties"]
    return {"properties": {**texts, "media": {**media, "items": native}, "parameters": _only(model, "parameter", checked)}}


def _only(model: Model, what: str, members: Rule) -> Rule:
    """No other members, but for those that null takes away from an outer layer."""
    message = f"{model.id} has no such {what}; it has: {', '.join(members)}" if members else f"{model.id} takes no {what}"
    return {"properties": members, "additionalProperties": unoffered({"type": "null", "errorMessage": message})}


def _told(model: Model) -> str:
    if not model.roles:
        return f"{model.id} takes no media."
    takes = f"A local file, a URL, or another shot's render by role; {model.id} takes {', '.join(model.roles)}."
    return " ".join([takes, *(_sentence(rule) for rule in rules(model) if rule.startswith("these media go together"))])


def _role(role: str, rule: Mapping[str, Any]) -> Rule:
    made = _medium(manifest_says("media")[role], rule)
    kinds: Rule = {**rule.get("x-items", {}), **({"voice": rule["x-voice"]} if "x-voice" in rule else {})}
    if kinds:
        known = manifest_says("reference")
        made["items"] = {"properties": {kind: _medium(known[kind], one) for kind, one in kinds.items()}}
    return made


def _medium(known: Mapping[str, Any], rule: Mapping[str, Any]) -> Rule:
    """A medium with the manifest's examples of it, and what the model says of it and asks."""
    said = [str(rule.get("description", known["description"])), _sentence(medium(rule["x-media"])) if "x-media" in rule else ""]
    kept = {word: value for word, value in known.items() if word in SAID}
    return with_snippets({**kept, "description": " ".join(filter(None, said))})


def _references(rule: Mapping[str, Any]) -> Rule:
    """Of a list how many it may have and of which kinds; of a single file only that the role is there."""
    if "x-items" not in rule:
        return {"doNotSuggest": True}
    kinds = [*rule["x-items"], *(("voice",) if "x-voice" in rule else ())]
    most = {"maxItems": rule["maxItems"]} if "maxItems" in rule else {}
    return {"doNotSuggest": True, **most, "items": {"propertyNames": {"enum": kinds}}}


def wires(model: Model) -> list[str]:
    """What the type of an item of the native list may be."""
    found: dict[str, None] = {}
    for role, rule in model.roles.items():
        if role == "references":
            found |= dict.fromkeys(f"reference_{kind}" for kind in rule["x-items"])
        found[str(rule.get("x-type", role))] = None
        found[role] = None
    return [*found]


def parameters_of(model: Model) -> Mapping[str, Mapping[str, Any]]:
    """A model's parameters; of one that asks for a `size` also the `resolution` and `ratio` that may stand for it."""
    tiers = [*model.parameters.get("size", {}).get("x-tiers", {})]
    if not tiers:
        return model.parameters
    shapes = [shape for shape in _SHAPES if any(size_of(model, tier, shape) for tier in tiers)]
    asked = "Becomes the size that the model asks for."
    return {
        "resolution": {"title": "Resolution", "description": asked, "enum": tiers},
        "ratio": {"title": "Aspect ratio", "description": asked, "type": "string", "pattern": r"^\d+[:*]\d+$", "x-shown": shapes},
        **model.parameters,
    }


def judged(rule: Mapping[str, Any]) -> Rule:
    """The part of a parameter's rule that draft-07 can judge."""
    kept = {name: value for name, value in rule.items() if name not in SAID | _LATER | {"default"} and not name.startswith("x-")}
    return {**kept, "items": {"if": OPEN, "else": kept["items"]}} if "items" in kept else kept


def offered(name: str, rule: Mapping[str, Any]) -> Rule:
    """What an editor says and offers of a parameter; this judges nothing."""
    values = rule.get("x-shown") or rule.get("enum") or ([True, False] if rule.get("type") == "boolean" else [])
    said = [str(rule.get("description", "")), _sentence(_bounds(rule))]
    made: Rule = {"title": rule.get("title", name), "description": " ".join(filter(None, said))}
    if values:
        made["anyOf"] = [{"enum": values}, {}]
    examples = rule.get("examples") or manifest_says("parameters").get(name, {}).get("examples")
    if "default" in rule or values or not examples:
        return made | ({"default": rule["default"]} if "default" in rule else {})
    return {**made, "examples": examples}


def _bounds(rule: Mapping[str, Any]) -> str:
    least, most = rule.get("minimum"), rule.get("maximum")
    span = f"{least} to {most}" if least is not None and most is not None else "" if least is None else f"at least {least}"
    default = rule.get("default")
    shown = str(default).lower() if isinstance(default, bool) else default
    return "; ".join(filter(None, (span, f"where absent {shown}" if default is not None else "")))


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def unless_open(rule: Rule) -> Rule:
    """A rule for what is written out; a text with a variable in it may become anything, null takes it away."""
    return {"doNotSuggest": True, "if": OPEN, "else": rule}


def unoffered(rule: Rule) -> Rule:
    """A rule that judges; an editor offers neither a key that has it nor a value that keeps it."""
    return {"doNotSuggest": True, "if": {}, "then": rule}


def with_snippets(rule: Rule) -> Rule:
    """Examples as an editor can show them: a mapping would be `[object Object]` in its list, a snippet has a label."""
    large = [one for one in rule.get("examples", ()) if isinstance(one, (dict, list)) and "{" in json.dumps(one)]
    if not large:
        return rule
    small = [one for one in rule["examples"] if one not in large]
    # A whole list is offered for each of its items, so it is no snippet.
    snippets = [
        {"label": json.dumps(one, ensure_ascii=False).replace('"', ""), "body": one} for one in large if isinstance(one, dict)
    ]
    kept = {name: value for name, value in rule.items() if name != "examples"}
    return {**kept, **({"examples": small} if small else {}), **({"defaultSnippets": snippets} if snippets else {})}


def manifest_says(part: str) -> Mapping[str, Any]:
    """What the manifest's own schema says of the members of one of its definitions."""
    found: Mapping[str, Any] = catalog.schema("manifest")["$defs"][part]["properties"]
    return found
