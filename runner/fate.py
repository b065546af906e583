"""A take's entry → what a run would do with it, and why; pure."""

from __future__ import annotations

from typing import Literal

from runner import explain
from runner.catalog import Model, Provider
from runner.clock import epoch
from runner.lock import Entry, Lock

Action = Literal["submit", "watch", "fetch", "keep", "absent", "answer", "blocked"]


def of(entry: Entry, key: str, known: Lock, provider: Provider, model: Model, attempts: int, now: float) -> tuple[Action, str]:
    """`provider` is the one that has the task; `now` is the time by which an old render counts as gone (0: never)."""
    task = entry.attempt.task_id if entry.attempt else None
    error = entry.error
    match entry.state:
        case "wanted":
            return "submit", "asked for"
        case "intended":
            return "answer", "sent, but no reply was seen: it may have been paid for"
        case "submitted":
            return "watch", f"task {task} is under way"
        case "rendered":
            return "fetch", f"task {task} is rendered"
        case "saved" if key in known.here:
            return "keep", "saved"
        case "saved":
            return _missing(entry, key, known, provider, now)
        case "failed" if error.get("refused"):
            return "submit", f"refused for the moment: {error.get('code')}"
        case "failed" if error.get("retryable") and entry.counted < attempts:
            return "submit", f"failed, may be tried again: {error.get('code')}"
        case "failed":
            ours = explain.hint(error, model)
            return "answer", f"failed: {error.get('code')}: {error.get('message')}{f' ({ours})' if ours else ''}"
        case "canceled":
            return "answer", "canceled"
        case "lost":
            return "answer", "paid for, but the provider no longer has it"


def gone(entry: Entry) -> str:
    """Why the file of a saved take is not here."""
    return f"deleted by clean on {entry.cleaned_at[:10]}" if entry.cleaned_at else "saved elsewhere"


def _missing(entry: Entry, key: str, known: Lock, provider: Provider, now: float) -> tuple[Action, str]:
    """Saved once, and the file is not here: the provider may still have it."""
    ended = entry.attempt.ended_at if entry.attempt else None
    if key in known.absent:
        return "absent", f"{gone(entry)}; the provider no longer has it"
    if ended is None or entry.attempt is None or entry.attempt.task_id is None or (now and now - epoch(ended) > provider.lives):
        return "absent", f"{gone(entry)}; too old to be fetched again"
    return "fetch", f"{gone(entry)}, and asked for again" if entry.cleaned_at else "saved, but its file is not here"
