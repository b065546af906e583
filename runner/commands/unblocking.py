"""A plan with blocked takes → what brings them on, each as a command line that can be copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import runner
from runner.commands.answering import spoken
from runner.lock import Lock
from runner.outputs.text import few
from runner.plan import Plan, Step
from runner.shots import Manifest

_MOST = 8  # names on a command line; beyond that everything is selected


def lines(manifest: Manifest, plan: Plan, known: Lock) -> tuple[list[str], list[str]]:
    """What has to be selected as well, then what has to be picked; and the blocked takes that neither is about.

    `manifest` is as it was read: that of a plan has its links resolved already.
    """
    blocked = [step for step in plan.doing("blocked") if step.waits]
    lacking: dict[str, list[str]] = {}  # what comes first and is not selected, for each take that waits for it
    choices: dict[tuple[str, ...], list[str]] = {}
    whole = runner.decide(manifest, known) if plan.is_partial and blocked else plan
    steps = {step.take: step for step in whole.steps}
    chosen = {step.take for step in plan.steps}
    for take in [step.take for step in blocked if step.take in steps]:
        firsts = _before(take, steps)
        if missing := [one.take for one in firsts if one.action in {"submit", "blocked"} and one.take not in chosen]:
            lacking[take] = missing
        for step in (steps[take], *firsts):
            if step.action == "blocked" and len(step.waits) > 1:
                choices.setdefault(step.waits, []).append(take)
    said = [_selection(manifest, plan, whole, lacking)] if lacking else []
    said += [_choice(manifest, known, keys, takes) for keys, takes in choices.items()]
    about = {*lacking, *(take for takes in choices.values() for take in takes)}
    return said, [step.take for step in plan.doing("blocked") if step.take not in about]


def after(held: runner.Held, plan: Plan) -> Iterator[str]:
    """The same when a run of this plan has ended, with where to look for what has another reason."""
    only = [step.take for step in plan.steps] if plan.is_partial else None
    said, rest = lines(held.manifest, runner.decide(held.manifest, held.lock, only=only), held.lock)
    yield from said
    if rest:
        yield f"blocked, and why: {spoken('plan', held.manifest, '')} ({few(rest)})"


def _before(take: str, steps: Mapping[str, Step]) -> list[Step]:
    """Every step of the plan for a take that this one is made of or waits for, along whatever way; in the plan's order."""
    found: set[str] = set()
    ahead = [take]
    while ahead:
        step = steps[ahead.pop()]
        new = {*step.after, *step.waits} & steps.keys() - found
        found |= new
        ahead += new
    return [step for key, step in steps.items() if key in found]


def _selection(manifest: Manifest, plan: Plan, whole: Plan, lacking: Mapping[str, list[str]]) -> str:
    """The run that has in it what was selected and what that waits for."""
    missing = dict.fromkeys(take for takes in lacking.values() for take in takes)
    wanted = {*missing, *lacking, *(step.take for step in plan.doing("submit"))}
    new: dict[str, list[str]] = {}
    for step in whole.doing("submit", "blocked"):
        new.setdefault(step.shot, []).append(step.take)
    names: list[str] = []
    for shot, takes in new.items():
        names += [shot] if wanted.issuperset(takes) else [take for take in takes if take in wanted]
    rest = " ".join(f"--only {name}" for name in names) if len(names) <= _MOST else ""
    return f"{few([*lacking])} {_wait(lacking)} for {few([*missing])}, not selected: {spoken('run', manifest, rest)}"


def _choice(manifest: Manifest, known: Lock, keys: Sequence[str], waiting: Sequence[str]) -> str:
    """The pick of one of these takes; of one that can be picked already, if there is one."""
    saved = [key for key in keys if key in known.takes and known.takes[key].state == "saved"]
    when = "" if saved else " once they are rendered"
    pick = spoken("pick", manifest, (saved or keys)[0])
    return f"{few(waiting)} {_wait(waiting)} for a pick among {few(keys)}{when}: {pick}"


def _wait(takes: Iterable[str]) -> str:
    return "wait" if len([*takes]) > 1 else "waits"
