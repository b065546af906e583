"""`callsheet why`: what changed since a take was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

import runner
from runner.commands import options
from runner.commands.answering import apart, named
from runner.errors import UsageError
from runner.judge import suggestion
from runner.lock import Lock, shot_of
from runner.outputs import differences
from runner.outputs.text import few
from runner.plan import Plan


@click.command("why")
@click.argument("words", nargs=-1, metavar="[MANIFEST] SHOT…")
@options.json_option
@options.reading
def command(words: Sequence[str], as_json: bool, **how: Any) -> int:
    """Show, field by field, what changed since a shot's newest take was made, with the place of each value as it is now.

    A take's name asks about that one. Without names: every shot that a run would submit or that has an outdated take.

    \b
      callsheet why film.callsheet.yaml s010
      callsheet why s010@1 's02*' --json
    """
    manifest, patterns = apart(words)
    read = options.read(manifest, told=not as_json, **how)
    known = runner.known(read)
    plan = runner.decide(read, known)
    answers = runner.why(plan, known, _asked(plan, known, patterns))
    if as_json:
        options.say_json(differences.data(answers))
        return 0
    for number, answer in enumerate(answers):
        if number:
            click.echo("")
        for line in differences.lines(answer):
            click.echo(line)
    if not answers:
        click.echo("nothing changed: every take was made from its shot as it is now written", err=True)
    return 0


def _asked(plan: Plan, known: Lock, patterns: Sequence[str]) -> dict[str, str | None]:
    """Shot by shot, in the storyboard's order, then those that left it; with the take that was named."""
    ids = list(dict.fromkeys([*(shot.id for shot in plan.manifest.shots), *map(shot_of, known.takes)]))
    if not patterns:
        report = runner.report(known, plan)
        odd = {shot_of(take["take"]) for take in report.data["takes"] if not take["current"]}
        return dict.fromkeys(name for name in ids if name in odd | {step.shot for step in plan.doing("submit")})
    found: dict[str, str | None] = {}
    for pattern in patterns:
        shots = [name for name in ids if named([name], [pattern])]
        takes = [take for take in known.takes if not shots and named([take], [pattern])]
        if not shots and not takes:
            raise UsageError(
                f'there is no shot or take "{pattern}"', hint=suggestion(pattern, ids) or f"the shots are: {few(ids)}"
            )
        found.update({shot: found.get(shot) for shot in shots})
        found.update({shot_of(take): take for take in takes})
    return found
