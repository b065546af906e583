"""Takes in doubt + the provider's task list → which task is whose, and only where that is beyond doubt.

A row of the list has no prompt, so a candidate is asked until its prompt can be seen. A task is never bound merely
because it is new: it must be unowned, of the same model, made within two minutes of the intent by the provider's
own clock, and say the same prompt; and no other take or task may fit as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import anyio

from runner import answers, wire
from runner.answers import Reply
from runner.client import jittered
from runner.clock import epoch, stamp
from runner.errors import Unreachable
from runner.lock import Lock
from runner.watching import ask
from runner.work import Account, Work

WINDOW = 120.0  # seconds around the intent
_BEIJING = timezone(timedelta(hours=8))  # the list's own times, though its page names no zone
_MOST_PAGES = 50
_REACH = 23 * 3600.0  # seconds; the list takes a span of 24 h at most
_BLANKS = 3  # queries without an answer after which a candidate counts as one that never tells
PATIENCE = 900.0  # seconds that candidates are watched for their prompt; longer is a person's question


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubtful:
    """A take in doubt: what its task must look like."""

    take: str
    attempt: str
    model: str
    prompt: str
    intended: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A task of the provider's list that nobody of ours owns; `created` by the provider's clock, as seconds of ours."""

    task_id: str
    model: str
    created: float
    key: str | None = None


def in_doubt(known: Lock, provider: str) -> list[Doubtful]:
    """The provider's takes in doubt, oldest first."""
    found = []
    for take, entry in known.takes.items():
        attempt = entry.attempt
        if entry.state == "intended" and entry.provider == provider and attempt and attempt.intended_at:
            prompt = str(entry.request.get("prompt") or "")
            found.append(
                Doubtful(
                    take=take, attempt=attempt.id, model=entry.model or "", prompt=prompt, intended=epoch(attempt.intended_at)
                )
            )
    return sorted(found, key=lambda one: one.intended)


async def now(work: Work, account: Account, take: str) -> str | None:
    """Settle one take; its task id, or None when it stays in doubt or surely has none (the lock says which)."""
    return (await settle(work, account, [take])).get(take)


async def settle(work: Work, account: Account, takes: Sequence[str]) -> dict[str, str]:
    """Settle what can be settled of these takes. Bound ones are returned with their task ids, noted on disk.

    Where the provider has no list nothing is settled. Where its list is complete (`settles` in the profile), a take
    that no listed task fits never arrived, and is noted as such.
    """
    spec = account.client.provider.spec.get("list")
    if spec is None:
        return {}
    bound: dict[str, str] = {}
    prompts: dict[str, str | None] = {}
    blanks: Counter[str] = Counter()
    until = anyio.current_time() + PATIENCE
    while anyio.current_time() < until:
        open_ = [one for one in in_doubt(work.ledger.lock, account.client.provider.name) if one.take in set(takes)]
        rows = await _rows(work, account, spec, open_) if open_ else []
        if not open_ or rows is None:
            return bound
        await _look(account, [row for row in rows if any(_may_be(one, row, work) for one in open_)], prompts, blanks)
        everyone = in_doubt(work.ledger.lock, account.client.provider.name)
        pause = None
        for one in open_:
            pending = _judge(work, account, one, everyone, rows, prompts, spec, bound)
            pause = pending if pause is None else min(pause, pending or pause)
        if pause is None:
            return bound
        await anyio.sleep(jittered(pause))
    return bound


def _judge(
    work: Work,
    account: Account,
    one: Doubtful,
    everyone: Sequence[Doubtful],
    rows: Sequence[Row],
    prompts: Mapping[str, str | None],
    spec: Mapping[str, Any],
    bound: dict[str, str],
) -> float | None:
    """Bind, give up, or say how many seconds to wait before looking again."""
    owned = _owned(work)  # asked anew: a reply may have come since the list was read
    free = [row for row in rows if row.task_id not in owned and _may_be(one, row, work)]
    unseen = [row for row in free if row.task_id not in prompts]
    equal = [row for row in free if prompts.get(row.task_id) == one.prompt]
    hidden = [row for row in free if row.task_id in prompts and prompts[row.task_id] is None]
    if unseen:
        return account.client.provider.pace("every")
    rivals = [
        other
        for other in everyone
        if other.take != one.take and any(_may_be(other, row, work) and other.prompt == one.prompt for row in equal)
    ]
    if len(equal) == 1 and not hidden and not rivals:
        task_id = equal[0].task_id
        since = stamp(equal[0].created)
        work.ledger.note("submitted", take=one.take, attempt=one.attempt, task_id=task_id, submitted_at=since)
        work.tell("submitted", take=one.take, attempt=one.attempt, task_id=task_id)
        bound[one.take] = task_id
    elif not equal and not hidden and "settles" in spec:
        left = one.intended + float(spec["settles"]) - work.now()
        if left > 0:
            return left
        message = "the request never arrived: the provider's list has no such task"
        error = {"code": "NotAccepted", "message": message, "retryable": True, "billed": False, "refused": True}
        work.ledger.note("failed", take=one.take, attempt=one.attempt, error=error)
    return None


def _may_be(one: Doubtful, row: Row, work: Work) -> bool:
    model = work.manifest.catalog.models.get(one.model)
    names = model.names if model else (one.model,)
    return row.model in names and abs(row.created - one.intended) <= WINDOW


async def _look(account: Account, rows: Sequence[Row], prompts: dict[str, str | None], blanks: Counter[str]) -> None:
    """Learn the prompts that can be seen by now; None for a task that has ended and never shows one."""
    for row in rows:
        if row.task_id in prompts:
            continue
        reply = await ask(account, row.task_id)
        status = answers.read_query(account.client.provider, reply) if reply else None
        if status is None:
            blanks[row.task_id] += 1
            if blanks[row.task_id] >= _BLANKS:
                prompts[row.task_id] = None  # it will not tell
        elif status.prompt is not None:
            prompts[row.task_id] = status.prompt
        elif status.kind in {"succeeded", "failed", "canceled", "unknown"}:
            prompts[row.task_id] = None


def _owned(work: Work) -> set[str | None]:
    return {attempt.task_id for entry in work.ledger.lock.takes.values() for attempt in entry.attempts}


def _windows(takes: Sequence[Doubtful], now: float) -> list[tuple[float, float]]:
    """Spans of time around the intents, each short enough for a list that takes 24 h; older ones are out of its reach."""
    spans: list[tuple[float, float]] = []
    for one in takes:
        start, end = one.intended - 2 * WINDOW, one.intended + 2 * WINDOW
        if now - one.intended > _REACH:
            continue
        if spans and start <= spans[-1][1] and end - spans[-1][0] < _REACH:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


async def _rows(work: Work, account: Account, spec: Mapping[str, Any], takes: Sequence[Doubtful]) -> list[Row] | None:
    """Unowned tasks made around the intents; None when the list cannot be had now, or does not reach that far back."""
    rows: list[Row] = []
    spans = _windows(takes, work.now())
    for start, end in spans:
        for page in range(1, _MOST_PAGES + 1):
            reply = await _page(account, spec, start, end, page)
            listed = answers.pick(reply.data(), spec["rows"]) if reply and reply.status == 200 else None
            if reply is None or not isinstance(listed, list):
                return None
            ahead = _ahead(reply, work.now())
            rows += [row for row in (_row(spec, item, ahead) for item in listed) if row]
            total = answers.pick(reply.data(), "/total_page")
            if not listed or (isinstance(total, int) and page >= total):
                break
    owned = _owned(work)
    keys = {row.key for row in rows if row.task_id in owned and row.key}
    # Where the rows tell whose key made a task, and some are ours, only that key's can be ours.
    found = [row for row in rows if row.task_id not in owned and (not keys or row.key is None or row.key in keys)]
    return found if spans else None


async def _page(account: Account, spec: Mapping[str, Any], start: float, end: float, page: int) -> Reply | None:
    query = {
        "start_time": _compact(start),
        "end_time": _compact(end),
        "page_no": str(page),
        "page_size": str(spec.get("page_size", 10)),
    }
    try:
        return await account.client.ask(wire.listing(account.client.provider, query))
    except Unreachable:
        return None


def _compact(at: float) -> str:
    return datetime.fromtimestamp(at, _BEIJING).strftime("%Y%m%d%H%M%S")


def _row(spec: Mapping[str, Any], item: Any, ahead: float) -> Row | None:
    task_id, model, created = (answers.pick(item, spec[name]) for name in ("task_id", "model", "created"))
    if not task_id or not isinstance(created, (int, float)):
        return None
    key = answers.pick(item, spec["key_id"]) if "key_id" in spec else None
    return Row(task_id=str(task_id), model=str(model), created=created / 1000 - ahead, key=None if key is None else str(key))


def _ahead(reply: Reply, ours: float) -> float:
    """By how many seconds the provider's clock is ahead of ours, as its Date header says."""
    try:
        said = parsedate_to_datetime(reply.headers.get("date", ""))
    except (TypeError, ValueError):
        return 0.0
    difference = said.replace(tzinfo=said.tzinfo or UTC).timestamp() - ours
    return difference if abs(difference) > 2 else 0.0  # the header has whole seconds
