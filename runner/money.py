"""Money as whole millionths of a currency's unit: no float ever touches it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal, InvalidOperation
from typing import Any

MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """`micros` millionths of `currency`; `basis` says how the amount was found (`list price`, `usage` …)."""

    micros: int
    currency: str
    basis: str = ""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Money:
        """From `{"amount": "0.50", "currency": "USD", "basis": …}`."""
        return cls(micros=micros(said["amount"]), currency=said["currency"], basis=said.get("basis", ""))

    def said(self) -> dict[str, str]:
        return {"amount": amount(self.micros), "currency": self.currency, "basis": self.basis}

    def __str__(self) -> str:
        return f"{amount(self.micros)} {self.currency}"


def micros(text: str | float) -> int:
    """A decimal amount → millionths, rounded up: a cap must not be missed by rounding."""
    try:
        return int((Decimal(str(text)) * MICRO).to_integral_value(rounding=ROUND_UP))
    except InvalidOperation as error:
        raise ValueError(f'"{text}" is not an amount') from error


def times(price: str, seconds: float) -> int:
    """A price a second times seconds → millionths, rounded up."""
    return int((Decimal(price) * Decimal(str(seconds)) * MICRO).to_integral_value(rounding=ROUND_UP))


def amount(value: int) -> str:
    """Millionths → a decimal text with at least two places: `0.50`, `0.084`."""
    text = f"{Decimal(value) / MICRO:.6f}".rstrip("0")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"


def total(moneys: Iterable[Money]) -> dict[str, int]:
    """Sums by currency, in millionths."""
    sums: dict[str, int] = {}
    for money in moneys:
        sums[money.currency] = sums.get(money.currency, 0) + money.micros
    return sums
