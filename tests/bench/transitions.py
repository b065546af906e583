"""What it costs to write a transition down, among a hundred takes and among a hundred thousand; and to fold the lock.

    python -m tests.bench.transitions [--takes 100000] [--json]

A take's road is intended (with its cap looked at), submitted, rendered, fetched, saved. CPU time, since a disk's fsync
is the disk's; fsyncs are counted. Otherwise is a state file that is written whole after every transition, the limit one
line appended to an open file.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner import locktext
from runner.budget import Tally
from runner.lock import Attempt, Entry, Lock
from runner.lockfile import FOLD_EVERY, Files, Ledger
from runner.money import Money
from runner.takes import Takes
from tests.bench.table import Row, show

ROADS = 400
REQUEST = {"prompt": "A lighthouse at dusk, slow aerial shot", "parameters": {"resolution": "720P", "duration": 5}}
COST = Money(micros=500_000, currency="USD", basis="0.10 USD a second")
RENDER = {"path": "renders/film/takes/s1@1.mp4", "sha256": "0" * 64, "bytes": 1, "seconds": 5.0, "width": 1280, "height": 720}
NAMED = {"fingerprint": "1:sha256:" + "0" * 64, "seed": 7, "provider": "aisa", "model": "wan2.7-t2v", "request": REQUEST}


def known(takes: int) -> Lock:
    attempt = Attempt(
        id="a" * 32,
        task_id="t" * 36,
        account="aisa:1a2b3c4d",
        host="api.aisa.one",
        intended_at="2026-11-21T01:02:03Z",
        submitted_at="2026-11-21T01:02:04Z",
        ended_at="2026-11-21T01:03:04Z",
        seconds=5.0,
        reserved=COST,
        cost=COST,
    )
    entries = ((f"s{number:06d}@1", f"renders/film/takes/s{number:06d}@1.mp4") for number in range(takes))
    return Lock(
        takes=Takes(
            {key: Entry(state="saved", render={**RENDER, "path": path}, attempts=(attempt,), **NAMED) for key, path in entries}
        )
    )


def road(ledger: Ledger, tally: Tally, take: str) -> None:
    tally.of(ledger.lock)
    ledger.note("intended", take=take, attempt="b" * 32, account="aisa:1a2b3c4d", reserved=COST.said(), seconds=5.0, **NAMED)
    ledger.note("submitted", take=take, attempt="b" * 32, task_id="u" * 36)
    ledger.note("rendered", take=take, attempt="b" * 32, usage={"duration": 5}, cost=COST.said())
    ledger.note("fetched", take=take, render=RENDER)
    ledger.note("saved", take=take, render=RENDER)
    ledger.lock.of_shot(take.rpartition("@")[0])


@contextmanager
def counted() -> Iterator[list[int]]:
    """The fsyncs of a while, which cost nothing meanwhile: the disk is not what is measured."""
    synced, real = [], os.fsync
    os.fsync = synced.append  # type: ignore[assignment]
    try:
        yield synced
    finally:
        os.fsync = real


def measured(takes: int, folder: Path) -> dict[str, float]:
    """CPU µs a transition, fsyncs a take and CPU seconds of the first fold and of a later one."""
    folder.mkdir()
    ledger, tally = Ledger(Files(lock=folder / "film.callsheet.lock"), known(takes)), Tally()
    tally.of(ledger.lock)
    try:
        ledger.note("settled", settled="none")  # opens the journal and writes down what only the lock knew
        began = time.process_time()
        ledger.fold()
        first = time.process_time() - began
        best = float("inf")
        with counted() as synced:
            for part in range(5):
                began = time.process_time()
                for number in range(ROADS):
                    road(ledger, tally, f"n{part}-{number}@1")
                best = min(best, (time.process_time() - began) / (5 * ROADS))
        began = time.process_time()
        ledger.fold()
        again = time.process_time() - began
    finally:
        ledger.abandon()
    return {"us": 1e6 * best, "syncs": len(synced) / (5 * ROADS), "first": first, "again": again}


def rewritten(takes: int) -> float:
    """CPU µs of a transition that rewrites a JSON state file."""
    lock = known(takes)
    began = time.process_time()
    json.dumps(locktext.to_json(lock), indent=2, sort_keys=True)
    return 1e6 * (time.process_time() - began)


def appended(folder: Path) -> float:
    line = json.dumps({"event": "saved", "take": "s1@1", "render": RENDER}).encode() + b"\n"
    fd = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    began = time.process_time()
    for _ in range(5000):
        os.write(fd, line)
    took = time.process_time() - began
    os.close(fd)
    return 1e6 * took / 5000


def rows(takes: int, folder: Path) -> list[Row]:
    few, many = measured(100, folder / "few"), measured(takes, folder / "many")
    growth = many["us"] / few["us"]
    whole, least = rewritten(takes), appended(folder)
    pause = max(FOLD_EVERY, 99 * many["again"])
    share = many["again"] / (pause + many["again"])
    return [
        Row("a transition among 100 takes", f"{few['us']:.0f} µs", f"{rewritten(100):,.0f} µs", f"{least:.0f} µs"),
        Row(f"a transition among {takes:,} takes", f"{many['us']:.0f} µs", f"{whole:,.0f} µs", f"{least:.0f} µs"),
        Row("  the one over the other", f"{growth:.2f}x", goal="<= 1.3x", ok=growth <= 1.3),
        Row(
            "fsyncs a take: intent, task, file's name, and what shares one",
            f"{many['syncs']:.2f}",
            "5",
            "2",
            "<= 3.5",
            many["syncs"] <= 3.5,
        ),
        Row(f"a fold of {takes:,} takes, the first of a run", f"{many['first']:.2f} s", f"{whole / 1e6:.2f} s"),
        Row("  a later one", f"{many['again']:.2f} s", f"{whole / 1e6:.2f} s"),
        Row(f"  of a run, every {pause:.0f} s", f"{share:.2%}", goal="<= 1 %", ok=share <= 0.01),
    ]


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--takes", type=int, default=100_000)
    asked.add_argument("--json", action="store_true")
    how = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show("Transitions", rows(how.takes, Path(folder)), as_json=how.json)


if __name__ == "__main__":
    main()
