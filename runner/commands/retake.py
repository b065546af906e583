"""`callsheet retake`: want more takes of a shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

import runner
from runner.choosing import Wish
from runner.commands import options
from runner.commands.answering import apart, named, spoken
from runner.errors import Refused, UsageError
from runner.judge import suggestion
from runner.lock import shot_of
from runner.outputs.data import plan_json
from runner.outputs.text import few, totals
from runner.plan import Plan, Step
from runner.shots import Manifest, Shot


@click.command("retake")
@click.argument("words", nargs=-1, metavar="[MANIFEST] SHOT…")
@click.option(
    "-n", "count", type=click.IntRange(1, 100), default=1, show_default=True, metavar="N", help="So many more takes of each shot."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), metavar="S", help="The first one's seed; the next ones count on from it."
)
@click.option("--none", "is_none", is_flag=True, help="Want none after all: forget those that no run has begun.")
@options.json_option
@options.reading
def command(words: Sequence[str], count: int, seed: int | None, is_none: bool, as_json: bool, **how: Any) -> int:
    """Want more takes of these shots, on top of those they have. `run` then renders them.

    This spends nothing itself; it says what the next run will pay. A take that was asked for is made from the shot as it
    is written when it is submitted, so the wording can still be changed.

    \b
      callsheet retake film.callsheet.yaml s010
      callsheet retake s010 's02*' -n 3
      callsheet retake s010 --seed 1871
    """
    manifest, patterns = apart(words)
    if not patterns:
        raise UsageError("retake takes the names of shots", hint="callsheet retake s010")
    read = options.read(manifest, told=not as_json, **how)
    if is_none:
        return _forget(read, patterns, as_json=as_json)
    shots = _shots(read, patterns)
    if seed is not None and (seedless := next((shot for shot in shots if not shot.has_seed), None)):
        raise UsageError(f"{seedless.model.id}, the model of {seedless.id}, has no seed", hint="leave out --seed")
    names = [shot.id for shot in shots]
    with runner.hold(read) as held:
        if run := held.lock.orphaned_run:
            fact = f"the lock names a run ({run.id} on {run.host}, since {run.since}) whose journal is not here"
            raise Refused(fact, hint=f"look into it first: {spoken('reconcile', read, '')}")
        wish = runner.wish(held, names, count=count, seed=seed)
        if not as_json:
            _foretell(wish)
        wanted = runner.retake(held, names, count=count, seed=seed)
    if as_json:
        told = {"lacking": list(wish.lacking), "waiting": [step.take for step in _newly_blocked(wish)]}
        options.say_json({"wanted": wanted, **told, "totals": plan_json(_planned(wish))["totals"]})
        return 0
    click.echo(f"{few(wanted)}: will be rendered by the next run")
    click.echo(f"to go on: {spoken('run', read, '')}", err=True)
    return 0


def _foretell(wish: Wish) -> None:
    """What the next run will submit and what it costs, and who has to wait then: before anything is written down."""
    for shot in dict.fromkeys(map(shot_of, wish.lacking)):
        anyhow = sum(1 for take in wish.lacking if shot_of(take) == shot)
        more = sum(1 for take in wish.takes if shot_of(take) == shot) - anyhow
        why, what = _why_lacking(wish, shot)
        click.echo(
            f"{shot} {why}: the next run renders {_takes(anyhow)}{what} anyhow, and {more} more by this: {anyhow + more} in all",
            err=True,
        )
    click.echo(f"the next run: {totals(_planned(wish))}", err=True)
    waiting = _newly_blocked(wish)
    for keys in dict.fromkeys(step.waits for step in waiting if len(step.waits) > 1):
        click.echo(f"{few([step.take for step in waiting])} will wait for a pick among {few(keys)}", err=True)


def _why_lacking(wish: Wish, shot: str) -> tuple[str, str]:
    """Why a run would render takes of a shot unasked, and of what."""
    steps = [step for step in wish.before.steps if step.shot == shot]
    if has := sum(1 for step in steps if step.action not in {"submit", "blocked"}):
        return f"has {has} of the takes that it wants", ""
    if any(step.changed for step in steps):
        return "is outdated", " for the new wording"
    return "lacks what it wants", ""


def _takes(count: int) -> str:
    return f"{count} take{'s' * (count > 1)}"


def _planned(wish: Wish) -> Plan:
    """Of the plan to come what is about the takes that are wanted."""
    return replace(wish.after, steps=tuple(step for step in wish.after.steps if step.take in wish.takes))


def _newly_blocked(wish: Wish) -> list[Step]:
    """Takes of other shots that could have been made, and now wait."""
    before = {step.take for step in wish.before.doing("blocked")}
    return [step for step in wish.after.doing("blocked") if step.take not in before | wish.takes.keys()]


def _shots(manifest: Manifest, patterns: Sequence[str]) -> list[Shot]:
    """The shots that are meant; a word that none has is a mistake."""
    for pattern in patterns:
        if not any(named([shot.id], [pattern]) for shot in manifest.shots):
            raise _unknown(manifest, pattern)
    return [shot for shot in manifest.shots if named([shot.id], patterns)]


def _unknown(manifest: Manifest, pattern: str) -> UsageError:
    ids = [shot.id for shot in manifest.shots]
    if shot_of(pattern) in ids:
        return UsageError(f'"{pattern}" is a take, retake takes shots', hint=f"callsheet retake {shot_of(pattern)}")
    return UsageError(f'there is no shot "{pattern}"', hint=suggestion(pattern, ids) or f"the shots are: {few(ids)}")


def _forget(manifest: Manifest, patterns: Sequence[str], *, as_json: bool) -> int:
    """Want none of these, also of shots that have left the manifest since they were asked for."""
    with runner.hold(manifest) as held:
        open_ = dict.fromkeys(shot_of(take) for take, entry in held.lock.takes.items() if entry.is_open)
        if not any(named([shot], patterns) for shot in open_):
            _shots(manifest, patterns)
        takes = runner.withdraw(held, [shot for shot in open_ if named([shot], patterns)])
    if as_json:
        options.say_json({"withdrawn": list(takes)})
    elif takes:
        click.echo(f"{few(takes)}: wanted no more")
    else:
        click.echo("no take that was asked for is left to be rendered", err=True)
        click.echo(f"what is known of every take: {spoken('status', manifest, '')}", err=True)
    return 0
