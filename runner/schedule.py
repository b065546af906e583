"""A Plan carried out: one task group, one road a take, and a stop from which the next run goes on.

A take's road: media up → a slot → the paid moment → watched until the provider's end → the slot is given back →
fetched. Only the middle holds a slot; a few takes make their media ready ahead, downloads go on behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio

from runner import fetching, media, paying, reconcile, rollcall, supply, watching
from runner.answers import Status
from runner.assets import Medium
from runner.errors import CallsheetError, Refused, TakeError
from runner.lock import Entry
from runner.lockfile import FOLD_EVERY
from runner.plan import Step
from runner.shots import Shot, is_current
from runner.turns import Turns
from runner.work import GRACE, Account, Work

_AHEAD = 4  # takes that make their media ready before there is a slot for them


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How the run ended apart from what the lock says: by which signal, if any."""

    signal: int | None = None


async def carry_out(work: Work, *, signals: bool = False) -> Outcome:
    """Do every step of the plan; failures of one take never end another. With `signals`, Ctrl-C and TERM stop calmly."""
    caught: list[int] = []
    _take_over(work)
    try:
        async with anyio.create_task_group() as group:
            work.cancel = group.cancel_scope.cancel
            if signals and threading.current_thread() is threading.main_thread() and sys.platform != "win32":
                await group.start(_listen, work, group.cancel_scope, caught)
            group.start_soon(_fold_now_and_then, work)
            for account in work.accounts.values():
                group.start_soon(rollcall.call, account, work.now)
            async with anyio.create_task_group() as takes:
                await _Road(work).all(takes.start_soon)
            group.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        raise _one_of(errors) from errors
    if work.fault:
        raise work.fault
    known = work.ledger.lock.by_shot()
    for shot in work.shots.values():
        if not caught and shot.id in known:
            _show(work, shot, known[shot.id])
    return Outcome(signal=caught[0] if caught else None)


def _one_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that says something to a person, else the first."""
    flat = [_one_of(error) if isinstance(error, BaseExceptionGroup) else error for error in errors.exceptions]
    return next((error for error in flat if isinstance(error, CallsheetError)), flat[0])


async def _listen(work: Work, scope: anyio.CancelScope, caught: list[int], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """First signal: no new submit, replies on their way are waited for. Second: leave at once, all is on disk."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        task_status.started()
        async for number in received:
            if caught:
                os._exit(128 + int(number))
            caught.append(int(number))
            work.stop()
            if work.replies_awaited:
                reason = f"stopping; waiting up to {GRACE:g} s for {work.replies_awaited} replies to requests already sent"
                work.tell("waiting", reason=reason, until=work.until(GRACE))
            scope.cancel()
            # Shielded: the second signal must still be heard while the replies are waited for.
            with anyio.CancelScope(shield=True):
                while work.replies_awaited:
                    with anyio.move_on_after(0.05):
                        async for again in received:
                            os._exit(128 + int(again))


async def _fold_now_and_then(work: Work) -> None:
    """The lock follows the journal at a distance; what must not be lost is in the journal already."""
    pause = FOLD_EVERY
    while True:
        await anyio.sleep(pause)
        began = anyio.current_time()
        work.ledger.fold()
        pause = max(FOLD_EVERY, 99 * (anyio.current_time() - began))  # a lock of very many takes is one part in a hundred too


def _take_over(work: Work) -> None:
    """Renamed shots take over the takes that have their wording, before anything else."""
    for step in work.plan.steps:
        if not step.was or step.was not in work.ledger.lock.takes:
            continue
        render = work.entry(step.was).render
        old = work.folder / render["path"] if render else None
        # The file has both names until the journal says which is right: a crash leaves one too many, never none.
        try:
            moved = old is not None and media.twin(old, work.folder / step.path)
        except TakeError as error:
            _tell(work, step.take, error)
            continue
        work.ledger.note("renamed", take=step.take, was=step.was, path=step.path if moved else None)
        if moved and old is not None:
            with suppress(OSError):  # one name too many is no reason to stop
                old.unlink(missing_ok=True)


def _show(work: Work, shot: Shot, takes: Mapping[str, Entry]) -> None:
    try:
        fetching.show(work, shot, takes)
    except CallsheetError as error:
        _tell(work, shot.id, error)


def _tell(work: Work, take: str, error: CallsheetError) -> None:
    code = error.code if isinstance(error, TakeError) else "Refused"
    work.tell("error", take=take, code=code, message=error.fact, hint=error.hint)


class _Road:
    """Every step on its way."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.turns = Turns(work.plan.doing("submit") if work.options.submit else ())
        self._failed = False

    async def all(self, start: Callable[..., object]) -> None:
        work = self.work
        for step in work.plan.doing("watch"):
            self._account(step).slots.seize()
        # What dies first comes first: renders that only wait to be fetched, then tasks by their age.
        for number, step in enumerate(sorted(work.plan.doing("watch", "fetch"), key=self._urgency)):
            # One after the other at the pace of queries: tasks that begin together take their turns in no order.
            start(self._guarded, self._resume, step, number * self._account(step).client.queries.gap)
        for name, account in work.accounts.items():
            takes = [one.take for one in reconcile.in_doubt(work.ledger.lock, name)]
            if takes:
                start(self._settle, account, takes, [work.doubt(take) for take in takes], start)
        for step in work.plan.doing("blocked"):
            work.tell("blocked", take=step.take, reason=step.reason)
        if work.options.submit:
            ahead = {name: anyio.Semaphore(account.slots.limit + _AHEAD) for name, account in work.accounts.items()}
            for name, account in work.accounts.items():
                start(self._feed, name, account, ahead[name], start)

    def _urgency(self, step: Step) -> tuple[bool, str]:
        attempt = self.work.entry(step.take).attempt
        return step.action == "watch", (attempt.submitted_at if attempt else None) or ""

    def _account(self, step: Step) -> Account:
        return self.work.accounts[step.provider]

    async def _feed(self, name: str, account: Account, ahead: anyio.Semaphore, start: Callable[..., object]) -> None:
        """Start takes by their turns, only as many as slots and a few ahead: a hundred thousand wait as plain steps."""
        while True:
            await ahead.acquire()
            step = await self.turns.next(name)
            if step is None or account.closed or self.work.stopping or (self._failed and self.work.options.fail_fast):
                ahead.release()
                self.turns.close(name, step)
                return
            start(self._guarded, self._render, step, ahead)

    async def _guarded(self, road: Callable[..., Awaitable[None]], step: Step, *rest: object) -> None:
        """One take's errors are told and end here."""
        try:
            await road(step, *rest)
        except Refused as error:
            self.work.tell("blocked", take=step.take, reason=error.fact)
        except CallsheetError as error:
            if error.exit_code == 3:
                raise  # the disk refuses the journal: nothing may go on
            _tell(self.work, step.take, error)
        except Exception as error:  # noqa: BLE001 - our own bug in one take must not cancel the others; told at the end
            self.work.fault = self.work.fault or error
        entry = self.work.ledger.lock.takes.get(step.take)
        for other, reason in self.turns.ended(step.take, entry.state if entry else None):
            self.work.tell("blocked", take=other.take, reason=reason)

    async def _settle(self, account: Account, takes: list[str], doubts: list[anyio.Event], start: Callable[..., object]) -> None:
        """Takes in doubt first: the provider's list may know them. Equal submits wait for that."""
        try:
            bound = await reconcile.settle(self.work, account, takes)
        finally:
            for doubt in doubts:
                doubt.set()
        for step in self.work.plan.doing("answer"):
            if step.take in bound:
                account.slots.seize()
                start(self._guarded, self._resume, step)
            elif step.take in takes and self._never_arrived(step):
                start(self._guarded, self._render, step, None)
            elif step.take in takes:
                self.work.tell("in_doubt", take=step.take, message="it may have been paid for; nobody but you can tell")

    async def _resume(self, step: Step, first: float = 0.0) -> None:
        """A take that the provider already has; begun `first` seconds from now."""
        account = self._account(step)
        if step.action == "fetch":
            await anyio.sleep(first)
            await fetching.bring(self.work, account, step, None)
            return
        try:
            first = max(first, watching.patience(self.work, account, step.take))
            end, status = await watching.watch(self.work, account, step.take, first=first)
        finally:
            account.slots.release()
        if end == "rendered":
            await fetching.bring(self.work, account, step, status)

    async def _render(self, step: Step, ahead: anyio.Semaphore | None) -> None:
        """A take from its media to its file, tried again where that is free and can help."""
        work, account = self.work, self._account(step)
        try:
            step, shot = supply.known(work, step)
            if supply.is_made(work, step, shot):
                work.tell("waiting", take=step.take, reason="not needed: there is a take of the very same render")
                return
            status = await self._held(step, shot, account, await supply.files(work, shot))
        finally:
            if ahead:
                ahead.release()
        if status:
            await fetching.bring(work, account, step, status)

    async def _held(self, step: Step, shot: Shot, account: Account, sent: Sequence[Medium]) -> Status | None:
        """What needs a slot: submitted and watched, again while the failure is free and can be helped."""
        work, renewed = self.work, False
        urls = await self._urls(sent, shot, account)
        while True:
            await work.settled(step, shot)
            async with _slot(account, self.turns.below(step.take)):
                if account.closed:
                    return None
                end, status = "over", None
                async with work.equal(step, shot):
                    task_id = await paying.pay(work, account, step, shot, urls)
                if task_id is not None:
                    first = max(account.client.provider.pace("first"), watching.patience(work, account, step.take))
                    end, status = await watching.watch(work, account, step.take, first=first)
            if end == "rendered":
                return status
            if end == "over" and not renewed and self._are_dead(step, shot, account, sent):
                urls, renewed = await self._urls(sent, shot, account), True
                continue
            self._failed = self._failed or end == "over"
            if end == "waiting" or task_id is None or not self._may_retry(step):
                return None

    async def _urls(self, sent: Sequence[Medium], shot: Shot, account: Account) -> dict[str, str]:
        """What the request says for each medium, by its written value."""
        return {medium.value: await account.uploads.url(medium, shot.model_name) for medium in sent}

    def _are_dead(self, step: Step, shot: Shot, account: Account, sent: Sequence[Medium]) -> bool:
        """Whether the take failed, unbilled, because its uploaded media could no longer be read: then they go up again."""
        entry = self.work.entry(step.take)
        if entry.state != "failed" or entry.error.get("billed") or self.work.stopping or not self._is_wanted(step):
            return False
        return account.uploads.forget(sent, shot.model_name, str(entry.error.get("code")))

    def _never_arrived(self, step: Step) -> bool:
        return bool(self.work.entry(step.take).error.get("refused")) and self.work.options.submit and self._is_wanted(step)

    def _may_retry(self, step: Step) -> bool:
        entry = self.work.entry(step.take)
        can = entry.state == "failed" and bool(entry.error.get("retryable")) and entry.counted < self.work.manifest.attempts
        return can and self._is_wanted(step) and not self.work.stopping

    def _is_wanted(self, step: Step) -> bool:
        """Whether the shot as now written still asks for this take: an outdated one is never paid for again."""
        shot = self.work.shots.get(step.shot)
        return shot is not None and is_current(self.work.entry(step.take), shot)


@asynccontextmanager
async def _slot(account: Account, below: int) -> AsyncIterator[None]:
    await account.slots.acquire(below)
    try:
        yield
    finally:
        account.slots.release()
