"""How many tasks a provider may have under way at once, and whose turn it is."""

from __future__ import annotations

import heapq
from itertools import count

import anyio

_STEPS = 4  # submits


class Slots:
    """A counter with a queue: of those who wait, what the most takes come after goes first, else who came first.

    What is already under way takes its place even above the limit (`seize`); new submits wait until there is room.
    The limit is halved when the provider says that there are too many (`narrow`), and found again step by step, one
    more for every `_STEPS` submits that were taken (`widen`).
    """

    def __init__(self, limit: int) -> None:
        self.most = limit
        self.limit = limit
        self._taken = 0
        self.used = 0
        self._waiting: list[tuple[int, int, anyio.Event]] = []
        self._come = count()

    def seize(self) -> None:
        self.used += 1

    async def acquire(self, below: int = 0) -> None:
        """`below` is how many takes come one after the other once this one is saved."""
        if self.used < self.limit and not self._waiting:
            self.used += 1
            return
        turn = anyio.Event()
        place = (-below, next(self._come), turn)
        heapq.heappush(self._waiting, place)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.release()
            else:
                self._waiting.remove(place)
                heapq.heapify(self._waiting)
            raise

    def release(self) -> None:
        """Give the place back."""
        self.used -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.used < self.limit:
            self.used += 1
            heapq.heappop(self._waiting)[2].set()

    def narrow(self) -> None:
        """Fewer at once from now on: half of those there are, and always one."""
        self.limit = max(1, min(self.limit, self.used) // 2)
        self._taken = 0

    def widen(self) -> None:
        """A submit was taken."""
        self._taken += 1
        if self.limit < self.most and self._taken >= _STEPS:
            self.limit += 1
            self._taken = 0
            self._admit()
