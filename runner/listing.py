"""A provider's task list → rows: what was made when, of which model, with whose key. No row says a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from runner import answers, wire
from runner.answers import Reply
from runner.errors import Unreachable
from runner.work import Account

REACH = 23 * 3600.0  # seconds; the list takes a span of 24 h at most, and tasks live no longer
_BEIJING = timezone(timedelta(hours=8))  # the list's own times, though its page names no zone
_MOST_PAGES = 50
_DRIFT = 60.0  # seconds by which a span may be off without missing what was made around an intent

Span = tuple[float, float]  # seconds since the epoch by our clock


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A task of the list. `created` is in our time, `said` the same moment by the provider's clock; `key` tells keys apart.

    `word` is its status in the provider's own word, where the list says it.
    """

    task_id: str
    model: str
    created: float
    said: float
    key: str | None = None
    word: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """Whose keys are whose, as far as the list and the locks tell together."""

    own: frozenset[str]
    foreign: frozenset[str]
    seen: frozenset[str]

    def may_be_own(self, row: Row) -> bool:
        if row.key is None:
            return True
        return row.key in self.own if self.own else row.key not in self.foreign

    @property
    def are_unclear(self) -> bool:
        """Several keys are at work in this account, and nothing says which is ours."""
        return not self.own and len(self.seen - self.foreign) > 1


async def rows(account: Account, spans: Sequence[Span], *, most: int | None = None) -> list[Row] | None:
    """Every task made in these spans, each once; None when the list cannot be had whole, or has too many pages."""
    found: dict[str, Row] = {}
    before, left = account.client.ahead, _MOST_PAGES if most is None else most
    for start, end in spans:
        for page in range(1, left + 1):
            listed, is_last = await _page(account, {**_times(account, start, end), **_paging(account, page)})
            if listed is None:
                return None
            found.update({row.task_id: row for row in listed})
            left -= 1
            if is_last:
                break
        else:
            return None  # what stands on the pages not read could be just what matters
    if abs(account.client.ahead - before) > _DRIFT:
        return await rows(account, spans, most=most)  # the first reply told their clock, and the spans were asked by ours
    return list(found.values())


async def row_of(account: Account, task_id: str) -> Row | None:
    """The list's row of one task; None where there is no list, or it does not tell."""
    if "list" not in account.client.provider.spec:
        return None
    listed, _ = await _page(account, {"task_id": task_id, **_paging(account, 1)})
    return next((row for row in listed or () if row.task_id == task_id), None)


def keys(listed: Iterable[Row], accounts: Mapping[str, str | None], own: str) -> Keys:
    """Learn key ids from the tasks whose account (`accounts`, by task id) is known; `own` is the account that asks."""
    told = {row.task_id: row.key for row in listed if row.key is not None}
    known = {(accounts[task_id], key) for task_id, key in told.items() if accounts.get(task_id)}
    mine = frozenset(key for account, key in known if account == own)
    return Keys(own=mine, foreign=frozenset(key for _, key in known) - mine, seen=frozenset(told.values()))


def joined(spans: Sequence[Span], now: float) -> list[Span]:
    """Spans in order, those that touch made one, as long as the list's span allows it; nothing older than its reach."""
    made: list[Span] = []
    for start, end in sorted((max(start, now - REACH), end) for start, end in spans if end > now - REACH):
        if made and start <= made[-1][1] and end - made[-1][0] < REACH:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        else:
            made.append((start, end))
    return made


async def _page(account: Account, query: Mapping[str, str]) -> tuple[list[Row] | None, bool]:
    """One page's rows, and whether it is the last one; None when it cannot be had."""
    spec = account.client.provider.spec["list"]
    try:
        reply: Reply = await account.client.ask(wire.listing(account.client.provider, query))
    except Unreachable:
        return None, True
    data = reply.data()
    listed = answers.pick(data, spec["rows"]) if reply.status == 200 else None
    if not isinstance(listed, list):
        return None, True
    total = answers.pick(data, "/total_page")
    is_last = not listed or (isinstance(total, int) and int(query["page_no"]) >= total)
    return [row for item in listed if (row := _row(spec, item, account.client.ahead))], is_last


def _row(spec: Mapping[str, Any], item: Any, ahead: float) -> Row | None:
    task_id, model, created = (answers.pick(item, spec[name]) for name in ("task_id", "model", "created"))
    if not task_id or not isinstance(created, (int, float)):
        return None
    key = answers.pick(item, spec["key_id"]) if "key_id" in spec else None
    said, word = created / 1000, answers.pick(item, spec["status"]) if "status" in spec else None
    return Row(
        task_id=str(task_id),
        model=str(model),
        created=said - ahead,
        said=said,
        key=None if key is None else str(key),
        word=answers.clean(word, 40) if isinstance(word, str) else None,
    )


def _times(account: Account, start: float, end: float) -> dict[str, str]:
    """The span as the list wants it, by the provider's clock."""
    ahead = account.client.ahead
    return {"start_time": _compact(start + ahead), "end_time": _compact(end + ahead)}


def _paging(account: Account, page: int) -> dict[str, str]:
    return {"page_no": str(page), "page_size": str(account.client.provider.spec["list"].get("page_size", 10))}


def _compact(at: float) -> str:
    return datetime.fromtimestamp(at, _BEIJING).strftime("%Y%m%d%H%M%S")
