"""Every way to fail: what went wrong in the user's words, a hint, and the exit code it leads to.

CallsheetError           70  our own bug when raised bare; never meant to be seen
├─ UsageError             2  the words on the command line ask for something that is not there
├─ ManifestError          2  the manifest has problems; carries every one of them
├─ Refused                3  nothing was sent: a cap, no approval, no key, no trust, a lock we may not use
│  └─ LockHeld            3  another run is alive on this lock
├─ ProviderError             a provider said no, or cannot be understood
│  └─ Unreachable            no answer at all; nothing is known to have arrived
└─ TakeError              1  one take cannot go on (its file, its media, its render); the others do
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A spot in a file; lines and columns count from 1, columns in code points."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing wrong with a manifest: a place, a fact and, where known, a hint.

    `code` is stable (`E…` stops a run, `W…` never does); `path` is a JSON Pointer into the manifest.
    """

    code: str
    message: str
    place: Place
    path: str = ""
    hint: str | None = None
    shot: str | None = None

    @property
    def severity(self) -> Severity:
        return "error" if self.code.startswith("E") else "warning"


class CallsheetError(Exception):
    """The root; `hint` says what to do about it."""

    exit_code = 70

    def __init__(self, fact: str, *, hint: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


class UsageError(CallsheetError):
    exit_code = 2


class ManifestError(CallsheetError):
    """The manifest cannot be used; `problems` has all of them, in file order."""

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        errors = [problem for problem in problems if problem.severity == "error"]
        first = errors[0] if errors else problems[0]
        super().__init__(f"{first.place}: {first.message}", hint=first.hint)
        self.problems = problems


class Refused(CallsheetError):
    exit_code = 3


class LockHeld(Refused):
    """Another run holds the lock; `holder` says who, since when and where."""

    def __init__(self, fact: str, *, holder: dict[str, object], hint: str | None = None) -> None:
        super().__init__(fact, hint=hint)
        self.holder = holder


class ProviderError(CallsheetError):
    """A provider's call failed; `code` and `message` in the provider's words, cleaned of control characters."""

    exit_code = 75

    def __init__(
        self, fact: str, *, code: str = "", status: int = 0, retry_after: float | None = None, hint: str | None = None
    ) -> None:
        super().__init__(fact, hint=hint)
        self.code = code
        self.status = status
        self.retry_after = retry_after


class Unreachable(ProviderError):
    """No reply came; `sent` tells whether a byte of the request may have left."""

    def __init__(self, fact: str, *, sent: bool, hint: str | None = None) -> None:
        super().__init__(fact, code="Unreachable", hint=hint)
        self.sent = sent


class TakeError(CallsheetError):
    """This take cannot go on; `retryable` says whether running again can help."""

    exit_code = 1

    def __init__(self, fact: str, *, code: str, retryable: bool = False, hint: str | None = None) -> None:
        super().__init__(fact, hint=hint)
        self.code = code
        self.retryable = retryable
