"""Checks for values of one type → one check; a schema as such checks, each put together when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Check = Callable[[Any], bool]
Rule = Callable[[type], Check]  # for values of a type

# What each type is called; a boolean is no number although Python's is.
NAMES: Mapping[type, set[str]] = {
    str: {"string"},
    bool: {"boolean"},
    int: {"integer", "number"},
    float: {"number"},
    dict: {"object"},
    list: {"array"},
    type(None): {"null"},
}


class Form(dict[type, Check]):
    """A schema as one check for each type of value, put together when the first value of that type comes."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules

    def __missing__(self, kind: type) -> Check:
        base = next((known for known in NAMES if issubclass(kind, known)), object)
        check = self[kind] = every([rule(base) for rule in self.rules])
        return check

    def __call__(self, value: Any) -> bool:
        return self[type(value)](value)


def anything(_: Any) -> bool:
    return True


def nothing(_: Any) -> bool:
    return False


def every(checks: Sequence[Check]) -> Check:
    if nothing in checks:
        return nothing
    match [check for check in checks if check is not anything]:
        case []:
            return anything
        case [one]:
            return one
        case [one, two]:
            return lambda value: one(value) and two(value)
        case [one, two, *rest]:
            more = every(rest)
            return lambda value: one(value) and two(value) and more(value)
    raise AssertionError  # a list is one of these


def some(checks: Sequence[Check]) -> Check:
    if anything in checks:
        return anything
    match [check for check in checks if check is not nothing]:
        case []:
            return nothing
        case [one]:
            return one
        case [one, two]:
            return lambda value: one(value) or two(value)
        case several:
            return lambda value: any(check(value) for check in several)
