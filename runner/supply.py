"""A linked shot whose sources are saved → the step and shot as they are now known, and its links as files to be sent.

A frame is cut once, into `.callsheet/frames/`, by the render's sha256 and the selector; it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import anyio.to_thread

from runner import chains, fit, folder, still, tariff
from runner.assets import Link, Medium
from runner.errors import Refused
from runner.plan import Step
from runner.probe import probe
from runner.shots import Shot, is_current
from runner.work import Work


def known(work: Work, step: Step) -> tuple[Step, Shot]:
    """With the fingerprint that the saved sources give it. Refuses what is not, or costs more than, the plan showed."""
    shot = work.shots[step.shot]
    if step.fingerprint is not None or not shot.links:
        return step, shot
    if shot.fingerprint is None:
        shot = chains.settled(shot, work.ledger.lock.takes)
    if shot.fingerprint is None:
        raise Refused(f"not made of what the plan showed: {shot.links[0].value}", hint="plan again")
    if why := chains.unfit(shot.media):
        raise Refused(why)
    work.shots[shot.id] = shot
    cost = tariff.expected(shot, work.manifest.provider(shot))
    if step.cost and (cost is None or cost.micros > step.cost.micros):
        raise Refused(f"{cost or 'an unknown price'} is more than the {step.cost} that the plan showed", hint="plan again")
    return replace(step, fingerprint=shot.fingerprint, seconds=shot.seconds, cost=cost), shot


def is_made(work: Work, step: Step, shot: Shot) -> bool:
    """Whether takes made of the very same render are there already, now that it is known: then nothing is paid for."""
    if not step.after or step.take in work.ledger.lock.takes:
        return False
    own = work.ledger.lock.of_shot(shot.id).values()
    return sum(1 for entry in own if is_current(entry, shot) and entry.state != "failed") >= shot.takes


async def files(work: Work, shot: Shot) -> tuple[Medium, ...]:
    """The shot's media, each link as the file that it is; refuses one that the model would."""
    return tuple([await _file(work, medium, medium.link) if medium.link else medium for medium in shot.media])


async def _file(work: Work, medium: Medium, link: Link) -> Medium:
    entry = work.ledger.lock.takes.get(medium.take or "")  # none where it could not take over its new name
    render = entry.render if entry else None
    if render is None or not folder.is_here(work.folder, render):
        raise Refused(f"waits for {medium.take}, whose file is not here")
    path = work.folder / str(render["path"])
    if link.frame is None:
        return replace(medium, form="file", path=path, bytes=int(render["bytes"]))
    sha256 = str(render["sha256"])
    target = work.ledger.files.state / "frames" / f"{sha256}-{link.selector}.png"
    picture = replace(medium, form="file", path=target)
    return await anyio.to_thread.run_sync(_cut, path, sha256, link, target, picture)


def _cut(path: Path, sha256: str, link: Link, target: Path, medium: Medium) -> Medium:
    """The frame, cut if it was not before, and held against what the model takes."""
    if not target.exists():
        still.cut(path, sha256, link.frame or "last", target)
    seen = probe(target)
    for fault in fit.misfits(medium.rule, seen):
        if fault.code.startswith("E"):
            raise Refused(f"{link.named(medium.take)} {fault.message}")
    own = hashlib.sha256(target.read_bytes()).hexdigest()
    return replace(medium, identity=f"sha256:{own}", probe=seen, bytes=seen.bytes)
