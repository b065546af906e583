"""A finished task → its file under the final name, whole, hashed and on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from runner import answers, fate, folder, media, picking, wire
from runner.answers import Status
from runner.download import Fetched, fetch
from runner.errors import TakeError, Unreachable
from runner.lock import Entry
from runner.plan import Step
from runner.remarks import remarks
from runner.shots import Shot
from runner.watching import ask, is_expired, is_strange, lost, rendered
from runner.wire import Request
from runner.work import Account, Work

_TRIES = 5
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between tries; a link that fails five times is left to the next run


async def bring(work: Work, account: Account, step: Step, status: Status | None) -> None:
    """Fetch, check, name. What cannot be done now stays `rendered`; the next run goes on with it."""
    entry = work.entry(step.take)
    known = entry.render or {}
    path = str(known.get("path", step.path))
    final = work.folder / path
    if known and final.exists() and await anyio.to_thread.run_sync(folder.sha256, final) == known["sha256"]:
        _saved(work, step, dict(known))  # named just before an earlier run died
        return
    part = work.ledger.files.parts / f"{work.ledger.files.name}-{step.take}.part"
    async with work.downloads:
        fetched = await _fetched(work, account, step, status, part)
        if fetched is None:
            return
        render = {"path": path, **fetched.facts, **_remarked(work, entry, fetched.facts)}
        work.ledger.note("fetched", take=step.take, render=render)  # whose file it is, before it has its name
        await anyio.to_thread.run_sync(media.place, part, final)
    _saved(work, step, render)


async def _fetched(work: Work, account: Account, step: Step, status: Status | None, part: Path) -> Fetched | None:
    """The render beside, checked: from the provider's own endpoint where it has one, else by its link, renewed when dead."""
    own = _own_place(work, account, step)
    for number in range(_TRIES):
        if number:
            await anyio.sleep(_PAUSES[number - 1])
        if own is not None:
            url = account.client.base_url + own.path
            if fetched := await _tried(work, account, step, url, part, headers=own.headers, key=own.key):
                return fetched
        status = status or await _asked(work, account, step)
        if status is None:
            continue
        if status.kind == "unknown":
            _gone(work, account, step)
            return None
        if status.url and (fetched := await _tried(work, account, step, status.url, part)):
            return fetched
        status = None  # a fresh link may do
    raise TakeError(
        "the render could not be fetched in this run",
        code="Fetch",
        retryable=True,
        hint="run again; it is paid for and still there",
    )


async def _tried(
    work: Work, account: Account, step: Step, url: str, part: Path, *, headers: Mapping[str, str] | None = None, key: bool = False
) -> Fetched | None:
    """One attempt; None, and said, where another may succeed."""
    try:
        return await fetch(account.client, url, part, headers=headers, key=key)
    except (Unreachable, TakeError) as error:
        if isinstance(error, TakeError) and error.code in {"Disk", "TooLarge"}:
            raise
        work.tell("waiting", take=step.take, reason=error.fact)
        return None


def _own_place(work: Work, account: Account, step: Step) -> Request | None:
    """The provider's own endpoint for the render, where it has one."""
    attempt = work.entry(step.take).attempt
    return wire.content(account.client.provider, attempt.task_id) if attempt and attempt.task_id else None


async def _asked(work: Work, account: Account, step: Step) -> Status | None:
    attempt = work.entry(step.take).attempt
    reply = await ask(account, attempt.task_id) if attempt and attempt.task_id else None
    model = work.manifest.catalog.models.get(work.entry(step.take).model or "")
    status = answers.read_query(account.client.provider, reply, model) if reply else None
    if status and status.kind == "succeeded":
        rendered(work, account.client.provider, step.take, status)
    return status


def _gone(work: Work, account: Account, step: Step) -> None:
    """The provider no longer knows the task: absent if it was saved once, lost if its time is over, else asked again."""
    entry = work.entry(step.take)
    if is_strange(account, entry):
        raise TakeError(
            "the provider does not know the task under this key or host",
            code="Unknown",
            retryable=True,
            hint="run with the key that made it",
        )
    if entry.state == "saved":
        work.ledger.note("absent", take=step.take)
        work.tell("waiting", take=step.take, reason=f"{fate.gone(entry)}; the provider no longer has it")
    elif is_expired(work, account, entry):
        lost(work, step.take)
    else:
        raise TakeError("the provider does not know the task at the moment", code="Unknown", retryable=True, hint="run again")


def _remarked(work: Work, entry: Entry, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Where the render is not what was asked for; a take saved earlier keeps the remarks it had."""
    model = work.manifest.catalog.models.get(entry.model or "")
    asked = entry.request.get("parameters", {})
    seconds = entry.attempt.seconds if entry.attempt else None
    found = remarks(model, asked, seconds, facts) if model else []
    return {"remarks": found} if found else {}


def _saved(work: Work, step: Step, render: dict[str, object]) -> None:
    work.ledger.note("saved", take=step.take, render=render)
    shown = {name: render.get(name) for name in ("path", "sha256", "bytes", "remarks")}
    work.tell("saved", take=step.take, **shown)
    if shot := work.shots.get(step.shot):
        show(work, shot, work.ledger.lock.of_shot(shot.id))


def show(work: Work, shot: Shot, takes: Mapping[str, Entry]) -> None:
    """Make the shot's `output` the picked take, else the newest current one; never over a stranger's file."""
    picking.show(work.folder, work.ledger.lock, shot, takes)
