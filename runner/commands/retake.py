"""`callsheet retake`: want more takes of a shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

import runner
from runner.commands import options
from runner.commands.answering import apart, named, spoken
from runner.errors import Refused, UsageError
from runner.judge import suggestion
from runner.lock import shot_of
from runner.outputs.data import plan_json
from runner.outputs.text import few, totals
from runner.shots import Manifest, Shot


@click.command("retake")
@click.argument("words", nargs=-1, metavar="[MANIFEST] SHOT…")
@click.option("-n", "count", type=click.IntRange(1, 100), default=1, show_default=True, help="So many more takes of each shot.")
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
        before = {step.take for step in runner.decide(read, held.lock).steps}
        wanted = runner.retake(held, names, count=count, seed=seed)
        plan = runner.decide(read, held.lock)
    planned = replace(plan, steps=tuple(step for step in plan.steps if step.take in wanted))
    if as_json:
        options.say_json({"wanted": wanted, "totals": plan_json(planned)["totals"]})
        return 0
    click.echo(f"{few(wanted)}: will be rendered by the next run")
    click.echo(totals(planned), err=True)
    if lacking := [take for take in wanted if take in before]:
        click.echo(f"among them what its shot lacked anyway: {few(lacking)}", err=True)
    click.echo(f"to go on: {spoken('run', read, '')}", err=True)
    return 0


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
