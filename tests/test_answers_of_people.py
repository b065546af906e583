"""`adopt`, `reconcile`, `cancel`, `again`: a real studio, a real lock and journal; promise 9 of the contract, clause by clause.

What is in doubt here is put there as a run puts it: an intent in the journal, and at the studio a task or none.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256

import anyio
import pytest
import trio
import trio.testing

import runner
from runner import gates, listing, lockfile, reconcile, wire
from runner.cli import code
from runner.lockfile import Files, Ledger, held
from runner.slots import Slots
from runner.studio import Faults, Settings, Studio
from runner.uploads import UploadCache, Uploads
from runner.work import Account, Options, Work
from tests.fakes import EPOCH, Service
from tests.faults.world import nurseries, tiny

KEY, COLLEAGUES = "sk-test-0123456789", "sk-colleague-0123456789"
KEYS = {"qwencloud": "DASHSCOPE_API_KEY", "apiyi": "APIYI_API_KEY"}
STORYBOARD = """\
callsheet: 1
provider: {provider}
providers:
  {provider}:
    base_url: "{url}"
    poll: {{first: 0.02, every: 0.05, unknown_for: 0.1}}
    limits: {{submits_per_second: 200, queries_per_second: 500}}
budget: {{takes: 500}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, prompt: A lighthouse at dusk, takes: 2}}
  - {{id: s020, prompt: The keeper turns}}
  - {{id: s030, prompt: The lens begins to turn}}
"""


class Film:
    """A folder with a storyboard for one service, the studio that plays it, and what a run has left behind."""

    def __init__(self, folder, studio, provider, capsys):
        self.folder, self.studio, self.provider, self.capsys = folder, studio, provider, capsys
        self.path = folder / "film.callsheet.yaml"
        self.path.write_text(STORYBOARD.format(provider=provider, url=studio.base_url))

    def call(self, *args):
        """Exit code of a command line; what it said is kept."""
        self.capsys.readouterr()
        result = code([args[0], "film.callsheet.yaml", *args[1:]])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        assert "Traceback" not in found.err
        assert KEY not in found.out + found.err
        return result

    def said(self, *args):
        """Exit code, and the JSON object that was said."""
        result = self.call(*args, "--json")
        return result, json.loads(self.out)

    def edit(self, old, new):
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    @property
    def manifest(self):
        return runner.read(self.path)

    @property
    def files(self):
        return runner.files_of(self.manifest)

    @property
    def known(self):
        return runner.known(self.manifest)

    @property
    def states(self):
        return {take: entry.state for take, entry in sorted(self.known.takes.items())}

    @property
    def bills(self):
        return self.studio.bills()

    def note(self, *records, lock=None):
        """Records in the journal of this lock or another one of the folder, folded."""
        files = Files(lock=self.folder / f"{lock or 'film'}.callsheet.lock")
        with held(files):
            ledger = Ledger(files, runner.lockfile.load(files))
            for record in records:
                ledger.now = functools.partial(float, record.pop("now", time.time()))
                ledger.note(**record)
            ledger.close()

    def intent(self, take, *, prompt=None, model="wan2.7-t2v", attempt=None, key=KEY, **more):
        """What the journal says before a request leaves."""
        (step,) = (step for step in runner.decide(self.manifest, runner.Lock()).steps if step.take == take)
        shot = next(shot for shot in self.manifest.shots if shot.id == step.shot)
        return {
            "event": "intended",
            "take": take,
            "attempt": attempt or f"attempt-of-{take}",
            "fingerprint": step.fingerprint,
            "seed": 7,
            "provider": self.provider,
            "model": model,
            "request": {**shot.request(), **({"prompt": prompt} if prompt else {})},
            "account": f"{self.provider}:{sha256(key.encode()).hexdigest()[:8]}",
            "host": self.studio.base_url.partition("//")[2].partition("/")[0],
            "reserved": {"amount": "0.20", "currency": "USD", "basis": "seconds"},
            "seconds": 2.0,
            **more,
        }

    def doubt(self, *takes, **how):
        self.note(*(self.intent(take, **how) for take in takes))

    def task(self, take="s020@1", *, key=KEY, model=None, prompt=None):
        """A task at the studio, as the take's submit would make it; its id."""
        shot = next(shot for shot in self.manifest.shots if shot.id == take.partition("@")[0])
        body = wire.body(shot, seed=7, urls={})
        body["model"] = model or body["model"]
        body["input"]["prompt"] = prompt or body["input"]["prompt"]
        made = wire.submit(self.manifest.catalog.providers[self.provider], shot, body, take=take)
        headers = {**made.headers, "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.studio.base_url + made.path, json.dumps(made.body).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)["output"]["task_id"]

    def ended(self, *tasks):
        for task in tasks:
            self.until(task, "SUCCEEDED", "FAILED")

    def until(self, task, *states):
        """Wait until a task has come so far."""
        end = time.monotonic() + 20
        while _tasks(self.studio)[task].status not in states:
            assert time.monotonic() < end
            time.sleep(0.01)

    def findings(self):
        """What `reconcile` finds, by take, after what it bound."""
        result, said = self.said("reconcile")
        self.code = result
        self.bound = {one["take"]: one["task_id"] for one in said["bound"]}
        return {one["take"]: one["reason"] for one in said["in_doubt"]}


def _tasks(studio):
    from runner.studio import store

    return {task.bill.task_id: task for task in store._replay((studio.settings.folder / "tasks.jsonl").read_bytes())}


@pytest.fixture
def film(tmp_path, monkeypatch, capsys):
    """`film("apiyi", faults=[…])`: a studio that speaks this service's dialect, and a storyboard for it."""
    studios = []

    def make(provider="qwencloud", *, faults=(), **settings):
        settings = {"render": tiny, "in_flight": 4, **settings}
        studio = Studio(Settings(folder=tmp_path / "studio", dialect=provider, faults=Faults.parse(faults), **settings))
        studio.start()
        studios.append(studio)
        folder = tmp_path / "film"
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv(KEYS[provider], KEY)
        return Film(folder, studio, provider, capsys)

    yield make
    for studio in studios:
        studio.stop()


# adopt


@pytest.mark.parametrize("provider", KEYS)
def test_adopt_binds_to_the_attempt_that_was_in_doubt_and_the_next_run_pays_nothing(film, provider):
    made = film(provider)
    made.doubt("s020@1")
    task = made.task()
    result, said = made.said("adopt", "s020@1", task)
    assert (result, said["refused"]) == (0, [])
    assert said["adopted"][0].items() >= {"take": "s020@1", "task_id": task}.items()
    (attempt,) = made.known.takes["s020@1"].attempts
    assert (attempt.id, attempt.task_id) == ("attempt-of-s020@1", task)
    assert made.states == {"s020@1": "submitted"}
    assert made.call("collect") == 75  # the other shots are not made yet
    assert made.states == {"s020@1": "saved"}
    assert len(made.bills) == 1


def test_a_take_that_was_never_made_failed_or_is_lost_gets_a_new_attempt(film):
    made = film()
    error = {"code": "DataInspectionFailed", "message": "no", "retryable": False, "billed": False}
    gone = {"event": "lost", "take": "s030@1", "attempt": "attempt-of-s030@1", "error": {**error, "code": "Lost", "billed": True}}
    bound = {"event": "submitted", "take": "s030@1", "attempt": "attempt-of-s030@1", "task_id": "long-gone"}
    failed = {"event": "failed", "take": "s020@1", "attempt": "attempt-of-s020@1", "error": error}
    made.note(made.intent("s020@1"), failed, made.intent("s030@1"), bound, gone)
    tasks = {take: made.task(take) for take in ("s010@1", "s020@1", "s030@1")}
    for take, task in tasks.items():
        assert made.call("adopt", take, task) == 0, made.err
    assert set(made.states.values()) == {"submitted"}
    assert [len(made.known.takes[take].attempts) for take in tasks] == [1, 2, 2]
    assert made.known.takes["s010@1"].request["prompt"] == "A lighthouse at dusk"
    assert made.call("collect") == 75
    assert set(made.states.values()) == {"saved"}


def test_adopt_refuses_what_the_provider_does_not_know(film):
    made = film()
    made.doubt("s020@1")
    assert made.call("adopt", "s020@1", "no-such-task") == 3
    assert "does not know that task" in made.err
    assert made.states == {"s020@1": "intended"}


def test_adopt_refuses_another_model_and_another_prompt(film):
    made = film()
    made.doubt("s020@1")
    task = made.task(model="wan2.6-t2v")
    assert made.call("adopt", "s020@1", task) == 3
    assert "is of model wan2.6-t2v" in made.err
    task = made.task(prompt="Something else")
    made.ended(task)
    assert made.call("adopt", "s020@1", task) == 3
    assert '"Something else"' in made.err
    assert made.states == {"s020@1": "intended"}


def test_adopt_refuses_a_task_of_another_take_of_any_lock_of_the_folder(film):
    made = film()
    made.doubt("s020@1")
    task = made.task()
    bound = {"event": "submitted", "take": "s020@1", "attempt": "attempt-of-s020@1", "task_id": task}
    made.note(made.intent("s020@1"), bound, lock="film.draft")
    assert made.call("adopt", "s020@1", task) == 3
    assert "that task is s020@1's of film.draft.callsheet.lock" in made.err
    (made.folder / "film.draft.callsheet.lock").unlink()  # its journal still knows
    assert made.call("adopt", "s020@1", task) == 3
    (made.folder / ".callsheet/film.draft.journal").unlink()
    made.doubt("s010@1", prompt="The keeper turns")
    assert made.call("adopt", "s020@1", task) == 0
    assert made.call("adopt", "s010@1", task) == 3
    assert "that task is s020@1's" in made.err
    assert made.states == {"s010@1": "intended", "s020@1": "submitted"}


def test_adopt_never_touches_a_take_that_is_under_way_or_saved(film):
    made = film()
    task, other = made.task(), made.task()
    made.doubt("s020@1")
    assert made.call("adopt", "s020@1", task) == 0
    assert made.call("adopt", "s020@1", other) == 3
    assert "under way as task" in made.err
    assert made.call("adopt", "s020@1", task) == 0, "said twice is done once"
    assert made.call("collect") == 75
    assert made.call("adopt", "s020@1", other) == 3
    assert "it is saved" in made.err
    (attempt,) = made.known.takes["s020@1"].attempts
    assert attempt.task_id == task


def test_a_failed_task_ends_a_doubt_and_nothing_else(film):
    made = film(faults=["moderation:*"])
    task = made.task()
    made.ended(task)
    error = {"code": "Lost", "message": "gone", "retryable": False, "billed": True}
    bound = {"event": "submitted", "take": "s020@1", "attempt": "attempt-of-s020@1", "task_id": "long-gone"}
    made.note(made.intent("s020@1"), bound, {"event": "lost", "take": "s020@1", "attempt": "attempt-of-s020@1", "error": error})
    assert made.call("adopt", "s020@1", task) == 3
    assert "ended as FAILED" in made.err
    made.doubt("s020@1", attempt="second")
    assert made.call("adopt", "s020@1", task) == 0
    made.call("collect")
    assert made.known.takes["s020@1"].error["code"] == "DataInspectionFailed"


def test_many_are_adopted_at_once_each_with_its_own_answer(film):
    made = film()
    made.doubt("s010@1", "s010@2", "s020@1")
    first, second, third = made.task("s010@1"), made.task("s010@2"), made.task("s010@1")
    lines = ["# from the console", f"s010@1 {first}", "", f"s010@2\t{second}  # its twin", f"s020@1 {first}", f"s010@1 {third}"]
    (made.folder / "found.txt").write_text("\n".join(lines))
    result, said = made.said("adopt", "--from", "found.txt")
    assert result == 3
    assert [one["take"] for one in said["adopted"]] == ["s010@1", "s010@2"]
    assert [one["take"] for one in said["refused"]] == ["s020@1", "s010@1"]
    assert made.known.takes["s010@1"].attempt.task_id == first, "the second word on a take does not undo the first"
    assert made.call("adopt", "s099@1", third) == 3
    assert "there is no such take" in made.err
    assert made.states == {"s010@1": "submitted", "s010@2": "submitted", "s020@1": "intended"}


def test_a_list_with_a_bad_line_binds_nothing(film):
    made = film()
    made.doubt("s020@1")
    (made.folder / "found.txt").write_text(f"s020@1 {made.task()}\ns010@1\n")
    assert made.call("adopt", "--from", "found.txt") == 2
    assert "found.txt:2" in made.err
    assert made.states == {"s020@1": "intended"}


def test_adopt_needs_key_and_trust_as_run_does_and_never_shows_a_key(film, monkeypatch):
    made = film(api_key=KEY)
    made.doubt("s020@1")
    task = made.task()
    monkeypatch.setenv("DASHSCOPE_API_KEY", COLLEAGUES)
    assert made.call("adopt", "s020@1", task) == 3
    assert "does not let the key in" in made.err
    monkeypatch.delenv("DASHSCOPE_API_KEY")
    assert made.call("adopt", "s020@1", task) == 3
    assert "DASHSCOPE_API_KEY is not set" in made.err
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    assert made.call("adopt", "s020@1", KEY) == 3  # pasted by mistake
    poll = (
        "    poll: {first: 0.02, every: 0.05, unknown_for: 0.1}\n    limits: {submits_per_second: 200, queries_per_second: 500}\n"
    )
    made.edit(poll, "")
    made.edit(made.studio.base_url, "https://elsewhere.example/api/v1")
    assert made.call("adopt", "s020@1", task) == 3
    assert "is not trusted with" in made.err
    assert made.states == {"s020@1": "intended"}
    assert KEY.encode() not in made.files.journal.read_bytes() + made.files.lock.read_bytes()


def test_a_bound_task_is_stronger_than_a_permission_given_before_it_was_known(film):
    """The lock's file may still say `wanted` when the journal has the task: paying again would pay twice."""
    made = film()
    made.doubt("s020@1")
    assert made.call("again", "s020@1") == 0
    older = made.files.lock.read_bytes()
    assert made.call("adopt", "s020@1", made.task()) == 0
    made.files.lock.write_bytes(older)  # as git brings it back
    assert made.states == {"s020@1": "submitted"}
    assert made.call("run", "--only", "s020") == 0
    assert len(made.bills) == 1


@pytest.mark.parametrize("permitted", [False, True], ids=["in doubt", "permitted anew"])
def test_adopt_killed_at_every_point_loses_nothing_and_pays_nothing(film, tmp_path, permitted):
    made = film()
    made.doubt("s020@1")
    if permitted:
        assert made.call("again", "s020@1") == 0
    task = made.task()
    made.ended(task)
    kept = {path: path.read_bytes() for path in (made.files.lock, made.files.journal)}
    argv = ("adopt", "film.callsheet.yaml", "s020@1", task)
    with nurseries(1) as (nursery,):

        def restored(**kill):
            for path, data in kept.items():
                path.write_bytes(data)
            return nursery.run(made.folder, *argv, **kill)

        restored()  # what only the first command of a folder makes is there now
        result, said, names = restored()
        assert result == 0, said
        assert {"write", "fsync", "replace", "send"} <= set(names)
        killed = 0
        for number in range(1, len(names) + 1):
            result, said, _ = restored(kill_at=number)
            killed += result == -9
            assert result in {-9, 0}, said  # a reply may come in fewer pieces, and the last points be missed
            assert "adopted" not in said or made.states["s020@1"] == "submitted"
            assert nursery.run(made.folder, *argv)[0] == 0
            (attempt,) = made.known.takes["s020@1"].attempts
            assert (attempt.id, attempt.task_id) == ("attempt-of-s020@1", task)
        assert killed > len(names) * 3 / 4
    assert made.call("run", "--only", "s020") == 0
    assert made.states == {"s020@1": "saved"}
    assert len(made.bills) == 1


# reconcile: promise 9


def test_the_one_fitting_task_is_bound_and_fetched(film):
    made = film()
    made.doubt("s020@1")
    task = made.task()
    assert made.findings() == {}
    assert (made.code, made.bound) == (0, {"s020@1": task})
    assert made.known.takes["s020@1"].attempt.id == "attempt-of-s020@1"
    assert made.call("run", "--only", "s020") == 0
    assert len(made.bills) == 1


@pytest.mark.parametrize("lock", [None, "film.draft", "journal"])
def test_a_task_of_ours_is_no_candidate_whichever_lock_has_it(film, lock):
    made = film()
    made.doubt("s020@1")
    task = made.task()
    bound = {"event": "submitted", "take": "s030@1", "attempt": "attempt-of-s030@1", "task_id": task}
    made.note(made.intent("s030@1"), bound, lock="film.draft" if lock else None)
    if lock == "journal":
        (made.folder / "film.draft.callsheet.lock").unlink()
    assert made.findings() == {"s020@1": "no_candidate"}
    assert made.code == 1


def test_a_lock_beside_that_cannot_be_read_stops_reconcile_before_anything_is_bound(film):
    made = film()
    made.doubt("s020@1")
    made.task()
    (made.folder / "other.callsheet.lock").write_text("no lock at all")
    assert made.call("reconcile") == 3
    assert "other.callsheet.lock" in made.err
    assert made.states == {"s020@1": "intended"}
    assert made.call("run", "--only", "s020") == 1, "run goes on, and binds nothing"
    assert made.states == {"s020@1": "intended"}


def test_a_task_of_another_model_is_no_candidate(film):
    made = film()
    made.doubt("s020@1")
    made.task(model="wan2.6-t2v")
    assert made.findings() == {"s020@1": "no_candidate"}


def test_a_task_of_another_key_is_not_bound_when_ours_is_known(film):
    made = film()
    made.doubt("s020@1")
    made.task(key=COLLEAGUES)
    mine = made.task("s030@1")
    bound = {"event": "submitted", "take": "s030@1", "attempt": "attempt-of-s030@1", "task_id": mine}
    made.note(made.intent("s030@1"), bound)
    assert made.findings() == {"s020@1": "no_candidate"}


def test_our_key_is_learned_from_an_older_task_where_no_recent_one_tells(film):
    clock = [time.time() - 4000]
    made = film(clock=lambda: clock[0])
    mine = made.task("s030@1")
    clock[0] = time.time()
    bound = {"event": "submitted", "take": "s030@1", "attempt": "attempt-of-s030@1", "task_id": mine}
    made.note({**made.intent("s030@1"), "now": time.time() - 4000}, bound)
    made.doubt("s020@1")
    made.task(key=COLLEAGUES)
    assert made.findings() == {"s020@1": "no_candidate"}


def test_where_several_keys_are_at_work_and_none_is_known_as_ours_nothing_is_bound(film):
    made = film()
    made.doubt("s020@1")
    made.task(key=COLLEAGUES)
    made.task("s030@1")
    assert made.findings() == {"s020@1": "other_key"}


def test_a_take_that_was_sent_with_another_key_is_not_bound_with_this_one(film):
    made = film()
    made.doubt("s020@1", key=COLLEAGUES)
    made.task()
    assert made.findings() == {"s020@1": "other_account"}


@pytest.mark.parametrize("off", [-125, 125, -110, 110])
def test_only_what_was_made_within_two_minutes_of_the_intent_is_a_candidate(film, off):
    made = film()
    made.note({**made.intent("s020@1"), "now": time.time() + off})
    task = made.task()
    assert made.findings() == ({} if abs(off) < 120 else {"s020@1": "no_candidate"})
    assert made.bound == ({"s020@1": task} if abs(off) < 120 else {})


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_the_two_minutes_are_counted_by_the_providers_clock(film, ahead):
    made = film(clock=lambda: time.time() + ahead)
    made.doubt("s020@1")
    task = made.task()
    assert made.findings() == {}
    assert made.bound == {"s020@1": task}


def test_what_is_new_by_our_clock_and_old_by_theirs_is_no_candidate(film):
    clock = [time.time() + 3000]
    made = film(clock=lambda: clock[0])
    made.doubt("s020@1")
    made.ended(made.task())
    clock[0] = time.time() + 3600  # it was made ten minutes ago
    assert made.findings() == {"s020@1": "no_candidate"}


def test_a_task_with_another_prompt_is_not_bound_though_it_is_the_only_new_one(film):
    made = film()
    made.doubt("s020@1")
    made.ended(made.task(prompt="Somebody else's"))
    assert made.findings() == {"s020@1": "no_candidate"}


def test_a_candidate_is_watched_until_its_prompt_can_be_seen(film):
    made = film(seconds=1.0)
    made.doubt("s020@1")
    task = made.task()
    assert _tasks(made.studio)[task].ended_at is None
    assert made.findings() == {}
    assert made.bound == {"s020@1": task}
    assert _tasks(made.studio)[task].ended_at


def test_a_candidate_that_never_shows_its_prompt_is_a_question(film):
    made = film(faults=["moderation"])
    made.doubt("s020@1")
    made.task()
    assert made.findings() == {"s020@1": "hidden"}
    made.task()  # fits, but the hidden one may be it as well
    assert made.findings() == {"s020@1": "several"}


def test_of_several_candidates_none_is_bound(film):
    made = film()
    made.doubt("s020@1")
    tasks = {made.task(), made.task()}
    result, said = made.said("reconcile")
    assert result == 1
    (one,) = said["in_doubt"]
    assert (one["reason"], set(one["candidates"])) == ("several", tasks)
    assert made.states == {"s020@1": "intended"}


@pytest.mark.parametrize("where", ["this lock", "another lock", "given up by again"])
def test_a_task_that_could_be_of_several_takes_is_bound_to_none(film, where):
    made = film()
    made.doubt("s010@1")
    made.doubt("s010@2", lock=None) if where == "this lock" else None
    if where == "another lock":
        made.note(made.intent("s010@1", attempt="another"), lock="film.draft")
    if where == "given up by again":
        made.note(made.intent("s010@2"), {"event": "wanted", "take": "s010@2"})
    made.task("s010@1")
    assert set(made.findings().values()) == {"rivals"}
    assert made.bound == {}
    assert made.states["s010@1"] == "intended"


def test_a_binding_is_in_the_journal_before_it_is_said(film):
    made = film()
    made.doubt("s020@1")
    task = made.task()
    seen = []

    def listen(event):
        if event["event"] == "submitted":
            seen.append(task in made.files.journal.read_text())

    with runner.hold(made.manifest) as hold:
        anyio.run(functools.partial(runner.settle, hold, listen))
    assert seen == [True]


def test_reconcile_never_forgets_a_take(film):
    made = film("apiyi")
    made.doubt("s010@1", "s010@2", "s020@1")
    assert made.findings() == dict.fromkeys(("s010@1", "s010@2", "s020@1"), "no_list")
    assert set(made.states.values()) == {"intended"}
    assert len(made.states) == 3
    assert made.call("reconcile") == 1
    for word in ("callsheet adopt", "callsheet again", "apiyi has no task list"):
        assert word in made.out + made.err


def test_a_take_older_than_the_list_is_a_question(film):
    made = film()
    made.note({**made.intent("s020@1"), "now": time.time() - 24 * 3600})
    assert made.findings() == {"s020@1": "too_old"}


def test_a_list_that_cannot_be_had_leaves_all_for_another_time(film):
    made = film()
    made.doubt("s020@1")
    made.studio.stop()
    assert made.findings() == {"s020@1": "no_answer"}
    assert made.code == 75


@contextmanager
def _virtual(made, service):
    """A work over the film's own lock, against a service on virtual time."""
    files = made.files
    with held(files):
        ledger = Ledger(files, runner.known(made.manifest), now=lambda: EPOCH + anyio.current_time())
        uploads = Uploads(service, UploadCache(files.state / "uploads.json", "fake"), lambda: EPOCH)
        account = Account(client=service, name=made.intent("s020@1")["account"], slots=Slots(3), uploads=uploads)
        plan = runner.decide(made.manifest, ledger.lock)
        yield Work(
            manifest=made.manifest,
            plan=plan,
            ledger=ledger,
            accounts={"qwencloud": account},
            options=Options(),
            on_event=lambda event: None,
            now=ledger.now,
        )
        ledger.abandon()


def _looked(work):
    async def main():
        return await reconcile.look(work, work.accounts["qwencloud"], ["s020@1"])

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))["s020@1"].finding


def test_a_list_that_is_not_read_to_its_end_settles_nothing(film, monkeypatch):
    made = film()
    made.note({**made.intent("s020@1", host="fake.example"), "now": EPOCH})
    service = Service()
    service.tasks["t0"] = {"start": 0.0, "end": 0.0, "body": {"model": "wan2.7-t2v", "input": {"prompt": "The keeper turns"}}}
    with _virtual(made, service) as work:
        with monkeypatch.context() as few:
            few.setattr(listing, "_MOST_PAGES", 0)
            assert _looked(work) == "no_answer"
        assert _looked(work) == "bound"


# reconcile: a lock that names a run whose journal is not here


def orphan(made, *, since=None):
    """Name a run in the lock that this folder has never heard of."""
    lock = made.files.lock
    data = json.loads(lock.read_text()) if lock.exists() else {"callsheet_lock": 1, "takes": {}}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since or time.time() - 1))
    data["run"] = {"id": "unheard", "host": "elsewhere", "since": at}
    lock.write_text(json.dumps(data))


def test_takes_that_an_unowned_task_could_belong_to_are_left_in_doubt_the_others_can_be_submitted(film):
    made = film()
    orphan(made)
    task = made.task("s020@1")
    made.ended(task)
    assert made.call("run") == 3
    assert "callsheet reconcile" in made.err
    result, said = made.said("reconcile")
    assert result == 1
    assert said["run"].items() >= {"id": "unheard", "settled": True}.items()
    (one,) = said["in_doubt"]
    assert (one["take"], one["reason"], one["candidates"]) == ("s020@1", "no_time", [task])
    assert "run" not in json.loads(made.files.lock.read_text())
    assert made.call("run") == 1, made.err
    assert made.states == {"s010@1": "saved", "s010@2": "saved", "s020@1": "intended", "s030@1": "saved"}
    assert len(made.bills) == 4, "three new ones, and the one that was there"
    assert made.findings() == {"s020@1": "no_time"}, "it is not forgotten"
    assert made.call("adopt", "s020@1", task) == 0
    assert made.call("run") == 0
    assert len(made.bills) == 4


def test_a_lock_brought_back_from_before_the_look_is_not_asked_about_again(film):
    made = film()
    orphan(made)
    before = made.files.lock.read_bytes()
    made.ended(made.task("s020@1"))
    assert made.call("reconcile") == 1
    made.files.lock.write_bytes(before)
    assert made.known.orphaned_run is None
    assert made.states == {"s020@1": "intended"}


def test_what_stays_in_doubt_is_paid_for_only_when_it_is_permitted(film):
    made = film()
    orphan(made)
    made.ended(made.task("s020@1"))
    assert made.call("reconcile") == 1
    assert made.call("again", "s020@1") == 0
    assert made.call("run") == 0
    assert len(made.bills) == 5


def test_without_a_list_every_take_that_the_unknown_run_may_have_sent_is_in_doubt(film):
    made = film("apiyi")
    orphan(made)
    assert made.findings() == dict.fromkeys(("s010@1", "s010@2", "s020@1", "s030@1"), "no_list")
    assert made.call("run") == 1
    assert made.bills == []


def test_a_run_older_than_the_list_leaves_everything_in_doubt(film):
    made = film()
    orphan(made, since=time.time() - 24 * 3600)
    assert set(made.findings().values()) == {"too_old"}
    assert made.call("run") == 1
    assert made.bills == []


def test_a_run_that_cannot_be_looked_into_stays_named(film):
    made = film()
    orphan(made)
    made.studio.stop()
    assert set(made.findings().values()) == {"no_answer"}
    assert made.code == 75
    assert made.known.orphaned_run
    with runner.hold(made.manifest) as hold, pytest.raises(runner.Refused):
        gates.check_lock(runner.decide(made.manifest, hold.lock), hold.lock)


def test_reconcile_of_an_unknown_run_killed_at_every_point_never_lets_a_paid_take_be_paid_again(film):
    made = film()
    orphan(made)
    made.ended(made.task("s020@1"))
    before = made.files.lock.read_bytes()
    with nurseries(1) as (nursery,):
        result, said, names = nursery.run(made.folder, "reconcile", "film.callsheet.yaml")
        assert result == 1, said
        killed = 0
        for number in range(1, len(names) + 1):
            made.files.lock.write_bytes(before)
            made.files.journal.unlink(missing_ok=True)
            result, said, _ = nursery.run(made.folder, "reconcile", "film.callsheet.yaml", kill_at=number)
            assert result in {-9, 1}, said
            killed += result == -9
            known = made.known
            assert known.orphaned_run or known.takes["s020@1"].state == "intended"
            assert nursery.run(made.folder, "run", "film.callsheet.yaml", "--only", "s020")[0] in {1, 3}
        assert killed > len(names) * 3 / 4
    assert [bill.body["input"]["prompt"] for bill in made.bills].count("The keeper turns") == 1


def test_of_two_who_adopt_one_task_at_once_one_is_told_whose_it_is(film, monkeypatch):
    made = film()
    (made.folder / "other.callsheet.yaml").write_text(made.path.read_text())
    task = made.task()
    real, both = lockfile.beside, threading.Barrier(2)

    def slow(files):
        """Both look at the other's lock at the same moment, unless one is kept from it."""
        found = real(files)
        with suppress(threading.BrokenBarrierError):
            both.wait(1)
        return found

    def adopt(name):
        manifest = runner.read(made.folder / name)
        with runner.hold(manifest) as held:
            return anyio.run(runner.adopt, held, [("s020@1", task)])[0]

    monkeypatch.setattr(lockfile, "beside", slow)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(adopt, ["film.callsheet.yaml", "other.callsheet.yaml"]))
    assert sorted(type(one).__name__ for one in found) == ["Adopted", "Declined"]
    (declined,) = (one for one in found if type(one).__name__ == "Declined")
    assert "that task is s020@1's of " in declined.reason


# cancel


def test_cancel_ends_what_is_waiting_and_says_what_goes_on(film):
    made = film(in_flight=1, seconds=60.0)
    made.doubt("s010@1", "s020@1", "s030@1")
    running, waiting = made.task("s010@1"), made.task("s020@1")
    made.until(running, "RUNNING")
    for take, task in (("s010@1", running), ("s020@1", waiting)):
        assert made.call("adopt", take, task) == 0
    result, said = made.said("cancel", "--all")
    assert result == 1  # one is in doubt
    assert {take: one["outcome"] for take, one in said.items()} == {
        "s010@1": "refused",
        "s020@1": "canceled",
        "s030@1": "in_doubt",
    }
    assert said["s010@1"]["word"] == "RUNNING"
    assert made.states == {"s010@1": "submitted", "s020@1": "canceled", "s030@1": "intended"}
    assert made.call("cancel", "s010") == 75
    assert "still under way and billed" in made.err
    (step,) = (step for step in runner.decide(made.manifest, made.known).steps if step.take == "s010@1")
    assert step.action == "watch"
    assert made.call("cancel", "s020@1") == 2
    assert made.call("cancel", "s0990") == 2


def test_a_provider_that_cannot_cancel_says_so_and_the_take_goes_on(film):
    made = film("apiyi")
    made.doubt("s020@1")
    assert made.call("adopt", "s020@1", made.task()) == 0
    assert made.call("cancel", "s020@1") == 75
    assert "apiyi cannot cancel" in made.out
    assert made.call("collect") == 75
    assert made.states == {"s020@1": "saved"}


def test_only_the_providers_own_word_makes_a_take_canceled(film, monkeypatch):
    from runner import canceling
    from runner.studio.store import Store

    monkeypatch.setattr(canceling, "_PAUSE", 0.01)
    monkeypatch.setattr(Store, "cancel", lambda self, task_id: True)  # it says yes and goes on
    made = film(seconds=60.0)
    made.doubt("s020@1")
    assert made.call("adopt", "s020@1", made.task()) == 0
    result, said = made.said("cancel", "s020@1")
    assert (result, said["s020@1"]["outcome"]) == (75, "unclear")
    assert made.states == {"s020@1": "submitted"}


def test_a_task_that_has_ended_is_not_canceled_but_fetched(film):
    made = film()
    made.doubt("s020@1")
    task = made.task()
    made.ended(task)
    assert made.call("adopt", "s020@1", task) == 0
    result, said = made.said("cancel", "--all")
    assert (result, said["s020@1"]["outcome"]) == (75, "ended")
    assert made.call("collect") == 75
    assert made.states == {"s020@1": "saved"}


def wait_for(met):
    end = time.monotonic() + 60
    while not met():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def alive():
    """`alive(made)`: a run of its own process that is under way; killed in the end if it has not ended."""
    runs = []

    def start(made):
        run = subprocess.Popen(
            [sys.executable, "-m", "runner", "run", "film.callsheet.yaml", "--yes"], cwd=made.folder, stderr=subprocess.PIPE
        )
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.kill()
        run.communicate()


def test_cancel_during_a_run_reaches_the_provider_and_the_run_hears_of_it(film, alive):
    made = film(in_flight=1, seconds=3.0)
    run = alive(made)
    wait_for(lambda: list(made.states.values()).count("submitted") == 4)
    waiting = made.known.takes["s030@1"].attempt.task_id
    assert _tasks(made.studio)[waiting].status == "PENDING"
    result, said = made.said("cancel", "s030@1")
    assert (result, said["s030@1"]["outcome"]) == (0, "canceled")
    assert run.poll() is None, "the run goes on with the others"
    wait_for(lambda: made.states["s030@1"] == "canceled")
    assert made.call("cancel", "s020@1") in {0, 75}
    assert "another run holds this lock: pid" in made.err
    assert "goes on with the others" in made.err
    assert run.wait(60) == 1
    states = made.states
    assert states.pop("s030@1") == "canceled"
    assert "saved" in states.values()
    assert set(states.values()) <= {"saved", "canceled"}
    assert len(made.bills) == 4


def test_cancel_during_a_run_writes_nothing(film):
    made = film(in_flight=1, seconds=60.0)
    made.doubt("s020@1", "s030@1")
    running = made.task("s030@1")
    made.until(running, "RUNNING")
    assert made.call("adopt", "s020@1", made.task()) == 0
    before = {path: path.read_bytes() for path in made.folder.rglob("film*") if path.is_file()}
    with held(made.files):
        assert made.call("cancel", "s020@1") == 0
        after = {path: path.read_bytes() for path in made.folder.rglob("film*") if path.is_file()}
    assert {path: text for path, text in after.items() if path in before} == before
    assert made.states["s020@1"] == "submitted"
    assert made.call("collect") == 1
    assert made.states["s020@1"] == "canceled", "the next run hears of it as well"


def test_the_studio_inside_a_run_is_not_met_from_outside(film):
    made = film()
    made.path.write_text(
        "callsheet: 1\ndefaults: {model: wan2.7-t2v, parameters: {duration: 2}}\nshots: [{id: a, prompt: A pier}]\n"
    )
    made.provider = "studio"
    bound = {"event": "submitted", "take": "a@1", "attempt": "attempt-of-a@1", "task_id": "t"}
    made.note(made.intent("a@1"), bound)
    with held(made.files):
        result, said = made.said("cancel", "a@1")
    assert (result, said["a@1"]["outcome"]) == (75, "unsupported")
    assert "Ctrl-C" in said["a@1"]["message"]


@pytest.mark.parametrize("args", [("reconcile",), ("adopt", "s020@1", "x"), ("again", "s020@1")])
def test_while_a_run_holds_the_lock_it_is_named(film, args):
    made = film()
    made.doubt("s020@1")
    inside, done = threading.Event(), threading.Event()

    def other():
        with held(made.files):
            inside.set()
            done.wait(30)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(other)
        assert inside.wait(30)
        try:
            assert made.call(*args) == 3
            assert "another run holds this lock: pid" in made.err
        finally:
            done.set()


# again


def failed(made, *takes, billed=False, code="DataInspectionFailed", state="failed"):
    error = {"code": code, "message": "no", "retryable": False, "billed": billed}
    for take in takes:
        bound = {"event": "submitted", "take": take, "attempt": f"attempt-of-{take}", "task_id": f"task-of-{take}"}
        made.note(made.intent(take), bound, {"event": state, "take": take, "attempt": f"attempt-of-{take}", "error": error})


def test_again_takes_patterns_and_says_what_the_next_run_pays(film):
    made = film()
    failed(made, "s010@1", "s010@2", "s020@1")
    assert made.call("again", "s01*") == 0
    assert "s010@1, s010@2" in made.out
    assert "2 to submit (4 s of video, 0.40 USD)" in made.err
    assert made.bills == []
    assert made.states == {"s010@1": "wanted", "s010@2": "wanted", "s020@1": "failed"}
    assert made.call("run", "--only", "s010") == 0
    assert len(made.bills) == 2


def test_again_selects_by_state(film):
    made = film()
    failed(made, "s010@1")
    failed(made, "s010@2", state="canceled")
    failed(made, "s020@1", state="lost", code="Lost", billed=True)
    made.doubt("s030@1")
    assert made.said("again", "--state", "in-doubt") == (
        0,
        {
            "again": ["s030@1"],
            "refused": [],
            "totals": {
                "actions": {"submit": 1},
                "seconds": 2.0,
                "cost": [{"amount": "0.20", "currency": "USD"}],
                "unpriced": 0,
            },
        },
    )
    assert made.said("again", "s0*", "--state", "canceled", "--state", "lost")[1]["again"] == ["s010@2", "s020@1"]
    assert made.states["s010@1"] == "failed"
    assert made.call("again", "--state", "absent") == 2
    assert made.call("again") == 2


def test_again_says_of_a_take_that_is_asked_for_already_that_it_is(film):
    made = film()
    assert made.call("retake", "s020") == 0
    assert made.call("again", "s020@1") == 2
    assert "s020@1: it waits for no answer: asked for" in made.err
    assert "changed" not in made.err


def test_a_take_that_is_misspelt_is_answered_with_those_there_are_in_their_order(film):
    made = film()
    assert made.call("again", "x") == 2
    assert "one of: s010@1, s010@2, s020@1, s030@1" in made.err


def test_again_warns_that_what_was_in_doubt_may_be_paid_for_already(film):
    made = film("apiyi")
    made.doubt("s020@1")
    assert made.call("again", "s020@1") == 0
    assert "perhaps paid for already: s020@1" in made.err


@pytest.mark.parametrize("state", ["failed", "in doubt"])
def test_an_outdated_take_is_refused_with_the_reason(film, state):
    made = film()
    failed(made, "s020@1") if state == "failed" else made.doubt("s020@1")
    failed(made, "s030@1")
    before = made.states["s020@1"]
    made.edit("The keeper turns", "The keeper sleeps")
    assert made.call("again", "s020@1") == 3
    assert "its shot has changed" in made.err
    assert made.call("again", "s0*") == 0
    assert made.states == {"s020@1": before, "s030@1": "wanted"}
    assert made.call("again", "s020@1", "s030@1") == 3
    made.edit("  - {id: s020, prompt: The keeper sleeps}\n", "")
    assert made.call("again", "s020@1") == 3
    assert "left the manifest" in made.err


def test_an_outdated_take_in_doubt_is_laid_to_rest_and_counts_as_paid(film):
    made = film()
    made.doubt("s020@1", "s030@1")
    made.edit("The keeper turns", "The keeper sleeps")
    assert made.call("run", "--only", "s010") == 0
    assert made.call("again", "s020@1") == 3
    assert "--give-up" in made.err
    assert made.call("again", "--give-up", "s030@1") == 3, "that one can have a new attempt"
    assert made.states["s030@1"] == "intended"
    assert made.said("again", "--give-up", "s020@1") == (0, {"given_up": ["s020@1"]})
    assert made.states["s020@1"] == "failed"
    spent = made.said("status")[1]["cost"][0]["spent"]
    assert spent == "0.60", "the two of s010, and what was given up"
    assert made.call("again", "s030@1") == 0
    assert made.call("run", "--yes") == 0, "nobody is asked any more"
    assert len(made.bills) == 4
    made.edit("  - {id: s020, prompt: The keeper sleeps}\n", "")
    assert made.call("again", "--give-up", "s020@1") == 3


def test_again_permits_hundreds_at_once(film):
    made = film()
    made.edit("takes: 2", "takes: 90")
    with runner.hold(made.manifest) as hold:
        plan = runner.decide(made.manifest, hold.lock)
        for step in plan.steps:
            told = {"fingerprint": step.fingerprint, "provider": step.provider, "model": step.model}
            hold.ledger.note("intended", sync=False, take=step.take, attempt=f"a-{step.take}", **told)
        hold.ledger.close()
    result, said = made.said("again", "*", "--state", "in-doubt")
    assert (result, len(said["again"]), said["totals"]["seconds"]) == (0, 92, 184.0)
    assert set(made.states.values()) == {"wanted"}


def test_a_permission_is_kept_when_the_shot_is_renamed_meanwhile(film):
    made = film()
    failed(made, "s020@1")
    made.edit("id: s020", "id: keeper")
    assert made.call("again", "keeper@1") == 0
    assert made.call("run", "--only", "keeper") == 0
    assert made.states == {"keeper@1": "saved"}
    assert len(made.known.takes["keeper@1"].attempts) == 2
