"""Many tasks under way and few queries: one list page answers for dozens. On virtual time."""

from __future__ import annotations

import itertools
import random

import pytest

from runner.clock import epoch
from runner.errors import Unreachable
from tests.fakes import EPOCH, Pace, Service, json_reply
from tests.test_schedule import film, run, states  # noqa: F401 - film is a fixture


class Busy(Service):
    """A service that takes thousands at once and answers 20 queries a second, as the profile says."""

    def __init__(self, **how):
        super().__init__(**how)
        self.queries = Pace(20)

    def rate(self, begin, end):
        return sum(1 for at in self.queried if begin <= at < end) / (end - begin)


def lags(service, events):
    """Seconds from a task's end to the event that says so."""
    ends = {task["take"]: task["end"] for task in service.tasks.values()}
    return [epoch(one["at"]) - EPOCH - ends[one["take"].partition("@")[0]] for one in events if one["event"] == "rendered"]


def test_hundreds_of_tasks_need_few_queries_and_are_seen_to_end_in_time(film):  # noqa: F811
    dice = random.Random(7)
    seconds = {f"s{number}": dice.uniform(100, 400) for number in range(600)}
    service = Busy(seconds=seconds.__getitem__)
    events, lock, _ = run(film(600), service, slots=600)
    assert set(states(lock).values()) == {"saved"}
    assert service.most == 600, "each by itself they would ask 40 times a second"
    assert max(service.rate(at, at + 60) for at in range(0, 400, 60)) < 10
    late = sorted(lags(service, events))
    assert late[len(late) // 2] <= 15
    assert late[-1] <= 60
    assert len(service.asked) < 2 * 600, "most are asked about once, when they have ended"


def test_few_takes_ask_by_themselves(film):  # noqa: F811
    service = Service(seconds=lambda take: 100.0)
    run(film(20), service, slots=20)
    assert len(service.queried) == len(service.asked)


@pytest.mark.parametrize("broken", [Unreachable("no connection", sent=True), json_reply(500, {}), json_reply(200, {"data": "?"})])
def test_without_the_list_everybody_asks_as_before(film, broken):  # noqa: F811
    service = Busy(seconds=lambda take: 200.0)
    service.list_script = [broken] * 10_000
    events, lock, _ = run(film(200), service, slots=200)
    assert set(states(lock).values()) == {"saved"}
    assert max(lags(service, events)) < 35
    assert len(service.queried) - len(service.asked) <= 5, "a list that cannot be had is not asked for again at once"


def test_a_list_full_of_others_tasks_is_given_up(film):  # noqa: F811
    service = Busy(seconds=lambda take: 200.0)
    own = service.listed

    def crowded(query):
        page = own({"page_size": "1000"}).data()
        return json_reply(200, {**page, "total_page": 5000} if query["page_no"] == "1" else {"data": [{}], "total_page": 5000})

    service.listed = crowded
    events, lock, _ = run(film(200), service, slots=200)
    assert set(states(lock).values()) == {"saved"}
    assert max(lags(service, events)) < 35


def test_a_task_that_the_list_does_not_know_is_asked_about(film):  # noqa: F811
    service = Busy(seconds=lambda take: 200.0)
    own = service.listed

    def blind(query):
        page = own(query).data()
        return json_reply(200, {**page, "data": [row for row in page["data"] if int(row["task_id"][1:]) % 2]})

    service.listed = blind
    events, lock, _ = run(film(200), service, slots=200)
    assert set(states(lock).values()) == {"saved"}
    assert max(lags(service, events)) < 35


def test_a_list_that_is_stale_for_ever_does_not_hold_a_take_back_for_ever(film):  # noqa: F811
    service = Busy(seconds=lambda take: 100.0)
    service._row = lambda task_id: {"task_id": task_id, "model_name": "m", "status": "RUNNING", "gmt_create": 0}
    _, lock, _ = run(film(120), service, slots=120)
    assert set(states(lock).values()) == {"saved"}
    assert service.asked[-1][0] < 1000


def test_a_word_of_the_list_is_told_once(film):  # noqa: F811
    service = Busy(seconds=lambda take: 100.0)
    row, listed = service._row, []

    def queued_at_first(task_id):
        listed.append(task_id)
        return {**row(task_id), "status": "PENDING" if listed.count(task_id) < 3 else "RUNNING"}

    service._row = queued_at_first
    events, lock, _ = run(film(120), service, slots=120)
    assert set(states(lock).values()) == {"saved"}
    words = [one["word"] for one in events if one["event"] == "status" and one["take"] == "s110@1"]
    assert words == ["PENDING", "RUNNING", "SUCCEEDED"]


def test_a_list_that_says_now_this_now_that_keeps_no_take_from_its_end(film):  # noqa: F811
    service = Busy(seconds=lambda take: 100.0)
    words = itertools.cycle(["PENDING", "RUNNING"])
    word = {}

    def listed(query):
        if query["page_no"] == "1":
            word["now"] = next(words)
        return own(query)

    own, row = service.listed, service._row
    service.listed = listed
    service._row = lambda task_id: {**row(task_id), "status": word["now"]}
    _, lock, _ = run(film(120), service, slots=120)
    assert set(states(lock).values()) == {"saved"}
    assert service.asked[-1][0] < 2000
