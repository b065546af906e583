"""Answers to `why` → lines for people, and the mapping that `--json` says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from runner import changed
from runner.inquiry import Answer, Change
from runner.outputs.text import colored, cost, few, length, table
from runner.plan import Step, changes


def lines(answer: Answer) -> Iterator[str]:
    """A shot's takes, what the compared one was made of beside what is written now, and what the next run does."""
    place = f"  {click.style(str(answer.shot.place), dim=True)}" if answer.shot else ""
    yield f"{click.style(answer.id, bold=True)}{place}"
    yield from (f"  {line}" for line in table([_row(answer, key) for key in answer.takes]))
    yield f"  {_verdict(answer)}"
    for change in answer.changes:
        yield from _change(change)
    for step in answer.steps:
        if step.was and step.action == "keep":
            yield f"  the next run: {step.was} becomes {step.take}"
        elif step.action not in {"keep", "absent"}:
            yield f"  the next run: {', '.join(_next(step))}: {step.reason}"


def _next(step: Step) -> Iterator[str]:
    """What is done, and of length and price what there is to say."""
    yield f"{colored(step.action)} {step.take}"
    if step.seconds is not None:
        yield length(step)
    if step.action == "submit":
        yield cost(step) if step.cost else "price unknown"


def _row(answer: Answer, key: str) -> list[str]:
    entry = answer.takes[key]
    if key in answer.current:
        return [key, colored(entry.state), "asked for" if entry.is_open else "current", ""]
    names = changes(entry, answer.shot) if answer.shot and entry.fingerprint != answer.shot.fingerprint else ()
    return [key, colored(entry.state), "outdated" if answer.shot else "orphaned", few(names) if key != answer.take else ""]


def _verdict(answer: Answer) -> str:
    if answer.shot is None:
        return f"left the manifest; its takes are kept{f', {answer.heir} takes them over' if answer.heir else ''}"
    if answer.take is None:
        return "no take yet, so nothing to compare"
    if answer.take in answer.current:
        return f"nothing changed: {answer.take} was made from the shot as it is now written"
    if not answer.changes:
        return f"{answer.take} has another fingerprint, but nothing that the lock keeps of it differs"
    return f"changed since {answer.take}:"


def _change(change: Change) -> Iterator[str]:
    found = change.difference
    places = ", ".join(map(str, change.places))
    yield f"    {click.style(found.field, bold=True)}  {click.style(places, dim=True)}"
    note = f"  ({found.note})" if found.note else ""
    if (
        isinstance(found.was, str)
        and isinstance(found.now, str)
        and not found.field.startswith(("media.", "parameters.", "model"))
    ):
        yield f"      {_marked(found.was, found.now)}{note}"
    elif found.was is None and found.field.startswith("media.") and found.note:
        yield f"      {_value(found.now)}: {found.note}"
    else:
        yield from (f"      {line}{note}" for line in _turned(found.was, found.now))


def _turned(was: Any, now: Any, name: str = "") -> Iterator[str]:
    """`old → new`; of mappings a line for each name whose value is another one."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in {**was, **now}:
            if _json(was.get(key)) != _json(now.get(key)):
                yield from _turned(was.get(key), now.get(key), f"{name}.{key}".removeprefix("."))
        return
    words = [_value(was), _value(now)]
    if words[0] == words[1]:  # a text and a number that look alike
        words = [_json(was), _json(now)]
    yield f"{name}  {words[0]} → {words[1]}".strip()


def _marked(was: str, now: str) -> str:
    """Both texts in one, as `git diff --word-diff` shows them."""
    words = changed.shortened(changed.compared(was, now))
    return "".join(_word(*word) for word in words).replace("\n", "\n      ")


def _word(kind: str, text: str) -> str:
    marks = {"gone": ("[-", "-]", "red"), "new": ("{+", "+}", "green")}
    if kind not in marks:
        return text
    left, right, color = marks[kind]
    return click.style(f"{left}{text}{right}", fg=color)


def _value(value: Any) -> str:
    """A value in a line: items after each other, mappings as `name: value`, no signs that only a machine needs."""
    match value:
        case None:
            return "not written"
        case str():
            return value or '""'
        case Mapping():
            return ", ".join(f"{name}: {_value(item)}" for name, item in value.items()) or "{}"
        case list() | tuple():
            return ", ".join(f"({_value(item)})" if isinstance(item, Mapping | list) else _value(item) for item in value) or "[]"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def data(answers: Iterable[Answer]) -> dict[str, Any]:
    """The object of `why --json`."""
    return {"shots": [_answer(answer) for answer in answers]}


def _answer(answer: Answer) -> dict[str, Any]:
    names = ("take", "action", "reason", "provider", "seconds")
    return {
        "shot": answer.id,
        "place": _place(answer.shot.place) if answer.shot else None,
        "orphaned": answer.shot is None,
        "heir": answer.heir,
        "takes": [{"take": key, "state": entry.state, "current": key in answer.current} for key, entry in answer.takes.items()],
        "compared": answer.take,
        "current": answer.take in answer.current,
        "changes": [_change_json(change) for change in answer.changes],
        "steps": [
            {**{name: getattr(step, name) for name in names}, "cost": step.cost.said() if step.cost else None}
            for step in answer.steps
        ],
    }


def _change_json(change: Change) -> dict[str, Any]:
    found = change.difference
    told = {"field": found.field, "was": found.was, "now": found.now, "note": found.note}
    return {**told, "places": [_place(place) for place in change.places]}


def _place(place: Any) -> dict[str, Any]:
    return {"file": place.file, "line": place.line, "column": place.column}
