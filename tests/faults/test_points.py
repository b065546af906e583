"""Killed at every single write, fsync, rename, send and receive, a run goes on to its end, and nothing is paid twice."""

from __future__ import annotations

import time

import pytest

from tests.faults.pool import EVERY, every_kill
from tests.faults.scenarios import SCENARIOS, killed, unharmed


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_killed_at_any_point_the_next_run_goes_on_and_nothing_is_paid_twice(scenario, workers, tmp_path, figures):
    (names,) = workers(lambda worker, _: unharmed(scenario, worker, tmp_path / "unharmed"), [None])
    assert {"write", "fsync"} <= set(names)
    # All points of the first road, a sample of the others'.
    kills = every_kill(names, 1 if scenario is SCENARIOS[0] else EVERY)
    began = time.monotonic()
    results = workers(lambda worker, kill: killed(scenario, worker, tmp_path / f"t{kill[0]}", **kill[1]), enumerate(kills))
    # Timing decides how many polls there are, so a run may end a few receives before the last numbers: those were not killed.
    done = sum(was_killed for was_killed, _ in results)
    wrong = [what for _, all_ in results for what in all_]
    figures.add("points", scenario.name, points=len(names), kills=done, wrong=wrong, seconds=time.monotonic() - began)
    assert not wrong, f"{len(wrong)} wrong of {done} kills:\n" + "\n".join(wrong[:5])
    assert done > len(kills) * 0.6
