"""The library's door: read a manifest, hold its lock, decide what to do, do it.

    manifest = runner.read("lighthouse.callsheet.yaml")
    with runner.hold(manifest) as held:
        plan = runner.decide(manifest, held.lock)
        report = anyio.run(runner.run, plan, held)

Everything the command line does goes through here. The functions are in `door.py`; what stands behind a name is loaded
when the name is first used, so that `callsheet --version` waits for none of it.
"""

# ruff: noqa: TC004 - type checkers see the names at once, programs when they are used

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.budget import Caps
    from runner.choosing import effect, pick, retake, wish, withdraw
    from runner.door import (
        Held,
        adopt,
        again,
        cancel,
        cancel_beside,
        claim,
        clean,
        cleanable,
        decide,
        files_of,
        give_up,
        hold,
        known,
        known_alone,
        run,
        settle,
    )
    from runner.errors import CallsheetError, LockHeld, ManifestError, Place, Problem, Refused, TakeError, UsageError
    from runner.inquiry import why
    from runner.lock import Lock
    from runner.plan import Plan, Step
    from runner.reading import read
    from runner.report import Report, report
    from runner.shots import Manifest, Shot

__all__ = [
    "CallsheetError", "Caps", "Held", "Lock", "LockHeld", "Manifest", "ManifestError", "Place", "Plan", "Problem", "Refused",
    "Report", "Shot", "Step", "TakeError", "UsageError", "adopt", "again", "cancel", "cancel_beside", "claim", "clean", "cleanable", "decide", "effect",
    "files_of", "give_up", "hold", "known", "known_alone", "pick", "read", "report", "retake", "run", "settle", "why", "wish", "withdraw",
]  # fmt: skip

# The module of each name that is none of the door's own functions.
_HOMES = {
    "Caps": "budget", "Lock": "lock", "Manifest": "shots", "Plan": "plan", "Report": "report", "Shot": "shots", "Step": "plan",
    "CallsheetError": "errors", "LockHeld": "errors", "ManifestError": "errors", "Place": "errors", "Problem": "errors",
    "Refused": "errors", "TakeError": "errors", "UsageError": "errors", "read": "reading", "report": "report",
    "effect": "choosing", "pick": "choosing", "retake": "choosing", "wish": "choosing", "withdraw": "choosing", "why": "inquiry",
}  # fmt: skip


class _Door(ModuleType):
    """The package itself. A submodule that is called like one of the door's names (`report`) never takes its place."""

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        value = self.__dict__[name] = getattr(importlib.import_module(f"runner.{_HOMES.get(name, 'door')}"), name)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if name not in __all__ or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Door
