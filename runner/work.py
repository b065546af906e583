"""What all takes of one run share: the ledger, the clients, the events, and the word to stop."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from runner import explain
from runner.budget import Caps, Tally, check
from runner.client import Client
from runner.clock import stamp
from runner.errors import Refused
from runner.learned import Durations
from runner.lock import Entry
from runner.lockfile import Ledger
from runner.plan import Plan, Step
from runner.roll import Roll
from runner.shots import Manifest, Shot
from runner.slots import Slots
from runner.uploads import Uploads

GRACE = 10.0  # seconds that a reply on its way is waited for after the first Ctrl-C
Event = Mapping[str, Any]


@dataclass(kw_only=True)
class Account:
    """One provider in this run: its client, its slots, and whether it still takes submits."""

    client: Client
    name: str
    slots: Slots
    uploads: Uploads
    closed: str | None = None  # why no further submit goes there in this run
    narrowed_until: float = 0.0  # until then a refusal is one of the same crowd

    def __post_init__(self) -> None:
        provider = self.client.provider
        every = provider.pace("every") if provider.is_loopback else max(provider.pace("every"), provider.pace("floor"))
        pages = provider.spec.get("list")
        self.roll = Roll(every, crowd=pages.get("page_size", 10) if pages else None)


@dataclass(kw_only=True)
class Options:
    """How this run may go about it."""

    submit: bool = True
    fail_fast: bool = False
    run_caps: Caps = field(default_factory=Caps)


@dataclass(kw_only=True)
class Work:
    """One run's shared state; created and ended by `schedule`."""

    manifest: Manifest
    plan: Plan
    ledger: Ledger
    accounts: Mapping[str, Account]
    options: Options
    on_event: Callable[[dict[str, Any]], None]
    now: Callable[[], float] = time.time
    downloads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(4))
    stopping: bool = False
    fault: Exception | None = None  # what broke that is nobody's take; raised when all is written down
    cancel: Callable[[], None] = lambda: None
    _seq: int = 0
    _paying: set[anyio.CancelScope] = field(default_factory=set)
    _equal: dict[tuple[Any, ...], anyio.Lock] = field(default_factory=dict)
    _doubtful: dict[tuple[Any, ...], anyio.Event] = field(default_factory=dict)
    _mine: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.shots = {shot.id: shot for shot in self.manifest.shots}
        self.tally = Tally()
        self.before = self.tally.of(self.ledger.lock)
        self.durations = Durations.of(self.ledger.lock.takes.values())

    @property
    def folder(self) -> Path:
        return self.manifest.folder

    def entry(self, take: str) -> Entry:
        return self.ledger.lock.takes[take]

    def tell(self, event: str, **fields: Any) -> None:
        """One event to whoever listens."""
        if self.fault:
            return
        said = {name: value for name, value in fields.items() if value is not None}
        try:
            self.on_event({"event": event, "at": stamp(self.now()), "run": self.ledger.run, "seq": self._seq, **said})
        except Exception as error:  # noqa: BLE001 - a listener that breaks (a closed pipe) must not break into the paid moment
            self.fault = error
            self.stop()
            self.cancel()
        self._seq += 1

    def tell_failed(self, take: str, attempt: str, error: Mapping[str, Any]) -> None:
        """A take that failed, in the provider's words and in ours."""
        model = self.manifest.catalog.models.get(self.entry(take).model or "")
        told = {name: error[name] for name in ("code", "message", "retryable")}
        self.tell("failed", take=take, attempt=attempt, **told, hint=explain.hint(error, model))

    def until(self, pause: float) -> str:
        return stamp(self.now() + pause)

    @contextmanager
    def paid_moment(self) -> Iterator[anyio.CancelScope]:
        """From the intent to the noted reply nothing may come between; at most the grace once a stop was asked for."""
        with anyio.CancelScope(shield=True) as scope:
            self._paying.add(scope)
            if self.stopping:
                scope.deadline = anyio.current_time() + GRACE
            try:
                yield scope
            finally:
                self._paying.discard(scope)

    @property
    def replies_awaited(self) -> int:
        return len(self._paying)

    def stop(self) -> None:
        """No new submit; replies on their way get the grace."""
        self.stopping = True
        for scope in self._paying:
            scope.deadline = anyio.current_time() + GRACE

    def equal(self, step: Step, shot: Shot) -> anyio.Lock:
        """Submits that a provider's list could not tell apart go one after the other."""
        return self._equal.setdefault((step.provider, shot.model.id, shot.prompt), anyio.Lock())

    def doubt(self, take: str) -> anyio.Event:
        """Equal submits wait until a take in doubt is settled; the event says that it is."""
        entry = self.entry(take)
        model = self.manifest.catalog.models.get(entry.model or "")
        key = (entry.provider, model.id if model else entry.model, entry.request.get("prompt"))
        return self._doubtful.setdefault(key, anyio.Event())

    async def settled(self, step: Step, shot: Shot) -> None:
        if event := self._doubtful.get((step.provider, shot.model.id, shot.prompt)):
            await event.wait()

    def check_caps(self, step: Step) -> None:
        """The last look before money is spent: over the lock by the manifest's budget, for this run by its own caps."""
        cost, seconds = [step.cost], [step.seconds]
        if step.cost is not None and step.cost.basis == "free":
            return
        known = self.tally.of(self.ledger.lock)
        check(Caps.of(self.manifest.budget), known, cost=cost, seconds=seconds, what="the budget")
        run = type(known)(
            spent={name: known.of(name) - self.before.of(name) for name in {*known.spent, *known.under_way, *known.in_doubt}},
            under_way={},
            in_doubt={},
            seconds=known.seconds - self.before.seconds,
            takes=known.takes - self.before.takes,
            unpriced=known.unpriced - self.before.unpriced,
        )
        check(self.options.run_caps, run, cost=cost, seconds=seconds, what="this run")

    def intend(self, step: Step, shot: Shot, account: Account, attempt: str) -> int | None:
        """On disk before the request leaves; returns the take's seed, drawn and pinned at the first intent."""
        if self.stopping or account.closed:
            raise Refused(account.closed or "the run is stopping")
        self.check_caps(step)
        known = self.ledger.lock.takes.get(step.take)
        seed = known.seed if known and known.attempts else step.seed
        if seed is None and shot.has_seed:
            seed = secrets.randbelow(2**30)
        self.ledger.name_run()
        self.ledger.note(
            "intended",
            take=step.take,
            attempt=attempt,
            fingerprint=step.fingerprint,
            seed=seed,
            provider=step.provider,
            model=step.model,
            request=shot.request(),
            account=account.name,
            host=account.client.host,
            reserved=step.cost.said() if step.cost else None,
            seconds=step.seconds,
        )
        return seed


def new_attempt() -> str:
    return uuid.uuid4().hex
