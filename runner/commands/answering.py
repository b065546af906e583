"""What the verbs by which a person answers share: their words apart, takes chosen by pattern or state, the next command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from runner.commands import options
from runner.errors import UsageError
from runner.judge import suggestion
from runner.lock import Lock
from runner.plan import Plan, Step
from runner.shots import Manifest

_MANIFESTS = (".yaml", ".yml", ".json")


def apart(words: Sequence[str]) -> tuple[Path, list[str]]:
    """The manifest and the rest: the first word where it names a file, else the only manifest of the folder."""
    if words and words[0].endswith(_MANIFESTS):
        return Path(words[0]), list(words[1:])
    return options.find(None), list(words)


def named(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether one of a take's names, its own or its shot's, is one of these or matches their * and ?."""
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def unknown(patterns: Sequence[str], plan: Plan, known: Lock) -> UsageError:
    """The complaint about words that no take has."""
    takes = dict.fromkeys([*(step.take for step in plan.steps), *known.takes])
    hint = suggestion(patterns[0], takes) if len(patterns) == 1 else None
    return UsageError(f"no take is called {', '.join(patterns)}", hint=hint or "`callsheet status` lists them")


def step_of(plan: Plan, take: str) -> Step | None:
    """What the plan has for a take, under its own key or the one it had before its shot was renamed."""
    return next((step for step in plan.steps if take in (step.take, step.was)), None)


def spoken(verb: str, manifest: Manifest, rest: str) -> str:
    """A command line that can be copied; with the profile and the provider that were asked for, where there are some."""
    asked = {"--profile": manifest.profile, "--provider": manifest.provider_asked}
    options = [f"{name} {shlex.quote(value)}" for name, value in asked.items() if value]
    return " ".join(part for part in ("callsheet", verb, shlex.quote(str(manifest.path)), rest, *options) if part)
