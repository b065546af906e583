"""The power goes at every point: what was not fsynced is gone, and still nothing is lost, damaged or paid twice.

The last tests let one fsync at a time do nothing and expect the harness to see it: a model of a disk that forgives
would prove nothing.
"""

from __future__ import annotations

import time

import pytest

from tests.faults.pool import every_kill
from tests.faults.scenarios import BY_NAME, killed, unharmed

ROADS = ("studio", "lost reply, found in the list", "apiyi, lost reply", "a renamed shot", "again", "collect")
# Whose fsync does nothing ("/": folders'), and the road on which that must be seen.
FORGOTTEN = {"*.journal": "apiyi", "*.part": "opeai", "*.lock.tmp": "aisa", "/": "apiyi"}


@pytest.mark.parametrize("name", ROADS)
def test_the_power_goes_at_any_point_and_nothing_is_lost(name, workers, tmp_path, figures):
    scenario = BY_NAME[name]
    (names,) = workers(lambda worker, _: unharmed(scenario, worker, tmp_path / "unharmed"), [None])
    kills = [{**kill, "lossy": True} for kill in every_kill(names) if "torn" not in kill]
    began = time.monotonic()
    results = workers(lambda worker, kill: killed(scenario, worker, tmp_path / f"t{kill[0]}", **kill[1]), enumerate(kills))
    done = sum(was_killed for was_killed, _ in results)
    wrong = [what for _, all_ in results for what in all_]
    figures.add("power", name, points=len(names), kills=done, wrong=wrong, seconds=time.monotonic() - began)
    assert not wrong, f"{len(wrong)} wrong of {done} kills:\n" + "\n".join(wrong[:5])
    assert done > len(kills) * 0.6


@pytest.mark.parametrize(("lie", "name"), FORGOTTEN.items())
def test_a_disk_that_forgets_is_noticed(lie, name, workers, tmp_path, figures):
    """The harness's own proof: with one fsync that does nothing, the same kills do find something wrong."""
    scenario = BY_NAME[name]
    (names,) = workers(lambda worker, _: unharmed(scenario, worker, tmp_path / "unharmed"), [None])
    kills = [{"kill_at": number, "lossy": True, "lies": [lie]} for number in range(1, len(names) + 1)][::5]
    results = workers(lambda worker, kill: killed(scenario, worker, tmp_path / f"t{kill[0]}", **kill[1]), enumerate(kills))
    wrong = [what for _, all_ in results for what in all_]
    figures.add("lies", lie, kills=len(kills), seen=len(wrong))
    assert wrong, "nothing was noticed"
