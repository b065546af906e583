"""A shot's parameters as written → those that its model has, in its types and its own terms (resolution and ratio as size)."""

from __future__ import annotations

from typing import Any

from runner import judge, layers
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
            try:
                kept[name] = stack.columns.typed(value, stack.expanded(value, "parameters", name), model.parameters.get(name, {}))
            except Broken:
                stack.lost.add("parameters")
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
