"""What was looked at and what was found → a Check: ok, warn or bad, in one line, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """`bad` is what keeps a run from its work; `warn` what may surprise it."""

    name: str
    state: State
    says: str
    hint: str | None = None

    def data(self) -> dict[str, Any]:
        """As `doctor --json` lists it."""
        return asdict(self)


def ok(name: str, says: str, hint: str | None = None) -> Check:
    return Check(name=name, state="ok", says=says, hint=hint)


def warn(name: str, says: str, hint: str | None = None) -> Check:
    return Check(name=name, state="warn", says=says, hint=hint)


def bad(name: str, says: str, hint: str | None = None) -> Check:
    return Check(name=name, state="bad", says=says, hint=hint)
