"""What is known of every take: entries, their states, and how a journal's record moves them. Pure values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from runner.money import Money
from runner.takes import Takes

VERSION = 1
State = Literal["wanted", "intended", "submitted", "rendered", "saved", "failed", "canceled", "lost"]
STATES: tuple[State, ...] = get_args(State)
# How far a take's latest attempt has come; between two accounts of it the further one is true. `wanted` is said
# after an attempt has ended (`again`) or before there is any, so of one latest attempt it is the later word.
_ORDER: tuple[State, ...] = ("intended", "submitted", "rendered", "failed", "canceled", "lost", "saved", "wanted")
_RANK: Mapping[str, int] = {state: rank for rank, state in enumerate(_ORDER)}


class LockDamaged(Exception):
    """The lock's content is not what this program writes; the text says where and what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One submit. `reserved` is what it may cost; `cost` what it did, by the reply's usage."""

    id: str
    task_id: str | None = None
    request_id: str | None = None
    account: str | None = None
    host: str | None = None
    intended_at: str | None = None
    submitted_at: str | None = None
    ended_at: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    reserved: Money | None = None
    seconds: float | None = None
    cost: Money | None = None
    actual_prompt: str | None = None
    error: Mapping[str, Any] | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Sent perhaps, and nothing known of what became of it."""
        return self.task_id is None and self.error is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One take. `render` is set once its file is checked, `cleaned_at` once `clean` deletes it; `was` are keys before a rename."""

    state: State
    fingerprint: str | None = None
    seed: int | None = None
    provider: str | None = None
    model: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    render: Mapping[str, Any] | None = None
    attempts: tuple[Attempt, ...] = ()
    was: tuple[str, ...] = ()
    cleaned_at: str | None = None

    @property
    def attempt(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def error(self) -> Mapping[str, Any]:
        """The latest attempt's error, empty where there is none."""
        return (self.attempt.error if self.attempt else None) or {}

    @property
    def is_open(self) -> bool:
        """Asked for by `retake` and not begun: of no wording yet, it is made from the shot as it then stands."""
        return self.state == "wanted" and self.fingerprint is None and not self.attempts

    @property
    def counted(self) -> int:
        """Attempts that count against the manifest's `attempts`: a refusal that only asked for patience does not."""
        return sum(1 for attempt in self.attempts if not (attempt.error or {}).get("refused"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The run that a lock names: it has intended something and has not ended."""

    id: str
    host: str
    since: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """All that is known, and of this folder: whose files are `here`, what stands in the way (`foreign`).

    `absent` are takes whose provider has said that it no longer has the render; `serial` changes with every record,
    so that an old plan can be told. `picked_at` is when, of the picks that this journal has. `orphaned_run` is the run that
    the lock names when its journal is not here.
    """

    takes: Mapping[str, Entry] = field(default_factory=dict)
    picked: Mapping[str, str] = field(default_factory=dict)
    picked_at: Mapping[str, str] = field(default_factory=dict)
    run: Run | None = None
    here: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    serial: str = ""
    orphaned_run: Run | None = None

    def by_shot(self) -> dict[str, dict[str, Entry]]:
        """All takes, by shot, each shot's in their order."""
        found: dict[str, dict[str, Entry]] = {}
        for key in sorted(self.takes, key=number_of):
            found.setdefault(shot_of(key), {})[key] = self.takes[key]
        return found

    def of_shot(self, shot: str) -> dict[str, Entry]:
        """A shot's takes by key, in their order."""
        takes = self.takes
        keys = takes.of(shot) if isinstance(takes, Takes) else [key for key in takes if shot_of(key) == shot]
        return {key: takes[key] for key in sorted(keys, key=number_of)}

    def numbers(self) -> dict[str, int]:
        """The highest number that each shot ever had, for those who ask for many shots."""
        found: dict[str, int] = {}
        for keys in (self.used, self.takes, *(entry.was for entry in self.takes.values() if entry.was)):
            for key in keys:
                shot, _, number = key.rpartition("@")
                if found.get(shot, 0) < int(number):
                    found[shot] = int(number)
        return found

    def next_number(self, shot: str, taken: Iterable[str] = ()) -> int:
        """One more than any number this shot ever had: a take number is never used twice."""
        keys = {*self.used, *taken, *self.takes, *(key for entry in self.takes.values() for key in entry.was)}
        return 1 + max((number_of(key) for key in keys if shot_of(key) == shot), default=0)


def shot_of(key: str) -> str:
    return key.rpartition("@")[0]


def number_of(key: str) -> int:
    return int(key.rpartition("@")[2])


def apply(known: Lock, record: Mapping[str, Any]) -> Lock:
    """One record of the journal → the lock after it. Records may be seen twice; the result is the same.

    `known` records carry an Entry. `known.takes` must be a dict of the caller's own: it is changed in place, since a run makes many records.
    """
    take, kind = record.get("take"), record["event"]
    takes: Any = known.takes
    match kind:
        case "picked":
            picked = {shot: key for shot, key in {**known.picked, record["shot"]: record["take"]}.items() if key}
            return replace(known, picked=picked, picked_at={**known.picked_at, record["shot"]: record.get("at", "")})
        case "unwanted":
            takes.pop(take, None)
            return known
        case "run" | "settled":
            return known
        case "renamed":
            return _renamed(known, record)
        case "absent":
            return replace(known, absent=known.absent | {str(take)})
        case "known":
            entry = record["entry"]
            takes[take] = both(takes[take], entry) if take in takes else entry
            return known
    takes[take] = advanced(takes.get(take), record)
    is_back = take in known.absent and kind in {"intended", "adopted", "saved"}
    return replace(known, absent=known.absent - {str(take)}) if is_back else known


def _renamed(known: Lock, record: Mapping[str, Any]) -> Lock:
    takes: Any = known.takes
    entry = takes.pop(record["was"], None)
    if entry is None:
        return known
    render = {**entry.render, "path": record["path"]} if entry.render and record.get("path") else entry.render
    takes[record["take"]] = replace(entry, render=render, was=(*entry.was, record["was"]))
    picked = {shot: key for shot, key in known.picked.items() if key != record["was"]}
    if known.picked.get(shot_of(record["was"])) == record["was"]:
        picked[shot_of(record["take"])] = record["take"]
    return replace(known, picked=picked)


def advanced(before: Entry | None, record: Mapping[str, Any]) -> Entry:
    """A take's entry after one record about it."""
    match record["event"]:
        case "wanted":
            named = {name: record.get(name) for name in ("fingerprint", "seed", "provider", "model")}
            return replace(before or Entry(state="wanted", **named), state="wanted")  # type: ignore[arg-type]
        case "intended" | "doubted":
            return _intended(before, record)
        case "adopted":
            return _adopted(before, record)
        case "submitted":
            return _with(
                before,
                record,
                "submitted",
                task_id=record["task_id"],
                request_id=record.get("request_id"),
                submitted_at=record.get("submitted_at", record["at"]),
                error=None,
            )
        case "rendered":
            fields = {name: record[name] for name in ("usage", "actual_prompt") if record.get(name) is not None}
            return _with(before, record, "rendered", ended_at=record["at"], cost=_money(record.get("cost")), **fields)
        case "fetched":
            return replace(_known(before, record), render=record["render"])
        case "saved":
            return replace(_known(before, record), state="saved", render=record["render"], cleaned_at=None)
        case "cleaned":
            return replace(_known(before, record), cleaned_at=record["at"])
        case "failed" | "canceled" | "lost" as state:
            return _with(before, record, state, ended_at=record["at"], error=record.get("error"))
        case other:
            raise LockDamaged(f'unknown record "{other}" in the journal')


def _known(before: Entry | None, record: Mapping[str, Any]) -> Entry:
    if before is None:
        raise LockDamaged(f'the journal speaks of "{record.get("take")}" before its beginning')
    return before


def _intended(before: Entry | None, record: Mapping[str, Any]) -> Entry:
    """A new attempt. One that is only `doubted` may have been made by a run whose journal is not here, nobody knows when."""
    base = before or Entry(state="intended")
    attempt = Attempt(
        id=record["attempt"],
        account=record.get("account"),
        host=record.get("host"),
        intended_at=record["at"] if record["event"] == "intended" else None,
        reserved=_money(record.get("reserved")),
        seconds=record.get("seconds"),
    )
    attempts = tuple(one for one in base.attempts if one.id != attempt.id)
    named = {name: record.get(name) for name in ("fingerprint", "seed", "provider", "model")}
    base = replace(base, render=None, cleaned_at=None, attempts=(*attempts, attempt))
    return replace(base, state="intended", request=record.get("request", {}), **named)  # type: ignore[arg-type]


def _adopted(before: Entry | None, record: Mapping[str, Any]) -> Entry:
    """A task that a person named: it is the named attempt's, which is the latest one or a new one."""
    base = before or Entry(state="wanted")
    told = {name: record[name] for name in ("task_id", "account", "host", "submitted_at")}
    new = Attempt(id=record["attempt"], reserved=_money(record.get("reserved")), seconds=record.get("seconds"))
    known = next((one for one in base.attempts if one.id == new.id), new)
    attempt = replace(known, ended_at=None, error=None, **told)
    attempts = tuple(one for one in base.attempts if one.id != attempt.id)
    named = {name: record[name] for name in ("fingerprint", "provider", "model", "request") if record.get(name) is not None}
    return replace(base, state="submitted", render=None, cleaned_at=None, attempts=(*attempts, attempt), **named)


def _with(before: Entry | None, record: Mapping[str, Any], state: State, **changes: Any) -> Entry:
    """Move the entry, and change the attempt that the record names."""
    entry = _known(before, record)
    attempts = tuple(replace(one, **changes) if one.id == record["attempt"] else one for one in entry.attempts)
    return replace(entry, state=state, attempts=attempts)


def _money(said: Mapping[str, Any] | None) -> Money | None:
    return Money.of(said) if said else None


def both(one: Entry, other: Entry) -> Entry:
    """Two accounts of a take: every attempt of either, each as fully as either knows it, and the further state."""
    longer, shorter = (one, other) if len(one.attempts) >= len(other.attempts) else (other, one)
    known = {attempt.id: attempt for attempt in longer.attempts}
    for attempt in shorter.attempts:
        known[attempt.id] = _fuller(known[attempt.id], attempt) if attempt.id in known else attempt
    order = {attempt: number for number, attempt in enumerate(known)}

    def reached(entry: Entry) -> tuple[int, bool, int]:
        # Of one attempt the side that knows its task knows more, also where the other has been told to try anew.
        attempt = entry.attempt
        return (
            (order[attempt.id], attempt.task_id is not None, _RANK[entry.state]) if attempt else (-1, False, _RANK[entry.state])
        )

    ahead = max((other, one), key=reached)  # of two that have come as far the later told one: a file may have moved since
    if ahead.attempt:  # the further side's word on how the attempt ended
        known[ahead.attempt.id] = replace(known[ahead.attempt.id], error=ahead.attempt.error)
    return replace(ahead, attempts=tuple(known.values()), was=tuple(dict.fromkeys((*one.was, *other.was))))


def _fuller(one: Attempt, other: Attempt) -> Attempt:
    """One attempt as both know it: what either has, nothing lost."""
    told = {item.name: getattr(other, item.name) for item in fields(Attempt) if getattr(other, item.name) not in (None, {})}
    return replace(one, **told)
