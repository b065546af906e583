"""Plan + Lock → what happened and what is left, as one value that every output shows in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner import lock as locks
from runner import locktext, money
from runner.budget import committed
from runner.clock import epoch, stamp
from runner.lock import Lock
from runner.plan import Plan
from runner.shots import is_current

_ASKING = {"failed", "canceled", "lost", "intended"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """`data` is the object of `status --json`; `exit_code` as contract §4 says; `left` what a run would now do, by action."""

    data: dict[str, Any]
    exit_code: int
    left: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def report(known: Lock, plan: Plan | None) -> Report:
    """From the lock, and the plan decided from it (None where the manifest cannot be read)."""
    shots = {shot.id: shot for shot in plan.manifest.shots} if plan else {}
    shown = {key: _shown(key, known, plan, shots) for key in sorted(known.takes, key=_order(plan))}
    takes = [{"take": key, **shown[key]} for key in shown]
    counts: dict[str, int] = {}
    for entry in known.takes.values():
        counts[entry.state] = counts.get(entry.state, 0) + 1
    paid = committed(known)
    currencies = sorted({*paid.spent, *paid.under_way, *paid.in_doubt})
    cost = [
        {
            "currency": currency,
            "spent": money.amount(paid.spent.get(currency, 0)),
            "under_way": money.amount(paid.under_way.get(currency, 0)),
            "in_doubt": money.amount(paid.in_doubt.get(currency, 0)),
        }
        for currency in currencies
    ]
    code = _code(known, plan)
    data = {"takes": takes, "counts": counts, "cost": cost, "fetch_before": _fetch_before(known, plan), "exit_code": code}
    left: dict[str, tuple[str, ...]] = {}
    for step in plan.steps if plan else ():
        left[step.action] = (*left.get(step.action, ()), step.take)
    return Report(data=data, exit_code=code, left=left)


def _order(plan: Plan | None) -> Any:
    """Storyboard order, then what left it."""
    places = {shot.id: number for number, shot in enumerate(plan.manifest.shots)} if plan else {}
    return lambda key: (places.get(locks.shot_of(key), len(places)), locks.shot_of(key), locks.number_of(key))


def _shown(key: str, known: Lock, plan: Plan | None, shots: dict[str, Any]) -> dict[str, Any]:
    entry = known.takes[key]
    shot = shots.get(locks.shot_of(key))
    return {
        **locktext.entry_json(entry),
        "in_doubt": entry.state == "intended",
        "current": None if plan is None else bool(shot and (entry.is_open or is_current(entry, shot))),
        "picked": known.picked.get(locks.shot_of(key)) == key,
        "orphaned": None if plan is None else shot is None,
    }


def _fetch_before(known: Lock, plan: Plan | None) -> str | None:
    """When the first link that is still to be fetched dies, where the provider's profile says so."""
    deadlines = []
    for entry in known.takes.values():
        if entry.state in {"submitted", "rendered"} and entry.attempt and entry.attempt.submitted_at and plan:
            provider = plan.manifest.catalog.providers.get(entry.provider or "")
            if provider:
                deadlines.append(epoch(entry.attempt.submitted_at) + provider.lives)
            if provider and entry.attempt.ended_at:
                deadlines.append(epoch(entry.attempt.ended_at) + provider.links_live)
    return stamp(min(deadlines)) if deadlines else None


def _code(known: Lock, plan: Plan | None) -> int:
    if plan is None:
        states = {entry.state for entry in known.takes.values()}
        return 1 if states & _ASKING else 75 if states & {"submitted", "rendered", "wanted"} else 0
    if plan.doing("answer", "blocked"):
        return 1
    return 75 if plan.doing("submit", "watch", "fetch") else 0
