"""A plan's submits → whose turn it is: each when all that it comes after is saved, the longest chain first."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping

import anyio

from runner.lock import State
from runner.plan import Step

_WORDS: Mapping[State | None, str] = {
    "intended": "is in doubt",
    "submitted": "has not ended",
    "rendered": "is not fetched",
    "failed": "has failed",
    "canceled": "was canceled",
    "lost": "is lost",
}


class Turns:
    """Hands out each step once, by provider. Without chains that is the plan's own order.

    When slots are scarce, what the most takes wait for one after the other comes first: the rest fits in beside it.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = list(steps)
        self._needs: dict[str, set[str]] = {step.take: set(step.after) for step in self._steps if step.after}
        self._users: dict[str, list[int]] = {}
        for number, step in enumerate(self._steps):
            for take in step.after:
                self._users.setdefault(take, []).append(number)
        self._below = _lengths(self._steps, self._users) if self._needs else {}
        self._ready: dict[str, list[tuple[int, int]]] = {}
        self._waiting: dict[str, int] = {}
        self._news: dict[str, anyio.Event] = {}
        for number, step in enumerate(self._steps):
            if step.after:
                self._waiting[step.provider] = self._waiting.get(step.provider, 0) + 1
            else:
                self._add(number, step)

    def below(self, take: str) -> int:
        """How many takes wait one after the other for this one, at most."""
        return self._below.get(take, 0)

    def _add(self, number: int, step: Step) -> None:
        heapq.heappush(self._ready.setdefault(step.provider, []), (-self.below(step.take), number))

    async def next(self, provider: str) -> Step | None:
        """The provider's next step, waited for if need be; None when there will be none any more."""
        while not self._ready.get(provider):
            if not self._waiting.get(provider):
                return None
            self._news[provider] = anyio.Event()
            await self._news[provider].wait()
        return self._steps[heapq.heappop(self._ready[provider])[1]]

    def ended(self, take: str, state: State | None) -> list[tuple[Step, str]]:
        """A take's road is over, in this state of the lock. Those that will not have their turn now, and why.

        A take that was not begun (None) is left to the next run, and nothing is said of what comes after it.
        """
        lacking: list[tuple[Step, str]] = []
        over = deque([(take, state == "saved")])
        while over:
            source, is_there = over.popleft()
            for number in self._users.pop(source, ()):
                step = self._steps[number]
                needs = self._needs.get(step.take)
                if needs is None:
                    continue  # it lacks another one already
                needs.discard(source)
                if is_there and needs:
                    continue
                del self._needs[step.take]
                self._waiting[step.provider] -= 1
                if is_there:
                    self._add(number, step)
                else:
                    why = f"which {_WORDS.get(state, 'is not made')}" if source == take else "which is blocked"
                    lacking.append((step, f"waits for {source}, {why}"))
                    over.append((step.take, False))
                if news := self._news.pop(step.provider, None):
                    news.set()
        return lacking if state else []

    def close(self, provider: str, step: Step | None) -> None:
        """Nothing more of this provider begins, nor this step of it, nor what would come after them."""
        if step:
            self.ended(step.take, None)
        for _, number in self._ready.pop(provider, []):
            self.ended(self._steps[number].take, None)
        for take in [step.take for step in self._steps if step.provider == provider and step.take in self._needs]:
            self.ended(take, None)


def _lengths(steps: list[Step], users: Mapping[str, list[int]]) -> dict[str, int]:
    """How many takes wait one after the other for each take, at most."""
    left = {step.take: len(set(step.after)) for step in steps}
    order = deque(take for take, count in left.items() if not count)
    order.extend(take for take in users if take not in left)  # under way or fetched, so nothing in this plan comes before it
    seen = []
    while order:
        take = order.popleft()
        seen.append(take)
        for number in users.get(take, ()):
            user = steps[number].take
            left[user] -= 1
            if not left[user]:
                order.append(user)
    lengths: dict[str, int] = {}
    for take in reversed(seen):
        lengths[take] = max((1 + lengths[steps[number].take] for number in users.get(take, ())), default=0)
    return lengths
