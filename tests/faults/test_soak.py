"""A short soak; the long one is `python -m tests.bench.soak`."""

from __future__ import annotations

import sys

import pytest

from tests.bench.soak import soak


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors and memory are read from /proc")
def test_under_every_fault_all_is_accounted_for_and_descriptors_stay_flat(tmp_path, figures):
    found = soak(tmp_path, takes=30, share=0.05, seed=1, patient=False)
    figures.add("soak", "short", **{name: found[name] for name in ("takes", "submits", "runs", "seconds")})
    assert (found["lost"], found["twice"], found["damaged"]) == ([], [], [])
    assert found["states"] == "saved 30"
    assert found["submits"] > 30, "no task failed: the faults did not bite"
    # Connections come and go with the run; what leaked would grow with every take.
    assert max(one["fds"] for one in found["samples"][5:]) <= max(one["fds"] for one in found["samples"][:5]) + 10
