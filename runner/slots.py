"""How many tasks a provider may have under way at once, and whose turn it is."""

from __future__ import annotations

from collections import deque

import anyio


class Slots:
    """A counter with a queue, first come first served.

    What is already under way takes its place even above the limit (`seize`); new submits wait until there is room.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
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
        while self._waiting and self.used < self.limit:
            self.used += 1
            self._waiting.popleft().set()
