"""A shot's parameters as written → those that its model has, in its types and its own terms (resolution and ratio as size)."""

from __future__ import annotations

import re
from typing import Any

from runner import judge, layers, templates
from runner.catalog import Catalog, Model
from runner.judge import Fault
from runner.shots import size_of
from runner.stack import Broken, Stack


def chosen(stack: Stack, catalog: Catalog, model: Model) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The parameters that a shot has, expanded; those of outer layers that its model lacks are dropped, by name."""
    shape = ("resolution", "ratio") if "size" in model.parameters else ()
    kept: dict[str, Any] = {}
    dropped = []
    for name, value in (stack.data.get("parameters") or {}).items():
        if name in model.parameters or name in shape or layers.has(stack.own, "parameters", name):
            kept[name] = _typed(stack, model, name, value, stack.expanded(value, "parameters", name))
            continue
        dropped.append(name)
        if not catalog.has_parameter(name):
            hint = judge.suggestion(name, sorted({*model.parameters, *shape}))
            stack.note(
                Fault(code="W102", path=(), message=f'no model has a parameter "{name}"; it is not sent', hint=hint),
                "parameters",
                name,
                of_key=True,
            )
    return tuple(dropped), kept


def _typed(stack: Stack, model: Model, name: str, written: Any, value: Any) -> Any:
    """A table's text as the number or boolean that the model's schema asks for; other text stays."""
    if not isinstance(value, str) or not isinstance(written, str) or not stack.columns.values:
        return value
    if not any(stack.columns.is_text(column) for column in templates.names(written)):
        return value
    rule = model.parameters.get(name, {})
    wanted = rule.get("type") or {type(item).__name__ for item in rule.get("enum", ())}
    if "boolean" in wanted or "bool" in wanted:
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if {"integer", "number", "int", "float"} & set([wanted] if isinstance(wanted, str) else wanted):
        return _number(value.strip())
    return value


def sized(stack: Stack, model: Model, parameters: dict[str, Any]) -> dict[str, Any]:
    """Resolution and ratio → size, where the model asks for that."""
    asked = [name for name in ("resolution", "ratio") if name in parameters and name not in model.parameters]
    if "size" not in model.parameters or not asked:
        return parameters
    if "size" in parameters:
        nearer = [name for name in asked if layers.has(stack.own, "parameters", name)]
        if layers.has(stack.own, "parameters", "size") == bool(nearer):
            fault = Fault(
                code="E307", path=(), message=f'"size" and "{asked[0]}" say the same thing twice', hint="keep one of them"
            )
            stack.note(fault, "parameters", asked[0], of_key=True)
            raise Broken
        lost: list[str] = [] if nearer else [*asked]
        for name in lost or ("size",):
            parameters.pop(name)
        if lost:
            return parameters
    wrong = [name for name in asked if name in parameters and not isinstance(parameters[name], str)]
    if wrong:
        message = f"{wrong[0]} must be text, not {judge.shown(parameters[wrong[0]])}"
        stack.note(Fault(code="E103", path=(), message=message), "parameters", wrong[0])
        raise Broken
    size = size_of(model, parameters.get("resolution"), parameters.get("ratio"))
    if size is None:
        tiers = model.parameters["size"].get("x-tiers", {})
        tiers_said = "; ".join(f"{tier}: {', '.join(sizes)}" for tier, sizes in tiers.items())
        said = " and ".join(f"{name} {judge.shown(parameters[name])}" for name in asked if name in parameters)
        stack.note(
            Fault(code="E104", path=(), message=f"{said} is no size of {model.id}", hint=f"its sizes are {tiers_said}"),
            "parameters",
            asked[0],
        )
        raise Broken
    return {**{key: value for key, value in parameters.items() if key not in asked}, "size": size}


def _number(text: str) -> Any:
    """A table's text as a number; as it stands where it is none."""
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[+-]?\d{1,18}\.\d{1,18}", text) else text
