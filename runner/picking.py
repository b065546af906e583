"""Lock + Plan → the take that each `output` shows, put in place; and what another choice would make outdated, and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner import folder, media
from runner import lock as locks
from runner.errors import Refused
from runner.lock import Entry, Lock
from runner.plan import Plan, Step
from runner.report import report
from runner.shots import Shot, shown_take


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What a choice changes for other shots: takes that would no longer be current, those that would be again, and new submits."""

    outdated: tuple[str, ...] = ()
    current_again: tuple[str, ...] = ()
    submits: tuple[Step, ...] = ()


def chosen(known: Lock, picks: Mapping[str, str | None]) -> Lock:
    """The lock as it would be with these picks; None takes a shot's pick away."""
    for shot, take in picks.items():
        known = locks.apply(known, {"event": "picked", "shot": shot, "take": take})
    return known


def effect(before: tuple[Lock, Plan], after: tuple[Lock, Plan]) -> Effect:
    """The same storyboard decided twice, before a choice and after it: whatever follows from a pick shows between the two."""
    was, is_ = ({take["take"] for take in report(*side).data["takes"] if take["current"]} for side in (before, after))
    planned = {step.take for step in before[1].doing("submit")}
    return Effect(
        outdated=tuple(sorted(was - is_, key=_by_shot)),
        current_again=tuple(sorted(is_ - was, key=_by_shot)),
        submits=tuple(step for step in after[1].doing("submit") if step.take not in planned),
    )


def _by_shot(key: str) -> tuple[str, int]:
    return locks.shot_of(key), locks.number_of(key)


def show(root: Path, known: Lock, shot: Shot, takes: Mapping[str, Entry]) -> str | None:
    """Make the shot's `output` the picked take, else the newest current one; never over a stranger's file.

    The take that it shows, None where there is none or its render is not here. Raises Refused where a file is in the way.
    """
    take = shown_take(shot, takes, known.picked.get(shot.id))
    render = takes[take].render if take else None
    if render is None or not folder.is_here(root, render):
        return None
    path, output = root / str(render["path"]), root / shot.output
    if output.exists() and output.samefile(path):
        return take
    # Mostly it is another take of this shot; only else is the whole lock looked through.
    if not any(folder.is_ours(root, shot.output, folder.by_size(lock)) for lock in (Lock(takes=takes), known)):
        raise Refused(f"{shot.output} is in the way: not a file of this lock", hint="move it, then run again")
    media.show(path, output)
    return take
