"""Where a run stands, as the views tell it: real plans, the events of a run, a clock of our own."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

import runner
from runner.clock import stamp
from runner.lock import Attempt, Entry
from runner.outputs import progress
from runner.outputs.data import plan_json
from runner.outputs.tally import Tally

WALL = 1_790_000_000.0


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Film:
    """A plan of many takes, a tally of it, and a clock."""

    def __init__(self, folder, takes=10, lock=None):
        path = folder / "film.callsheet.yaml"
        shots = "\n".join(f"  - {{id: s{number:04}, prompt: Boat {number}}}" for number in range(takes))
        defaults = "defaults: {model: wan2.7-t2v, parameters: {resolution: 720P, duration: 5}}"
        path.write_text(f"callsheet: 1\nprovider: qwencloud\n{defaults}\nshots:\n{shots}\n")
        self.manifest = runner.read(path, environ={})
        self.lock = lock or runner.Lock()
        self.plan = runner.decide(self.manifest, self.lock)
        self.clock = Clock()
        self.tally = Tally(self.plan, self.lock, now=self.clock, wall=lambda: WALL)
        self.tally.hear({"event": "plan", **plan_json(self.plan)})

    def hear(self, name, *takes, **more):
        for take in takes:
            self.tally.hear({"event": name, "take": f"s{take:04}@1", **more})

    def render(self, *takes, took=60.0):
        for name in ("intended", "submitted"):
            self.hear(name, *takes)
        self.clock.now += took
        self.hear("rendered", *takes)
        self.hear("saved", *takes, path="x.mp4", bytes=1)


def test_counts_money_and_time(tmp_path):
    film = Film(tmp_path)
    assert progress.totals(film.tally) == ["0 of 10 saved, 10 to go", "0.00 of 5.00 USD, 0:00 so far"]
    film.hear("intended", 0, 1)
    film.hear("submitted", 0, 1)
    film.hear("status", 0, word="RUNNING")
    film.clock.now += 61
    assert progress.totals(film.tally) == ["0 of 10 saved, 2 under way, 8 to go", "1.00 of 5.00 USD, 1:01 so far"]
    assert [(running.take, running.word, so_far) for running, so_far, _ in film.tally.shown(5)] == [
        ("s0000@1", "running", 61.0),
        ("s0001@1", "submitted", 61.0),
    ]
    film.hear("rendered", 0)
    film.hear("saved", 0)
    film.hear("failed", 1)
    assert progress.totals(film.tally)[0] == "1 of 10 saved, 8 to go, 1 failed"
    film.hear("intended", 1)
    assert progress.totals(film.tally)[0] == "1 of 10 saved, 1 under way, 8 to go"
    film.hear("submitted", 1)
    film.hear("rendered", 1)
    film.hear("saved", 1)
    film.hear("blocked", 2)
    assert progress.totals(film.tally)[0] == "2 of 10 saved, 7 to go, 1 blocked"


def test_the_time_left_is_learned(tmp_path):
    film = Film(tmp_path)
    assert film.tally.left() is None, "nothing is known of this service yet"
    film.render(0, 1, took=60.0)
    assert film.tally.left() == pytest.approx(8 * 60 / 2), "two at once, a minute each"
    film.hear("intended", 2, 3)
    film.hear("submitted", 2, 3)
    film.clock.now += 20
    assert film.tally.left() == pytest.approx((6 * 60 + 2 * 40) / 2)


def test_a_service_that_lets_tasks_wait_for_each_other_is_seen_by_its_pace(tmp_path):
    film = Film(tmp_path, takes=20)
    film.hear("intended", *range(20))
    film.hear("submitted", *range(20))
    for number in range(4):
        film.clock.now += 30
        film.hear("rendered", number)
        film.hear("saved", number)
    assert film.tally.left() == pytest.approx(16 * 30)


def test_what_the_lock_knows_counts_from_the_beginning(tmp_path):
    def entry(took, state="saved", number=1):
        ended = stamp(WALL - 1000 + took) if state == "saved" else None
        attempt = Attempt(
            id=f"a{number}",
            task_id="t",
            submitted_at=stamp(WALL - 30 if state != "saved" else WALL - 1000),
            ended_at=ended,
            seconds=5.0,
        )
        request = {"parameters": {"resolution": "720P"}}
        return Entry(
            state=state, provider="qwencloud", model="wan2.7-t2v", request=request, attempts=(attempt,), fingerprint="1:sha256:x"
        )

    first = Film(tmp_path)
    wording = first.plan.steps[0].fingerprint
    takes = {"s9999@1": entry(80), "s0000@1": replace(entry(0, state="submitted"), fingerprint=wording)}
    film = Film(tmp_path, lock=runner.Lock(takes=takes))
    ((running, so_far, expected),) = film.tally.shown(9)
    assert (running.take, running.word, round(so_far), expected) == ("s0000@1", "under way", 30, 80)
    assert film.tally.left() == pytest.approx(9 * 80 + 50), "one at once, as far as was seen"


def test_what_collect_will_not_submit_is_no_part_of_it(tmp_path):
    film = Film(tmp_path)
    film.tally = Tally(film.plan, film.lock, now=film.clock)
    film.tally.hear({"event": "plan", "steps": []})
    assert progress.totals(film.tally) == ["0 of 0 saved", "0:00 so far"]


def test_a_take_in_doubt_that_was_found_is_counted_in(tmp_path):
    film = Film(tmp_path, takes=2)
    film.tally.hear({"event": "submitted", "take": "s0009@1", "task_id": "t"})
    assert progress.totals(film.tally)[0] == "0 of 3 saved, 1 under way, 2 to go"
    film.tally.hear({"event": "saved", "take": "s0009@1"})
    assert progress.totals(film.tally)[0] == "1 of 3 saved, 2 to go"


def test_a_terminal_that_goes_away_ends_no_run_and_a_bug_is_told_at_its_end():
    def gone():
        raise BrokenPipeError

    def broken():
        raise ZeroDivisionError

    for call, expected in ((gone, None), (broken, ZeroDivisionError)):
        ticker = progress._Ticker(0.001, call)
        ticker.start()
        ticker._thread.join(5)
        assert not ticker._thread.is_alive()
        if expected:
            with pytest.raises(expected):
                ticker.stop()
        else:
            ticker.stop()


def test_thousands_of_takes_cost_a_picture_no_more_than_ten(tmp_path):
    def picture(film):
        film.hear("intended", *range(8))
        film.hear("submitted", *range(8))
        film.tally.durations.add("qwencloud", "wan2.7-t2v", "720P", 5.0, 80.0)
        began = time.perf_counter()
        for _ in range(20):
            progress.totals(film.tally)
            assert len([*film.tally.shown(10)]) == 8
        return time.perf_counter() - began

    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    few, many = picture(Film(tmp_path / "few", takes=10)), picture(Film(tmp_path / "many", takes=3000))
    assert many < 5 * few + 0.05


def test_the_lines_of_blocked_takes_stand_below_each_other_too(tmp_path):
    film = Film(tmp_path, takes=2)
    first, second = film.plan.steps
    plan = replace(film.plan, steps=(first, replace(second, take="s0001-fog@1", action="blocked")))
    assert Tally(plan, film.lock).width == len("s0001-fog@1")


def test_spans_and_estimates():
    assert [progress.span(seconds) for seconds in (0, 59.9, 60, 3599, 3600, 36000)] == [
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
        "10:00:00",
    ]
    assert [progress.roughly(seconds) for seconds in (1, 12, 54, 56, 61, 3500, 3700, 7200, 7300)] == [
        "5 s", "15 s", "55 s", "1 min", "2 min", "59 min", "1 h 10 min", "2 h", "2 h 10 min",
    ]  # fmt: skip


def lines_of(film, events):
    said = []
    view = progress._Lines(film.tally, said.append)
    for event in events:
        view(event)
    return said, view


def test_where_there_is_no_terminal_few_takes_have_a_line_each(tmp_path):
    film = Film(tmp_path)
    saved = {"event": "saved", "take": "s0000@1", "path": "renders/x.mp4", "bytes": 2048}
    said, _ = lines_of(film, [{"event": "submitted", "take": "s0000@1", "task_id": "t-1"}, saved])
    assert said == ["s0000@1  submitted  task t-1", "s0000@1  saved      renders/x.mp4 (2.0 kB)"]


def test_where_there_is_no_terminal_a_thousand_takes_say_only_what_went_wrong_and_the_totals(tmp_path):
    film = Film(tmp_path, takes=1000)
    events = []
    for number in range(1000):
        take = f"s{number:04}@1"
        events += [{"event": "intended", "take": take}, {"event": "submitted", "take": take, "task_id": "t"}]
        events += [
            {"event": "status", "take": take, "word": "RUNNING"},
            {"event": "waiting", "take": take, "reason": "Throttling"},
        ]
        events += [{"event": "rendered", "take": take}]
        events += (
            [{"event": "failed", "take": take, "code": "Moderation", "message": "no", "retryable": False}]
            if number == 500
            else [{"event": "saved", "take": take, "path": "x", "bytes": 1}]
        )
    said, view = lines_of(film, events)
    assert said == ["s0000@1  waiting    Throttling", "s0500@1  failed     Moderation: no"]
    view._tick()
    assert said[-1].startswith("999 of 1000 saved, 1 failed, 500.00 of 500.00 USD, ")
