"""A safeguard's name → the product without it, in this process only: so that each test can be seen to fail.

`CALLSHEET_WITHOUT=NAME pytest tests/faults/…` runs the tests against a product that lacks it; the page does so for each
row of SAFEGUARDS, and says which test noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

LIES: list[str] = []  # names whose fsync does nothing on the lossy disk
POINTS = "tests/faults/test_points.py::test_killed_at_any_point_the_next_run_goes_on_and_nothing_is_paid_twice"
POWER = "tests/faults/test_lossy.py::test_the_power_goes_at_any_point_and_nothing_is_lost"
PAIR = "tests/faults/test_kills.py::test_of_two_runs_one_pays_and_the_other_stops_at_once_and_names_it"
MACHINE = "tests/faults/test_machine.py"
SOAK = "tests/faults/test_soak.py"


@dataclass(frozen=True)
class Safeguard:
    """What keeps a promise, how it is taken out, and the test that must then fail."""

    says: str
    take_out: Callable[[], None]
    test: str


def take_out(name: str) -> None:
    SAFEGUARDS[name].take_out()


def _lie(pattern: str) -> Callable[[], None]:
    return lambda: LIES.append(pattern)


def _no_intent() -> None:
    """The intent is kept in memory, and written with whatever comes next."""
    from runner import lock as locks
    from runner.lockfile import Ledger

    note = Ledger.note
    late: list[tuple[str, dict[str, Any]]] = []

    def careless(self: Ledger, event: str, **fields: Any) -> Any:
        if event == "intended":
            late.append((event, fields))
            record = {"event": event, "at": "2026-11-21T00:00:00Z", **fields}
            self.lock = locks.apply(self.lock, record)
            return record
        while late:
            name, kept = late.pop(0)
            note(self, name, **kept)
        return note(self, event, **fields)

    Ledger.note = careless  # type: ignore[method-assign]


def _retry_doubt() -> None:
    """What is in doubt counts as refused for the moment, and is sent again."""
    from runner import paying
    from runner.answers import Doubt, Refusal

    once = paying._once

    async def careless(*args: Any) -> Any:
        outcome = await once(*args)
        why = getattr(outcome, "why", "")
        return (
            Refusal(code="Doubt", message=why, retry=True, stop=False, retry_after=0.01)
            if isinstance(outcome, Doubt)
            else outcome
        )

    paying._once = careless


def _resubmit_doubt() -> None:
    """A take in doubt from an earlier run is planned as a new submit."""
    from runner import fate

    known = fate.of

    def careless(entry: Any, *rest: Any) -> Any:
        return ("submit", "again") if entry.state == "intended" else known(entry, *rest)

    fate.of = careless


def _no_list() -> None:
    from runner import paying, schedule

    async def nothing(*_: Any, **__: Any) -> dict[str, str]:
        return {}

    async def none(*_: Any, **__: Any) -> None:
        return None

    schedule.reconcile.settle = nothing  # type: ignore[assignment]
    paying.reconcile.now = none  # type: ignore[assignment]


def _no_guard() -> None:
    from runner import lockfile

    @contextmanager
    def open_door(_: Any) -> Iterator[None]:
        lockfile.prepare(_.state)
        yield

    lockfile.held = open_door


def _no_holder() -> None:
    """The guard stands, but the note says nothing of who has it."""
    from runner import lockfile

    lockfile._holder = lambda _: {}


def _no_torn_end() -> None:
    """A torn last line is left where it is, and the next record is glued to it."""
    from runner import journal

    journal.os = _Os(journal.os)  # type: ignore[assignment]


class _Os:
    def __init__(self, real: Any) -> None:
        self._real = real

    def ftruncate(self, *_: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _no_journal() -> None:
    """Lock and journal are not told together: what the lock says is all."""
    from runner import lockfile

    lockfile.united = lambda lock, journal: lock if lock.takes else journal


def _no_numbers() -> None:
    """The next take has the lowest number that is free now."""
    from runner.lock import Lock, number_of, shot_of

    def lowest(self: Lock, shot: str, taken: Any = ()) -> int:
        there = {number_of(key) for key in (*self.takes, *taken) if shot_of(key) == shot}
        return next(number for number in range(1, 1000) if number not in there)

    Lock.next_number = lowest  # type: ignore[method-assign]
    Lock.numbers = lambda self: {shot: lowest(self, shot) - 1 for shot in set(map(shot_of, self.takes))}  # type: ignore[method-assign]


def _no_shield() -> None:
    from runner.work import Work

    Work.paid_moment = lambda self: nullcontext()  # type: ignore[assignment, method-assign]


def _no_orphan() -> None:
    """A lock that names a run whose journal is not here submits all the same."""
    from runner import gates

    gates.check_lock = lambda *_: None


def _no_check() -> None:
    """A download is not decoded."""
    from runner import download

    facts = {"width": 1, "height": 1, "fps": 1.0, "sound": False, "seconds": 1.0}
    download._facts = lambda _: facts


def _in_place() -> None:
    """A render grows under its final name."""
    from runner import fetching

    tried = fetching._tried

    async def careless(work: Any, account: Any, step: Any, url: Any, part: Any, **how: Any) -> Any:
        final = work.folder / step.path
        final.parent.mkdir(parents=True, exist_ok=True)
        return await tried(work, account, step, url, final, **how)

    fetching._tried = careless
    fetching.media.place = lambda part, final: None


def _paid_again() -> None:
    """A lost task is planned as a new submit."""
    from runner import fate

    known = fate.of

    def careless(entry: Any, *rest: Any) -> Any:
        return ("submit", "lost") if entry.state == "lost" else known(entry, *rest)

    fate.of = careless


def _unknown_is_lost() -> None:
    """One UNKNOWN ends a take, and it is submitted again."""
    from runner import watching

    watching.is_expired = lambda *_: True
    _paid_again()


SAFEGUARDS = {
    "intent-first": Safeguard("the intent is on disk before the request leaves", _no_intent, f"{POINTS}[studio]"),
    "intent-fsync": Safeguard("the journal is fsynced", _lie("*.journal"), f"{POWER}[apiyi, lost reply]"),
    "render-fsync": Safeguard("a render is fsynced before it has its name", _lie("*.part"), f"{POWER}[studio]"),
    "lock-fsync": Safeguard("the lock is fsynced before it replaces the old one", _lie("*.lock.tmp"), f"{POWER}[studio]"),
    "folder-fsync": Safeguard("folders are fsynced after a new name", _lie("/"), f"{POWER}[studio]"),
    "doubt-is-no-refusal": Safeguard("what is in doubt is never sent again by the run", _retry_doubt, f"{POINTS}[apiyi, lost reply]"),
    "doubt-is-no-step": Safeguard("what is in doubt is never sent again by the next run", _resubmit_doubt, f"{POINTS}[opeai, lost reply]"),
    "list": Safeguard("a lost reply is looked for in the provider's list", _no_list, f"{POINTS}[paid without an id, found in the list]"),
    "guard": Safeguard("one run at a time", _no_guard, f"{PAIR}[together]"),
    "torn-end": Safeguard("a torn end of the journal is cut off", _no_torn_end, f"{POINTS}[studio]"),
    "journal": Safeguard("the journal outlives an older lock", _no_journal, MACHINE),
    "numbers": Safeguard("a take number is never used twice", _no_numbers, MACHINE),
    "shield": Safeguard("nothing interrupts the paid moment", _no_shield, MACHINE),
    "named-run": Safeguard("a lock whose run's journal is missing submits nothing", _no_orphan, MACHINE),
    "lost-is-asked": Safeguard("what is lost is a question, not a submit", _paid_again, MACHINE),
    "unknown-is-borne": Safeguard("UNKNOWN for a while ends no take", _unknown_is_lost, MACHINE),
    "checked": Safeguard("a render is checked before it has its name", _no_check, f"{POINTS}[an expired link, a cut and a damaged download]"),
    "beside": Safeguard("a render grows beside its final name", _in_place, f"{POINTS}[opeai]"),
}  # fmt: skip
