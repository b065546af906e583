"""`callsheet preview`: the whole manifest through the studio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

import runner
from runner import preview
from runner.commands import options
from runner.commands.opening import opened
from runner.commands.run import _announce, _Told
from runner.errors import CallsheetError, ManifestError
from runner.outputs.text import price
from runner.plan import Plan, Step
from runner.shots import Manifest


@click.command("preview")
@options.manifest_argument
@click.option("--allow-dir", "allowed", multiple=True, metavar="DIR", help="Media may also lie in this folder.")
@click.option("--env-file", type=click.Path(path_type=Path, dir_okay=False), help="Read base URLs from this file.")
@click.option("--open", "is_opened", is_flag=True, help="Make the board of it as well, and show that in the browser.")
@options.json_option
def command(manifest: Path | None, is_opened: bool, as_json: bool, **how: Any) -> int:
    """Render every shot once in the studio: no key, no cost, an animatic of the film in seconds.

    It is the built-in profile `preview`, with a lock and a folder of its own, so the film itself is not touched; `plan`,
    `run`, `status`, `board` and `reel` know it by --profile preview. A profile of that name in the manifest is laid over
    the shots as well, but the provider stays the studio. What the film itself would cost is said first.

    \b
      callsheet preview film.callsheet.yaml --open
    """
    told = _Told(as_json)
    path = options.find(manifest)
    read = options.read(path, told=not as_json, profile=preview.NAME, provider=None, **how)
    with runner.hold(read) as held:
        plan = runner.decide(read, held.lock)
        if not as_json:
            for line in _film(path, how):
                click.echo(line, err=True)
        _announce(plan, quiet=as_json)
        report = told.carry_out(partial(runner.run, environ=options.environ(how["env_file"]), signals=True), plan, held)
        code = told.end(report, plan)
    if is_opened:
        _open(read)
    return code


def _open(read: Manifest) -> None:
    """The board of what was rendered, for somebody to see."""
    from runner.commands import board  # brings what pages are made of
    from runner.outputs.board.sheet import sheet

    known = runner.known(read)
    board.written(target := board.place(read), read, sheet(read, known, runner.decide(read, known)))
    opened(target)


def _film(path: Path, how: Mapping[str, Any]) -> Iterator[str]:
    """What the film itself would take and cost by the plan as it stands; a manifest that cannot be run yet is previewed all the same."""
    try:
        read = options.read(path, told=False, profile=None, provider=None, **how)
        plan = runner.decide(read, runner.known(read))
    except ManifestError as error:
        count = sum(1 for problem in error.problems if problem.severity == "error")
        yield f"the film itself cannot be run yet: {count} error{'s' * (count > 1)}, `callsheet check` lists them"
    except CallsheetError as error:
        yield f"the film itself: {error.fact}"
    else:
        yield from _bill(plan)


def _bill(plan: Plan) -> Iterator[str]:
    submits = plan.doing("submit")
    waiting = len(plan.doing("blocked"))
    more = f", {waiting} more wait" if waiting else ""
    if not submits:
        yield f"the film itself: nothing to submit{more}"
    for provider in dict.fromkeys(step.provider for step in submits):
        yield f"the film itself: {_sum([step for step in submits if step.provider == provider])} at {provider}{more}"
        more = ""


def _sum(steps: list[Step]) -> str:
    seconds = sum(step.seconds or 0 for step in steps)
    return f"{len(steps)} take{'s' * (len(steps) > 1)}, {seconds:g} s, {price(steps)}"
