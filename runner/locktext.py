"""Lock ↔ the mapping that its JSON file and the journal carry; the names are the contract's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runner.lock import VERSION, Attempt, Entry, Lock, LockDamaged, Run, number_of, shot_of
from runner.money import Money


def to_json(lock: Lock) -> dict[str, Any]:
    """The lock as its file says it; sorted by the writer."""
    text: dict[str, Any] = {"callsheet_lock": VERSION, "takes": {key: entry_json(entry) for key, entry in lock.takes.items()}}
    if lock.picked:
        text["picked"] = dict(lock.picked)
    if lock.run:
        text["run"] = {"id": lock.run.id, "host": lock.run.host, "since": lock.run.since}
    return text


def written(lock: Lock) -> bytes:
    """The lock's file, byte by byte: the same lock is always the same text."""
    return json.dumps(to_json(lock), ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"


def entry_json(entry: Entry) -> dict[str, Any]:
    text: dict[str, Any] = {"state": entry.state, "attempts": [attempt_json(attempt) for attempt in entry.attempts]}
    for name in ("fingerprint", "seed", "provider", "model", "render"):
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
    plain = {
        name: text[name] for name in ("state", "fingerprint", "seed", "provider", "model", "request", "render") if name in text
    }
    attempts = tuple(_attempt(one) for one in text.get("attempts", ()))
    return Entry(**plain, attempts=attempts, was=tuple(text.get("was", ())))


def _attempt(text: Mapping[str, Any]) -> Attempt:
    rest: dict[str, Any] = {name: value for name, value in text.items() if value is not None}
    rest.update({name: Money.of(text[name]) for name in ("reserved", "cost") if text.get(name)})
    return Attempt(**rest)
