"""`python -m tests.bench.polling` → how late an end is seen and how many queries that takes, against the official SDK's way.

The product's own scheduler, lock and learning, on virtual time: hours of waiting in seconds. The official SDK asks at
once, then each second, soon every 5 s; its figures are computed for the very same tasks.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from statistics import mean, median

from runner.clock import epoch
from tests.bench.table import Row, show
from tests.fakes import EPOCH, Pace, Service
from tests.test_schedule import run, storyboard

_SEED = 20261121
_TAKES = 120  # of each of the two runs: one that learns, one that is measured
_CROWD = 3000
_MEDIAN, _SPREAD = 60.0, 0.35  # seconds, and the sigma of the logarithm: tasks of one kind, as the figures assume


def main() -> int:
    rows = [*_learned(), *_crowd()]
    return 0 if show(f"Polling, on virtual time (seed {_SEED})", rows) else 1


def _learned() -> list[Row]:
    """A provider asked every 5 s (AIsa's own advice), in a folder that has rendered such shots before."""
    dice = random.Random(_SEED)
    lengths = [_MEDIAN * dice.lognormvariate(0, _SPREAD) for _ in range(2 * _TAKES)]
    with tempfile.TemporaryDirectory() as folder:
        first = storyboard(Path(folder), _TAKES, provider="aisa")
        fresh = _run(first, lengths[:_TAKES])
        # The same shots, each wanted once more: the lock now knows how long such tasks take.
        more = storyboard(Path(folder), _TAKES, provider="aisa", takes=2)
        known = _run(more, lengths[_TAKES:])
    sdk = [_official(length) for length in lengths[_TAKES:]]
    theirs = mean(polls for polls, _ in sdk), mean(late for _, late in sdk)
    ratio, lag = known[0] / theirs[0], known[1] / theirs[1]
    return [
        Row("queries a task, nothing known yet", f"{fresh[0]:.1f}", f"{theirs[0]:.1f} (official SDK)", "1"),
        Row("queries a task, after a run", f"{known[0]:.1f}", f"{theirs[0]:.1f} (official SDK)", "1", "≤ 0.65x", ratio <= 0.65),
        Row("end seen late by, mean", f"{known[1]:.1f} s", f"{theirs[1]:.1f} s (official SDK)", "0 s", "≤ 1.15x", lag <= 1.15),
    ]


def _run(manifest, lengths) -> tuple[float, float]:
    """Queries a task and mean seconds from a task's end to its event, of one run."""
    left = iter(lengths)
    service = Service(provider="aisa", seconds=lambda _: next(left))
    events, _, _ = run(manifest, service, slots=len(lengths), provider="aisa")
    ends = {task["take"]: task["end"] for task in service.tasks.values()}
    late = [epoch(one["at"]) - EPOCH - ends[one["take"].partition("@")[0]] for one in events if one["event"] == "rendered"]
    assert len(late) == len(lengths)
    return len(service.asked) / len(lengths), mean(late)


def _official(length: float) -> tuple[int, float]:
    """Queries of the official SDK's `wait` for a task, and how late it sees the end (dashscope 2.0.2, client/base_api.py)."""
    at, pause, polls = 0.0, 1, 0
    while True:
        polls += 1
        if pause < 5 and polls % 3 == 0:
            pause = min(2 * pause, 5)
        if at >= length:
            return polls, at - length
        at += pause


def _crowd() -> list[Row]:
    """Thousands of tasks under way on one account that answers 20 queries a second."""
    dice = random.Random(_SEED)
    service = Service(seconds=lambda _: dice.uniform(300, 900))
    service.queries = Pace(20)
    with tempfile.TemporaryDirectory() as folder:
        events, _, _ = run(storyboard(Path(folder), _CROWD), service, slots=_CROWD)
    ends = {task["take"]: task["end"] for task in service.tasks.values()}
    late = sorted(epoch(one["at"]) - EPOCH - ends[one["take"].partition("@")[0]] for one in events if one["event"] == "rendered")
    rate = max(sum(1 for at in service.queried if begin <= at < begin + 60) / 60 for begin in range(0, 900, 30))
    return [
        Row("takes under way at once", f"{service.most}", "300 (one query a task each 15 s)", "", f"{_CROWD}", service.most >= 0.97 * _CROWD),
        Row("queries a second, busiest minute", f"{rate:.1f}", f"{_CROWD / 15:.0f} (one a task each 15 s)", "20", "≤ 20", rate <= 20),
        Row("end seen late by, median", f"{median(late):.1f} s", f"{_CROWD / 20 / 2:.0f} s (one by one at 20 a second)", "", "≤ 20 s", median(late) <= 20),
        Row("the same, 95 of 100", f"{late[int(0.95 * len(late))]:.1f} s"),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
