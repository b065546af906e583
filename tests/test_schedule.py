"""The scheduler on virtual time: slots, pace, refusals, blips, ends. Hours pass in milliseconds."""

from __future__ import annotations

import functools
import itertools

import anyio
import pytest
import trio
import trio.testing

import runner
from runner import schedule
from runner.budget import Caps
from runner.errors import Unreachable
from runner.lockfile import Ledger, held
from runner.slots import Slots
from runner.uploads import UploadCache, Uploads
from runner.work import Account, Options, Work
from tests.fakes import EPOCH, Service, json_reply

REFUSED = {"code": "InvalidParameter", "message": "size is not supported"}


@pytest.fixture
def film(tmp_path):
    """A storyboard of `shots` shots for qwencloud, each of whose prompts begins with its id."""

    return functools.partial(storyboard, tmp_path)


def storyboard(folder, shots, *, extra="", provider="qwencloud", takes=1):
    """A manifest of so many shots, each of whose prompts begins with its id."""
    rows = "\n".join(f"  - {{id: s{number}, prompt: s{number} at dusk}}" for number in range(shots))
    defaults = f"{{model: wan2.7-t2v, takes: {takes}, parameters: {{resolution: 720P, duration: 2}}}}"
    path = folder / "film.callsheet.yaml"
    path.write_text(f"callsheet: 1\nprovider: {provider}\n{extra}\ndefaults: {defaults}\nshots:\n{rows}\n")
    return runner.read(path, environ={})


def run(manifest, service, *, slots=3, provider="qwencloud", caps=None, submit=True, clock=None, fail_fast=False, listen=None):
    """Carry the plan out on trio's virtual clock; the events, the lock after it, and the seconds it took."""
    events, took = [], []

    async def main():
        began = anyio.current_time()
        files = runner.files_of(manifest)
        uploads = Uploads(service, UploadCache(files.state / "uploads.json", "fake"), lambda: EPOCH)
        account = Account(client=service, name="fake", slots=Slots(slots), uploads=uploads)
        with held(files):
            ledger = Ledger(files, runner.known(manifest), now=lambda: EPOCH + anyio.current_time())
            plan = runner.decide(manifest, ledger.lock, now=EPOCH)
            work = Work(
                manifest=manifest,
                plan=plan,
                ledger=ledger,
                accounts={provider: account},
                options=Options(submit=submit, run_caps=caps or Caps(), fail_fast=fail_fast),
                on_event=listen or events.append,
                now=ledger.now,
            )
            await schedule.carry_out(work)
            ledger.close()
        took.append(anyio.current_time() - began)

    trio.run(main, clock=clock or trio.testing.MockClock(autojump_threshold=0))
    return events, runner.known(manifest), took[0]


def states(lock):
    return {key: entry.state for key, entry in sorted(lock.takes.items())}


def test_every_take_is_submitted_once_and_saved(film):
    service = Service()
    events, lock, _ = run(film(5), service)
    assert states(lock) == {f"s{number}@1": "saved" for number in range(5)}
    assert sorted(service.bills) == [f"s{number}" for number in range(5)]
    assert [event["seq"] for event in events] == list(range(len(events)))


def test_never_more_under_way_than_there_are_slots(film):
    service = Service(seconds=lambda take: 30 + 7 * int(take[1:]))
    run(film(9), service, slots=3)
    assert service.most == 3


def test_downloads_do_not_hold_slots(film):
    slow = Service()
    slow.download_seconds = 500.0
    # A threshold, since files are put in place in threads, whose milliseconds must not look like hours.
    _, _, took = run(film(8), slow, slots=1, clock=trio.testing.MockClock(autojump_threshold=0.02))
    # Eight tasks of 60 s one after the other, each seen at the next poll: 600 s; four downloads of 500 s at a time behind
    # them end at about 1300 s. With downloads inside the slot it would be 8 x 575 s.
    assert took < 1500


def test_polls_keep_the_profiles_pace(film):
    service = Service(seconds=lambda take: 100.0)
    run(film(1), service)
    times = [at for at, _ in service.asked]
    assert 13 <= times[0] <= 17
    assert all(13 <= later - earlier <= 17.5 for earlier, later in itertools.pairwise(times))


def test_retry_after_is_honoured_and_does_not_count_as_an_attempt(film):
    busy = json_reply(429, {"code": "Throttling.RateQuota", "message": "later"}, {"retry-after": "40"})
    service = Service(submits=[busy, busy, busy])
    events, lock, took = run(film(1), service)
    assert states(lock) == {"s0@1": "saved"}
    assert took > 3 * 40
    assert len(lock.takes["s0@1"].attempts) == 1
    assert [event["event"] for event in events].count("waiting") == 3


def test_a_refused_take_fails_and_the_others_go_on(film):
    service = Service(submits=[None, json_reply(400, REFUSED)])
    _, lock, _ = run(film(4), service)
    assert sorted(states(lock).values()) == ["failed", "saved", "saved", "saved"]
    assert len(service.bills) == 3
    (failed,) = (entry for entry in lock.takes.values() if entry.state == "failed")
    assert failed.error == {**REFUSED, "retryable": False, "billed": False}


def test_an_account_that_is_stopped_gets_no_more_submits(film):
    service = Service(submits=[json_reply(400, {"code": "Arrearage", "message": "unpaid"})])
    _, _, _ = run(film(6), service, slots=1)
    assert service.bills == []


@pytest.mark.parametrize(
    "reply",
    [
        json_reply(500, {"code": "InternalError", "message": "oops"}),
        json_reply(503, {}),
        json_reply(200, {"output": {}}),
        json_reply(302, {}),
        json_reply(502, "<html>"),
        Unreachable("the connection broke", sent=True),
    ],
    ids=["500", "503", "200 without id", "redirect", "html", "lost reply"],
)
def test_whatever_is_not_surely_refused_is_in_doubt_and_never_sent_again(film, reply):
    service = Service(submits=[reply])
    events, lock, _ = run(film(2), service, slots=1)
    assert sorted(states(lock).values()) == ["intended", "saved"]
    assert len(service.bills) == 1
    assert "in_doubt" in [event["event"] for event in events]
    run(film(2), service, slots=1)  # the next run asks the list, finds nothing, and still pays for nothing
    assert len(service.bills) == 1


def test_a_lost_reply_is_found_in_the_providers_list(film):
    service = Service(submits=["lost"])
    _, lock, _ = run(film(3), service, slots=1)
    assert set(states(lock).values()) == {"saved"}
    assert sorted(service.bills) == ["s0", "s1", "s2"]


def test_nothing_sent_is_tried_again(film):
    service = Service(submits=[Unreachable("no connection", sent=False), Unreachable("no connection", sent=False)])
    _, lock, _ = run(film(1), service)
    assert states(lock) == {"s0@1": "saved"}
    assert service.bills == ["s0"]


def test_no_network_ends_soon_and_leaves_all_for_the_next_run(film):
    service = Service(submits=[Unreachable("no connection", sent=False)] * 500)
    _, lock, took = run(film(100), service)
    assert took < 60
    assert service.bills == []
    assert set(states(lock).values()) <= {"failed"}
    plan = runner.decide(film(100), lock)
    assert plan.doing("submit") == plan.steps


def test_blips_html_and_odd_words_do_not_end_a_take(film):
    polls = [
        Unreachable("broke", sent=True),
        json_reply(502, "<html>"),
        json_reply(200, {"output": {"task_status": "Runing"}}),
        json_reply(404, {"code": "NotFound"}),
        json_reply(200, {"output": {"task_status": "UNKNOWN"}}),
    ]
    _, lock, _ = run(film(1), Service(polls=polls))
    assert states(lock) == {"s0@1": "saved"}


def test_unknown_that_lasts_is_lost_and_not_submitted_again(film):
    service = Service(polls=[json_reply(200, {"output": {"task_status": "UNKNOWN"}})] * 200)
    _, lock, took = run(film(1), service)
    assert states(lock) == {"s0@1": "lost"}
    assert 600 <= took < 700
    run(film(1), service)
    assert service.bills == ["s0"]


def test_a_key_that_is_not_let_in_leaves_the_take_submitted(film):
    service = Service(polls=[json_reply(401, {"code": "InvalidApiKey"})] * 50)
    _, lock, _ = run(film(1), service)
    assert states(lock) == {"s0@1": "submitted"}
    assert states(run(film(1), Service.resumed(service))[1]) == {"s0@1": "saved"}


def test_a_task_that_never_ends_is_left_after_give_up(film):
    _, lock, took = run(film(1), Service(seconds=lambda take: 1e9))
    assert states(lock) == {"s0@1": "submitted"}
    assert 10_800 < took < 11_000


def test_a_failed_task_that_may_be_retried_is_submitted_at_most_attempts_times(film):
    service = Service()
    original = service._accept

    def failing(request):
        task_id = original(request)
        service.tasks[task_id]["fails"] = {"code": "InternalError", "message": "oops"}
        return task_id

    service._accept = failing
    _, lock, _ = run(film(1, extra="attempts: 3"), service)
    assert states(lock) == {"s0@1": "failed"}
    assert service.bills == ["s0"] * 3
    assert len({attempt.id for attempt in lock.takes["s0@1"].attempts}) == 3
    run(film(1, extra="attempts: 3"), service)
    assert len(service.bills) == 3


def test_a_moderated_task_waits_for_an_answer(film):
    fails = json_reply(200, {"output": {"task_status": "FAILED", "code": "DataInspectionFailed", "message": "inappropriate"}})
    service = Service(polls=[fails])
    _, lock, _ = run(film(1), service)
    (step,) = runner.decide(film(1), lock).steps
    assert step.action == "answer"
    assert "DataInspectionFailed" in step.reason
    assert service.bills == ["s0"]


def test_fail_fast_submits_no_more_after_a_failure(film):
    service = Service(submits=[json_reply(400, REFUSED)])
    run(film(50), service, slots=1, fail_fast=True)
    assert len(service.bills) < 10


def test_collect_submits_nothing(film):
    service = Service()
    _, lock, _ = run(film(3), service, submit=False)
    assert (service.bills, states(lock)) == ([], {})


def test_equal_requests_go_one_after_the_other(film, tmp_path):
    rows = "  - {id: s0, prompt: s0 at dusk, takes: 4}\n"
    path = tmp_path / "equal.callsheet.yaml"
    path.write_text(f"callsheet: 1\nprovider: qwencloud\ndefaults: {{model: wan2.7-t2v}}\nshots:\n{rows}")
    inside, most = [0], [0]
    service = Service()
    submit = service.submit

    async def counted(request):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        try:
            return await submit(request)
        finally:
            inside[0] -= 1

    service.submit = counted
    _, lock, _ = run(runner.read(path, environ={}), service, slots=4)
    assert set(states(lock).values()) == {"saved"}
    assert most == [1]
    assert len({entry.seed for entry in lock.takes.values()}) == 4


def test_a_budget_is_never_overrun_by_retries(film):
    service = Service()
    original = service._accept

    def failing(request):
        task_id = original(request)
        service.tasks[task_id]["fails"] = {"code": "InternalError", "message": "oops"}
        return task_id

    service._accept = failing
    events, _, _ = run(film(4, extra="attempts: 9"), service, slots=1, caps=Caps(takes=4))
    # failed tasks are not billed, so all nine attempts of each are allowed; in doubt ones would count
    assert len(service.bills) == 36
    assert "blocked" not in {event["event"] for event in events}


def test_takes_in_doubt_count_against_a_cap(film):
    service = Service(submits=[json_reply(500, {}), json_reply(500, {})])
    events, _, _ = run(film(4), service, slots=1, caps=Caps(takes=3))
    assert len(service.bills) == 1
    assert [event["event"] for event in events].count("blocked") == 1


def test_a_refusal_for_too_many_halves_what_is_under_way_and_it_is_found_again(film):
    busy = json_reply(429, {"code": "Throttling.Concurrency", "message": "too many"}, {"retry-after": "5"})
    slots = Slots(8)
    for _ in range(8):
        slots.seize()
    slots.narrow()
    assert slots.limit == 4
    for _ in range(16):
        slots.widen()
    assert slots.limit == 8, "one more for every four that were taken, never above the most"
    service = Service(submits=[None] * 6 + [busy] * 2)
    _, lock, _ = run(film(24), service, slots=6)
    assert set(states(lock).values()) == {"saved"}
    assert len(service.bills) == 24


@pytest.mark.parametrize(("hours", "least", "most"), [(1, 600, 10_000), (25, 0, 120)])
def test_a_task_dies_by_the_providers_clock_and_not_by_ours(film, hours, least, most):
    """Ours has not moved between the runs: only theirs says whether the 24 h are over, or UNKNOWN must last."""
    run(film(1), Service(seconds=lambda take: 1e9))
    later = Service()
    later.ahead = hours * 3600.0
    _, lock, took = run(film(1), later)
    assert states(lock) == {"s0@1": "lost"}
    assert least <= took <= most


def test_what_dies_first_is_asked_first(film):
    """After an interruption the oldest tasks come first, whatever the storyboard's order."""
    manifest = film(6)
    service = Service(seconds=lambda take: 9e8)
    run(manifest, service, slots=6)
    lock = runner.known(manifest)
    order = sorted(lock.takes, key=lambda take: lock.takes[take].attempts[-1].submitted_at)
    owner = {entry.attempts[-1].task_id: take for take, entry in lock.takes.items()}
    *head, a, b, c, d, e, f = manifest.path.read_text().splitlines()
    manifest.path.write_text("\n".join([*head, f, e, d, c, b, a]))
    later = Service.resumed(service)
    run(runner.read(manifest.path, environ={}), later, slots=6)
    assert [owner[task_id] for _, task_id in later.asked] == order
