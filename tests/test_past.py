"""A journal read record by record: what it comes to, how far it is whole, and that no record stays in memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from runner import past
from runner.errors import Refused


def written(path: Path, *records: dict, end: bytes = b"") -> Path:
    path.write_bytes(b"".join(json.dumps(record).encode() + b"\n" for record in records) + end)
    return path


def wanted(take: str) -> dict:
    return {"event": "wanted", "take": take, "at": "2026-11-21T01:02:03Z", "run": "a", "seq": 1}


def intended(take: str) -> dict:
    return {**wanted(take), "event": "intended", "attempt": "b" * 32, "account": "studio", "seconds": 2.0}


def test_no_journal_is_an_empty_past(tmp_path):
    told = past.read(tmp_path / "film.journal")
    assert (dict(told.lock.takes), told.runs, told.used, told.size) == ({}, frozenset(), frozenset(), 0)


def test_runs_and_numbers_are_known_and_a_mere_wish_uses_none(tmp_path):
    run, settled = {"event": "run", "run": "a", "journal": 1}, {"event": "settled", "settled": "c"}
    path = written(tmp_path / "film.journal", run, settled, wanted("s1@1"), wanted("s1@2"), intended("s1@2"))
    told = past.read(path)
    assert (told.runs, told.used) == ({"a", "c"}, {"s1@2"})
    assert {key: entry.state for key, entry in told.lock.takes.items()} == {"s1@1": "wanted", "s1@2": "intended"}


@pytest.mark.parametrize("end", [b"", b'{"event": "unwan', b'{"event": "unwanted", "take": "s1@1"}'])
def test_a_line_without_its_end_counts_for_nothing(tmp_path, end):
    path = written(tmp_path / "film.journal", wanted("s1@1"), end=end)
    told = past.read(path)
    assert (list(told.lock.takes), told.size) == (["s1@1"], path.stat().st_size - len(end))


@pytest.mark.parametrize("bad", [b"{}", b"7", b"{", b"", b'{"event": "picked"}', b'{"event": "run"}'])
def test_a_line_that_makes_no_sense_is_named(tmp_path, bad):
    path = written(tmp_path / "film.journal", wanted("s1@1"), end=bad + b"\n")
    with pytest.raises(Refused, match=r"film\.journal:2: ") as caught:
        past.read(path)
    assert "keep a copy of the file" in str(caught.value.hint)


def test_what_is_read_is_not_kept(tmp_path):
    picked = [{"event": "picked", "shot": "s1", "take": f"s1@{number % 2 + 1}", "at": "x" * 100} for number in range(20_000)]
    path = written(tmp_path / "film.journal", *picked)
    tracemalloc.start()
    try:
        told = past.read(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told.lock.picked == {"s1": "s1@2"}
    assert most < path.stat().st_size / 10
