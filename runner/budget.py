"""Lock + caps → may this be spent? Counts what is spent, under way and in doubt, over all attempts ever made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from runner import money
from runner.errors import Refused
from runner.lock import Attempt, Entry, Lock
from runner.money import Money
from runner.takes import Takes


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """Sums over a lock: money by currency in millionths, by what became of it; seconds and takes that were paid for."""

    spent: Mapping[str, int]
    under_way: Mapping[str, int]
    in_doubt: Mapping[str, int]
    seconds: float
    takes: int
    unpriced: int = 0

    def of(self, currency: str) -> int:
        return sum(part.get(currency, 0) for part in (self.spent, self.under_way, self.in_doubt))


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """The most that may be committed: money by currency in millionths, seconds, takes."""

    money: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    takes: int | None = None

    @classmethod
    def of(cls, budget: Mapping[str, Any]) -> Caps:
        """From a manifest's `budget:`."""
        moneys = {name: money.micros(value) for name, value in budget.items() if name not in {"seconds", "takes"}}
        return cls(money=moneys, seconds=budget.get("seconds"), takes=budget.get("takes"))

    def __bool__(self) -> bool:
        return bool(self.money) or self.seconds is not None or self.takes is not None


def committed(known: Lock) -> Committed:
    """What the lock's attempts have cost or may cost. The studio's are free and count for nothing."""
    return Tally().of(replace(known, takes=dict(known.takes)))  # asked once: there is nothing to be told of later


class Tally:
    """`committed`, for a lock that a run changes take by take: only what has changed is counted anew."""

    def __init__(self) -> None:
        self._begin(Lock())

    def _begin(self, known: Lock) -> None:
        self._takes = known.takes
        self._changed = known.takes.watch() if isinstance(known.takes, Takes) else None
        self._counted: dict[str, list[_Part]] = {}
        self._sums: dict[str, dict[str, int]] = {"spent": {}, "under_way": {}, "in_doubt": {}}
        self._millis = self._paid = self._unpriced = 0

    def of(self, known: Lock) -> Committed:
        changed: Iterable[str] = self._changed or ()
        if self._changed is None or known.takes is not self._takes:
            self._begin(known)
            changed = known.takes
        for key in changed:
            self._add(self._counted.pop(key, ()), -1)
            if parts := [*_parts(known.takes[key])] if key in known.takes else []:
                self._counted[key] = parts
                self._add(parts, 1)
        if self._changed:
            self._changed.clear()
        spent, under_way, in_doubt = (dict(self._sums[kind]) for kind in ("spent", "under_way", "in_doubt"))
        return Committed(
            spent=spent,
            under_way=under_way,
            in_doubt=in_doubt,
            seconds=self._millis / 1000,
            takes=self._paid,
            unpriced=self._unpriced,
        )

    def _add(self, parts: Iterable[_Part], sign: int) -> None:
        for part in parts:
            self._paid += sign
            self._millis += sign * part.millis
            if part.cost is None:
                self._unpriced += sign
            else:
                sums = self._sums[part.kind]
                sums[part.cost.currency] = sums.get(part.cost.currency, 0) + sign * part.cost.micros


class _Part(NamedTuple):
    """What one attempt counts for. Whole milliseconds, so that what is taken away again leaves nothing."""

    kind: str
    millis: int
    cost: Money | None


def _parts(entry: Entry) -> Iterator[_Part]:
    for attempt in entry.attempts:
        kind = _kind(entry, attempt)
        if kind and (attempt.account or entry.provider or "").partition(":")[0] != "studio":
            yield _Part(kind, round(1000 * (attempt.seconds or 0)), attempt.cost or attempt.reserved)


def _kind(entry: Entry, attempt: Attempt) -> str | None:
    if attempt.is_in_doubt:
        return "in_doubt"
    if (attempt.error or {}).get("billed") is False:
        return None
    return "under_way" if attempt.ended_at is None and attempt is entry.attempt and entry.state == "submitted" else "spent"


def check(caps: Caps, known: Committed, *, cost: list[Money | None], seconds: list[float | None], what: str) -> None:
    """Refuse when one more step would go above a cap. An unknown price under a money cap refuses too."""
    if caps.money:
        unpriced = sum(1 for one in cost if one is None)
        if unpriced:
            hint = "write the price under providers: NAME: prices:, or cap takes or seconds instead"
            raise Refused(f"{unpriced} takes have no known price, and {what} caps money", hint=hint)
        if known.unpriced and cost:
            hint = "cap takes or seconds instead"
            raise Refused(f"{known.unpriced} takes that are paid for have no known price, and {what} caps money", hint=hint)
        _check_money(caps, known, [one for one in cost if one], what)
    if caps.takes is not None and known.takes + len(cost) > caps.takes:
        raise Refused(f"{what} allows {caps.takes} takes; {known.takes} are paid for or in doubt, {len(cost)} would be added")
    total = sum(one or 0 for one in seconds)
    if caps.seconds is not None and None in seconds:
        raise Refused(f"a take's seconds are unknown, and {what} caps seconds")
    if caps.seconds is not None and known.seconds + total > caps.seconds:
        raise Refused(
            f"{what} allows {caps.seconds:g} s; {known.seconds:g} s are paid for or in doubt, {total:g} s would be added"
        )


def _check_money(caps: Caps, known: Committed, cost: list[Money], what: str) -> None:
    for currency, planned in money.total(cost).items():
        if not planned:
            continue
        if currency not in caps.money:
            raise Refused(
                f"{what} has no cap in {currency}, in which {money.amount(planned)} would be spent", hint=f"add {currency} to it"
            )
        have, cap = known.of(currency), caps.money[currency]
        if have + planned > cap:
            raise Refused(
                f"{what} allows {money.amount(cap)} {currency}; {money.amount(have)} are spent, under way or in doubt, "
                f"{money.amount(planned)} would be added",
                hint="raise the cap, or choose fewer shots with --only",
            )
