"""Takes under way → canceled, where the provider takes a task back and says so; else why not, and they stay under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import anyio

from runner import answers, wire
from runner.answers import Reply, Status
from runner.client import jittered
from runner.errors import Unreachable
from runner.lock import Entry, Lock
from runner.watching import ask, ended
from runner.work import Account, Work

_LOOKS = 3  # at a task that was canceled, until its status says so
_PAUSE = 1.0  # seconds between them

Outcome = Literal["canceled", "refused", "ended", "unsupported", "unclear"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Canceled:
    """What became of one take. Only `canceled` ends it; the others stay under way, billed, and are watched on."""

    take: str
    task_id: str
    outcome: Outcome
    message: str
    word: str | None = None


async def cancel(work: Work, takes: Sequence[str], *, notes: bool = True) -> dict[str, Canceled]:
    """Cancel these takes, which are submitted, all at the provider's pace; in their order.

    Without `notes` nothing is written down: another run has the lock, and hears of it when it next asks.
    """
    found: dict[str, Canceled] = {}

    async def one(take: str) -> None:
        found[take] = await _canceled(work, take, notes=notes)

    async with anyio.create_task_group() as group:
        for take in takes:
            group.start_soon(one, take)
    return {take: found[take] for take in takes}


async def _canceled(work: Work, take: str, *, notes: bool) -> Canceled:
    """Ask to cancel, then ask what has become of it: only the provider's own word ends a take."""
    entry = work.entry(take)
    account = work.accounts[entry.provider or ""]
    task_id = entry.attempt.task_id if entry.attempt and entry.attempt.task_id else ""
    name = account.client.provider.name
    request = wire.cancel(account.client.provider, task_id)

    def told(outcome: Outcome, message: str, status: Status | None = None) -> Canceled:
        return Canceled(take=take, task_id=task_id, outcome=outcome, message=message, word=status.word if status else None)

    if request is None:
        return told("unsupported", f"{name} cannot cancel")
    try:
        reply: Reply | None = await account.client.ask(request)
    except Unreachable:
        reply = None
    is_accepted = reply is not None and reply.status == 200
    status = await _status(work, account, entry, task_id, looks=_LOOKS if is_accepted else 1)
    match status.kind if status else None:
        case "canceled" if status:
            if notes:
                ended(work, account.client.provider, take, "canceled", status)
            return told("canceled", "its task is canceled; another attempt needs `callsheet again`", status)
        case "succeeded" | "failed" if status:
            return told("ended", f"too late, it has ended as {status.word}", status)
        case "unknown" if status:
            return told("unclear", f"{name} does not know its task at the moment ({status.word})", status)
        case "queued" | "running" if status and is_accepted:
            return told("unclear", f"{name} took the request, but the task is still {status.word}", status)
    if reply is None:
        return told("unclear", f"{name} did not answer", status)
    code, message = answers.error_of(account.client.provider, reply)
    said = " ".join(part for part in (f"HTTP {reply.status}", f"{code}:" if code else "", message) if part)
    if status and status.kind == "running":
        return told("refused", f"{name} would not, it is {status.word} ({said})", status)
    return told("refused" if status else "unclear", f"{name} would not ({said})", status)


def embedded(known: Lock, take: str) -> Canceled:
    """The answer where the task is in a studio inside another process."""
    attempt = known.takes[take].attempt
    task_id = attempt.task_id if attempt and attempt.task_id else ""
    message = "the studio that renders it is part of the run that is alive; Ctrl-C stops that run"
    return Canceled(take=take, task_id=task_id, outcome="unsupported", message=message)


async def _status(work: Work, account: Account, entry: Entry, task_id: str, *, looks: int) -> Status | None:
    """How the task stands; looked at again where a cancellation may not have got there yet."""
    model = work.manifest.catalog.models.get(entry.model or "")
    status: Status | None = None
    for number in range(looks):
        if number:
            await anyio.sleep(jittered(_PAUSE))
        reply = await ask(account, task_id)
        status = (answers.read_query(account.client.provider, reply, model) if reply else None) or status
        if status and status.kind in {"canceled", "succeeded", "failed"}:
            break
    return status
