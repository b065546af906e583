"""`callsheet again`: permit new, paid attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

import runner
from runner.commands import options
from runner.commands.answering import apart, named, spoken, unknown
from runner.errors import Refused, UsageError
from runner.lock import Entry, Lock, shot_of
from runner.outputs.data import plan_json
from runner.outputs.text import few, totals
from runner.plan import Plan, Step
from runner.shots import Manifest, is_current

_STATES = {"failed": "failed", "lost": "lost", "canceled": "canceled", "in-doubt": "intended"}
_FEW = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    """A take that is meant: its step where a new attempt can be permitted, else why not."""

    take: str
    is_exact: bool
    entry: Entry | None
    step: Step | None = None
    reason: str = ""
    is_outdated: bool = False


@click.command("again")
@click.argument("words", nargs=-1, metavar="[MANIFEST] TAKE…")
@click.option("--state", multiple=True, type=click.Choice([*_STATES, "absent"]), help="Every take in this state.")
@click.option("--give-up", "gives_up", is_flag=True, help="Lay to rest what is in doubt and outdated; it counts as paid.")
@options.json_option
@options.reading
def command(words: Sequence[str], state: tuple[str, ...], gives_up: bool, as_json: bool, **how: Any) -> int:
    """Allow a new, paid attempt for takes in doubt, failed, canceled, lost or absent. `run` then submits them.

    This spends nothing itself; it says what the next run will pay. A take in doubt whose shot has changed needs no new
    attempt: with --give-up no run asks about it any more.

    \b
      callsheet again film.callsheet.yaml s010@1
      callsheet again 's0*' --state failed --state lost
      callsheet again --give-up --state in-doubt
    """
    manifest, patterns = apart(words) if words else (options.find(None), [])
    if not patterns and not state:
        raise UsageError("again takes the names of takes, or --state", hint="callsheet again --state failed")
    read = options.read(manifest, told=not as_json, **how)
    with runner.hold(read) as held:
        plan = runner.decide(read, held.lock)
        choices = _choices(plan, held.lock, patterns, state)
        if not choices:
            raise unknown(patterns, plan, held.lock) if patterns else UsageError(f"no take is {' or '.join(state)}")
        if gives_up:
            return _gave_up(held, choices, as_json=as_json)
        steps = [one.step for one in choices if one.step]
        if not steps:
            raise _nothing(choices)
        runner.again(held, steps)
        after = runner.decide(read, held.lock)
    chosen = frozenset(step.take for step in steps)
    planned = replace(after, steps=tuple(step for step in after.steps if step.take in chosen))
    refused = [{"take": one.take, "reason": one.reason} for one in choices if not one.step and one.is_exact]
    if as_json:
        options.say_json({"again": [step.take for step in steps], "refused": refused, "totals": plan_json(planned)["totals"]})
    else:
        _say(choices, planned)
    return 3 if refused else 0


def _gave_up(held: runner.Held, choices: Sequence[_Choice], *, as_json: bool) -> int:
    """Lay takes to rest, all that are meant or none where a named one is not of that kind."""
    refused = [one for one in choices if not _is_laid_to_rest(one)]
    takes = [one.take for one in choices if _is_laid_to_rest(one)]
    if not takes or any(one.is_exact for one in refused):
        said = "; ".join(f"{one.take} is not" for one in refused[:_FEW])
        raise Refused("only takes are given up that are in doubt and outdated", hint=said)
    runner.give_up(held, takes)
    if as_json:
        options.say_json({"given_up": takes})
    else:
        free = [take for take in takes if _is_free(held.manifest, held.lock.takes[take].provider)]
        if paid := [take for take in takes if take not in free]:
            click.echo(f"{few(paid)}: given up; perhaps paid for, so counted as paid")
        if free:
            click.echo(f"{few(free)}: given up; free, so nothing was paid for")
    return 0


def _is_laid_to_rest(one: _Choice) -> bool:
    return one.is_outdated and one.entry is not None and one.entry.state == "intended"


def _choices(plan: Plan, known: Lock, patterns: Sequence[str], states: Sequence[str]) -> list[_Choice]:
    """The takes that are meant: those of the plan, then those of the lock that no shot asks for any more."""
    steps = {step.was or step.take: step for step in plan.steps}
    found = []
    for key in [*steps, *(take for take in known.takes if take not in steps)]:
        step, entry = steps.get(key), known.takes.get(key)
        take = step.take if step else key
        state = "absent" if step and step.action == "absent" else entry.state if entry else "new"
        if patterns and not named([key, take, shot_of(take)], patterns):
            continue
        if states and state not in {_STATES.get(name, name) for name in states}:
            continue
        is_exact = take in patterns or key in patterns
        found.append(replace(_choice(plan, known, take, step, entry), is_exact=is_exact))
    return found


def _choice(plan: Plan, known: Lock, take: str, step: Step | None, entry: Entry | None) -> _Choice:
    """Whether a new attempt of this take can be permitted, and why not."""
    made = _Choice(take=take, is_exact=False, entry=entry)
    shot = next((one for one in plan.manifest.shots if one.id == shot_of(take)), None)
    if shot is None:
        return replace(made, is_outdated=True, reason="its shot has left the manifest")
    if entry and not entry.is_open and not is_current(entry, shot):
        why = (
            "its shot has changed"
            if entry.fingerprint != shot.fingerprint
            else f"it is the studio's, its shot goes to {shot.provider}"
        )
        return replace(made, is_outdated=True, reason=f"{why}; run makes a new take by itself")
    # Where the lock names a run that was never heard of here, even new takes need this word.
    asking = {"answer", "absent"} | ({"submit"} if known.orphaned_run else set())
    if step is None or step.action not in asking:
        return replace(made, reason=f"it waits for no answer: {step.reason if step else 'no longer wanted'}")
    return replace(made, step=step)


def _nothing(choices: Sequence[_Choice]) -> Refused | UsageError:
    """Nothing to permit: outdated takes are refused, the rest is a mistake in the words."""
    said = "; ".join(f"{one.take}: {one.reason}" for one in choices[:_FEW])
    if all(_is_laid_to_rest(one) for one in choices):
        said += "; `callsheet again --give-up` lays it to rest"
    if any(one.is_outdated and one.is_exact for one in choices):
        return Refused("none of these takes can have a new attempt", hint=said)
    return UsageError("none of these takes waits for an answer", hint=said)


def _is_free(manifest: Manifest, provider: str | None) -> bool:
    known = manifest.catalog.providers.get(provider or "")
    return known is not None and known.free


def _say(choices: Sequence[_Choice], planned: Plan) -> None:
    """What the next run will pay, what may be paid twice, and what was not permitted."""
    free = {step.take for step in planned.steps if _is_free(planned.manifest, step.provider)}
    names = [one.step.take for one in choices if one.step]
    if paid := [name for name in names if name not in free]:
        click.echo(f"{few(paid)}: will be submitted, and paid for, by the next run")
    if free:
        click.echo(f"{few([name for name in names if name in free])}: will be submitted by the next run, free")
    click.echo(totals(planned), err=True)
    doubtful = [one.take for one in choices if one.take in paid and one.entry and one.entry.state == "intended"]
    if doubtful:
        click.echo(f"in doubt until now, so perhaps paid for already: {few(doubtful)}", err=True)
    for one in choices:
        if not one.step and (one.is_exact or one.is_outdated):
            click.echo(f"{one.take}: no new attempt: {one.reason}", err=True)
    click.echo(f"to go on: {spoken('run', planned.manifest, '')}", err=True)
