"""Plans and problems → the mappings that JSON outputs and events say; their shape is the contract's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runner import money

if TYPE_CHECKING:
    from runner.errors import Problem
    from runner.plan import Plan, Step


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as contract §4 gives it."""
    actions: dict[str, int] = {}
    for step in plan.steps:
        actions[step.action] = actions.get(step.action, 0) + 1
    return {"steps": [_step_json(step) for step in plan.steps], "totals": {"actions": actions, **sums_json(plan.doing("submit"))}}


def sums_json(submits: Sequence[Step]) -> dict[str, Any]:
    """What these submits come to: seconds of video, cost by currency, and how many have no price."""
    sums = money.total(step.cost for step in submits if step.cost and step.cost.micros)
    return {
        "seconds": sum(step.seconds or 0 for step in submits),
        "cost": [{"amount": money.amount(micros), "currency": currency} for currency, micros in sorted(sums.items())],
        "unpriced": sum(1 for step in submits if step.cost is None),
    }


def _step_json(step: Step) -> dict[str, Any]:
    names: Sequence[str] = ("take", "shot", "action", "reason", "provider", "model", "seed", "seconds", "output", "fingerprint")
    lists = {"changed": list(step.changed), "after": list(step.after)}
    return {**{name: getattr(step, name) for name in names}, **lists, "cost": step.cost.said() if step.cost else None}


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem as `check --json` lists it."""
    place = {"file": problem.place.file, "line": problem.place.line, "column": problem.place.column}
    told = {"code": problem.code, "severity": problem.severity, "message": problem.message, "hint": problem.hint}
    return {**told, **place, "path": problem.path, "shot": problem.shot}
