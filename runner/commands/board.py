"""`callsheet board`: the storyboard as one HTML page, or what a change to it changed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import runner
from runner import revision
from runner.clock import stamp
from runner.commands import options
from runner.commands.answering import spoken
from runner.commands.opening import opened
from runner.errors import UsageError
from runner.lock import Lock
from runner.outputs.board import page, posters, words
from runner.outputs.board.cards import Fits
from runner.outputs.board.compare import KINDS, Changes, changes
from runner.outputs.board.sheet import sheet
from runner.outputs.board.views import Sheet
from runner.outputs.data import sums_json
from runner.plan import Plan
from runner.shots import Manifest

_PATIENCE = 2.0  # seconds between two words on how far the posters are


@click.command("board")
@options.manifest_argument
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the page here, not to NAME.board.html.")
@click.option("--embed", is_flag=True, help="Put the renders into the page, so that it can be sent as one file.")
@click.option("--against", metavar="REV", help="Show what has changed since this git revision, side by side.")
@click.option("--open", "is_opened", is_flag=True, help="Show the page in the browser, where there is one.")
@options.json_option
@options.reading
@options.selecting
def command(
    manifest: Path | None, out: Path | None, embed: bool, against: str | None, is_opened: bool, as_json: bool, **how: Any
) -> int:
    """Write the storyboard as one HTML page: posters, players, takes side by side, states, costs, what a run would do.

    It needs no network and no server. Tick takes on it, and it shows the `callsheet pick` line to copy.

    \b
      callsheet board film.callsheet.yaml --open
      callsheet board --scene harbour --embed --out harbour.html
      callsheet board --against HEAD~1
    """
    chosen = options.Selection(**{name: how.pop(name) for name in ("only", "skip", "scene", "state", "limit")})
    read = options.read(manifest, told=False, **how)
    known = runner.known(read)
    plan = runner.decide(read, known)
    fits = _fits(chosen, plan, known)
    found = sheet(read, known, plan, fits=fits)
    if against is None and (wrong := chosen.misspelt(plan, known, "shot")):
        raise wrong
    if chosen and not found.cards and against is None:
        raise UsageError("no shot is selected", hint="`callsheet status` lists the takes and their states")
    target = out or place(read, ".changes" if against is not None else "")
    page.check(target)
    said: dict[str, Any] = {"path": target.as_posix()}
    with ExitStack() as stack:  # the earlier files must be there until their posters are made
        if against is not None:
            allowed = [Path(one) for one in how["allowed"]]
            reading = {"profile": how["profile"], "provider": how["provider"], "environ": options.environ(how["env_file"])}
            then, before = stack.enter_context(revision.manifest_at(read.path, against, allowed=allowed, **reading))
            compared = _compared(before, plan, known, found, fits, is_narrowed=bool(chosen))
            made = _page(target, read, compared.files(), embed=embed)
            values = {"revision": then, "changes": compared, "totals": [*_totals(compared, before, read)]}
            said["bytes"] = page.write("changes.html", made, sheet=found, tags=compared.tags, **values)
            said |= {"against": then.id, **{str(kind): compared.of(kind) for kind in KINDS}}
            submits = [step for step in compared.steps if step.action == "submit"]
            said["next_run"] = {"takes": len(submits), **sums_json(submits)}
        else:
            said["bytes"] = written(target, read, found, embed=embed)
    said |= {"shots": sum(1 for card in found.cards if not card.is_left), "takes": found.takes}
    if as_json:
        options.say_json(said)
    else:
        click.echo(target)
    if is_opened:
        opened(target)
    return 0


def place(read: Manifest, kind: str = "") -> Path:
    """Where the board lies that nobody has given another place."""
    return read.folder / f"{read.name}{kind}.board.html"


def written(target: Path, read: Manifest, found: Sheet, *, embed: bool = False) -> int:
    """Write the board; its bytes. Raises UsageError where something else is in the way."""
    return page.write("board.html", _page(target, read, found.files(), embed=embed), sheet=found, tags=found.tags)


def _compared(before: Manifest, plan: Plan, known: Lock, found: Sheet, fits: Fits, *, is_narrowed: bool) -> Changes:
    cards = {card.shot: card for card in found.cards}

    def is_shown(shot: str) -> bool:
        return not is_narrowed or shot in cards or fits(shot, f"{shot}@0", "new")

    return changes(before, plan, known, cards, is_shown=is_shown)


def _totals(compared: Changes, before: Manifest, read: Manifest) -> Iterable[tuple[str, str]]:
    """How many shots went which way, how long the film was and is, and what the next run does for all this."""
    for kind in KINDS:
        if shots := compared.of(kind):
            yield kind, f"{len(shots)}"
    yield "unchanged", f"{len(compared.same)}"
    then, now = (words.length(sum(shot.seconds or 0 for shot in one.shots)) for one in (before, read))
    yield "film", now if then == now else f"{then} → {now}"
    yield "next run", words.rest(compared.steps)


def _page(target: Path, read: Manifest, files: Mapping[str, Path], *, embed: bool) -> page.Page:
    before, _, after = spoken("pick", read, "\0").partition(" \0")
    return page.Page(
        target=target,
        made=stamp(time.time()),
        pick=(before, after),
        posters=_posters(files, runner.files_of(read).state),
        is_embedded=embed,
    )


def _fits(chosen: options.Selection, plan: Plan, known: Lock) -> Fits:
    """Which takes the command line chose; `--limit` counts those that are still to be submitted."""
    if not chosen:
        return lambda *_: True
    alone = {shot.id: replace(plan.manifest, shots=(shot,)) for shot in plan.manifest.shots}
    nowhere: Manifest = replace(plan.manifest, shots=())
    every = replace(chosen, limit=None)

    def fits(shot: str, take: str, state: str) -> bool:
        return take not in beyond and every.fits({"take": take, "state": state}, alone.get(shot, nowhere))

    beyond: set[str] = set()
    if chosen.limit:
        waiting = [step for step in plan.doing("submit") if step.take not in known.takes]
        beyond = {step.take for step in [one for one in waiting if fits(one.shot, one.take, "new")][chosen.limit :]}
    return fits


def _posters(files: Mapping[str, Path], state: Path) -> dict[str, posters.Posters | None]:
    """Every poster; who has to wait for them is told how far they are."""
    found: dict[str, posters.Posters | None] = {}
    told = time.monotonic()
    for sha256, made in posters.made(files, state):
        found[sha256] = made
        if time.monotonic() - told > _PATIENCE:
            told = time.monotonic()
            click.echo(f"posters: {len(found)} of {len(files)}", err=True)
    return found
