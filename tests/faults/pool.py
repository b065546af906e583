"""Workers that try many kills at once."""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.faults.scenarios import Worker
from tests.faults.world import cores, nurseries

# A sample by default, so that a run of all tests stays short; CALLSHEET_FAULTS=all takes every point.
EVERY = 1 if os.environ.get("CALLSHEET_FAULTS") == "all" else 7


@contextmanager
def workers(folder):
    """A map over workers. More of them than cores: a trial spends half of its time waiting."""
    count = cores() + 2
    with nurseries(count) as pool:
        made = [Worker(nursery, folder / f"w{number}") for number, nursery in enumerate(pool)]
        free: queue.SimpleQueue = queue.SimpleQueue()
        for worker in made:
            free.put(worker)
        taking = threading.Lock()  # two lenders that hold half of the workers each would wait for ever

        def lent(job, order, number):
            with taking:
                workers = [free.get() for _ in range(number)]
            try:
                return job(*workers, order)
            finally:
                for worker in workers:
                    free.put(worker)

        try:
            with ThreadPoolExecutor(count) as threads:
                yield lambda job, orders, lend=1: list(threads.map(lambda order: lent(job, order, lend), orders))
        finally:
            for worker in made:
                worker.close()


def every_kill(names, every=EVERY):
    """A kill at each point (or each seventh, on a short road each second or so), and a torn write at each that writes."""
    every = min(every, max(1, len(names) // 10))
    kills = [{"kill_at": number} for number in range(1, len(names) + 1)]
    torn = [{"kill_at": number, "torn": True} for number, name in enumerate(names, 1) if name == "write"]
    return [*kills[::every], *torn[::every]]
