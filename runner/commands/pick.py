"""`callsheet pick`: choose the take that a shot's output shows."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

import runner
from runner.commands import options
from runner.commands.answering import apart, named, spoken
from runner.errors import Refused, UsageError
from runner.judge import suggestion
from runner.lock import Lock, number_of, shot_of
from runner.outputs.data import plan_json
from runner.outputs.text import few, totals
from runner.picking import Effect
from runner.plan import Plan
from runner.shots import Manifest

_Picks = Mapping[str, str | None]


@click.command("pick")
@click.argument("words", nargs=-1, metavar="[MANIFEST] TAKE…")
@click.option(
    "--none", "is_none", is_flag=True, help="Take the picks of these shots away: their newest current take counts again."
)
@click.option("--yes", is_flag=True, help="Do not ask where takes become outdated.")
@options.json_option
@options.reading
def command(words: Sequence[str], is_none: bool, yes: bool, as_json: bool, **how: Any) -> int:
    """Choose the take that a shot's output shows, and that chained shots begin from. Outdated takes can be picked too.

    Where shots are chained to another take of this one, theirs become outdated: that and its price is said first.

    \b
      callsheet pick film.callsheet.yaml s010@2
      callsheet pick s010@2 s020@1 --yes
      callsheet pick --none s010
    """
    manifest, names = apart(words)
    if not names:
        raise UsageError("pick takes the names of takes", hint="callsheet pick s010@2")
    read = options.read(manifest, told=not as_json, **how)
    with runner.hold(read) as held:
        meant = _unpicked(read, held.lock, names) if is_none else _picked(read, held.lock, names)
        picks = {shot: take for shot, take in meant.items() if held.lock.picked.get(shot) != take}
        effect = runner.effect(held, picks)
        plan = replace(runner.decide(read, held.lock), steps=effect.submits)
        if not as_json:
            _say_effect(effect, plan)
        if effect.outdated and not (yes or as_json) and sys.stdin.isatty():
            _ask(effect)
        shown = runner.pick(held, picks) if picks else {}
    if as_json:
        told = {"outdated": list(effect.outdated), "current_again": list(effect.current_again)}
        options.say_json(
            {"picked": dict(meant), "changed": sorted(picks), "shown": shown, **told, "totals": plan_json(plan)["totals"]}
        )
    else:
        _say(read, meant, picks, shown)
        if effect.submits:
            click.echo(f"to go on: {spoken('run', read, '')}", err=True)
    return 0


def _picked(manifest: Manifest, known: Lock, names: Sequence[str]) -> _Picks:
    """The take of each shot that is meant: saved, and of a shot that is still in the manifest."""
    picks: dict[str, str | None] = {}
    ids = {shot.id for shot in manifest.shots}
    for name in names:
        found = [take for take in known.takes if named([take], [name])]
        if not found:
            raise _unknown(manifest, known, name)
        for take in found:
            shot, state = shot_of(take), known.takes[take].state
            if shot not in ids:
                hint = "was it renamed? the next run hands its takes over" if state == "saved" else None
                raise Refused(f"{take} cannot be picked: its shot has left the manifest", hint=hint)
            if state != "saved":
                raise Refused(f"{take} cannot be picked: it is {state}, not saved", hint=f"see {spoken('status', manifest, '')}")
            if picks.get(shot, take) != take:
                raise UsageError(
                    f"{picks[shot]} and {take} are takes of one shot, and it shows one of them", hint="name one of them"
                )
            picks[shot] = take
    return picks


def _unpicked(manifest: Manifest, known: Lock, names: Sequence[str]) -> _Picks:
    shots = list(dict.fromkeys([*(shot.id for shot in manifest.shots), *known.picked]))
    found: dict[str, str | None] = {}
    for name in names:
        meant = [shot for shot in shots if named([shot, known.picked.get(shot) or shot], [name])]
        if not meant:
            raise UsageError(f'there is no shot "{name}"', hint=suggestion(name, shots) or f"the shots are: {few(shots)}")
        found.update(dict.fromkeys(meant))
    return found


def _unknown(manifest: Manifest, known: Lock, name: str) -> UsageError:
    if any(shot.id == name for shot in manifest.shots):
        takes = [take for take, entry in known.of_shot(name).items() if entry.state == "saved"]
        hint = f"its saved takes: {few(takes)}" if takes else "it has no saved take yet"
        return UsageError(f'"{name}" is a shot, pick takes one of its takes', hint=hint)
    order = {shot.id: number for number, shot in enumerate(manifest.shots)}
    saved = [take for take, entry in known.takes.items() if entry.state == "saved"]
    saved.sort(key=lambda take: (order.get(shot_of(take), len(order)), number_of(take)))
    return UsageError(f'there is no take "{name}"', hint=suggestion(name, saved) or "`callsheet status` lists them")


def _say_effect(effect: Effect, plan: Plan) -> None:
    """What becomes outdated and what that costs: before anything is chosen."""
    if effect.outdated:
        click.echo(f"outdated by this: {few(effect.outdated)}, made from another render", err=True)
    if effect.current_again:
        click.echo(f"current again: {few(effect.current_again)}", err=True)
    if effect.submits:
        click.echo(f"the next run would submit {few([step.take for step in effect.submits])}: {totals(plan)}", err=True)


def _ask(effect: Effect) -> None:
    count = len(effect.outdated)
    if not click.confirm(f"Pick, and let {count} take{'s' * (count > 1)} become outdated?", err=True):
        raise Refused("not picked, nothing has changed")


def _say(manifest: Manifest, meant: _Picks, picks: _Picks, shown: Mapping[str, str | None]) -> None:
    outputs = {shot.id: shot.output for shot in manifest.shots}
    for shot, take in meant.items():
        if shot not in picks:
            click.echo(f"{take} is picked already" if take else f"{shot} has no pick")
        elif take and shown.get(shot) == take:
            click.echo(f"{take} is picked: {outputs[shot]}")
        elif take:
            click.echo(f"{take} is picked; its file is not here: {spoken('run', manifest, '')} fetches it where it still can be")
        else:
            now = f": {outputs[shot]} shows {shown[shot]}" if shown.get(shot) else ""
            click.echo(f"{shot} has no pick any more{now}")
