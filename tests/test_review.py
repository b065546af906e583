"""Faults that a review found once, each as the scenario in which it lost, paid twice or wedged."""

from __future__ import annotations

import pytest

import runner
from runner import catalog, gates, providers, reconcile
from runner import lock as locks
from runner.budget import committed
from runner.catalog import is_loopback
from runner.clock import stamp
from runner.errors import ManifestError, Refused
from runner.lock import Attempt, Entry, Lock
from runner.money import Money
from runner.plan import decide
from runner.united import united
from tests.fakes import EPOCH, Service, json_reply
from tests.test_schedule import film, run, states

__all__ = ["film"]


def entry(state="submitted", **attempt):
    known = {"id": "a1", "account": "qwencloud:aaaa", "intended_at": stamp(EPOCH), **attempt}
    return Entry(
        state=state, fingerprint="1:sha256:" + "0" * 64, provider="qwencloud", model="wan2.7-t2v", attempts=(Attempt(**known),)
    )


def test_a_take_is_watched_where_its_task_is_whatever_the_manifest_now_says(film, tmp_path):
    _, lock, _ = run(film(1), Service(seconds=lambda take: 1e9))
    moved = runner.read(film(1).path, provider="studio", environ={})
    (step,) = decide(moved, lock).steps
    assert (step.action, step.provider) == ("watch", "qwencloud")


def test_unknown_under_another_key_ends_nothing(film):
    first = Service(seconds=lambda take: 1e9)
    run(film(1), first)
    stranger = Service()
    stranger.host = "other.example"
    events, lock, _ = run(film(1), stranger)
    assert states(lock) == {"s0@1": "submitted"}
    assert "waiting" in {event["event"] for event in events}


@pytest.mark.parametrize("url", ["http://127.evil.example/api", "http://localhost.evil.example", "http://127.0.0.1.nip.example"])
def test_a_name_that_looks_like_loopback_is_not(url):
    assert not is_loopback(url)


def test_the_studio_cannot_be_moved_to_a_paid_host(tmp_path):
    path = tmp_path / "film.callsheet.yaml"
    text = "callsheet: 1\nprovider: {}\nproviders: {}\ndefaults: {{model: wan2.7-t2v}}\nshots: [{{id: s0, prompt: A}}]\n"
    evil = '{x: {extends: studio, base_url: "https://dashscope-intl.aliyuncs.com/api/v1", auth: {env: DASHSCOPE_API_KEY}}}'
    path.write_text(text.format("x", evil))
    with pytest.raises(ManifestError):
        runner.read(path, environ={})
    path.write_text(text.format("studio", '{studio: {base_url: "https://dashscope-intl.aliyuncs.com/api/v1"}}'))
    with pytest.raises(ManifestError):
        runner.read(path, environ={})


def test_an_older_account_of_an_attempt_never_hides_its_task():
    lock, journal = Lock(takes={"s0@1": entry(task_id="T", usage={"duration": 5})}), Lock(takes={"s0@1": entry("intended")})
    for one, other in ((lock, journal), (journal, lock)):
        whole = united(one, other).takes["s0@1"]
        assert (whole.state, whole.attempt.task_id, whole.attempt.usage) == ("submitted", "T", {"duration": 5})


def test_attempts_keep_their_order_when_the_clock_is_set_back():
    first = entry("failed", task_id="T1", error={"code": "X", "message": "", "retryable": True, "billed": False})
    second = Attempt(id="a2", task_id="T2", intended_at=stamp(EPOCH - 500))
    later = Entry(state="submitted", attempts=(*first.attempts, second))
    whole = united(Lock(takes={"s0@1": first}), Lock(takes={"s0@1": later})).takes["s0@1"]
    assert (whole.state, whole.attempt.task_id) == ("submitted", "T2")


@pytest.mark.parametrize("flip", [False, True])
def test_a_rename_on_either_side_is_one_take(flip):
    old = Lock(takes={"s0@1": entry(task_id="T1")})
    new = Lock(takes={"s9@1": locks.replace(entry("saved", task_id="T1"), was=("s0@1",))})
    whole = united(*((new, old) if flip else (old, new)))
    assert list(whole.takes) == ["s9@1"]
    assert whole.takes["s9@1"].state == "saved"


def test_a_watched_take_that_fails_is_not_paid_for_again_without_being_shown(film):
    fails = json_reply(200, {"output": {"task_status": "FAILED", "code": "InternalError", "message": "oops"}})
    first = Service(seconds=lambda take: 1e9)
    run(film(1), first)
    later = Service(polls=[fails])
    later.tasks = first.tasks
    _, lock, _ = run(film(1), later)
    assert later.bills == []
    (step,) = decide(film(1), lock).steps
    assert (step.action, step.cost.said()["amount"]) == ("submit", "0.20")


def test_a_listener_that_breaks_does_not_break_the_paid_moment(film):
    service = Service()

    class Gone(Exception):
        pass

    def listener(event):
        if event["event"] in {"intended", "submitted"}:
            raise Gone

    with pytest.raises(Gone):
        run(film(1), service, listen=listener)
    lock = runner.known(film(1))
    assert lock.takes["s0@1"].attempt.task_id == "t0"
    assert service.bills == ["s0"]


def test_a_foreign_tasks_silence_does_not_hold_up_a_run_for_ever(film):
    service = Service(submits=[json_reply(500, {})])
    submit = service.submit

    async def with_a_stranger(request):
        service._accept(type(request)(method="POST", path="", body={**request.body, "input": {"prompt": "somebody else's"}}))
        service.bills.pop()
        return await submit(request)

    service.submit = with_a_stranger
    service.polls_script = [json_reply(403, {})] * 1000
    _, lock, took = run(film(1), service)
    assert states(lock) == {"s0@1": "intended"}
    assert took < 2 * reconcile.PATIENCE


def test_a_take_no_longer_wanted_is_not_tried_again(film):
    service = Service(submits=[json_reply(429, {"code": "Throttling"}, {"retry-after": "700"})])
    manifest = film(1)
    _, lock, _ = run(manifest, service)
    assert lock.takes["s0@1"].error["refused"]
    manifest.path.write_text(manifest.path.read_text().replace("prompt: s0", "takes: 0, prompt: s0"))
    assert decide(runner.read(manifest.path, environ={}), lock).steps == ()


def test_an_attempt_paid_elsewhere_counts_though_the_studio_has_the_take_now():
    attempts = (
        Attempt(id="a1", account="qwencloud:aaaa", reserved=Money(micros=500_000, currency="USD")),
        Attempt(id="a2", account="studio"),
    )
    known = Lock(takes={"s0@1": Entry(state="submitted", provider="studio", attempts=attempts)})
    assert committed(known).of("USD") == 500_000


def test_a_lock_of_a_run_never_heard_of_refuses_until_the_takes_are_asked_for(film):
    manifest = film(2)
    run(manifest, Service(seconds=lambda take: 1e9), slots=1)
    files = runner.files_of(manifest)
    text = files.lock.read_text().replace(
        '"callsheet_lock": 1,', '"callsheet_lock": 1,\n  "run": {"host": "x", "id": "gone", "since": "2026-11-21T00:00:00Z"},'
    )
    files.lock.write_text(text)
    files.journal.unlink()
    manifest.path.write_text(manifest.path.read_text() + "  - {id: s9, prompt: s9 new}\n")
    manifest = runner.read(manifest.path, environ={})
    with runner.hold(manifest) as held:
        with pytest.raises(Refused, match="journal is not here"):
            gates.check_lock(runner.decide(manifest, held.lock), held.lock)
        runner.again(held, runner.decide(manifest, held.lock).doing("submit"))
        gates.check_lock(runner.decide(manifest, held.lock), held.lock)


def test_what_is_paid_for_is_fetched_though_the_output_is_taken(film):
    manifest = film(1)
    output = manifest.folder / manifest.shots[0].output
    first = Service(seconds=lambda take: 1e9)
    run(manifest, first)
    output.parent.mkdir(parents=True)
    output.write_bytes(b"mine")
    _, lock, _ = run(manifest, Service.resumed(first))
    assert states(lock) == {"s0@1": "saved"}
    assert output.read_bytes() == b"mine"


def test_a_manifest_cannot_make_a_price_cheaper(tmp_path):
    path = tmp_path / "film.callsheet.yaml"
    cheap = '{qwencloud: {prices: [{models: ["*"], currency: USD, per_second: {720P: "0.000001"}}]}}'
    path.write_text(
        f"callsheet: 1\nprovider: qwencloud\nproviders: {cheap}\ndefaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P}}}}\nshots: [{{id: s0, prompt: A}}]\n"
    )
    manifest = runner.read(path, environ={})
    (step,) = decide(manifest, Lock()).steps
    assert step.cost.micros == 500_000


def test_the_key_goes_to_own_hosts_loopback_and_what_the_user_trusts_only():
    known = catalog.load().providers["qwencloud"]

    def at(url):
        from dataclasses import replace

        return replace(known, base_url=url)

    assert providers.is_trusted(at("https://ws1.cn-beijing.maas.aliyuncs.com/api/v1"), ())
    assert providers.is_trusted(at("http://127.0.0.1:1/api/v1"), ())
    assert not providers.is_trusted(at("https://maas.aliyuncs.com.evil.example/api/v1"), ())
    assert not providers.is_trusted(at("https://gateway.example/api/v1"), ("OTHER=gateway.example",))
    assert not providers.is_trusted(at("http://gateway.example/api/v1"), ("DASHSCOPE_API_KEY=gateway.example",)), "plain http"
    assert providers.is_trusted(at("https://gateway.example/api/v1"), ("DASHSCOPE_API_KEY=gateway.example",))
