"""Seconds since the epoch ↔ the UTC text that lock, journal and events carry."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(epoch: float) -> str:
    """`2026-11-21T01:02:03.456Z`."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch(text: str) -> float:
    """The reverse; raises ValueError for what is no RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()
