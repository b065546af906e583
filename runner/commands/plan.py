"""`callsheet plan`: what a run would do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

import runner
from runner.commands import absent, options, unblocking
from runner.errors import UsageError
from runner.journal import disk
from runner.outputs.data import plan_json
from runner.outputs.text import plan_lines


@click.command("plan")
@options.manifest_argument
@click.option("--check", is_flag=True, help="Leave with 4 when there is anything to do.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the plan to this file, for `run --plan`."
)
@options.json_option
@options.reading
@options.selecting
def command(manifest: Path | None, check: bool, out: Path | None, as_json: bool, **how: Any) -> int:
    """Show what a run would do, take by take, with reason, seconds and cost. Sends nothing.

    \b
      callsheet plan film.callsheet.yaml
      callsheet plan --only 's01*' --out tonight.json
    """
    chosen = options.Selection(**{name: how.pop(name) for name in ("only", "skip", "scene", "state", "limit")})
    read = options.read(manifest, **how)
    known = runner.known(read)
    plan = runner.decide(read, known)
    if chosen:
        plan = runner.decide(read, known, only=chosen.chosen(plan, known))
    said = plan_json(plan)
    if out:
        _save(out, {**said, "serial": plan.serial})
    if as_json:
        options.say_json(said)
    else:
        if read.title:
            click.echo(
                f"{click.style(read.title, bold=True)}{'' if not read.provider_defaulted else '  (no provider named: the studio, free)'}",
                err=True,
            )
        for line in plan_lines(plan):
            click.echo(line)
        for line in unblocking.lines(read, plan, known)[0]:
            click.echo(line, err=True)
        for line in absent.advice(read, [step.take for step in plan.doing("absent")]):
            click.echo(line, err=True)
    return 4 if check and plan.has_work else 0


def _save(out: Path, data: Mapping[str, Any]) -> None:
    """Over nothing that is not an earlier plan."""
    if out.exists() and not _is_plan(out):
        raise UsageError(f"{out} is in the way: it is no plan", hint="move it, or choose another name")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}", hint="make it first")
    with disk(out):
        out.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _is_plan(path: Path) -> bool:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and {"steps", "serial"} <= data.keys()
