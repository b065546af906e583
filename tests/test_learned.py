"""Durations learned from a lock's past attempts: pure values."""

from __future__ import annotations

import time

import pytest

from runner.clock import stamp
from runner.learned import Durations, tier
from runner.lock import Attempt, Entry

BEGAN = 1_790_000_000.0


def take(took, *, provider="qwencloud", model="wan2.7-t2v", seconds=5.0, parameters=None, error=None):
    attempt = Attempt(id="a", submitted_at=stamp(BEGAN), ended_at=stamp(BEGAN + took), seconds=seconds, error=error)
    request = {"parameters": parameters or {"resolution": "720P"}}
    return Entry(state="saved", provider=provider, model=model, request=request, attempts=(attempt,))


def test_quantiles_of_a_kind():
    known = Durations.of(take(took) for took in (60, 70, 80, 90, 100))
    assert known.expect("qwencloud", "wan2.7-t2v", "720P", 5.0) == pytest.approx(80)
    assert known.expect("qwencloud", "wan2.7-t2v", "720P", 5.0, 0.9) == pytest.approx(96)
    assert known.expect("qwencloud", "wan2.7-t2v", "720P", 5.0, 0.0) == pytest.approx(60)
    assert known.expect("qwencloud", "wan2.7-t2v", "720P", 5.0, 1.0) == pytest.approx(100)


def test_the_nearest_kind_answers_for_one_never_seen():
    known = Durations.of([take(60), take(200, parameters={"resolution": "1080P"}), take(30, model="wan2.2-t2v-plus")])
    assert known.expect("qwencloud", "wan2.7-t2v", "1080P", 5.0) == pytest.approx(200)
    assert known.expect("qwencloud", "wan2.7-t2v", "720P", 10.0) == pytest.approx(120), "twice as long, twice the time"
    assert known.expect("qwencloud", "wan2.7-t2v", "480P", 5.0) == pytest.approx(130), "of this model, whatever the tier"
    assert known.expect("qwencloud", "wan2.6-t2v", "480P", 5.0) == pytest.approx(60), "of this provider, whatever the model"
    assert known.expect("aisa", "wan2.7-t2v", "720P", 5.0) is None


def test_what_teaches_nothing_is_left_out():
    failed = take(5, error={"code": "x", "message": "y"})
    waiting = Entry(
        state="submitted", provider="qwencloud", model="wan2.7-t2v", attempts=(Attempt(id="a", submitted_at=stamp(BEGAN)),)
    )
    known = Durations.of([failed, waiting, take(-3), take(3 * 86400), Entry(state="wanted")])
    assert known.expect("qwencloud", "wan2.7-t2v", "720P", 5.0) is None


def test_a_task_whose_end_was_only_seen_the_next_morning_does_not_count():
    known = Durations.of([take(60), take(62), take(64), take(9 * 3600)])
    assert known.expect("qwencloud", "wan2.7-t2v", "720P", 5.0, 1.0) == pytest.approx(64)


def test_learned_as_it_goes():
    known = Durations.of([])
    assert known.expect("aisa", "m", None, None) is None
    known.add("aisa", "m", None, None, 40)
    assert known.expect("aisa", "m", None, None) == 40
    known.add("aisa", "m", None, None, 60)
    assert known.expect("aisa", "m", None, None) == 50


def test_tiers_are_as_written():
    assert tier({"resolution": "720P"}) == "720P"
    assert tier({"size": "1280*720"}) == "1280*720"
    assert tier({}) is None


def test_a_hundred_thousand_takes_are_learned_from_quickly():
    entries = [take(50 + number % 40) for number in range(1000)] * 100
    began = time.monotonic()
    known = Durations.of(entries)
    for _ in range(1000):
        known.expect("qwencloud", "wan2.7-t2v", "720P", 5.0, 0.9)
    assert time.monotonic() - began < 5
