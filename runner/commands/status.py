"""`callsheet status`: the report from the lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import runner
from runner.commands import absent, options, unblocking
from runner.errors import ManifestError
from runner.outputs.text import status_lines


@click.command("status")
@options.manifest_argument
@options.json_option
@options.reading
@options.selecting
def command(manifest: Path | None, as_json: bool, **how: Any) -> int:
    """Show what is known of every take. No network; works while a run is alive and when the manifest is broken.

    \b
      callsheet status film.callsheet.yaml
      callsheet status --state failed --json
    """
    chosen = options.Selection(**{name: how.pop(name) for name in ("only", "skip", "scene", "state", "limit")})
    path = options.find(manifest)
    try:
        read = options.read(path, told=False, **how)
        known = runner.known(read)
        plan = runner.decide(read, known)
    except ManifestError as error:
        known, plan = runner.known_alone(path, how["profile"]), None
        if not known.takes and not path.exists():
            raise  # neither manifest nor lock: a name that was misspelt
        click.echo(f"callsheet: warning: the manifest has errors, so this is the lock alone: {error.fact}", err=True)
    report = runner.report(known, plan)
    data = report.data
    if chosen:
        data = {**data, "takes": [take for take in data["takes"] if chosen.fits(take, read if plan else None)]}
        if plan and (wrong := chosen.misspelt(plan, known)):
            raise wrong
    if as_json:
        options.say_json(data)
    else:
        # Without its manifest the folder is not looked at.
        away = {key for key, entry in known.takes.items() if entry.state == "saved" and key not in known.here} if plan else set()
        for line in status_lines(data, away):
            click.echo(line)
        for line in unblocking.lines(read, plan, known)[0] if plan else ():
            click.echo(line, err=True)
        if plan:
            takes = ({"take": take, "state": "saved"} for take in report.left.get("absent", ()))
            missing = [str(take["take"]) for take in takes if chosen.fits(take, plan.manifest)]
            for line in absent.advice(plan.manifest, missing):
                click.echo(line, err=True)
    return report.exit_code
