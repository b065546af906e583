"""`callsheet again`: permit new, paid attempts."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

import runner
from runner.commands import options
from runner.errors import UsageError


@click.command("again")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("takes", nargs=-1, required=True)
@options.json_option
@options.reading
def command(manifest: Path, takes: Sequence[str], as_json: bool, **how: Any) -> int:
    """Allow a new, paid attempt for takes in doubt, failed, canceled, lost or absent. `run` then submits them.

    \b
      callsheet again film.callsheet.yaml s010@1
      callsheet again film.callsheet.yaml 's0*'
    """
    read = options.read(manifest, **how)
    with runner.hold(read) as held:
        plan = runner.decide(read, held.lock)
        steps = [
            step for step in plan.steps if any(fnmatchcase(name, pattern) for name in (step.take, step.shot) for pattern in takes)
        ]
        if not steps:
            raise UsageError(f"no take is called {', '.join(takes)}", hint="`callsheet status` lists them")
        # Where the lock names a run that was never heard of here, even new takes need this word.
        asking = {"answer", "absent"} | ({"submit"} if held.lock.orphaned_run else set())
        allowed = [step for step in steps if step.action in asking]
        if not allowed:
            raise UsageError(
                "none of these takes waits for an answer", hint="; ".join(f"{step.take}: {step.reason}" for step in steps[:5])
            )
        runner.again(held, allowed)
    names = [step.take for step in allowed]
    if as_json:
        options.say_json({"again": names})
    else:
        click.echo(f"{', '.join(names)}: will be submitted, and paid for, by the next run")
    return 0
