"""How many tasks a provider may have under way at once, and whose turn it is."""

from __future__ import annotations

from collections import deque

import anyio

_STEPS = 4  # submits


class Slots:
    """A counter with a queue, first come first served.

    What is already under way takes its place even above the limit (`seize`); new submits wait until there is room.
    The limit is halved when the provider says that there are too many (`narrow`), and found again step by step, one
    more for every `_STEPS` submits that were taken (`widen`).
    """

    def __init__(self, limit: int) -> None:
        self.most = limit
        self.limit = limit
        self._taken = 0
        self.used = 0
        self._waiting: deque[anyio.Event] = deque()

    def seize(self) -> None:
        self.used += 1

    async def acquire(self) -> None:
        if self.used < self.limit and not self._waiting:
            self.used += 1
            return
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.release()
            else:
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Give the place back; it goes to the one who has waited longest."""
        self.used -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.used < self.limit:
            self.used += 1
            self._waiting.popleft().set()

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
