"""Any order of edits, runs, refusals, interruptions and losses, found by Hypothesis on virtual time; the bill decides.

The provider is `tests.fakes.Service` with scripted moods: it keeps its own account of what it accepted. Hours pass in
milliseconds; lock, journal and renders are real files.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import runner
from runner import gates, locktext, schedule
from runner.errors import Refused, Unreachable
from runner.lockfile import Ledger, held
from runner.slots import Slots
from runner.uploads import UploadCache, Uploads
from runner.work import Account, Options, Work
from tests.fakes import EPOCH, Service, json_reply
from tests.faults import oracle

EXAMPLES = int(os.environ.get("CALLSHEET_EXAMPLES", "30"))
IDS = ("s0", "s1", "s2", "s3")
WORDINGS = tuple(f"a pier at {hour}" for hour in ("dawn", "nine", "noon", "three", "dusk", "night"))
DAY = 86_400.0
REFUSED = {"code": "InvalidParameter", "message": "size is not supported"}
BUSY = {"code": "Throttling.RateQuota", "message": "later"}
INTERNAL = {"code": "InternalError", "message": "the task made nothing"}
MODERATED = {"code": "DataInspectionFailed", "message": "inappropriate"}
REPLIES = {
    "refuse": lambda: json_reply(400, REFUSED),
    "busy": lambda: json_reply(429, BUSY, {"retry-after": "7"}),
    "500": lambda: json_reply(500, {}),
    "unsent": lambda: Unreachable("no connection", sent=False),
    "unheard": lambda: Unreachable("the connection broke", sent=True),
}
COUNTED = Counter()  # over all examples, for the page
moods = st.lists(st.sampled_from(["", "", "lost", "fails", "moderated", *REPLIES]), max_size=4)
polls = st.lists(st.sampled_from(["", "blip", "html", "odd", "unknown", "404"]), max_size=5)
# What follows a change: nothing, a run to its end, one cut off after so many seconds, one stopped by the first Ctrl-C.
runs = st.one_of(
    st.none(),
    st.fixed_dictionaries({"moods": moods, "polls": polls}),
    st.fixed_dictionaries({"moods": st.just([]), "polls": st.just([])}),
    st.fixed_dictionaries({"moods": moods, "polls": polls, "until": st.sampled_from([0.0, 0.02, 0.07, 0.12, 10.0, 59.0, 61.0])}),
    st.fixed_dictionaries({"moods": moods, "until": st.sampled_from([0.02, 0.07, 30.0]), "calm": st.just(True)}),
)


class Provider(Service):
    """The honest service with moods: what it accepted is on its bill, whatever it answered."""

    def __init__(self, provider):
        super().__init__(provider=provider)
        self.accepted = []
        self.doubtful = 0
        self.calls = 0
        self.moods, self.polls = [], []

    async def submit(self, request):
        self.calls += 1
        await anyio.sleep(0.05)
        mood = self.moods.pop(0) if self.moods else ""
        self.doubtful += mood in {"lost", "500", "unheard"}
        if mood in REPLIES:
            reply = REPLIES[mood]()
            if isinstance(reply, Exception):
                raise reply
            return reply
        task_id = self._accept(request)
        fails = {"fails": INTERNAL, "moderated": MODERATED}.get(mood)
        self.tasks[task_id]["fails"] = fails
        prompt, seed = request.body["input"]["prompt"], request.body["parameters"].get("seed")
        self.accepted.append(oracle.Accepted(task_id=task_id, prompt=prompt, seed=seed, fails=bool(fails)))
        if mood == "lost":
            raise Unreachable("the connection was closed", sent=True)
        return json_reply(200, {"output": {"task_id": task_id, "task_status": "PENDING"}})

    async def ask(self, request):
        self.calls += 1
        mood = self.polls.pop(0) if self.polls and request.path != "/tasks" else ""
        match mood:
            case "blip":
                raise Unreachable("broke", sent=True)
            case "html":
                return json_reply(502, "<html>")
            case "odd":
                return json_reply(200, {"output": {"task_status": "Runing"}})
            case "unknown":
                return json_reply(200, {"output": {"task_status": "UNKNOWN"}})
            case "404":
                return json_reply(404, {"code": "NotFound"})
        return await super().ask(request)

    def _status(self, task_id):
        task = self.tasks.get(task_id)
        if task and anyio.current_time() - task["start"] > DAY:
            return {"output": {"task_id": task_id, "task_status": "UNKNOWN"}}
        return super()._status(task_id)

    def download(self, url, **how):
        self.calls += 1
        return super().download(url, **how)


async def _at_once(function, *args, **_):
    """Threads take real milliseconds, in which virtual hours would pass."""
    return function(*args)


class Storyboard(RuleBasedStateMachine):
    @initialize(provider=st.sampled_from(["qwencloud", "aisa"]), then=runs)
    def begin(self, provider, then):
        self.folder = Path(tempfile.mkdtemp(prefix="callsheet-machine-"))
        self.path = self.folder / "film.callsheet.yaml"
        self.lock = self.folder / "film.callsheet.lock"
        self.service = Provider(provider)
        self.provider = provider
        self.now = 0.0
        self.shots = {"s0": (WORDINGS[0], 2), "s1": (WORDINGS[2], 1)}
        self.permitted = Counter()  # by take: submits beyond the first that a person allowed
        self.forgotten = set()  # tasks that only a deleted .callsheet knew
        self.owner = {}  # attempt → the key that it was first seen under
        self.deleted = set()  # renders that were deleted
        self.locks = []
        self.is_moved = self.is_wiped = False
        self._write(then)

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    # What a person does

    def _write(self, then=None):
        rows = [{"id": name, "prompt": wording, "takes": takes} for name, (wording, takes) in self.shots.items()]
        defaults = {"model": "wan2.7-t2v", "parameters": {"resolution": "720P", "duration": 2}}
        self.path.write_text(json.dumps({"callsheet": 1, "provider": self.provider, "defaults": defaults, "shots": rows}))
        self.manifest = runner.read(self.path, environ={})
        self._then(then)

    def _then(self, run):
        if run is not None:
            self._run(**run)

    @rule(number=st.integers(0, 3), wording=st.sampled_from(WORDINGS), then=runs)
    def edit(self, number, wording, then):
        name = list(self.shots)[number % len(self.shots)]
        self.shots[name] = (wording, self.shots[name][1])
        self._write(then)

    @rule(name=st.sampled_from(IDS), wording=st.sampled_from(WORDINGS), then=runs)
    def add(self, name, wording, then):
        self.shots.setdefault(name, (wording, 1))
        self._write(then)

    @precondition(lambda self: len(self.shots) > 1)
    @rule(number=st.integers(0, 3), then=runs)
    def remove(self, number, then):
        del self.shots[list(self.shots)[number % len(self.shots)]]
        self._write(then)

    @rule(number=st.integers(0, 3), new=st.sampled_from(IDS), then=runs)
    def rename(self, number, new, then):
        if new not in self.shots:
            old = list(self.shots)[number % len(self.shots)]
            self.shots = {new if name == old else name: told for name, told in self.shots.items()}
            self._write(then)

    @rule(number=st.integers(0, 3), new=st.sampled_from(IDS), wording=st.sampled_from(WORDINGS))
    def use_a_name_again(self, number, new, wording):
        """The old name of a renamed shot for another one: its numbers go on from where they were."""
        old = list(self.shots)[number % len(self.shots)]
        self.rename(number, new, {"moods": []})
        self.add(old, wording, {"moods": []})

    @rule(number=st.integers(0, 3), takes=st.integers(0, 3), then=runs)
    def want(self, number, takes, then):
        name = list(self.shots)[number % len(self.shots)]
        self.shots[name] = (self.shots[name][0], takes)
        self._write(then)

    @rule(hours=st.sampled_from([0.1, 2.0, 30.0]), then=runs)
    def wait(self, hours, then):
        self.now += 3600 * hours
        self._then(then)

    @rule(data=st.data())
    def again(self, data):
        manifest = self.manifest
        with runner.hold(manifest) as held_:
            plan = runner.decide(manifest, held_.lock, now=EPOCH + self.now)
            asking = {"answer", "absent"} | ({"submit"} if held_.lock.orphaned_run else set())
            steps = [step for step in plan.steps if step.action in asking and step.shot in self.shots]
            chosen = data.draw(st.lists(st.sampled_from(steps), unique_by=lambda step: step.take)) if steps else []
            # An outdated take's question is answered by a new take, not by its own.
            chosen = [step for step in chosen if not step.reason.endswith("(outdated)")]
            if chosen:
                owned = self._owned(self._takes())
                runner.again(held_, chosen)
                for step in chosen:
                    self.permitted[step.take] = sum(1 for bill in owned.get(step.take, []) if not bill.fails)

    # What happens to files

    @precondition(lambda self: self.locks)
    @rule(number=st.integers(0, 9), then=runs)
    def restore_an_older_lock(self, number, then):
        self.lock.write_bytes(self.locks[number % len(self.locks)])
        if self.is_wiped:
            self._forget()
        self._then(then)

    @precondition(lambda self: len(self.locks) > 6 and not self.is_moved)  # afterwards hardly anything may be submitted
    @rule(
        moods=moods,
        until=st.sampled_from([0.07, 10.0, 61.0]),
        number=st.integers(0, 3),
        wording=st.sampled_from(WORDINGS),
        then=runs,
    )
    def cut_off_and_take_to_another_machine(self, moods, until, number, wording, then):
        """What git carries is the lock alone, of a run that never ended."""
        self.is_moved = True
        self.edit(number, wording, None)
        self._run(moods, until=until)
        self.delete_callsheet(then)

    @rule(moods=moods, until=st.sampled_from([0.12, 10.0, 61.0]), number=st.integers(0, 3), wording=st.sampled_from(WORDINGS))
    def cut_off_for_days(self, moods, until, number, wording):
        """Tasks that end, and are forgotten, while nobody looks."""
        self.edit(number, wording, None)
        self._run(moods, until=until)
        self.wait(30.0, {"moods": []})

    @rule(then=runs)
    def delete_callsheet(self, then):
        shutil.rmtree(self.folder / ".callsheet", ignore_errors=True)
        self.is_wiped = True
        self._forget()
        self._then(then)

    def _forget(self):
        """Without the journal nobody can know what this lock does not say; what it does say must still hold."""
        takes = self._takes()
        bills = [bill for bill in self.service.accepted if bill.task_id not in self.forgotten]
        kept = {bill.task_id for owned in oracle.owners(takes, bills)[0].values() for bill in owned}
        self.forgotten |= {bill.task_id for bill in bills if bill.task_id not in kept}
        attempts = {attempt["id"] for entry in takes.values() for attempt in entry["attempts"]}
        self.owner = {attempt: key for attempt, key in self.owner.items() if attempt in attempts}
        # A file that a forgotten rename has moved lies under a name that this lock does not know.
        renders = [entry["render"]["path"] for entry in takes.values() if entry.get("render")]
        self.deleted |= {path for path in renders if not (self.folder / path).exists()}
        # It may have as in doubt what only the journal knew the answer to.
        self.service.doubtful += sum(oracle.is_in_doubt(attempt) for entry in takes.values() for attempt in entry["attempts"])

    @rule(number=st.integers(0, 9), then=runs)
    def delete_a_render(self, number, then):
        files = sorted(self.folder.glob("renders/film/takes/*.mp4"))
        if files:
            files[number % len(files)].unlink()
            self.deleted.add(files[number % len(files)].relative_to(self.folder).as_posix())
        self._then(then)

    # Runs

    @rule(moods=moods, polls=polls)
    def run(self, moods, polls):
        self._run(moods, polls)

    @rule()
    def run_twice(self):
        """A second run right after one that left nothing to do sends nothing."""
        plan = self._run([], [])
        manifest = self.manifest
        if plan is not None and not runner.decide(manifest, runner.known(manifest), now=EPOCH + self.now).has_work:
            calls, lock = self.service.calls, self.lock.read_bytes() if self.lock.exists() else b""
            self._run([], [])
            assert self.service.calls == calls, "a run with nothing to do sent something"
            assert (self.lock.read_bytes() if self.lock.exists() else b"") == lock, "and wrote the lock"

    def _run(self, moods, polls=(), until=None, calm=False):
        """Carry the plan out as `runner.run` does, with this provider in the place of its client; None when refused."""
        self.service.moods, self.service.polls = list(moods), list(polls)
        before = len(self.service.accepted)
        manifest = self.manifest
        unheard, asked = self._unheard_run(), {take for take, entry in self._takes().items() if entry["state"] == "wanted"}
        clock = trio.testing.MockClock(autojump_threshold=0)
        clock.jump(self.now)
        files = runner.files_of(manifest)

        async def main():
            uploads = Uploads(self.service, UploadCache(files.state / "uploads.json", "fake"), lambda: EPOCH)
            account = Account(client=self.service, name="fake", slots=Slots(2), uploads=uploads)
            ledger = Ledger(files, runner.known(manifest), now=lambda: EPOCH + anyio.current_time())
            plan = runner.decide(manifest, ledger.lock, now=ledger.now())
            work = Work(
                manifest=manifest,
                plan=plan,
                ledger=ledger,
                accounts={self.provider: account},
                options=Options(),
                on_event=lambda _: None,
                now=ledger.now,
            )
            try:
                gates.check_lock(plan, ledger.lock)
                with anyio.move_on_after(until if until is not None and not calm else 1e9) as scope:
                    async with anyio.create_task_group() as group:
                        if calm:
                            group.start_soon(_stop, work, until)
                        await schedule.carry_out(work)
                        group.cancel_scope.cancel()
                ledger.abandon() if scope.cancelled_caught else ledger.close()
            finally:
                ledger.abandon()
                self.now = anyio.current_time()
            return plan

        with pytest.MonkeyPatch.context() as patch, held(files):
            patch.setattr(anyio.to_thread, "run_sync", _at_once)
            self.service.queries.next = self.service.submits.next = self.now
            try:
                plan = trio.run(main, clock=clock)
            except Refused:
                plan = None
        if self.lock.exists():
            self.locks.append(self.lock.read_bytes())
        new = self.service.accepted[before:]
        COUNTED.update(runs=1, bills=len(new))
        self._shown(plan, new)
        if unheard:
            paid = {take for take, owned in self._owned(self._takes()).items() if any(bill in owned for bill in new)}
            assert paid <= asked, f"{paid - asked} were paid for, though an unknown run may have paid for them already"
        return plan

    def _unheard_run(self):
        """Whether the lock names a run whose journal is not here."""
        run = json.loads(self.lock.read_text()).get("run") if self.lock.exists() else None
        return run is not None and run["id"] not in {record["run"] for record in oracle.records(self.folder)}

    def _shown(self, plan, bills):
        """Only takes that the plan was to submit were submitted."""
        if plan is None:
            assert not bills, "a refused run submitted"
            return
        shown = {step.take for step in plan.doing("submit")}
        paid = {take for take, owned in self._owned(self._takes()).items() if any(bill in owned for bill in bills)}
        assert paid <= shown, f"paid for {paid - shown}, which no plan showed"
        for take, owned in self._owned(self._takes()).items():
            here = sum(1 for bill in owned if bill in bills)
            assert here <= 2, f"{take} was submitted {here} times in one run of two attempts"

    # What must be true at any moment

    def _takes(self):
        return locktext.to_json(runner.known(self.manifest))["takes"]

    def _owned(self, takes):
        bills = [bill for bill in self.service.accepted if bill.task_id not in self.forgotten]
        owned, wrong = oracle.owners(takes, bills)
        assert not wrong, wrong
        return owned

    @invariant()
    def all_is_well(self):
        if not hasattr(self, "folder"):
            return
        takes = self._takes()
        self._nothing_is_lost_or_paid_twice(takes)
        self._take_numbers_are_never_used_twice(takes)
        self._saved_files_are_whole(takes)
        self._the_plan_is_a_function_of_manifest_and_lock()

    def _nothing_is_lost_or_paid_twice(self, takes):
        owned = self._owned(takes)
        twice = list(oracle.double(owned, self._allowed(takes)))
        assert not twice, twice
        doubts = sum(oracle.is_in_doubt(attempt) for entry in takes.values() for attempt in entry["attempts"])
        assert doubts <= self.service.doubtful, f"{doubts} attempts in doubt, {self.service.doubtful} doubtful replies"

    def _allowed(self, takes):
        """What was permitted for a take goes with it when its shot is renamed."""
        return {
            take: self.permitted[take] + sum(self.permitted[was] for was in entry.get("was", ())) for take, entry in takes.items()
        }

    def _take_numbers_are_never_used_twice(self, takes):
        for take, entry in takes.items():
            for attempt in entry["attempts"]:
                first = self.owner.setdefault(attempt["id"], take)
                assert first == take or first in entry.get("was", ()), f"{take} has an attempt of {first}"
        keys = {attempt["id"] for entry in takes.values() for attempt in entry["attempts"]}
        gone = {attempt for attempt in self.owner if attempt not in keys}
        assert not gone, f"attempts of {sorted(self.owner[one] for one in gone)} are forgotten"

    def _saved_files_are_whole(self, takes):
        for told in oracle.damaged(self.folder, takes):
            name = told.split(" ")[1]
            path = takes[name]["render"]["path"] if name in takes else ""
            assert told.startswith("GONE"), told
            assert self._was_deleted(takes[name], path), told

    def _was_deleted(self, entry, path):
        keys = {Path(one).stem for one in self.deleted}
        return path in self.deleted or bool(keys & {Path(path).stem, *entry.get("was", ())})

    def _the_plan_is_a_function_of_manifest_and_lock(self):
        first = runner.decide(self.manifest, runner.known(self.manifest), now=EPOCH + self.now).steps
        assert first == runner.decide(runner.read(self.path, environ={}), runner.known(self.manifest), now=EPOCH + self.now).steps
        assert len({step.take for step in first}) == len(first), "one take has two steps"


async def _stop(work, seconds):
    await anyio.sleep(seconds)
    work.stop()
    work.cancel()


@pytest.fixture(autouse=True, scope="module")
def _counted(figures):
    yield
    figures.add("machine", "storyboard", examples=EXAMPLES, **COUNTED)


Storyboard.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    deadline=None,
    database=None,
    derandomize="CALLSHEET_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    # To make a finding small takes minutes: only where somebody looks for one.
    phases=list(Phase) if os.environ.get("CALLSHEET_SHRINK") else [Phase.generate],
)
TestStoryboard = Storyboard.TestCase
