"""`callsheet collect`: watch and fetch, submit nothing; take in renders from other folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

import runner
from runner.claiming import Claim, Claimed, wanted
from runner.commands import options
from runner.commands.run import _announce, _Told
from runner.errors import UsageError
from runner.fit import mega
from runner.lock import Lock
from runner.outputs.text import few
from runner.plan import Plan
from runner.shots import Manifest


@click.command("collect")
@options.manifest_argument
@click.option(
    "--from",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="First look in this folder for renders that are missing here, by sha256, whatever their names.",
)
@options.trust_option
@options.json_option
@options.reading
@options.selecting
def command(manifest: Path | None, folders: tuple[Path, ...], trust: tuple[str, ...], as_json: bool, **how: Any) -> int:
    """Watch and fetch what is under way or missing here. Submits nothing, so it costs nothing.

    With --from, renders that a colleague has are copied from that folder and need no provider; only what is not found
    there is then fetched.

    \b
      callsheet collect film.callsheet.yaml
      callsheet collect --from ../from-ana --from ../from-ben
    """
    chosen = options.Selection(**{name: how.pop(name) for name in ("only", "skip", "scene", "state", "limit")})
    environ = options.environ(how["env_file"])
    told = _Collected(as_json)
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--from: there is no folder {folder}")
    read = options.read(manifest, told=not as_json, **how)
    with runner.hold(read) as held:
        takes = _missing(held.lock, chosen, read) if folders else []
        claimed = told.take_in(held, folders, takes) if folders else Claimed()
        plan = _plan(read, held.lock, chosen, is_enough=bool(takes))
        _announce(plan, quiet=as_json, submits_nothing=True)
        report = told.carry_out(partial(runner.run, submit=False, trust=trust, environ=environ, signals=True), plan, held)
        code = told.end(report, plan)
        return 1 if claimed.blocked and code in {0, 75} else code


def _missing(known: Lock, chosen: options.Selection, manifest: Manifest) -> list[str]:
    """The chosen takes that are saved and not here."""
    scenes = manifest if chosen.scene else None
    return [take for take in wanted(known) if chosen.fits({"take": take, "state": "saved"}, scenes)]


def _plan(manifest: Manifest, known: Lock, chosen: options.Selection, *, is_enough: bool) -> Plan:
    """What is left to do; where the selection meets only takes that no shot asks for, to look for them `is_enough`."""
    plan = runner.decide(manifest, known)
    if not chosen:
        return plan
    try:
        return runner.decide(manifest, known, only=chosen.chosen(plan, known))
    except UsageError:
        if not is_enough:
            raise
        return runner.decide(manifest, known, only=[])


class _Collected(_Told):
    """As a run is told, behind what was taken in from folders."""

    width = 0  # of the takes' names in the lines about folders

    def _line(self, event: Mapping[str, Any]) -> None:
        super()._line({**event, "seq": self.seq})  # the run counts from 0 and does not know what came before it

    def take_in(self, held: runner.Held, folders: Sequence[Path], takes: Sequence[str]) -> Claimed:
        """Look for these takes in the folders; tell each as it is found, and what was not."""
        if not takes:
            self._say("no saved take is missing here")
            return Claimed()
        self.width = max(map(len, takes))
        claimed = runner.claim(held, folders, takes, partial(self._found, held.ledger.run))
        self._say(f"found {len(claimed.found)} of {len(takes)} missing takes in {few([str(folder) for folder in folders])}")
        if claimed.missing:
            self._say(f"not found there: {few(claimed.missing)}")
        for take, why in claimed.blocked.items():
            self._error(held.ledger.run, take, why)
        if claimed.unread:
            self._say(f"could not be read: {few([str(path) for path in claimed.unread])}")
        return claimed

    def _found(self, run: str, claim: Claim) -> None:
        if self.as_json:
            shown = {name: claim.render[name] for name in ("path", "sha256", "bytes")}
            self._event("saved", run, take=claim.take, **shown)
        else:
            take, size = claim.take.ljust(self.width), mega(int(claim.render["bytes"]))
            click.echo(f"{take}  found      {claim.render['path']} ({size}), from {claim.source}", err=True)

    def _error(self, run: str, take: str, why: str) -> None:
        if self.as_json:
            self._event("error", run, take=take, code="InTheWay", message=why, hint="move it, then collect again")
        else:
            click.echo(f"{take.ljust(self.width)}  error      {why} (move it, then collect again)", err=True)

    def _event(self, event: str, run: str, **fields: Any) -> None:
        import time

        from runner.clock import stamp

        self._line({"event": event, "at": stamp(time.time()), "run": run, **fields})

    def _say(self, line: str) -> None:
        if not self.as_json:
            click.echo(line, err=True)
