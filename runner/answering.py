"""What a person answers, carried out: adopt a task, reconcile with the provider's list, cancel. Submits nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from runner import accounts, adopting, canceling, gates, listing, lockfile, reconcile, stranded
from runner.adopting import Adopted, Claim, Declined, Pair
from runner.canceling import Canceled
from runner.errors import Refused
from runner.lock import Entry, Lock, Run
from runner.lockfile import Ledger
from runner.plan import Plan
from runner.reconcile import Search, Verdict
from runner.work import Account, Options, Work


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """Who asks: the environment with the keys, whom they are trusted to, and who hears of it."""

    environ: Mapping[str, str]
    trust: tuple[str, ...]
    on_event: Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconciled:
    """A verdict on every take in doubt; `run` is the one that the lock named without its journal, `is_settled` whether no more."""

    verdicts: tuple[Verdict, ...]
    run: Run | None
    is_settled: bool


@asynccontextmanager
async def _at_work(plan: Plan, ledger: Ledger, asker: Asker, names: Iterable[str], *, writes: bool = True) -> AsyncIterator[Work]:
    """The providers of these names opened as a run would; the lock is folded at the end, if it is ours to write."""
    providers = plan.manifest.catalog.providers
    keys: dict[str, str | None] = {}
    for name in dict.fromkeys(names):
        if name not in providers:
            fact = f'the lock has takes of provider "{name}", which this manifest does not know'
            raise Refused(fact, hint="put it back under providers:")
        keys[name] = gates.key_of(providers[name], asker.environ, asker.trust)
    async with accounts.opened(plan.manifest, ledger.files, keys, trust=asker.trust, now=ledger.now) as made:
        yield Work(
            manifest=plan.manifest,
            plan=plan,
            ledger=ledger,
            accounts=made,
            options=Options(submit=False),
            on_event=asker.on_event,
        )
    if writes:
        ledger.close()


async def adopt(plan: Plan, ledger: Ledger, pairs: Sequence[Pair], asker: Asker) -> list[Adopted | Declined]:
    """Bind tasks that a person knows; one answer a pair, in their order."""
    found = {number: adopting.claim(plan, ledger.lock, pair) for number, pair in enumerate(pairs)}
    claims = {number: one for number, one in found.items() if isinstance(one, Claim)}
    answers: dict[int, Adopted | Declined] = {number: one for number, one in found.items() if not isinstance(one, Claim)}
    if claims:
        async with _at_work(plan, ledger, asker, (one.provider for one in claims.values())) as work:
            answers.update(zip(claims, await adopting.adopt(work, list(claims.values())), strict=True))
    return [answers[number] for number in range(len(pairs))]


async def cancel(plan: Plan, ledger: Ledger, takes: Sequence[str], asker: Asker) -> dict[str, Canceled]:
    """Cancel takes that are submitted."""
    entries = [ledger.lock.takes[take] for take in takes]
    async with _at_work(plan, ledger, asker, (entry.provider or "" for entry in entries)) as work:
        return await canceling.cancel(work, takes)


async def cancel_beside(plan: Plan, ledger: Ledger, takes: Sequence[str], asker: Asker) -> dict[str, Canceled]:
    """Cancel takes of a run that is alive, which has the lock: it hears of it from the provider, and writes it down.

    An embedded studio lives in that run and cannot be met from outside.
    """
    providers = plan.manifest.catalog.providers
    known = ledger.lock
    names = {take: known.takes[take].provider or "" for take in takes}
    out = {take: name for take, name in names.items() if name not in providers or providers[name].base_url}
    async with _at_work(plan, ledger, asker, out.values(), writes=False) as work:
        found = await canceling.cancel(work, list(out), notes=False)
    return {take: found[take] if take in found else canceling.embedded(known, take) for take in takes}


async def reconciled(plan: Plan, ledger: Ledger, asker: Asker) -> Reconciled:
    """Look for every take in doubt in its provider's list, then into the run that the lock names without its journal."""
    known, run = ledger.lock, ledger.lock.orphaned_run
    lockfile.beside(ledger.files)  # a lock of this folder that cannot be read may own any task: said before anything is asked
    doubtful = {take: entry for take, entry in known.takes.items() if entry.state == "intended"}
    steps = stranded.suspected(plan, known) if run else []
    names = [entry.provider or "" for entry in doubtful.values()] + [step.provider for step in steps]
    providers = plan.manifest.catalog.providers
    listed = [name for name in names if name not in providers or "list" in providers[name].spec]
    if not names and not run:
        return Reconciled(verdicts=(), run=None, is_settled=True)
    async with _at_work(plan, ledger, asker, listed) as work:
        found = await _looked(work, doubtful)
        is_settled = True
        if run:
            left = await stranded.look(work, run)
            is_settled = stranded.leave(work, left)
            found.update({take: verdict for take, verdict in left.items() if verdict.finding != "no_candidate"})
    return Reconciled(verdicts=tuple(found.values()), run=run, is_settled=is_settled)


async def _looked(work: Work, doubtful: Mapping[str, Entry]) -> dict[str, Verdict]:
    """A verdict on each of these takes, all providers at once, in the lock's order."""
    found = {take: Verdict(take=take, finding="no_list") for take in doubtful}

    async def at(account: Account) -> None:
        name = account.client.provider.name
        takes = [take for take, entry in doubtful.items() if entry.provider == name]
        found.update(await reconcile.look(work, account, takes))
        unseen = reconcile.unseen(Lock(takes=doubtful), name, since=work.now() - listing.REACH)
        found.update(await Search(work=work, account=account).through(unseen, patience=0.0))

    async with anyio.create_task_group() as group:
        for account in work.accounts.values():
            group.start_soon(at, account)
    return found
