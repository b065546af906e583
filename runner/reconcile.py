"""Takes in doubt + the provider's task list → which task is whose, and only where that is beyond doubt.

A row of the list has no prompt, so a candidate is asked until its prompt can be seen. A task is never bound merely
because it is new: it must be unowned, of the same model, made within two minutes of the intent by the provider's
own clock, with our key as far as that is told, and say the same prompt; and no other take or task may fit as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import anyio

from runner import answers, listing
from runner.binding import binding
from runner.client import jittered
from runner.clock import epoch, stamp
from runner.errors import Refused
from runner.listing import Keys, Row
from runner.lock import Attempt, Entry, Lock
from runner.watching import ask, is_strange
from runner.work import Account, Work

WINDOW = 120.0  # seconds around the intent
_BLANKS = 3  # queries without an answer after which a candidate counts as one that never tells
PATIENCE = 900.0  # seconds that candidates are watched for their prompt; longer is a person's question

Finding = Literal[
    "bound", "never_arrived", "no_list", "no_answer", "other_account", "too_old", "no_candidate", "hidden", "several", "rivals", "no_time",
    "other_key",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubtful:
    """An attempt in doubt: what its task must look like. Without `intended`, any task since `since` may be its own."""

    take: str
    attempt: str
    model: str
    prompt: str
    intended: float | None
    since: float = 0.0

    @property
    def span(self) -> tuple[float, float]:
        """When its task was made, in our time."""
        if self.intended is None:
            return self.since - WINDOW, float("inf")
        return self.intended - WINDOW, self.intended + WINDOW


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What was found for a take: its task, that there is none, or why it stays in doubt and which tasks could be its own."""

    take: str
    finding: Finding
    task_id: str | None = None
    candidates: tuple[str, ...] = ()  # those with its prompt first
    alike: int = 0  # how many of them have its prompt


def in_doubt(known: Lock, provider: str) -> list[Doubtful]:
    """The provider's takes in doubt, oldest first; those whose intent nobody here has seen are not among them."""
    takes = ((take, entry) for take, entry in known.takes.items() if entry.state == "intended" and entry.provider == provider)
    found = [_doubtful(take, entry, entry.attempt) for take, entry in takes if entry.attempt and entry.attempt.intended_at]
    return sorted(found, key=lambda one: one.intended or 0.0)


def unseen(known: Lock, provider: str, *, since: float) -> list[Doubtful]:
    """The provider's takes in doubt whose intent nobody here has seen: any task since then could be theirs."""
    takes = ((take, entry) for take, entry in known.takes.items() if entry.state == "intended" and entry.provider == provider)
    found = [_doubtful(take, entry, entry.attempt) for take, entry in takes if entry.attempt and not entry.attempt.intended_at]
    return [replace(one, since=since) for one in found]


def _doubtful(take: str, entry: Entry, attempt: Attempt) -> Doubtful:
    return Doubtful(
        take=take,
        attempt=attempt.id,
        model=entry.model or "",
        prompt=str(entry.request.get("prompt") or ""),
        intended=epoch(attempt.intended_at) if attempt.intended_at else None,
    )


def suspects(locks: Iterable[Lock], provider: str) -> list[Doubtful]:
    """Every attempt that may have a task nobody knows, also one that was given up by `again`, or stands in another lock."""
    entries = [(take, entry) for known in locks for take, entry in known.takes.items() if entry.provider == provider]
    return [_doubtful(take, entry, one) for take, entry in entries for one in entry.attempts if one.is_in_doubt]


def owned(locks: Iterable[Lock]) -> dict[str, str | None]:
    """Every task that stands in one of the locks, and the account that made it."""
    attempts = (one for known in locks for entry in known.takes.values() for one in entry.attempts)
    return {one.task_id: one.account for one in attempts if one.task_id}


async def now(work: Work, account: Account, take: str) -> str | None:
    """Settle one take; its task id, or None when it stays in doubt or surely has none (the lock says which)."""
    return (await settle(work, account, [take])).get(take)


async def settle(work: Work, account: Account, takes: Sequence[str]) -> dict[str, str]:
    """Settle what can be settled of these takes. Bound ones are returned with their task ids, noted on disk.

    Where the provider has no list nothing is settled. Where its list is complete (`settles` in the profile), a take
    that no listed task fits never arrived, and is noted as such.
    """
    found = await look(work, account, takes)
    return {take: verdict.task_id for take, verdict in found.items() if verdict.task_id}


async def look(work: Work, account: Account, takes: Sequence[str]) -> dict[str, Verdict]:
    """As `settle`, with a verdict on every one of the takes that is in doubt."""
    known = work.ledger.lock
    wanted, provider = set(takes), account.client.provider
    open_ = [one for one in in_doubt(known, provider.name) if one.take in wanted]
    found: dict[str, Verdict] = {}
    for one in open_:
        if "list" not in provider.spec:
            found[one.take] = Verdict(take=one.take, finding="no_list")
        elif is_strange(account, known.takes[one.take]):
            found[one.take] = Verdict(take=one.take, finding="other_account")
        elif work.now() - (one.intended or 0.0) > listing.REACH:
            found[one.take] = Verdict(take=one.take, finding="too_old")
    search = Search(work=work, account=account)
    return {**found, **await search.through([one for one in open_ if one.take not in found])}


@dataclass(kw_only=True)
class Search:
    """One look through a provider's list, with what has been learned of its tasks so far."""

    work: Work
    account: Account
    prompts: dict[str, str | None] = field(default_factory=dict)  # None for a task that has ended and never shows one
    blanks: Counter[str] = field(default_factory=Counter)
    keys: Keys = field(default_factory=lambda: Keys(own=frozenset(), foreign=frozenset(), seen=frozenset()))
    told: set[str] = field(default_factory=set)  # takes of which it was said that they are waited for

    async def through(self, takes: Sequence[Doubtful], *, patience: float = PATIENCE) -> dict[str, Verdict]:
        """Look until every take has its verdict; candidates are watched for their prompt, for `patience` seconds at most."""
        found: dict[str, Verdict] = {}
        open_ = list(takes)
        until = anyio.current_time() + patience
        while open_:
            rows = await self._rows(open_)
            try:
                verdicts = self._judged(open_, rows, is_last=anyio.current_time() >= until) if rows is not None else None
            except Refused:  # what cannot be read may own any of them
                verdicts = None
            if verdicts is None:
                return {**found, **{one.take: Verdict(take=one.take, finding="no_answer") for one in open_}}
            pauses = [one for one in verdicts.values() if not isinstance(one, Verdict)]
            found.update({take: one for take, one in verdicts.items() if isinstance(one, Verdict)})
            open_ = [one for one in open_ if one.take not in found]
            if open_:
                await anyio.sleep(jittered(min(pauses)))
        return found

    def _judged(self, takes: Sequence[Doubtful], rows: Sequence[Row], *, is_last: bool) -> dict[str, Verdict | float]:
        """A verdict on each, or the seconds until it is looked at again; nobody else of this folder binds meanwhile."""
        found: dict[str, Verdict | float] = {}
        with binding(self.work.ledger.files) as beside:
            for one in takes:
                # The lock as it is now: a reply may have come since the list was read.
                verdict = self._judge(one, rows, [self.work.ledger.lock, *beside.values()], is_last=is_last)
                found[one.take] = verdict
                if not isinstance(verdict, Verdict):
                    self._tell(one)
        return found

    def _tell(self, one: Doubtful) -> None:
        if one.take not in self.told:
            self.told.add(one.take)
            reason = "looking for its task; what could be its own shows a prompt only when it has ended"
            self.work.tell("waiting", take=one.take, reason=reason)

    async def _rows(self, takes: Sequence[Doubtful]) -> list[Row] | None:
        """The list around the takes, and the prompts of those tasks that could be theirs."""
        work, account = self.work, self.account
        # Twice the window: their clock and ours may be somewhat apart.
        spans = [(one.span[0] - WINDOW, min(one.span[1], work.now()) + WINDOW) for one in takes]
        rows = await listing.rows(account, listing.joined(spans, work.now()))
        if rows is None:
            return None
        accounts = owned([work.ledger.lock])
        self.keys = listing.keys(rows, accounts, account.name)
        if not self.keys.own and self.keys.seen and (row := await self._own_row(accounts)):
            self.keys = listing.keys([*rows, row], accounts, account.name)
        for row in rows:
            if row.task_id not in accounts and row.task_id not in self.prompts and any(self._fits(one, row) for one in takes):
                await self._ask(row)
        return rows

    async def _own_row(self, accounts: Mapping[str, str | None]) -> Row | None:
        """The list's word on the latest task that surely is this account's: it tells which key is ours."""
        mine = [task_id for task_id, account in accounts.items() if account == self.account.name]
        return await listing.row_of(self.account, mine[-1]) if mine else None

    async def _ask(self, row: Row) -> None:
        """Learn a task's prompt if it can be seen by now."""
        reply = await ask(self.account, row.task_id)
        status = answers.read_query(self.account.client.provider, reply) if reply else None
        if status is None or (status.kind == "unknown" and status.prompt is None):
            self.blanks[row.task_id] += 1
            if self.blanks[row.task_id] >= _BLANKS:
                self.prompts[row.task_id] = None  # it will not tell
        elif status.prompt is not None:
            self.prompts[row.task_id] = status.prompt
        elif status.kind in {"succeeded", "failed", "canceled"}:
            self.prompts[row.task_id] = None

    def _fits(self, one: Doubtful, row: Row) -> bool:
        model = self.work.manifest.catalog.models.get(one.model)
        names = model.names if model else (one.model,)
        start, end = one.span
        # A run that nobody here knows may have had any key.
        return row.model in names and start <= row.created <= end and (one.intended is None or self.keys.may_be_own(row))

    def _judge(self, one: Doubtful, rows: Sequence[Row], locks: Sequence[Lock], *, is_last: bool) -> Verdict | float:
        """Bind, give up, leave in doubt, or say how many seconds to wait before looking again."""
        taken, provider = owned(locks), self.account.client.provider
        free = [row for row in rows if row.task_id not in taken and self._fits(one, row)]
        if not is_last and any(row.task_id not in self.prompts for row in free):
            return provider.pace("every")
        equal = [row for row in free if self.prompts.get(row.task_id) == one.prompt]
        hidden = [row for row in free if self.prompts.get(row.task_id) is None]
        if not equal and not hidden:
            return self._absent(one)
        # A lock's own studio is met by that lock alone: no other's request can be in its list.
        asking = locks if provider.base_url else locks[:1]
        finding = self._why_not(one, equal, hidden, suspects(asking, provider.name))
        if finding:
            candidates = tuple(row.task_id for row in (*equal, *hidden))
            return Verdict(take=one.take, finding=finding, candidates=candidates, alike=len(equal))
        task_id = equal[0].task_id
        since = stamp(equal[0].said)
        self.work.ledger.note("submitted", take=one.take, attempt=one.attempt, task_id=task_id, submitted_at=since)
        self.work.tell("submitted", take=one.take, attempt=one.attempt, task_id=task_id)
        return Verdict(take=one.take, finding="bound", task_id=task_id)

    def _why_not(
        self, one: Doubtful, equal: Sequence[Row], hidden: Sequence[Row], everyone: Sequence[Doubtful]
    ) -> Finding | None:
        """What keeps a candidate from being beyond doubt; None where nothing does."""
        if len(equal) + len(hidden) > 1:
            return "several"
        if hidden:
            return "hidden"
        if one.intended is None:
            return "no_time"
        if self.keys.are_unclear:
            return "other_key"
        others = (other for other in everyone if other.attempt != one.attempt and other.prompt == one.prompt)
        return "rivals" if any(self._fits(other, equal[0]) for other in others) else None

    def _absent(self, one: Doubtful) -> Verdict | float:
        """No listed task fits: where the list is complete the request never arrived, else nobody can tell."""
        spec = self.account.client.provider.spec["list"]
        if one.intended is None or "settles" not in spec:
            return Verdict(take=one.take, finding="no_candidate")
        left = one.intended + float(spec["settles"]) - self.work.now()
        if left > 0:
            return left
        message = "the request never arrived: the provider's list has no such task"
        error = {"code": "NotAccepted", "message": message, "retryable": True, "billed": False, "refused": True}
        self.work.ledger.note("failed", take=one.take, attempt=one.attempt, error=error)
        return Verdict(take=one.take, finding="never_arrived")
