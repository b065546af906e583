"""A task id → its end, by asking at the provider's pace; nothing but the provider's own word ends a take."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

import anyio

from runner import answers, tariff, wire
from runner.answers import Reply, Status
from runner.catalog import Provider, is_loopback
from runner.client import jittered
from runner.clock import epoch
from runner.errors import ProviderError, Unreachable
from runner.learned import tier
from runner.lock import Entry
from runner.work import Account, Work

End = Literal["rendered", "over", "waiting"]
LONGEST = 300.0  # seconds; no server's Retry-After stops a run for longer at a time
_EARLY = 0.1  # the share of such tasks that had ended when the first query is due
_AHEAD = 0.9  # of that time: what ends sooner than it used to is noticed, and learned from
_ENOUGH = 5  # tasks that must have ended before anything is learned from them
_MOST = 20  # rounds of queries; what was learned never holds the first one back for longer
_DENIALS = 3  # queries in a row that the key is not let in


async def watch(work: Work, account: Account, take: str, *, first: float) -> tuple[End, Status | None]:
    """Ask until the task has ended; `first` seconds from now the first time.

    `over`: failed, canceled or lost, as the lock now says. `waiting`: this run stops asking, the take stays submitted.
    """
    entry = work.entry(take)
    if entry.attempt is None or entry.attempt.task_id is None:
        raise ProviderError(f"{take} has no task to watch")
    provider = account.client.provider
    stranger, model = is_strange(account, entry), work.manifest.catalog.models.get(entry.model or "")
    task_id, since = entry.attempt.task_id, epoch(entry.attempt.submitted_at) if entry.attempt.submitted_at else None
    began, unknown_since, word, denied = anyio.current_time(), None, None, 0
    pause, asked = first, began
    while True:
        news = await account.roll.turn(take, task_id, jittered(pause), since=since, word=word)
        if news and anyio.current_time() - asked <= account.roll.alone:
            word, pause = news, account.roll.every
            work.tell("status", take=take, attempt=entry.attempt.id, word=word)
            continue
        reply, asked = await ask(account, task_id), anyio.current_time()
        status = answers.read_query(provider, reply, model) if reply else None
        pause = max(account.roll.every, min(answers.retry_after(provider, reply) or 0, LONGEST) if reply else 0)
        denied = denied + 1 if reply and reply.status in {401, 403} else 0
        if why := _useless(reply, status, denied):
            work.tell("waiting", take=take, reason=f"{why}; the task goes on")
            return "waiting", None
        if status and status.word != word:
            word = status.word
            _tell_word(work, take, entry.attempt.id, status)
        match status.kind if status else None:
            case "succeeded" if status and (status.url or "content" in provider.spec["result"]):
                rendered(work, provider, take, status)
                return "rendered", status
            case "failed" | "canceled" as kind if status:
                ended(work, provider, take, kind, status)
                return "over", status
            case "unknown" if stranger:
                work.tell("waiting", take=take, reason=f"not known to this key; it was made with {entry.attempt.account}")
                return "waiting", None
            case "unknown":
                unknown_since = anyio.current_time() if unknown_since is None else unknown_since
                if anyio.current_time() - unknown_since >= provider.pace("unknown_for") or is_expired(work, account, entry):
                    lost(work, take)
                    return "over", status
            case _:
                unknown_since = None if status else unknown_since
        if anyio.current_time() - began > provider.pace("give_up"):
            work.tell("waiting", take=take, reason=f"no end after {provider.pace('give_up'):g} s; the task goes on")
            return "waiting", None


def _useless(reply: Reply | None, status: Status | None, denied: int) -> str | None:
    """Why this run had better stop asking, if it had."""
    if reply and denied >= _DENIALS:
        return f"the key is not let in (HTTP {reply.status})"
    return f"asking is useless: {status.stop}" if status and status.stop else None


def patience(work: Work, account: Account, take: str) -> float:
    """Seconds from now until a task's end is likely enough to ask for the first time; 0 where nothing is known of its kind."""
    entry = work.entry(take)
    attempt = entry.attempt
    if attempt is None or attempt.submitted_at is None:
        return 0.0
    size = tier(entry.request.get("parameters", {}))
    early = work.durations.expect(entry.provider, entry.model, size, attempt.seconds, _EARLY, least=_ENOUGH)
    if early is None:
        return 0.0
    return max(
        0.0, min(_AHEAD * early, _MOST * account.roll.every) - (work.now() + account.client.ahead - epoch(attempt.submitted_at))
    )


def _tell_word(work: Work, take: str, attempt: str, status: Status) -> None:
    work.tell("status", take=take, attempt=attempt, word=status.word)
    if status.kind is None:
        work.tell("waiting", take=take, reason=f'"{status.word}" is no word that its profile knows; asking on')


def is_strange(account: Account, entry: Entry) -> bool:
    """Whether the task was made with another key or at another place, where UNKNOWN says nothing about it."""
    attempt = entry.attempt
    if attempt is None or attempt.account is None:
        return False
    here = account.client
    moved = not here.provider.free and not is_loopback(here.base_url) and attempt.host not in here.hosts
    return attempt.account != account.name or moved


async def ask(account: Account, task_id: str) -> Reply | None:
    """One query; None for a blip, which is no news."""
    try:
        reply: Reply = await account.client.ask(wire.query(account.client.provider, task_id))
    except Unreachable:
        return None
    if reply.status == 429:
        account.client.queries.hold(min(answers.retry_after(account.client.provider, reply) or 1.0, LONGEST))
    return reply


def is_expired(work: Work, account: Account, entry: Entry) -> bool:
    """Whether the provider's own lifetime of the task has passed, by its clock: `submitted_at` is in its time too."""
    at = entry.attempt.submitted_at if entry.attempt else None
    return at is not None and work.now() + account.client.ahead - epoch(at) > account.client.provider.lives


def rendered(work: Work, provider: Provider, take: str, status: Status) -> None:
    entry = work.entry(take)
    if entry.attempt is None or entry.state != "submitted":
        return  # a render that is only fetched again
    model = work.manifest.catalog.models.get(entry.model or "")
    cost = tariff.charged(provider, model, entry, status.usage)
    work.ledger.note(
        "rendered",
        take=take,
        attempt=entry.attempt.id,
        usage=dict(status.usage),
        actual_prompt=status.actual_prompt,
        cost=cost.said() if cost else None,
    )
    work.tell("rendered", take=take, attempt=entry.attempt.id)
    if work.entry(take).attempt:
        work.durations.learn(work.entry(take))


def ended(work: Work, provider: Provider, take: str, kind: Literal["failed", "canceled"], status: Status) -> None:
    """A failed task is billed by none of these services; of a canceled one its profile says whether, or that nobody knows.

    Tried again only where that can help.
    """
    attempt = work.entry(take).attempt
    if attempt is None:
        return
    code = status.code or ("Canceled" if kind == "canceled" else "Failed")
    message = status.message or ("canceled at the provider" if kind == "canceled" else "the provider gave no reason")
    retryable = kind == "failed" and any(fnmatchcase(code, pattern) for pattern in provider.spec["failure"].get("retry", ()))
    billed = None if kind == "canceled" and provider.spec["failure"].get("canceled") != "free" else False
    error = {"code": code, "message": message, "retryable": retryable, "billed": billed}
    work.ledger.note(kind, take=take, attempt=attempt.id, error=error)
    work.tell_failed(take, attempt.id, error)


def lost(work: Work, take: str) -> None:
    attempt = work.entry(take).attempt
    if attempt is None:
        return
    message = "paid for, but the provider no longer knows the task"
    error = {"code": "Lost", "message": message, "retryable": False, "billed": True}
    work.ledger.note("lost", take=take, attempt=attempt.id, error=error)
    work.tell("lost", take=take, attempt=attempt.id, message=message)
