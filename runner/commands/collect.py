"""`callsheet collect`: watch and fetch, submit nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

import runner
from runner.commands import options
from runner.commands.run import _announce, _Told
from runner.errors import CallsheetError
from runner.shots import Manifest


@click.command("collect")
@options.manifest_argument
@click.option("--trust-host", "trust", multiple=True, metavar="VAR=HOST", help="The key in VAR may go to this host.")
@options.json_option
@options.reading
@options.selecting
def command(manifest: Path | None, trust: tuple[str, ...], as_json: bool, **how: Any) -> int:
    """Watch and fetch what is under way or missing here. Submits nothing, so it costs nothing.

    \b
      callsheet collect film.callsheet.yaml
    """
    chosen = options.Selection(**{name: how.pop(name) for name in ("only", "skip", "scene", "state", "limit")})
    environ = options.environ(how["env_file"])
    told = _Told(as_json)
    read: Manifest | None = None
    try:
        read = options.read(manifest, told=not as_json, **how)
        with runner.hold(read) as held:
            plan = runner.decide(read, held.lock)
            if chosen:
                plan = runner.decide(read, held.lock, only=chosen.chosen(plan, held.lock))
            _announce(plan, quiet=as_json)
            report = told.carry_out(partial(runner.run, plan, held, submit=False, trust=trust, environ=environ, signals=True))
            return told.end(report, plan)
    except CallsheetError as error:
        return told.refuse(error, read)
