"""A merged shot against its model's own schema → what is wrong, told at the layer where it was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runner import judge
from runner.catalog import Model, Provider
from runner.judge import Fault
from runner.stack import Stack

_CJK = re.compile(r"[\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")


def tell(
    stack: Stack,
    model: Model,
    provider: Provider,
    *,
    texts: Mapping[str, str],
    media: Mapping[str, Any],
    parameters: Mapping[str, Any],
    unchecked: Mapping[str, Any],
) -> None:
    """Note everything that the model would refuse, what its server would cut without a word, and what is not sure.

    `media` is by role as the model files know it: an empty text, references as a list of `{KIND: ""}`.
    """
    instance = {**texts, **({"media": media} if media or model.roles else {}), "parameters": dict(parameters)}
    for fault in judge.faults(model.schema, instance):
        if not (fault.path[:1] == ("media",) and fault.code == "E101"):  # unknown roles have been told of, with a better hint
            stack.note(_worded(model, fault), *fault.path, of_key=fault.of_key)
    for name, text in texts.items():
        limit = model.schema["properties"].get(name, {}).get("x-cut-at")
        counted = length(text, model.schema["properties"].get(name, {}).get("x-cjk-counts", 1))
        if limit and counted > limit:
            twice = " (a Chinese one counts twice)" if counted != len(text) else ""
            message = f"{name} has {counted} characters{twice}, {model.id} cuts it at {limit}"
            stack.note(Fault(code="W101", path=(), message=message, hint="shorten it"), name)
    _tell_unchecked(stack, model, unchecked)
    seen = {**instance, **({"region": provider.region} if provider.region else {})}
    for rule in model.schema.get("x-warnings", ()):
        if judge.fits(rule["if"], seen):
            fault = Fault(code="W304", path=(), message=rule["says"], hint=rule.get("hint"))
            stack.note(fault, *rule.get("at", "").split("/")[1:])
    if not provider.free and (retired := model.about.get("retirement")):
        message = f"{model.id} may be gone since {retired['date']} ({retired['confidence']})"
        stack.note(Fault(code="W301", path=(), message=message, hint=retired.get("note")), "model")


def length(text: str, cjk: int) -> int:
    """Characters as the service counts them; `cjk` is what a Chinese one counts."""
    return len(text) if cjk == 1 else sum(cjk if _CJK.match(char) else 1 for char in text)


def _worded(model: Model, fault: Fault) -> Fault:
    """The fault with the model's name in it."""
    last = next((part for part in reversed(fault.path) if isinstance(part, str)), "")
    match fault.code:
        case "E101":
            what = "parameter " if fault.path[0] == "parameters" else ""
            return Fault(code="E305", path=(), message=f'{model.id} has no {what}"{last}"', hint=fault.hint)
        case "E102":
            lacking = fault.message.split('"')[1]
            return Fault(code="E306", path=(), message=f"{model.id} needs {lacking}", hint=fault.hint)
        case "E306" | "E307":
            return Fault(code=fault.code, path=(), message=fault.message, hint=fault.hint)
        case code if fault.path:
            joint = ": " if fault.message.startswith('"') else " "
            return Fault(code=code, path=(), message=f"{last}{joint}{fault.message}", hint=fault.hint)
        case _:
            return fault


def _tell_unchecked(stack: Stack, model: Model, unchecked: Mapping[str, Any]) -> None:
    """What is unchecked may not name what the schema knows; the rest is let through with a warning."""
    if not unchecked:
        return
    parts = (model.schema["properties"], model.parameters, model.roles)
    known = {tuple(str(rule["x-to"]).split("/")[1:3]) for part in parts for rule in part.values() if "x-to" in rule}
    for part, fields in unchecked.items():
        for name in fields or {}:
            if (part, name) in known:
                message = f'"{name}" is known to {model.id}; write it in its own place'
                hint = "unchecked is for what the schema does not know"
                stack.note(Fault(code="E106", path=(), message=message, hint=hint), "unchecked", part, name, of_key=True)
    message = "what is unchecked is sent as it stands; nothing vouches for it or its price"
    stack.note(Fault(code="W103", path=(), message=message), "unchecked", of_key=True)
