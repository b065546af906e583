"""A plan and the events of its run → where it stands: takes under way and ended, money, and when it will be done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from runner import money
from runner.clock import epoch
from runner.learned import Durations, tier
from runner.lock import Lock
from runner.plan import Plan, Step

_WORDS = {"intended": "sending", "submitted": "submitted", "rendered": "fetching"}
_ENDS = {"saved", "failed", "lost", "in_doubt", "blocked", "error"}
_TELLING = 3  # tasks that must have ended before their pace says anything
_LATE = 0.9  # of tasks are done within what is expected of one that has passed the median
_WIDEST = 24  # columns that are kept free for a take's name in lines that stay

_Kind = tuple[str, str, str | None, float | None]  # provider, model, tier, seconds of video


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A take under way; `since` is when it was submitted, in seconds of the clock that the tally goes by."""

    take: str
    word: str
    since: float
    kind: _Kind


class Tally:
    """Hears every event once; what it answers costs the same for ten takes and for a hundred thousand."""

    def __init__(
        self, plan: Plan, known: Lock, *, now: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self.began = now()
        self._parameters = {shot.id: shot.parameters for shot in plan.manifest.shots}
        self._known, self._ahead = known, self.began - wall()
        self._steps = {step.take: step for step in plan.doing("submit", "watch", "fetch", "answer")}
        self.longest = max(map(len, self._steps), default=0)
        blocked = max((len(step.take) for step in plan.doing("blocked")), default=0)  # never under way, but with a line
        self.width = min(_WIDEST, max(self.longest, blocked))
        self._waiting: Counter[_Kind] = Counter()
        self._running: dict[str, Running] = {}
        self._count: Counter[str] = Counter()  # under way, by provider
        self._peak: Counter[str] = Counter()
        self._rendered = 0
        self._latest = self.began  # when the latest task was seen to end
        self._ended: dict[str, str] = {}
        self.ended: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()
        self.durations = Durations.of(known.takes.values())
        self._counted: set[str] = set()
        self.total = self.unpriced = 0
        self.planned: Mapping[str, int] = {}

    def _set_out(self, takes: Iterable[str]) -> None:
        """What this run will do of the plan: `collect` submits nothing."""
        steps = [self._steps[take] for take in takes if take in self._steps]
        submits = [step for step in steps if step.action == "submit"]
        self._counted = {step.take for step in steps if step.action != "answer"}
        self.total = len(self._counted)
        for step in steps:
            if step.action == "submit":
                self._waiting[self._kind(step)] += 1
            elif step.action != "answer":
                attempt = self._known.takes[step.was or step.take].attempt
                since = epoch(attempt.submitted_at) + self._ahead if attempt and attempt.submitted_at else self.began
                self._run(step.take, "under way" if step.action == "watch" else _WORDS["rendered"], since)
        self.planned = money.total(step.cost for step in submits if step.cost and step.cost.micros)
        self.unpriced = sum(1 for step in submits if step.cost is None)

    def _kind(self, step: Step) -> _Kind:
        return step.provider, step.model, tier(self._parameters.get(step.shot, {})), step.seconds

    def _run(self, take: str, word: str, since: float) -> None:
        step = self._steps.get(take)
        kind = self._kind(step) if step else ("", "", None, None)
        if take not in self._counted:
            self._counted.add(take)  # one in doubt that was found, or never arrived
            self.total += 1
        if take not in self._running:
            self._count[kind[0]] += 1
            self._peak[kind[0]] = max(self._peak[kind[0]], self._count[kind[0]])
        self._running[take] = Running(take=take, word=word, since=since, kind=kind)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take one event in."""
        name, take = event["event"], str(event.get("take", ""))
        running = self._running.get(take)
        if name == "plan":
            self._set_out(step["take"] for step in event["steps"])
        elif name == "intended":
            self._begin(take)
        elif name == "submitted" and take:
            self._run(take, _WORDS[name], self._now())
            self._pay(take)
        elif name == "status" and running:
            self._running[take] = replace(running, word=str(event["word"]).lower().replace("_", " "))
        elif name == "rendered" and running:
            self._rendered, self._latest = self._rendered + 1, self._now()
            self.durations.add(*running.kind, max(0.001, self._now() - running.since))
            self._running[take] = replace(running, word=_WORDS[name])
        elif name == "waiting" and running:
            self._running[take] = replace(running, word="waiting")
        elif name in _ENDS and take:
            self._end(take, name)

    def _begin(self, take: str) -> None:
        if take not in self._running:
            step = self._steps.get(take)
            again = self._ended.pop(take, None)  # failed before, and tried once more
            if again:
                self.ended[again] -= 1
            elif step and step.action == "submit":
                self._waiting[self._kind(step)] -= 1
        self._run(take, _WORDS["intended"], self._now())

    def _pay(self, take: str) -> None:
        step = self._steps.get(take)
        if step and step.action == "submit" and step.cost and step.cost.micros:
            self.spent[step.cost.currency] += step.cost.micros

    def _end(self, take: str, name: str) -> None:
        running = self._running.pop(take, None)
        if running:
            self._count[running.kind[0]] -= 1
        elif take not in self._ended and (step := self._steps.get(take)) and step.action == "submit":
            self._waiting[self._kind(step)] -= 1
        before = self._ended.get(take)
        if before:
            self.ended[before] -= 1
        self._ended[take] = name
        self.ended[name] += 1

    @property
    def under_way(self) -> int:
        return len(self._running)

    @property
    def to_go(self) -> int:
        """Takes that have not been begun."""
        return max(0, self._waiting.total())

    @property
    def elapsed(self) -> float:
        return self._now() - self.began

    def shown(self, most: int) -> Iterator[tuple[Running, float, float | None]]:
        """The takes that have been under way longest, each with its seconds so far and those expected until it is rendered."""
        for running in islice(self._running.values(), most):
            expected = None if running.word == _WORDS["rendered"] else self.durations.expect(*running.kind)
            yield running, max(0.0, self._now() - running.since), expected

    def left(self) -> float | None:
        """Seconds until all is done: by what tasks of these kinds took, and not before this run's own pace; None where neither tells."""
        by_kind, by_pace = self._by_kind(), self._by_pace()
        return max(by_kind, by_pace) if by_kind is not None and by_pace is not None else by_kind if by_pace is None else by_pace

    def _by_pace(self) -> float | None:
        """As many a second as until the latest end: a service that lets tasks wait for each other shows it here."""
        if self._rendered < _TELLING or self._latest <= self.began:
            return None
        pace = self._rendered / (self._latest - self.began)
        rest = self.to_go + sum(1 for running in self._running.values() if running.word != _WORDS["rendered"])
        return max(0.0, rest / pace - (self._now() - self._latest))

    def _by_kind(self) -> float | None:
        work: dict[str, float] = {}
        longest = 0.0
        for kind, count in self._waiting.items():
            took = self.durations.expect(*kind) if count > 0 else 0.0
            if took is None:
                return None
            work[kind[0]] = work.get(kind[0], 0.0) + took * max(0, count)
        for running in self._running.values():
            rest = self._rest(running)
            if rest is None:
                return None
            work[running.kind[0]] = work.get(running.kind[0], 0.0) + rest
            longest = max(longest, rest)
        return max([longest, *(seconds / max(1, self._peak[name]) for name, seconds in work.items())])

    def _rest(self, running: Running) -> float | None:
        if running.word == _WORDS["rendered"]:
            return 0.0
        so_far = self._now() - running.since
        expected = self.durations.expect(*running.kind)
        if expected is not None and so_far > expected:
            late = self.durations.expect(*running.kind, _LATE) or expected
            return max(late - so_far, expected / 10)
        return None if expected is None else expected - so_far
