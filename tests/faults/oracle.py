"""A folder and what its provider billed → everything that is wrong. Reads the files themselves, not through the product.

What counts is the provider's own account of what it accepted, whatever it answered.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from runner.studio.faults import DOOMS


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """One accepted submit; `fails` where its task comes to nothing and is therefore not billed."""

    task_id: str
    prompt: str
    seed: int | None
    fails: bool


def accepted(studio) -> list[Accepted]:
    """What a studio has accepted."""
    return [_accepted(bill, studio._desk.store.get(bill.task_id)) for bill in studio.bills()]


def _accepted(bill, task) -> Accepted:
    return Accepted(
        task_id=bill.task_id,
        prompt=bill.body["input"].get("prompt", ""),
        seed=bill.body.get("parameters", {}).get("seed"),
        fails=bill.doom in DOOMS or task.status in {"FAILED", "CANCELED"},
    )


def lock_of(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.callsheet.lock")
    return json.loads(path.read_text(encoding="utf-8"))


def records(folder: Path) -> list[dict[str, Any]]:
    """The journal's whole lines; an end without its newline was never acknowledged."""
    data = b"".join(path.read_bytes() for path in folder.glob(".callsheet/*.journal"))
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def is_in_doubt(attempt: Mapping[str, Any]) -> bool:
    """Whether the provider may have accepted it without the lock's knowing its task; also where a person has given it up."""
    error = attempt.get("error")
    return attempt.get("task_id") is None and (error is None or error["code"] == "GivenUp")


def in_doubt(folder: Path) -> list[str]:
    return [take for take, entry in lock_of(folder)["takes"].items() if entry["state"] == "intended"]


def is_findable(takes: Mapping[str, Any], take: str, bills: Iterable[Accepted]) -> bool:
    """Whether a list can tell whose task it is.

    Not where an equal attempt in doubt may never have arrived: a person has permitted another one, or an equal take
    stays in doubt without a task. Nor where one of the tasks has failed: it never shows its prompt.
    """
    prompt = takes[take]["request"].get("prompt")
    attempts = [one for entry in takes.values() if entry["request"].get("prompt") == prompt for one in entry["attempts"]]
    ours = {one.get("task_id") for one in attempts}
    unbound = [bill for bill in bills if bill.prompt == prompt and bill.task_id not in ours]
    return sum(map(is_in_doubt, attempts)) <= len(unbound) and not any(bill.fails for bill in unbound)


def owners(takes: Mapping[str, Any], bills: Iterable[Accepted]) -> tuple[dict[str, list[Accepted]], list[str]]:
    """Whose each accepted submit is: by its id in the lock, else by a take in doubt that it could be. And what is wrong."""
    wrong: list[str] = []
    ids: dict[str, str] = {}
    for take, entry in takes.items():
        for attempt in entry["attempts"]:
            if (task_id := attempt.get("task_id")) is not None:
                if ids.get(task_id, take) != take:
                    wrong.append(f"task {task_id} belongs to {take} and to {ids[task_id]}")
                ids[task_id] = take
    found: dict[str, list[Accepted]] = {take: [] for take in takes}
    doubts = {take: sum(map(is_in_doubt, entry["attempts"])) for take, entry in takes.items()}
    for bill in bills:
        take = ids.get(bill.task_id)
        if take is None:
            take = next((one for one, entry in takes.items() if doubts[one] and _could_be(entry, bill)), None)
            if take is None:
                wrong.append(f"LOST: task {bill.task_id} was accepted, and neither lock nor doubt knows it")
                continue
            doubts[take] -= 1
        found[take].append(bill)
    return found, wrong


def _could_be(entry: Mapping[str, Any], bill: Accepted) -> bool:
    return (entry["request"].get("prompt", ""), entry.get("seed")) == (bill.prompt, bill.seed)


def double(owned: Mapping[str, list[Accepted]], permitted: Mapping[str, int]) -> Iterator[str]:
    """Takes that were paid for more often than once, and than a person permitted."""
    for take, bills in owned.items():
        live = sum(1 for bill in bills if not bill.fails)
        if live > 1 + permitted.get(take, 0):
            yield f"TWICE: {take} was accepted {live} times"


def damaged(folder: Path, takes: Mapping[str, Any]) -> Iterator[str]:
    """Saved renders that are not what the lock says, and files under final names that are no films."""
    for take, entry in takes.items():
        if entry["state"] == "saved":
            path = folder / entry["render"]["path"]
            if not path.exists():
                yield f"GONE: {take} is saved, and {entry['render']['path']} is not there"
            elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["render"]["sha256"]:
                yield f"DAMAGED: {take} is not what its sha256 says"
    yield from torn(folder)


def torn(folder: Path) -> Iterator[str]:
    """Files under a final name that do not decode to the end; may be asked at any moment."""
    for path in folder.glob("renders/**/[!.]*.mp4"):
        try:
            with av.open(str(path)) as film:
                frames = sum(1 for _ in film.decode(video=0))
        except (av.error.FFmpegError, OSError, IndexError):
            frames = 0
        if not frames:
            yield f"DAMAGED: {path.name} is no whole film"


def told(said: str, bills: Iterable[Accepted]) -> set[str]:
    """The task ids that a run has said; whatever was said must be known from then on."""
    return {bill.task_id for bill in bills if bill.task_id in said}


def summary(takes: Mapping[str, Any]) -> str:
    return ", ".join(f"{state} {count}" for state, count in sorted(Counter(one["state"] for one in takes.values()).items()))
