"""A take's attempts → what it has cost: all of them together, by currency."""

from __future__ import annotations

from runner import money
from runner.lock import Entry
from runner.money import Money


def costs(entry: Entry | None) -> tuple[Money, ...]:
    """A sum a currency; empty where no price is known. An attempt that was not billed cost nothing."""
    sums: dict[str, Money] = {}
    for attempt in entry.attempts if entry else ():
        one = attempt.cost
        if one is None or (attempt.error or {}).get("billed") is False:
            continue
        so_far = sums.get(one.currency)
        basis = one.basis if so_far is None or so_far.basis == one.basis else ""
        sums[one.currency] = Money(micros=one.micros + (so_far.micros if so_far else 0), currency=one.currency, basis=basis)
    return tuple(sums.values())


def said(entry: Entry | None) -> tuple[str, str]:
    """Amount and currency for two cells of a table; in several currencies all stand in the first."""
    found = costs(entry)
    if len(found) == 1:
        return money.amount(found[0].micros), found[0].currency
    return " + ".join(str(one) for one in found), ""
