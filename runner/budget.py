"""Lock + caps → may this be spent? Counts what is spent, under way and in doubt, over all attempts ever made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner import money
from runner.errors import Refused
from runner.lock import Attempt, Entry, Lock
from runner.money import Money


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
    kinds: dict[str, list[Money]] = {"spent": [], "under_way": [], "in_doubt": []}
    seconds, takes, unpriced = 0.0, 0, 0
    for entry in known.takes.values():
        for attempt in entry.attempts:
            kind = _kind(entry, attempt)
            if kind is None or (attempt.account or entry.provider or "").partition(":")[0] == "studio":
                continue
            takes += 1
            seconds += attempt.seconds or 0
            if cost := attempt.cost or attempt.reserved:
                kinds[kind].append(cost)
            else:
                unpriced += 1
    sums = {kind: money.total(moneys) for kind, moneys in kinds.items()}
    return Committed(
        spent=sums["spent"],
        under_way=sums["under_way"],
        in_doubt=sums["in_doubt"],
        seconds=seconds,
        takes=takes,
        unpriced=unpriced,
    )


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
