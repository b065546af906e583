"""`callsheet doctor`: machine, folder and account looked over, without a paid request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner import catalog, providers
from runner.catalog import Provider
from runner.commands import options
from runner.errors import UsageError
from runner.judge import suggestion
from runner.shots import Manifest

if TYPE_CHECKING:
    from runner.doctor import Check

_COLORS = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command("doctor")
@click.argument("provider", required=False)
@click.option(
    "--manifest",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Look at this manifest's folder and providers; else the only one here.",
)
@options.trust_option
@click.option("--env-file", type=click.Path(path_type=Path, dir_okay=False), help="Read keys and base URLs from this file.")
@options.json_option
def command(provider: str | None, manifest: Path | None, trust: tuple[str, ...], env_file: Path | None, as_json: bool) -> int:
    """Say what is well and what is not: Python, encoder, fonts, folder, lock. With a PROVIDER also its address, key
    and clock, by one free request. Never submits. Leaves with 2 when something is bad.

    \b
      callsheet doctor
      callsheet doctor qwencloud --manifest film.callsheet.yaml
    """
    from runner import doctor  # brings httpx and the studio's server

    environ = options.environ(env_file)
    told = _Told(as_json)
    path = manifest or _only()
    folder = path.parent if path else Path()
    read, check = doctor.manifest(path, folder, environ)
    chosen = _named(provider, read, environ) if provider else None
    for one in doctor.machine(time.time()):
        told(one)
    told(check)
    for one in doctor.disk(folder, path):
        told(one)
    if chosen:
        import anyio

        async def asked() -> None:
            async for one in doctor.account(chosen, environ, trust, time.time):
                told(one)

        anyio.run(asked)
    return told.end()


class _Told:
    """Checks as they are made, a line each; or all at the end, as JSON."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.checks: list[Check] = []

    def __call__(self, check: Check) -> None:
        self.checks.append(check)
        if not self.as_json:
            state = click.style(check.state.ljust(4), fg=_COLORS[check.state], bold=check.state != "ok")
            click.echo(f"{state}  {check.name.ljust(8)}  {check.says}")
            if check.hint:
                click.echo(f"                hint: {check.hint}")

    def end(self) -> int:
        if self.as_json:
            options.say_json({"checks": [check.data() for check in self.checks]})
        return 2 if any(check.state == "bad" for check in self.checks) else 0


def _only() -> Path | None:
    try:
        return options.find(None)
    except UsageError:  # none or several: there is still a machine to be looked at
        return None


def _named(name: str, read: Manifest | None, environ: Mapping[str, str]) -> Provider:
    """The provider as a run would use it: with the manifest's words, where there is one without errors."""
    known = read.catalog.providers if read else providers.choose(catalog.load(), {}, environ).providers
    if name not in known:
        raise UsageError(f'there is no provider "{name}"', hint=suggestion(name, known))
    return known[name]
