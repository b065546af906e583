"""What a poll and a take cost: ours, the official SDK with its sleeps taken out, and a bare aiohttp loop, side by side.

    python -m tests.bench.http [--quick] [--json]

CPU seconds of the client's process alone, against a provider that costs next to nothing in a process of its own. Each
client has a process of its own too; what its start costs is not counted. They take turns, and the best of its rounds
counts: what else goes on in the machine only ever adds. A take is a submit, three polls and a render of 100 kB that
is written, fsynced and hashed, the same for all; that each of our submits has a new connection is left in.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import logging
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio

import runner
from runner import answers, catalog, download, wire
from runner.client import Client
from runner.wire import Request
from tests.bench.provider import provider
from tests.bench.table import Row, show
from tests.fakes import FILM
from tests.faults.world import ROOT

AT_ONCE = 16
SIZE = 100_000  # bytes of a render
KEY = "sk-test-0123456789"
PATH = "/services/aigc/video-generation/video-synthesis"
BODY = {"model": "wan2.7-t2v", "input": {"prompt": "Pier"}, "parameters": {"resolution": "720P", "duration": 2}}
MANIFEST = """\
callsheet: 1
provider: qwencloud
providers:
  qwencloud:
    base_url: "{url}/api/v1"
    poll: {{first: 0.02, every: 0.02}}
    limits: {{submits_per_second: 100000, queries_per_second: 100000, in_flight: 16}}
budget: {{takes: 100000}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
"""


def film(folder: Path, size: int = SIZE) -> Path:
    """A real MP4 of just that many bytes: what is missing is free space at its end."""
    path = folder / "film.mp4"
    path.write_bytes(FILM + struct.pack(">I4s", size - len(FILM), b"free") + bytes(size - len(FILM) - 8))
    return path


class Meter:
    """CPU and wall seconds, and by how much memory has grown, from its making to `read`."""

    def __init__(self) -> None:
        self.began, self.cpu = time.perf_counter(), time.process_time()

    def read(self, count: int) -> dict[str, float]:
        """For each of `count`."""
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.began
        return {"cpu": cpu / count, "wall": wall / count}


async def shared(one: Callable[[int], Awaitable[Any]], count: int, workers: int) -> dict[str, float]:
    """`one(n)` for n below `count` by so many workers; what each does first, before all have begun, is not counted."""
    numbers, warm, meter, begun = iter(range(count)), 0, Meter(), anyio.Event()

    async def work(number: int) -> None:
        nonlocal warm, meter
        await one(count + number)
        warm += 1
        if warm == workers:
            meter = Meter()
            begun.set()
        await begun.wait()
        for other in numbers:
            await one(other)

    async with anyio.create_task_group() as group:
        for number in range(workers):
            group.start_soon(work, number)
    return meter.read(count)


def threaded(one: Callable[[int], Any], count: int) -> dict[str, float]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(AT_ONCE)))
        meter = Meter()
        list(pool.map(one, range(count)))
        return meter.read(count)


def polls_ours(url: str, tasks: int, count: int, backend: str = "asyncio") -> dict[str, float]:
    async def main() -> dict[str, float]:
        spec = unpaced()
        async with Client(spec, [f"{url}/api/v1"], KEY) as client:

            async def one(number: int) -> None:
                reply = await client.ask(wire.query(spec, f"{number % tasks}-x"))
                assert answers.read_query(spec, reply).kind == "running"

            return await shared(one, count, tasks)

    return anyio.run(main, backend=backend)


def polls_trio(url: str, tasks: int, count: int) -> dict[str, float]:
    return polls_ours(url, tasks, count, "trio")


def polls_httpx(url: str, tasks: int, count: int) -> dict[str, float]:
    """As it is mostly written: one client with room for as many connections as there are tasks."""
    import httpx

    async def main() -> dict[str, float]:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=tasks), headers=_auth(), timeout=None) as client:

            async def one(number: int) -> None:
                reply = await client.get(f"{url}/api/v1/tasks/{number % tasks}-x")
                assert reply.json()["output"]["task_status"] == "RUNNING"

            return await shared(one, count, tasks)

    return anyio.run(main)


def polls_aiohttp(url: str, tasks: int, count: int) -> dict[str, float]:
    import aiohttp

    async def main() -> dict[str, float]:
        async with aiohttp.ClientSession(headers=_auth()) as session:

            async def one(number: int) -> None:
                async with session.get(f"{url}/api/v1/tasks/{number % tasks}-x") as reply:
                    assert (await reply.json())["output"]["task_status"] == "RUNNING"

            return await shared(one, count, tasks)

    return anyio.run(main)


def takes_ours(url: str, _: int, count: int, backend: str = "asyncio") -> dict[str, float]:
    """The client alone, with what makes a render safe but the decoding, which nobody else does."""
    download._facts = lambda _: {}

    async def main() -> dict[str, float]:
        spec = unpaced()
        with tempfile.TemporaryDirectory() as folder:
            async with Client(spec, [f"{url}/api/v1"], KEY) as client:

                async def one(number: int) -> None:
                    request = Request(method="POST", path=PATH, headers={"X-DashScope-Async": "enable"}, body=BODY)
                    accepted = answers.read_submit(spec, await client.submit(request))
                    while (status := answers.read_query(spec, await client.ask(wire.query(spec, accepted.task_id)))).url is None:
                        pass
                    await download.fetch(client, status.url, Path(folder) / f"{number}.part")

                return await shared(one, count, AT_ONCE)

    return anyio.run(main, backend=backend)


def takes_trio(url: str, tasks: int, count: int) -> dict[str, float]:
    return takes_ours(url, tasks, count, "trio")


def takes_run(url: str, _: int, count: int) -> dict[str, float]:
    """The whole product: intents and task ids fsynced, every render decoded, the lock folded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.callsheet.yaml"
        environ = {"DASHSCOPE_API_KEY": KEY}
        for shots in (range(AT_ONCE), range(AT_ONCE + count)):
            path.write_text(MANIFEST.format(url=url) + "".join(f"  - {{id: s{at:05d}, prompt: Pier {at}}}\n" for at in shots))
            manifest = runner.read(path, environ=environ)
            with runner.hold(manifest) as held:
                plan, meter = runner.decide(manifest, held.lock), Meter()
                report = anyio.run(lambda plan=plan, held=held: runner.run(plan, held, environ=environ))
                measured = meter.read(count)
        assert report.exit_code == 0, report.data["counts"]
    return measured


def takes_sdk(url: str, _: int, count: int) -> dict[str, float]:
    """As its documentation has it, in threads; the sleeps between its polls are taken out."""
    import dashscope
    import requests
    from dashscope.client import base_api

    dashscope.base_http_api_url = f"{url}/api/v1"
    base_api.time = _Restless()
    with tempfile.TemporaryDirectory() as folder:

        def one(number: int) -> None:
            reply = dashscope.VideoSynthesis.call(model="wan2.7-t2v", prompt="Pier", api_key=KEY, resolution="720P", duration=2)
            _keep(folder, number, requests.get(reply.output.video_url, timeout=30).content)

        return threaded(one, count)


def takes_sdk_aio(url: str, _: int, count: int) -> dict[str, float]:
    """Its asynchronous half, likewise."""
    import aiohttp
    import dashscope
    from dashscope.aigc.video_synthesis import AioVideoSynthesis
    from dashscope.client import base_api

    logging.getLogger("asyncio").disabled = True  # its sessions are left to the garbage collector, which says so at length
    dashscope.base_http_api_url = f"{url}/api/v1"
    base_api.asyncio = _Restless()

    async def main() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            async with aiohttp.ClientSession() as session:

                async def one(number: int) -> None:
                    reply = await AioVideoSynthesis.call(
                        model="wan2.7-t2v", prompt="Pier", api_key=KEY, resolution="720P", duration=2
                    )
                    async with session.get(reply.output.video_url) as film:
                        _keep(folder, number, await film.read())

                return await shared(one, count, AT_ONCE)

    return anyio.run(main)


def takes_aiohttp(url: str, _: int, count: int) -> dict[str, float]:
    import aiohttp

    async def main() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            async with aiohttp.ClientSession(headers=_auth()) as session:

                async def one(number: int) -> None:
                    async with session.post(f"{url}/api/v1{PATH}", json=BODY) as reply:
                        task_id = (await reply.json())["output"]["task_id"]
                    link = None
                    while link is None:
                        async with session.get(f"{url}/api/v1/tasks/{task_id}") as reply:
                            link = (await reply.json())["output"].get("video_url")
                    async with session.get(link) as film:
                        _keep(folder, number, await film.read())

                return await shared(one, count, AT_ONCE)

    return anyio.run(main)


class _Restless:
    """A clock for the SDK that says the time and never waits."""

    time = staticmethod(time.time)

    def sleep(self, _: float) -> Any:
        class Now:
            def __await__(self) -> Any:
                yield from ()

        return Now()


def _keep(folder: str, number: int, data: bytes) -> None:
    with (Path(folder) / f"{number}.mp4").open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    hashlib.sha256(data).hexdigest()


def _auth() -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}"}


def unpaced() -> catalog.Provider:
    spec = json.loads(json.dumps(catalog.load().providers["qwencloud"].spec))
    spec["limits"] |= {"queries_per_second": 1e9, "submits_per_second": 1e9}
    return catalog.provider_of(spec)


def measured(name: str, url: str, tasks: int, count: int) -> dict[str, float] | None:
    """One client's figures, from a process of its own; None where what it needs is not installed."""
    needs = {"sdk": "dashscope", "sdk_aio": "dashscope", "aiohttp": "aiohttp", "trio": "trio"}.get(name.partition("_")[2])
    if needs and importlib.util.find_spec(needs) is None:
        print(f"{needs} is not installed: its column is left out", file=sys.stderr)
        return None
    argv = [sys.executable, "-m", "tests.bench.http", "--one", name, url, str(tasks), str(count)]
    done = subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def best(asked: Mapping[tuple[str, int], int], url: str, rounds: int) -> dict[tuple[str, int], dict[str, float] | None]:
    """The cheapest round of each client with so many tasks under way: `asked` says how many polls or takes each is given."""
    found: dict[tuple[str, int], dict[str, float] | None] = {}
    for turn in range(rounds):
        for (name, tasks), count in asked.items():
            known = found.get((name, tasks))
            one = known if turn and known is None else measured(name, url, tasks, count)
            found[name, tasks] = one if known is None or one is None else min(known, one, key=lambda each: each["cpu"])
    return found


def rows(*, quick: bool) -> list[Row]:
    few, rounds = (10, 1) if quick else (1, 3)
    # httpx's pool looks at every connection for every request: with 5,000 that would take minutes.
    asked = {(f"polls_{name}", tasks): 5000 // few for tasks in (100, 1000, 5000) for name in ("ours", "aiohttp")}
    asked |= {("polls_trio", 100): 5000 // few, ("polls_httpx", 100): 400 // few, ("polls_httpx", 1000): 200 // few}
    with provider(polls=0) as url:
        got = best(asked, url, rounds)
    made, ours = [], {tasks: got["polls_ours", tasks]["cpu"] for tasks in (100, 1000, 5000)}
    for tasks, cpu in ours.items():
        limit, other = f"aiohttp {_ms(got['polls_aiohttp', tasks])}", f"httpx {_ms(got.get(('polls_httpx', tasks)))}"
        what = f"CPU a poll, {tasks:,} under way"
        made.append(Row(what, _ms(got["polls_ours", tasks]), other, limit, "0.6 ms", cpu <= 6e-4))
        if trio := got.get(("polls_trio", tasks)):
            made.append(Row("- under trio", _ms(trio), goal="0.6 ms", ok=trio["cpu"] <= 6e-4))
    ratio = ours[5000] / ours[100]
    made.append(Row("- at 5,000, of that at 100", f"{ratio:.2f} x", goal="1.3 x", ok=ratio <= 1.3))
    with tempfile.TemporaryDirectory() as folder, provider(polls=3, film=film(Path(folder))) as url:
        names = ("ours", "trio", "sdk", "sdk_aio", "aiohttp", "run")
        got = {
            name[6:]: one for (name, _), one in best({(f"takes_{name}", 0): 600 // few for name in names}, url, rounds).items()
        }
    limit = f"aiohttp {_ms(got['aiohttp'])}"
    made.append(_against("CPU a take, submit to file", got["ours"], "SDK", got["sdk"], limit))
    made.append(_against("- under trio", got["trio"], "SDK", got["sdk"], limit))
    made.append(Row("- against the SDK's asynchronous half", _ms(got["ours"]), f"SDK {_ms(got['sdk_aio'])}", limit))
    made.append(Row("- the whole run: journal, lock, decoding", _ms(got["run"]), f"SDK {_ms(got['sdk'])}", limit))
    return made


def _against(what: str, ours: dict | None, name: str, other: dict | None, limit: str) -> Row:
    if ours is None or other is None:
        return Row(what, _ms(ours), f"{name} {_ms(other)}", limit, "0.6 x")
    ratio = ours["cpu"] / other["cpu"]
    return Row(what, f"{_ms(ours)} ({ratio:.2f} x)", f"{name} {_ms(other)}", limit, "0.6 x", ratio <= 0.6)


def _ms(found: dict | None) -> str:
    return "-" if found is None else f"{found['cpu'] * 1000:.2f} ms"


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--quick", action="store_true", help="a tenth of everything")
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--one", nargs=4, metavar=("NAME", "URL", "TASKS", "COUNT"), help=argparse.SUPPRESS)
    how = asked.parse_args()
    if how.one:
        name, url, tasks, count = how.one
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        print(json.dumps(globals()[name](url, int(tasks), int(count))))
        return
    sys.exit(0 if show("What a poll and a take cost", rows(quick=how.quick), as_json=how.json) else 1)


if __name__ == "__main__":
    main()
