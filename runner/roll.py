"""Takes that wait to ask about their tasks, and what a list has said of those: who need not ask by itself yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio

_ALONE = 40  # rounds of the list; after so many a task is asked about by itself, whatever the list says


@dataclass(kw_only=True, slots=True)
class Waiting:
    """A take that waits for its turn.

    `since` is when its task was made, in seconds since the epoch by the provider's clock; `word` the last one heard of it,
    `news` a later one that the list had.
    """

    task_id: str
    since: float | None
    word: str | None
    latest: float
    scope: anyio.CancelScope
    woken: anyio.Event = field(default_factory=anyio.Event)
    news: str | None = None


class Roll:
    """Those of one account who wait.

    `every` are the seconds between two rounds of the list; `crowd` is how many must wait for it to be worth reading, None
    where there is no list.
    """

    def __init__(self, every: float, crowd: int | None = None) -> None:
        self.every = every
        self.alone = _ALONE * every  # seconds
        self.crowd = crowd
        self.barred_until = 0.0  # by the clock of the event loop: until then there is no list
        self.waiting: dict[str, Waiting] = {}

    @property
    def is_called(self) -> bool:
        """Whether the list answers for those who wait."""
        return self.crowd is not None and len(self.waiting) > self.crowd and anyio.current_time() >= self.barred_until

    async def turn(self, take: str, task_id: str, pause: float, *, since: float | None, word: str | None) -> str | None:
        """Wait until the task is worth a query: after `pause` seconds, later while the list says that it goes on.

        The word is the list's, where it has another one than the last and yet a query could say no more.
        """
        now = anyio.current_time()
        if self.is_called:
            pause = max(pause, 2 * self.every)  # a crowd that asks one by one would stand in the list's own way
        with anyio.CancelScope(deadline=now + pause) as scope:
            latest = now + pause + self.alone
            me = self.waiting[take] = Waiting(task_id=task_id, since=since, word=word, latest=latest, scope=scope)
            try:
                await me.woken.wait()
            finally:
                del self.waiting[take]
        return me.news

    def hear(self, listed: Mapping[str, str], goes_on: Callable[[str], bool]) -> None:
        """One round: words by task id, and which of them say that a task goes on; any other one is worth a query.

        Who is not in the list asks when its time comes, as if there were none.
        """
        trusted = anyio.current_time() + 3 * self.every
        for one in self.waiting.values():
            said = listed.get(one.task_id)
            if said is None:
                continue
            if goes_on(said):
                one.scope.deadline = min(one.latest, max(one.scope.deadline, trusted))
                one.news = said if said != one.word else None
            if one.news or not goes_on(said):
                one.woken.set()
