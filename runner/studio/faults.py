"""Names such as `lost-reply:2` → things that go wrong on purpose, each as often as was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from runner.errors import UsageError

ALWAYS = -1

KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "lost-reply": "a submit is accepted, then the connection closes without a reply",
        "drop-submit": "the connection closes before a submit is accepted",
        "slow-reply": "the reply to an accepted submit comes 3 s late",
        "429": "a submit answers Throttling.RateQuota with Retry-After: 1",
        "500": "a submit answers InternalError",
        "503": "a submit answers ModelServingError",
        "html": "a submit answers a proxy's HTML page with HTTP 502",
        "arrearage": "a submit answers Arrearage: the account is unpaid",
        "poll-500": "a query answers HTTP 500",
        "poll-html": "a query answers an HTML page with HTTP 502",
        "poll-drop": "the connection closes without a reply to a query",
        "odd-word": "a query spells the task's status in a way nobody knows",
        "unknown": "a query answers UNKNOWN",
        "qps": "more queries a second than the number given (20) answer Throttling.RateQuota",
        "fail": "an accepted task fails with InternalError",
        "moderation": "an accepted task fails with DataInspectionFailed",
        "truncate": "a download ends half-way and the connection closes",
        "short-file": "a download is half the file and claims to be whole",
        "expired-link": "a download answers 403 as an expired link does",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A reply that says no before anything was accepted."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


RATE = Refusal(
    status=429,
    code="Throttling.RateQuota",
    message="Requests rate limit exceeded, please try again later.",
    headers={"Retry-After": "1"},
)
REFUSALS: Mapping[str, Refusal] = MappingProxyType(
    {
        "429": RATE,
        "500": Refusal(status=500, code="InternalError", message="An internal error has occurred, please try again later."),
        "503": Refusal(status=503, code="ModelServingError", message="The model is overloaded, please try again later."),
        "arrearage": Refusal(
            status=400, code="Arrearage", message="Access denied, please make sure your account is in good standing."
        ),
    }
)
DOOMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "fail": ("InternalError", "An internal error has occurred, the task made nothing."),
        "moderation": ("DataInspectionFailed", "Input or output data may contain inappropriate content."),
    }
)


class Faults:
    """How often each fault is still due; asked from the server's loop and from worker threads."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, words: Iterable[str]) -> Self:
        """`NAME`, `NAME:COUNT` or `NAME:*` (every time). Raises UsageError, naming what there is."""
        faults = cls()
        for word in words:
            faults.add(word)
        return faults

    def add(self, word: str) -> None:
        """Switch one more fault on; the last word on a name counts."""
        name, _, count = word.partition(":")
        if name not in KNOWN:
            raise UsageError(f'there is no fault "{name}"', hint="faults are " + ", ".join(KNOWN))
        if count and count != "*" and not (count.isascii() and count.isdigit()):
            raise UsageError(f'"{word}": how often is a whole number or *', hint=f"for example {name}:2")
        often = ALWAYS if count == "*" else int(count or (20 if name == "qps" else 1))
        with self._lock:
            self._due[name] = often

    def take(self, name: str) -> bool:
        """Whether the fault happens now; each happening uses one up."""
        with self._lock:
            due = self._due.get(name, 0)
            self._due[name] = due - 1 if due > 0 else due
            return due != 0

    def first(self, names: Iterable[str]) -> str | None:
        """The first of the names that is due; only that one is used up."""
        return next((name for name in names if self.take(name)), None)

    def due(self, name: str) -> int:
        """How often it is still to happen; -1 for ever."""
        with self._lock:
            return self._due.get(name, 0)
