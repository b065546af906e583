"""Tasks and a list query → one page, flat, as `GET /tasks` answers it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from runner.studio.replies import CHINA, REGION, row
from runner.studio.store import Task

_DAY = 86_400.0
_MOST = 100
_WORDS = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN")
_FIELDS: Mapping[str, Callable[[Task], str]] = {
    "task_id": lambda task: task.bill.task_id,
    "model_name": lambda task: task.bill.model,
    "status": lambda task: task.status,
    "region": lambda _: REGION,
    "api_key_id": lambda task: task.bill.key,
}


class Unlistable(ValueError):
    """A filter that cannot be understood."""


def page_of(newest_first: Iterable[Task], query: Mapping[str, str], now: float) -> dict[str, Any]:
    """The page that `query` asks for; without times the last 24 hours. Raises Unlistable."""
    start, end = _window(query, now)
    number, size = _count(query, "page_no", 1), min(_count(query, "page_size", 10), _MOST)
    if query.get("status") and query["status"] not in _WORDS:
        raise Unlistable(f"status must be one of {', '.join(_WORDS)}")
    wanted = [(_FIELDS[name], query[name]) for name in _FIELDS if query.get(name)]
    # Rows are made for the page only: a client may turn over the pages of thousands of tasks every few seconds.
    found = [
        task for task in newest_first if start <= task.bill.at < end and all(field(task) == value for field, value in wanted)
    ]
    return {
        "request_id": str(uuid.uuid4()),
        "data": [row(task) for task in found[(number - 1) * size : number * size]],
        "total": len(found),
        "total_page": -(-len(found) // size),
        "page_no": number,
        "page_size": size,
    }


def _window(query: Mapping[str, str], now: float) -> tuple[float, float]:
    """Seconds since the epoch, from and before; the last second named is part of it."""
    start, end = _time(query, "start_time"), _time(query, "end_time")
    if start is None and end is None:
        return now - _DAY, now + 1
    if end is None:
        end = (start or 0.0) + _DAY
    if start is None:
        start = end - _DAY
    if not 0 <= end - start <= _DAY:
        raise Unlistable("end_time must be at most 24 hours after start_time")
    return start, end + 1


def _time(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if not text:
        return None
    try:
        time = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA)
    except ValueError as error:
        raise Unlistable(f"{name} must be a time, YYYYMMDDhhmmss") from error
    # strptime also takes single digits.
    if len(text) != len("YYYYMMDDhhmmss"):
        raise Unlistable(f"{name} must be a time, YYYYMMDDhhmmss")
    return time.timestamp()


def _count(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**9):
        raise Unlistable(f"{name} must be a whole number, 1 or more")
    return int(text)
