"""Lock ↔ the mapping that its JSON file and the journal carry; the names are the contract's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from runner.lock import VERSION, Attempt, Entry, Lock, LockDamaged, Run, number_of, shot_of
from runner.money import Money
from runner.takes import Takes


def to_json(lock: Lock) -> dict[str, Any]:
    """The lock as its file says it; sorted by the writer."""
    return {**_head(lock), "takes": {key: entry_json(entry) for key, entry in lock.takes.items()}}


def _head(lock: Lock) -> dict[str, Any]:
    text: dict[str, Any] = {"callsheet_lock": VERSION}
    if lock.picked:
        text["picked"] = dict(lock.picked)
    if lock.run:
        text["run"] = {"id": lock.run.id, "host": lock.run.host, "since": lock.run.since}
    return text


def written(lock: Lock) -> bytes:
    """The lock's file, byte by byte: the same lock is always the same text."""
    return b"".join(Pages().of(replace(lock, takes=dict(lock.takes))))  # asked once: there is nothing to be told of later


class Pages:
    """The lock's file piece by piece, for one who writes it again and again: only a take that changed is put into words anew."""

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}
        self._changed: set[str] = set()
        self._takes: Takes | None = None

    def of(self, lock: Lock) -> Iterator[bytes]:
        """What `json.dumps` makes of it with two spaces and sorted keys; a million takes need no text of their own in memory."""
        if lock.takes is not self._takes or self._takes is None:
            known = lock.takes if isinstance(lock.takes, Takes) else None  # of any other nobody tells what changes
            self._texts, self._takes, self._changed = {}, known, known.watch() if known is not None else set()
        for key in self._changed:
            self._texts.pop(key, None)
        self._changed.clear()
        yield _laid(_head(lock), "\n  ").removesuffix("\n}").encode() + b',\n  "takes": {'
        joint, texts = b"\n    ", self._texts
        for key in sorted(lock.takes):
            if (text := texts.get(key)) is None:
                text = texts[key] = f"{_QUOTED(key)}: {_laid(entry_json(lock.takes[key]), _DEPTH)}".encode()
            yield joint + text
            joint = b",\n    "
        yield b"\n  }\n}\n" if lock.takes else b"}\n}\n"


_QUOTED = json.encoder.encode_basestring
_DEPTH = "\n" + 6 * " "  # before the members of a take


def _laid(value: Any, before: str) -> str:
    """As `json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)`, which takes several times as long."""
    kind = type(value)
    if kind is str:
        return _QUOTED(value)
    if kind is int or kind is float:
        return repr(value)
    if kind is dict or (kind is not list and isinstance(value, Mapping)):
        if not value:
            return "{}"
        inner = before + "  "
        members = [f"{_QUOTED(key)}: {_laid(value[key], inner)}" for key in sorted(value)]
        return f"{{{before}{f',{before}'.join(members)}{before[:-2]}}}"
    if kind is list or kind is tuple:
        inner = before + "  "
        return f"[{before}{f',{before}'.join([_laid(item, inner) for item in value])}{before[:-2]}]" if value else "[]"
    return json.dumps(value, ensure_ascii=False)


def entry_json(entry: Entry) -> dict[str, Any]:
    text: dict[str, Any] = {"state": entry.state, "attempts": [attempt_json(attempt) for attempt in entry.attempts]}
    for name in ("fingerprint", "seed", "provider", "model", "render", "cleaned_at"):
        if (value := getattr(entry, name)) is not None:
            text[name] = value
    if entry.request:
        text["request"] = entry.request
    if entry.was:
        text["was"] = list(entry.was)
    return text


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    text: dict[str, Any] = {"id": attempt.id, "error": attempt.error}
    for name in (
        "task_id",
        "request_id",
        "account",
        "host",
        "intended_at",
        "submitted_at",
        "ended_at",
        "seconds",
        "actual_prompt",
    ):
        if (value := getattr(attempt, name)) is not None:
            text[name] = value
    if attempt.usage:
        text["usage"] = attempt.usage
    for name in ("reserved", "cost"):
        if (money := getattr(attempt, name)) is not None:
            text[name] = money.said()
    return text


def from_json(text: Mapping[str, Any]) -> Lock:
    """A lock file's mapping → Lock; it must have passed `lock.schema.json`."""
    run = text.get("run")
    takes = {key: entry_of(entry) for key, entry in text.get("takes", {}).items()}
    for key in takes:
        if not shot_of(key) or number_of(key) < 1:
            raise LockDamaged(f'"{key}" is no take')
    return Lock(takes=takes, picked=dict(text.get("picked", {})), run=Run(**run) if run else None)


def entry_of(text: Mapping[str, Any]) -> Entry:
    names = ("state", "fingerprint", "seed", "provider", "model", "request", "render", "cleaned_at")
    plain = {name: text[name] for name in names if name in text}
    attempts = tuple(_attempt(one) for one in text.get("attempts", ()))
    return Entry(**plain, attempts=attempts, was=tuple(text.get("was", ())))


def _attempt(text: Mapping[str, Any]) -> Attempt:
    rest: dict[str, Any] = {name: value for name, value in text.items() if value is not None}
    rest.update({name: Money.of(text[name]) for name in ("reserved", "cost") if text.get(name)})
    return Attempt(**rest)
