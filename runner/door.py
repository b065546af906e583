"""Manifest, lock and plan → what the library and the command line do with them; met as `runner.read`, `runner.run` and so on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import folder, lockfile
from runner import plan as plans
from runner.budget import Caps
from runner.lock import Lock
from runner.lockfile import Files, Ledger
from runner.outputs.data import plan_json
from runner.plan import Plan, Step
from runner.report import Report, report
from runner.shots import Manifest, lock_path

if TYPE_CHECKING:
    from runner.adopting import Adopted, Declined
    from runner.answering import Reconciled
    from runner.canceling import Canceled
    from runner.claiming import Claim, Claimed
    from runner.litter import Found, Kind


@dataclass(kw_only=True)
class Held:
    """A manifest's lock while this process is the only one that may write it."""

    manifest: Manifest
    files: Files
    ledger: Ledger

    @property
    def lock(self) -> Lock:
        return self.ledger.lock

    def refresh(self) -> Lock:
        """Read lock, journal and folder anew; needed after the ledger has closed."""
        self.ledger.lock = known(self.manifest)
        return self.ledger.lock


def known(manifest: Manifest) -> Lock:
    """What lock, journal and folder say, without holding the lock: for looking, also while a run is alive."""
    return folder.look(lockfile.load(files_of(manifest)), manifest)


def known_alone(path: Path, profile: str | None = None) -> Lock:
    """What lock and journal say where the manifest itself cannot be read."""
    return lockfile.load(Files(lock=lock_path(path.absolute(), profile)))


def again(held: Held, steps: Sequence[Step]) -> None:
    """Allow a new, paid attempt for the takes of these steps; `decide` then submits them."""
    for number, step in enumerate(steps, 1):
        told = {"fingerprint": step.fingerprint, "provider": step.provider, "model": step.model}
        held.ledger.note("wanted", sync=number == len(steps), take=step.was or step.take, **told)  # one fsync is for all
    held.ledger.close()
    held.refresh()


def give_up(held: Held, takes: Sequence[str]) -> None:
    """Lay outdated takes in doubt to rest: nobody asks about them any more, and they count as paid."""
    error = {"code": "GivenUp", "message": "it was in doubt, and is given up", "retryable": False, "billed": None}
    for number, take in enumerate(takes, 1):
        attempt = held.lock.takes[take].attempt
        if attempt and attempt.is_in_doubt:
            held.ledger.note("failed", sync=number == len(takes), take=take, attempt=attempt.id, error=error)
    held.ledger.close()
    held.refresh()


def files_of(manifest: Manifest) -> Files:
    return Files(lock=lock_path(manifest.path.absolute(), manifest.profile))


@contextmanager
def hold(manifest: Manifest) -> Iterator[Held]:
    """Be the only one to write this manifest's lock. Raises LockHeld, which says who is."""
    files = files_of(manifest)
    with lockfile.held(files):
        ledger = Ledger(files, known(manifest))
        try:
            yield Held(manifest=manifest, files=files, ledger=ledger)
        finally:
            ledger.abandon()


def decide(manifest: Manifest, lock: Lock, *, only: Sequence[str] | None = None, now: float | None = None) -> Plan:
    """What a run would do, step by step; `only` names the shots or takes that may be submitted."""
    chosen = None if only is None else frozenset(only)
    return plans.decide(manifest, lock, only=chosen, now=time.time() if now is None else now)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Way:
    """How a run was asked to go about it."""

    submit: bool = True
    fail_fast: bool = False
    caps: Caps = field(default_factory=Caps)
    trust: tuple[str, ...] = ()
    in_flight: int | None = None
    signals: bool = False


def _ignore(_: dict[str, Any]) -> None:
    pass


def _trusted(trust: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    return (*trust, *environ.get("CALLSHEET_TRUST_HOSTS", "").split(","))


async def run(
    plan: Plan,
    held: Held,
    on_event: Callable[[dict[str, Any]], None] = _ignore,
    *,
    submit: bool = True,
    fail_fast: bool = False,
    max_cost: Caps | None = None,
    trust: Sequence[str] = (),
    in_flight: int | None = None,
    signals: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Report:
    """Carry a plan out and report. Under asyncio and trio; raises Refused before anything is sent.

    `submit=False` only watches and fetches; `max_cost` caps this run; `trust` are `VAR=HOST[:PORT]` pairs; with `signals`
    Ctrl-C and TERM stop calmly, and the report's exit code is 130 or 143.
    """
    from runner import gates  # the road to the network: not loaded by commands that only look

    way = _Way(
        submit=submit,
        fail_fast=fail_fast,
        caps=max_cost or Caps(),
        trust=_trusted(trust, environ),
        in_flight=in_flight,
        signals=signals,
    )
    if not submit:
        plan = replace(plan, steps=tuple(step for step in plan.steps if step.action != "submit"))
    gates.check_lock(plan, held.lock)
    gates.check_strays(plan, held.files)
    gates.check_spending(plan, held.lock, way.caps, environ)
    keys = gates.keys(plan, held.lock, environ, way.trust)
    signal = await _carried_out(plan, held, on_event, way, keys)
    lock = held.refresh()
    after = decide(held.manifest, lock, only=sorted({step.take for step in plan.steps}) if plan.is_partial else None)
    found = report(lock, after)
    if signal:
        found = replace(found, data={**found.data, "exit_code": 128 + signal}, exit_code=128 + signal)
    return found


async def _carried_out(
    plan: Plan,
    held: Held,
    on_event: Callable[[dict[str, Any]], None],
    way: _Way,
    keys: Mapping[str, str | None],
) -> int | None:
    """Open what the plan speaks to, do it, close everything; the signal that stopped it, if any."""
    from runner import accounts, schedule
    from runner.work import Options, Work

    async with accounts.opened(
        plan.manifest, held.files, keys, trust=way.trust, now=time.time, in_flight=way.in_flight
    ) as opened:
        options = Options(submit=way.submit, fail_fast=way.fail_fast, run_caps=way.caps)
        work = Work(manifest=plan.manifest, plan=plan, ledger=held.ledger, accounts=opened, options=options, on_event=on_event)
        work.tell("plan", **plan_json(plan))
        try:
            outcome = await schedule.carry_out(work, signals=way.signals)
        except BaseException:
            held.ledger.abandon()
            raise
        held.ledger.close()
    return outcome.signal


async def adopt(
    held: Held, pairs: Sequence[tuple[str, str]], *, trust: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> list[Adopted | Declined]:
    """Bind tasks that a person knows, as (take, task id), each after its provider was asked; one answer a pair."""
    from runner import answering

    asker = answering.Asker(environ=environ, trust=_trusted(trust, environ), on_event=_ignore)
    found = await answering.adopt(decide(held.manifest, held.lock), held.ledger, pairs, asker)
    held.refresh()
    return found


async def settle(
    held: Held,
    on_event: Callable[[dict[str, Any]], None] = _ignore,
    *,
    trust: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Reconciled:
    """Reconcile every take in doubt with its provider's task list; what is beyond doubt is bound, the rest has a reason."""
    from runner import answering

    asker = answering.Asker(environ=environ, trust=_trusted(trust, environ), on_event=on_event)
    found = await answering.reconciled(decide(held.manifest, held.lock), held.ledger, asker)
    held.refresh()
    return found


async def cancel(
    held: Held, takes: Sequence[str], *, trust: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> dict[str, Canceled]:
    """Cancel submitted takes where their provider does that; only what it says is canceled leaves the state `submitted`."""
    from runner import answering

    asker = answering.Asker(environ=environ, trust=_trusted(trust, environ), on_event=_ignore)
    found = await answering.cancel(decide(held.manifest, held.lock), held.ledger, takes, asker)
    held.refresh()
    return found


def cleanable(manifest: Manifest, lock: Lock, *, kinds: Collection[Kind] | None = None) -> Found:
    """Takes and caches that may be deleted, of these kinds or all, and those that stay and why; deletes nothing."""
    from runner import cleaning, litter

    chosen = litter.KINDS if kinds is None else kinds
    return cleaning.find(decide(manifest, lock), lock, files_of(manifest), kinds=chosen, now=time.time())


def clean(held: Held, found: Found) -> Found:
    """Delete what `cleanable` has found, each file judged once more; what went, and what stayed and why."""
    from runner import cleaning

    try:
        return cleaning.delete(found, held.ledger)
    finally:
        held.ledger.close()
        held.refresh()


def claim(
    held: Held,
    folders: Sequence[str | Path],
    takes: Sequence[str] | None = None,
    on_found: Callable[[Claim], None] = lambda _: None,
) -> Claimed:
    """Take in renders from other folders, recognised by sha256: of saved takes whose files are not here. Sends nothing."""
    from runner import claiming

    chosen = claiming.wanted(held.lock) if takes is None else takes
    places = [Path(one) for one in folders]
    try:
        return claiming.claim(held.manifest.folder, held.ledger, places, chosen, on_found)
    finally:
        held.ledger.close()
        held.refresh()


async def cancel_beside(
    manifest: Manifest, takes: Sequence[str], *, trust: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> dict[str, Canceled]:
    """Cancel submitted takes of a run that is alive and has the lock: nothing is written, that run hears of it and goes on."""
    from runner import answering

    asker = answering.Asker(environ=environ, trust=_trusted(trust, environ), on_event=_ignore)
    ledger = Ledger(files_of(manifest), known(manifest))
    return await answering.cancel_beside(decide(manifest, ledger.lock), ledger, takes, asker)
