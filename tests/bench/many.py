"""Many takes under way at once: what the studio bears, and what a run needs for each.

    python -m tests.bench.many [--tasks 1000] [--takes 5000] [--json]

The studio, in a process of its own, is given so many tasks that all run at the same time, each asked for every two
seconds until it has ended: does it answer in time, do tasks end when they should? The whole product then has 5,000
takes under way, against a provider that costs next to nothing: memory and CPU for each.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

import runner
from runner.studio import Settings, Studio
from runner.studio.store import Task, _replay
from tests.bench.http import BODY, KEY, MANIFEST, PATH, film
from tests.bench.provider import provider
from tests.bench.soak import sample
from tests.bench.table import Row, show
from tests.faults.world import ROOT, tiny

EVERY = 2.0  # seconds between two queries of a task
LASTS = 20.0  # seconds a task takes, ±20 %
AUTH = {"Authorization": f"Bearer {KEY}"}


def serve(folder: Path, tasks: int) -> None:
    """The studio, until its standard input closes; says its address first, what CPU it took last."""
    with Studio(Settings(folder=folder, seconds=LASTS, in_flight=tasks, render=tiny)) as studio:
        print(studio.base_url, flush=True)
        sys.stdin.readline()
        print(time.process_time(), flush=True)
        sys.stdin.read()


@contextmanager
def studio(folder: Path, tasks: int) -> Iterator[tuple[str, subprocess.Popen]]:
    argv = [sys.executable, "-m", "tests.bench.many", "--serve", str(folder), str(tasks)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.stdin.close()
            process.wait(30)


async def load(url: str, tasks: int) -> dict[str, list[float]]:
    """Every task submitted and then asked for to its end; how long replies took, and how late questions were."""
    import aiohttp

    waits: list[float] = []
    limiter = anyio.CapacityLimiter(64)
    body = {**BODY, "parameters": {"resolution": "720P", "duration": 2}}

    async with aiohttp.ClientSession(headers=AUTH, connector=aiohttp.TCPConnector(limit=64)) as session:

        async def timed(what: object) -> dict:
            began = time.perf_counter()
            async with what as reply:
                data = await reply.json()
            waits.append(time.perf_counter() - began)
            return data

        async def one(number: int) -> None:
            async with limiter:
                body_of = {**body, "input": {"prompt": f"Pier {number}"}}
                headers = {"X-DashScope-Async": "enable"}
                task_id = (await timed(session.post(f"{url}{PATH}", json=body_of, headers=headers)))["output"]["task_id"]
            due = anyio.current_time() + EVERY
            while True:
                await anyio.sleep_until(due)
                due += EVERY
                async with limiter:
                    word = (await timed(session.get(f"{url}/tasks/{task_id}")))["output"]["task_status"]
                if word not in {"PENDING", "RUNNING"}:
                    assert word == "SUCCEEDED", word
                    return

        began = time.perf_counter()
        async with anyio.create_task_group() as group:
            for number in range(tasks):
                group.start_soon(one, number)
        return {"waits": sorted(waits), "seconds": time.perf_counter() - began}


def borne(tasks: int) -> list[Row]:
    """What the studio says of itself when the load is over."""
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        print("aiohttp is not installed: the studio is left out", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with studio(folder, tasks) as (url, process):
            found = anyio.run(load, url, tasks)
            process.stdin.write("\n")
            process.stdin.flush()
            cpu = float(process.stdout.readline())
        made = list(_replay((folder / "tasks.jsonl").read_bytes()))
    events = [(task.running_at, 1) for task in made] + [(task.ended_at, -1) for task in made]
    most, under_way = 0, 0
    for _, step in sorted(events):
        under_way += step
        most = max(most, under_way)
    late = sorted(_late(task) for task in made)
    waits = found["waits"]
    p99 = waits[int(len(waits) * 0.99)]
    return [
        Row(f"studio: most of {tasks:,} tasks running at once", f"{most:,}", goal=f"{tasks * 0.8:,.0f}", ok=most >= 0.8 * tasks),
        Row("- 99 of 100 replies within", f"{p99 * 1000:.0f} ms", f"median {statistics.median(waits) * 1000:.0f} ms", goal="500 ms", ok=p99 <= 0.5),
        Row("- 99 of 100 tasks end late by at most", f"{late[int(len(late) * 0.99)]:.2f} s", f"of {LASTS:g} s", goal="1 s", ok=late[int(len(late) * 0.99)] <= 1),
        Row("- CPU of the studio, of one core", f"{cpu / found['seconds']:.0%}", f"{len(waits):,} requests in {found['seconds']:.0f} s", goal="80%", ok=cpu <= 0.8 * found["seconds"]),
    ]  # fmt: skip


def _late(task: Task) -> float:
    """A task waits for a fifth of its time, behind those before it, and runs for the rest."""
    lasts = LASTS * (0.8 + 0.4 * int(task.bill.hash[:8], 16) / 0xFFFFFFFF)
    return task.ended_at - task.running_at - 0.8 * lasts


def carried(takes: int) -> dict[str, float]:
    """A run with all its takes under way at the same time: kB and ms of CPU for each."""
    # In memory, where there is such a folder: a slow disk is not what is measured here.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        return _carried(Path(name), takes)


def _carried(folder: Path, takes: int) -> dict[str, float]:
    with provider(polls=2, crowd=takes, film=film(folder, 4000)) as url:
        text = (
            MANIFEST.format(url=url)
            .replace("in_flight: 16", f"in_flight: {takes}")
            .replace("first: 0.02, every: 0.02", "first: 10, every: 10")
        )
        path = folder / "many.callsheet.yaml"
        path.write_text(text + "".join(f"  - {{id: s{at:05d}, prompt: Pier {at}}}\n" for at in range(takes)))
        environ = {"DASHSCOPE_API_KEY": KEY}
        manifest = runner.read(path, environ=environ)
        seen: list[int] = []
        counts = {"submitted": 0, "saved": 0}
        most = 0

        def listen(event: dict) -> None:
            nonlocal most
            if event["event"] in counts:
                counts[event["event"]] += 1
                most = max(most, counts["submitted"] - counts["saved"])

        def watch() -> None:
            while not done.wait(0.2):
                seen.append(sample()["rss"])

        done = threading.Event()
        with runner.hold(manifest) as held:
            plan = runner.decide(manifest, held.lock)
            before, cpu = sample()["rss"], time.process_time()
            thread = threading.Thread(target=watch)
            thread.start()

            async def run() -> runner.Report:
                return await runner.run(plan, held, listen, environ=environ)

            report = anyio.run(run)
            done.set()
            thread.join()
        assert report.exit_code == 0, report.data["counts"]
        return {"kB": max(seen) - before, "cpu": (time.process_time() - cpu) / takes, "most": most}


def rows(tasks: int, takes: int) -> list[Row]:
    found = []
    for count in (takes // 10, takes):
        argv = [sys.executable, "-m", "tests.bench.many", "--carry", str(count)]
        found.append(json.loads(subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout))
    few, many = found
    ratio, kb = many["cpu"] / few["cpu"], (many["kB"] - few["kB"]) / (takes - takes // 10)  # what a run needs anyway is in both
    return [
        *borne(tasks),
        Row(f"run: takes under way at once, of {takes:,}", f"{many['most']:,}", goal=f"{takes * 0.8:,.0f}", ok=many["most"] >= 0.8 * takes),
        Row("- memory a take under way", f"{kb:.1f} kB", f"in all {many['kB'] / 1000:,.0f} MB", goal="30 kB", ok=kb <= 30),
        Row("- CPU a take, whole run", f"{many['cpu'] * 1000:.1f} ms ({ratio:.2f} x)", f"at {takes // 10:,}: {few['cpu'] * 1000:.1f} ms", goal="1.3 x", ok=ratio <= 1.3),
    ]  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--tasks", type=int, default=1000)
    asked.add_argument("--takes", type=int, default=5000)
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    asked.add_argument("--carry", type=int, help=argparse.SUPPRESS)
    how = asked.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if how.serve:
        serve(Path(how.serve[0]), int(how.serve[1]))
    elif how.carry:
        print(json.dumps(carried(how.carry)))
    else:
        sys.exit(0 if show("Many takes under way", rows(how.tasks, how.takes), as_json=how.json) else 1)


if __name__ == "__main__":
    main()
