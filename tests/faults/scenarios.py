"""The roads on which a run is killed at every point: who serves, what goes wrong, what was done before, what must come out.

A new command or fault is one more row of SCENARIOS. The rows say what is particular; what holds for all (the oracle,
the runs that follow) is `trial`'s.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from runner.studio import Settings, Studio
from runner.studio.faults import KNOWN
from tests.faults import oracle
from tests.faults.world import Nursery, tiny

MANIFEST = "small.callsheet.yaml"
KEYS = {
    "qwencloud": "DASHSCOPE_API_KEY",
    "aisa": "AISA_API_KEY",
    "apiyi": "APIYI_API_KEY",
    "yutoai": "YUTOAI_API_KEY",
    "opeai": "OPEAI_API_KEY",
}
HEAD = """\
callsheet: 1
title: Small {tag}
provider: {provider}
providers:
  {provider}:
    base_url: "{url}"
    models: [wan2.7-t2v, wan2.7-i2v]
    poll: {{first: 0.02, every: 0.02, unknown_for: 30}}
    limits: {{submits_per_second: 500, queries_per_second: 500}}
in_flight: 2
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
"""
ONE = '  - {{id: s010, prompt: "A lighthouse at dusk, {tag}"}}\n'
TWO = '  - {{id: s010, prompt: "A lighthouse at dusk, {tag}", takes: 2}}\n'
PICTURE = '  - {{id: s020, prompt: "The keeper turns, {tag}", model: wan2.7-i2v, media: {{first_frame: keeper.png}}}}\n'
CHAIN = (
    ONE
    + '  - {{id: s020, prompt: "The keeper turns, {tag}", model: wan2.7-i2v, media: {{first_frame: {{shot: s010}}}}}}\n'
    + '  - {{id: s030, prompt: "The lens turns, {tag}", model: wan2.7-i2v, media: {{first_frame: {{shot: s020, frame: first}}}}}}\n'
)


@dataclass(frozen=True)
class Do:
    """A command line and the exit codes that are right for it; `{task}` is the latest task's id."""

    verb: str
    rest: tuple[str, ...] = ()
    codes: frozenset[int] = frozenset({0})

    @property
    def argv(self) -> tuple[str, ...]:
        return (self.verb, MANIFEST, *self.rest)


@dataclass(frozen=True)
class Edit:
    """A change of the manifest."""

    old: str
    new: str


@dataclass(frozen=True)
class Set:
    """Faults of the provider, in place of those before."""

    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remove:
    """A file or folder deleted."""

    path: str


@dataclass(frozen=True)
class Move:
    """A folder under another name."""

    old: str
    new: str


RUN = Do("run")
UNDER_WAY = (Set(("poll-401:*",)), Do("run", codes=frozenset({75})), Set())  # ends with a task submitted and not fetched
DOUBT = (Set(("lost-reply",)), Do("run", codes=frozenset({1})), Set())


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`before` goes unharmed, `killed` dies at each of its points, `then` and as many runs as it takes follow.

    `saved` are the takes that must be saved in the end, each accepted once but for the `fails` submits whose tasks fail,
    and for those of `again`, for which a person permits one more.
    """

    name: str
    provider: str = "qwencloud"
    shots: str = ONE
    faults: tuple[str, ...] = ()
    before: tuple = ()
    killed: Do = RUN
    then: tuple = ()
    saved: tuple[str, ...] = ("s010@1",)
    fails: int | None = 0  # None: however many
    again: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()  # saved takes whose files a person has had deleted

    @property
    def is_linked(self) -> bool:
        return "{{shot:" in self.shots

    @property
    def lists(self) -> bool:
        return self.provider in {"studio", "qwencloud"}


SCENARIOS = (
    Scenario(name="studio", provider="studio", shots=TWO + PICTURE, saved=("s010@1", "s010@2", "s020@1")),
    Scenario(
        name="lost reply, found in the list",
        provider="studio",
        shots=TWO,
        faults=("lost-reply",),
        saved=("s010@1", "s010@2"),
    ),
    Scenario(name="paid without an id, found in the list", faults=("no-id-paid",)),
    Scenario(
        name="two lost replies of equal requests",
        shots=TWO,
        faults=("lost-reply:2",),
        saved=("s010@1", "s010@2"),
    ),
    Scenario(name="a task that fails and may be retried", faults=("fail",), fails=1),
    Scenario(name="429 twice", faults=("429:2",)),
    Scenario(name="a picture goes up", provider="studio", shots=PICTURE, saved=("s020@1",)),
    Scenario(name="an expired link, a cut and a damaged download", faults=("expired-link", "truncate", "short-file")),
    Scenario(
        name="blips of queries",
        faults=("poll-500", "poll-html", "poll-drop", "odd-word", "unknown"),
    ),
    Scenario(name="a chain", provider="studio", shots=CHAIN, saved=("s010@1", "s020@1", "s030@1")),
    Scenario(
        name="a chain edited at its beginning",
        before=(RUN, Edit("at dusk", "at dawn")),
        shots=CHAIN,
        saved=("s010@1", "s020@1", "s030@1", "s010@2", "s020@2", "s030@2"),
    ),
    Scenario(name="a renamed shot", before=(RUN, Edit("id: s010", "id: pier")), shots=TWO, saved=("pier@1", "pier@2")),
    Scenario(name="a prompt edited between runs", before=(RUN, Edit("at dusk", "at dawn")), saved=("s010@1", "s010@2")),
    Scenario(name="an outdated take under way", before=(*UNDER_WAY, Edit("at dusk", "at dawn")), saved=("s010@1", "s010@2")),
    Scenario(name="renamed with a take under way", before=(*UNDER_WAY, Edit("id: s010", "id: pier")), saved=("pier@1",)),
    Scenario(name="a clone without renders", before=(RUN, Remove("renders"), Remove(".callsheet"))),
    Scenario(name="aisa", provider="aisa", shots=TWO, saved=("s010@1", "s010@2")),
    Scenario(name="apiyi", provider="apiyi", shots=TWO, saved=("s010@1", "s010@2")),
    Scenario(name="yutoai", provider="yutoai", shots=PICTURE, saved=("s020@1",)),
    Scenario(name="opeai", provider="opeai"),
    Scenario(name="aisa, lost reply", provider="aisa", faults=("lost-reply",)),
    Scenario(name="apiyi, lost reply", provider="apiyi", faults=("lost-reply",)),
    Scenario(name="yutoai, lost reply", provider="yutoai", faults=("lost-reply",)),
    Scenario(name="opeai, lost reply", provider="opeai", shots=TWO, faults=("lost-reply",), saved=("s010@1", "s010@2")),
    Scenario(name="collect", before=UNDER_WAY, killed=Do("collect")),
    Scenario(
        name="again",
        provider="apiyi",
        before=DOUBT,
        killed=Do("again", ("s010@1",)),
        then=(Do("again", ("s010@1",), frozenset({0, 2})),),  # 2: it was permitted before the kill
        again=("s010@1",),
    ),
    Scenario(name="a run after again", provider="opeai", before=(*DOUBT, Do("again", ("s010@1",))), again=("s010@1",)),
    Scenario(
        name="again, after a failure for good",
        before=(Set(("moderation",)), Do("run", codes=frozenset({1})), Set(), Do("again", ("s010@1",))),
        fails=1,
    ),
    Scenario(
        name="adopt",
        provider="apiyi",
        before=DOUBT,
        killed=Do("adopt", ("s010@1", "{task}")),
        then=(Do("adopt", ("s010@1", "{task}"), frozenset({0, 3})),),  # 3: it was bound before the kill
    ),
    Scenario(
        name="reconcile",
        before=(Set(("lost-reply", "poll-500:*")), Do("run", codes=frozenset({1})), Set()),
        killed=Do("reconcile", codes=frozenset({75})),  # 75: it is found, and is still to be fetched
    ),
    Scenario(
        name="give up",
        provider="apiyi",
        before=(*DOUBT, Edit("at dusk", "at dawn"), Do("run", codes=frozenset({1}))),
        killed=Do("again", ("--give-up", "s010@1")),
        then=(Do("again", ("--give-up", "s010@1"), frozenset({0, 3})), Edit("at dawn", "at dusk"), Do("again", ("s010@1",))),
        saved=("s010@1", "s010@2"),
        again=("s010@1",),
    ),
    Scenario(
        name="pick",
        shots=TWO,
        before=(RUN,),
        killed=Do("pick", ("s010@1",)),
        then=(Do("pick", ("s010@1",)),),
        saved=("s010@1", "s010@2"),
    ),
    Scenario(
        name="retake",
        before=(RUN,),
        killed=Do("retake", ("s010",)),
        then=(Do("retake", ("--none", "s010"), frozenset({0, 2})),),  # 2: it was not recorded before the kill
    ),
    Scenario(
        name="clean",
        before=(RUN, Edit("at dusk", "at dawn"), RUN),
        killed=Do("clean", ("--outdated", "--yes")),
        then=(Do("clean", ("--outdated", "--yes")),),
        saved=("s010@1", "s010@2"),
        deleted=("s010@1",),
    ),
    Scenario(
        name="collect from a colleague's folder",
        provider="studio",
        shots=TWO,
        before=(RUN, Move("renders", "theirs"), Remove(".callsheet")),
        killed=Do("collect", ("--from", "theirs")),
        saved=("s010@1", "s010@2"),
    ),
    Scenario(name="cancel, too late", before=UNDER_WAY, killed=Do("cancel", ("s010@1",), frozenset({75}))),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@dataclass
class Worker:
    """One nursery, and a studio of its own for each dialect: nobody else uses up its faults."""

    nursery: Nursery
    folder: Path
    studios: dict[str, Studio] = field(default_factory=dict)

    def studio(self, provider: str) -> Studio:
        dialect = "native" if provider == "studio" else provider
        if dialect not in self.studios:
            studio = Studio(Settings(folder=self.folder / dialect, render=tiny, in_flight=4, dialect=dialect))
            studio.start()
            self.studios[dialect] = studio
        return self.studios[dialect]

    def close(self) -> None:
        for studio in self.studios.values():
            studio.stop()


@dataclass
class Trial:
    """One folder that goes through a scenario."""

    scenario: Scenario
    worker: Worker
    folder: Path
    tag: str
    wrong: list[str] = field(default_factory=list)
    permitted: Counter = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.studio = self.worker.studio(self.scenario.provider)
        self._forget()
        self.env = {KEYS[self.scenario.provider]: "sk-test-0123456789"} if self.scenario.provider in KEYS else {}
        self.folder.mkdir(parents=True)
        Image.new("RGB", (640, 360), "navy").save(self.folder / "keeper.png")
        text = (HEAD + self.scenario.shots).format(provider=self.scenario.provider, url=self.studio.base_url, tag=self.tag)
        (self.folder / MANIFEST).write_text(text, encoding="utf-8")
        self._set(self.scenario.faults)

    def _forget(self) -> None:
        """The studio has never heard of the trials before: their tasks would be candidates for what is in doubt here."""
        store = self.studio._desk.store
        while store.unfinished():
            time.sleep(0.002)
        store._tasks.clear()

    def _set(self, faults: tuple[str, ...]) -> None:
        for name in KNOWN:
            if self.studio.settings.faults.due(name):
                self.studio.settings.faults.add(f"{name}:0")
        for word in faults:
            self.studio.settings.faults.add(word)

    @property
    def bills(self) -> list[oracle.Accepted]:
        return oracle.accepted(self.studio)

    def act(self, act) -> None:
        match act:
            case Do():
                self.do(act)
            case Edit(old=old, new=new):
                text = (self.folder / MANIFEST).read_text()
                assert old in text
                (self.folder / MANIFEST).write_text(text.replace(old, new))
            case Set(faults=faults):
                self._set(faults)
            case Remove(path=path):
                shutil.rmtree(self.folder / path)
            case Move(old=old, new=new):
                (self.folder / old).rename(self.folder / new)

    def do(self, act: Do, **order) -> tuple[int, list[str]]:
        """A command; a wrong exit code is wrong. Kills are the caller's."""
        task = self.bills[-1].task_id if self.bills else ""
        argv = [word.replace("{task}", task) for word in act.argv]
        code, said, names = self.worker.nursery.run(self.folder, *argv, env=self.env, **order)
        self.said.append(said)
        if not order and code not in act.codes:
            self.wrong.append(f"{' '.join(act.argv)} ended with {code}: {said[-600:]}")
        return code, names

    def kill(self, **order) -> bool:
        """The scenario up to its kill, and what must be true a moment later; False where it ended before that point."""
        for act in self.scenario.before:
            self.act(act)
        code, _ = self.do(self.scenario.killed, **order)
        if code != -9:
            return False
        known = b"".join(path.read_bytes() for path in (*self.folder.glob(".callsheet/*.journal"), *self.folder.glob("*.lock")))
        for task_id in oracle.told("".join(self.said), self.bills):
            if task_id.encode() not in known:
                self.wrong.append(f"LOST: task {task_id} was said and is not on disk")
        self.wrong += oracle.torn(self.folder)
        return True

    def finish(self) -> None:
        """Run to the end, answering what is asked, and compare with the bill."""
        for act in self.scenario.then:
            self.act(act)
        self.permitted.update(self.scenario.again)
        for number in range(5):
            code, said, _ = self.worker.nursery.run(self.folder, *RUN.argv, env=self.env)
            if code not in {1, 75}:
                break
            self.wrong += self._safe()
            # What is made of a take that was in doubt when the run began was not in its plan: that is the next one's.
            if code == 75 and self.scenario.fails == 0 and not (self.scenario.is_linked and "waits for your answer" in said):
                self.wrong.append(f"a run after the kill left work undone: {said[-600:]}")
            # One run more may find in the list what blips hid from the first.
            if code == 1 and (number or not self.scenario.lists):
                self._answer(said)
        if code:
            self.wrong.append(f"the last run ended with {code}: {said[-600:]}")
            return
        self.wrong += self._safe()
        self.wrong += self._exact()
        before = (self.folder / "small.callsheet.lock").read_bytes()
        code, said, points = self.worker.nursery.run(self.folder, *RUN.argv, env=self.env)
        if code or {"send", "receive"} & set(points) or "nothing to do" not in said:
            self.wrong.append(f"a finished storyboard ran again: {code} {said[-600:]}")
        if (self.folder / "small.callsheet.lock").read_bytes() != before:
            self.wrong.append("a run with nothing to do wrote the lock")

    def _safe(self) -> list[str]:
        """What must hold at the end of every run."""
        takes = oracle.lock_of(self.folder)["takes"]
        owned, wrong = oracle.owners(takes, self.bills)
        kept = {take: entry for take, entry in takes.items() if take not in self.scenario.deleted}
        gone = [take for take in self.scenario.deleted if not (self.folder / takes[take]["render"]["path"]).exists()]
        wrong += [f"{take} is gone, and the lock does not say who deleted it" for take in gone if "cleaned_at" not in takes[take]]
        return [*wrong, *oracle.double(owned, self.permitted), *oracle.damaged(self.folder, kept)]

    def _answer(self, said: str) -> None:
        """Answer for takes in doubt and failed: permit each again, and expect one more submit for those that were paid."""
        takes = oracle.lock_of(self.folder)["takes"]
        owned, _ = oracle.owners(takes, self.bills)
        asking = [take for take, entry in takes.items() if entry["state"] in {"intended", "failed"}]
        if not asking:
            self.wrong.append(f"a run asks for an answer, and nothing is in doubt: {said[-600:]}")
        for take in asking:
            paid = any(not bill.fails for bill in owned[take])
            if (
                self.scenario.lists
                and paid
                and takes[take]["state"] == "intended"
                and oracle.is_findable(takes, take, self.bills)
            ):
                self.wrong.append(f"{take} is in the provider's list, and was not found: {said[-600:]}")
            self.permitted[take] = sum(1 for bill in owned[take] if not bill.fails)
            failed = takes[take]["state"] == "failed"
            self.do(Do("again", (take,), frozenset({0, 2} if failed else {0})))  # 2: it will be tried again unasked

    def _exact(self) -> list[str]:
        """What the finished lock must be."""
        takes = oracle.lock_of(self.folder)["takes"]
        states = {take: entry["state"] for take, entry in takes.items()}
        wrong = [] if states == dict.fromkeys(self.scenario.saved, "saved") else [f"the lock has {states}"]
        owned, _ = oracle.owners(takes, self.bills)
        for take, bills in owned.items():
            live = sum(1 for bill in bills if not bill.fails)
            if live != 1 + self.permitted[take]:
                wrong.append(f"{take} was accepted {live} times, not {1 + self.permitted[take]}")
        fails = sum(1 for bill in self.bills if bill.fails)
        return wrong if self.scenario.fails in {fails, None} else [*wrong, f"{fails} tasks failed, not {self.scenario.fails}"]


def _tag(scenario: Scenario, folder: Path) -> str:
    """Goes into the prompts: no two trials may ask one studio for the same, or its list could not tell them apart."""
    return f"{scenario.name.replace(',', '')} {folder.name}"


def unharmed(scenario: Scenario, worker: Worker, folder: Path) -> list[str]:
    """The scenario without a kill: the points that its command passes. Raises AssertionError where even that goes wrong."""
    trial = Trial(scenario, worker, folder, _tag(scenario, folder))
    for act in scenario.before:
        trial.act(act)
    _, names = trial.do(scenario.killed, start_at=0.0)
    trial.finish()
    assert not trial.wrong, f"{scenario.name}: {trial.wrong}"
    return names


def killed(scenario: Scenario, worker: Worker, folder: Path, **order) -> tuple[bool, list[str]]:
    """One kill and what follows: whether there was a kill, and all that is wrong after it."""
    trial = Trial(scenario, worker, folder, _tag(scenario, folder))
    was_killed = trial.kill(**order)
    trial.finish()
    if not trial.wrong:
        shutil.rmtree(folder)
    return was_killed, [f"{scenario.name}, {order}: {what} (in {folder})" for what in trial.wrong]
