"""A provider's task list → whose task is worth a query: one page answers for dozens of tasks under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import anyio

from runner import listing
from runner.catalog import Provider
from runner.client import jittered
from runner.listing import Span
from runner.roll import Waiting
from runner.work import Account

_APART = 60.0  # seconds by which the list's time of a task may differ from ours
_WORTH = 4  # waiting tasks a page must answer for; the list holds those of the account's other users too
_PATIENCE = 10  # rounds without the list, once it could not be had or was not worth it


async def call(account: Account, now: Callable[[], float]) -> None:
    """Read the list again and again while more takes wait than fit a page; never ends by itself.

    It takes at most half of the account's queries. Where it cannot be had, everybody asks as before.
    """
    provider, roll = account.client.provider, account.roll
    pause = roll.every
    while roll.crowd is not None:
        await anyio.sleep(jittered(pause))
        pause = roll.every
        if not roll.is_called:
            continue
        began, waiting = anyio.current_time(), list(roll.waiting.values())
        spans = listing.joined(_spans(waiting, account.client.ahead), now())
        rows = await listing.rows(account, spans, most=len(waiting) // _WORTH) if spans else None
        if rows is None:
            roll.barred_until = anyio.current_time() + _PATIENCE * roll.every
            continue
        pause = max(pause, anyio.current_time() - began)
        roll.hear({row.task_id: row.word for row in rows if row.word}, partial(_goes_on, provider))


def _goes_on(provider: Provider, word: str) -> bool:
    return provider.words.get(word.strip().lower()) in {"queued", "running"}


def _spans(waiting: Iterable[Waiting], ahead: float) -> list[Span]:
    """When their tasks were made, by our clock."""
    return [(one.since - ahead - _APART, one.since - ahead + _APART) for one in waiting if one.since is not None]
