"""The journal, record by record → the past that it tells: the takes as they stand, the runs, the numbers ever used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import journal, locktext
from runner import lock as locks
from runner.errors import Refused
from runner.lock import Lock, LockDamaged


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """`used` are the takes whose numbers are never free again: every one that there was more of than the wish.

    `runs` are those that wrote here or were looked into, `size` the bytes of all whole records.
    """

    lock: Lock
    runs: frozenset[str]
    used: frozenset[str]
    size: int


def read(path: Path) -> Past:
    """What a journal tells. Raises Refused for a line that makes no sense.

    No record is kept for the next one's sake: all of them at once would take three times the room of what they come to.
    """
    known = Lock(takes={})
    runs: set[str] = set()
    used: set[str] = set()
    size = 0
    for number, (record, end) in enumerate(journal.read(path), 1):
        try:
            entry = {"entry": locktext.entry_of(record["entry"])} if record["event"] == "known" else {}
            known = locks.apply(known, {**record, **entry})
            if run := {"run": "run", "settled": "settled"}.get(record["event"]):
                runs.add(record[run])
        except (LockDamaged, KeyError, TypeError, ValueError, AttributeError) as error:
            hint = "it is a newer callsheet's, or was edited: upgrade, or keep a copy of the file and ask for help"
            raise Refused(f"{path}:{number}: a record makes no sense: {error}", hint=hint) from error
        if record.get("take") and not _is_wish(record):
            used.add(record["take"])
        size = end
    return Past(lock=known, runs=frozenset(runs), used=frozenset(used), size=size)


def _is_wish(record: Mapping[str, Any]) -> bool:
    entry = record.get("entry") or {}
    return record["event"] in {"wanted", "unwanted"} or (entry.get("state") == "wanted" and not entry.get("attempts"))
