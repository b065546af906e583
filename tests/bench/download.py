"""Bytes a second and core from a link to a file that is written, hashed and on the disk: ours beside aria2c, curl, aiohttp, httpx.

    python -m tests.bench.download [--size 300] [--json]

CPU time of each downloader's process alone, in MB a second of it; the render is checked apart, so decoding is left out.
aria2c and curl do not hash: sha256 of the same bytes is shown as a row of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio

from runner import download
from runner.client import Client
from tests.bench.http import KEY, Meter, unpaced
from tests.bench.provider import provider
from tests.bench.table import Row, show
from tests.faults.world import ROOT

MB = 1_000_000
NAMES = ("ours", "trio", "httpx", "aiohttp", "aria2c", "curl", "sha256")
ROUNDS = 3  # the best counts: what else goes on in the machine only ever adds


def ours(url: str, target: Path, size: int, backend: str = "asyncio") -> dict[str, float]:
    download._facts = lambda _: {}

    async def main() -> dict[str, float]:
        async with Client(unpaced(), [f"{url}/api/v1"], KEY) as client:
            await download.fetch(client, f"{url}/bytes/1000", target)
            meter = Meter()
            fetched = await download.fetch(client, f"{url}/bytes/{size}", target)
            assert fetched.facts["bytes"] == size
            return meter.read(1)

    return anyio.run(main, backend=backend)


def trio(url: str, target: Path, size: int) -> dict[str, float]:
    return ours(url, target, size, "trio")


def httpx(url: str, target: Path, size: int) -> dict[str, float]:
    """As its documentation has it, with sha256."""
    import httpx

    async def main() -> dict[str, float]:
        async with httpx.AsyncClient() as client:
            meter, digest = Meter(), hashlib.sha256()
            async with client.stream("GET", f"{url}/bytes/{size}") as response:
                with target.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
                        digest.update(chunk)
            return meter.read(1)

    return anyio.run(main)


def aiohttp(url: str, target: Path, size: int) -> dict[str, float]:
    """As its documentation has it, with sha256."""
    import aiohttp

    async def main() -> dict[str, float]:
        async with aiohttp.ClientSession() as session:
            meter, digest = Meter(), hashlib.sha256()
            async with session.get(f"{url}/bytes/{size}") as response:
                with target.open("wb") as file:
                    async for chunk in response.content.iter_chunked(1 << 20):
                        file.write(chunk)
                        digest.update(chunk)
            return meter.read(1)

    return anyio.run(main)


def sha256(_: str, __: Path, size: int) -> dict[str, float]:
    """Nothing but the hash."""
    block, digest, meter = bytes(MB), hashlib.sha256(), Meter()
    for _ in range(size // MB):
        digest.update(block)
    return meter.read(1)


TOOLS = {
    "aria2c": [
        "aria2c",
        "--quiet",
        "--allow-overwrite=true",
        "--file-allocation=none",
        "-x1",
        "-d",
        "{folder}",
        "-o",
        "{name}",
        "{url}",
    ],
    "curl": ["curl", "--silent", "--output", "{folder}/{name}", "{url}"],
}


def tool(name: str, url: str, target: Path, size: int) -> dict[str, float] | None:
    if shutil.which(name) is None:
        print(f"{name} is not installed: its row is left out", file=sys.stderr)
        return None
    words = {"folder": target.parent, "name": target.name, "url": f"{url}/bytes/{size}"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([word.format_map(words) for word in TOOLS[name]], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime}


def measured(name: str, url: str, target: Path, size: int) -> dict[str, Any] | None:
    if name in TOOLS:
        return tool(name, url, target, size)
    if name in {"aiohttp", "trio"} and importlib.util.find_spec(name) is None:
        print(f"{name} is not installed: its row is left out", file=sys.stderr)
        return None
    argv = [sys.executable, "-m", "tests.bench.download", "--one", name, url, str(target), str(size)]
    return json.loads(subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def rows(size: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, provider() as url:
        cpu: dict[str, float] = {}
        for name in NAMES * ROUNDS:
            if found := measured(name, url, Path(folder) / name, size):
                cpu[name] = min(found["cpu"], cpu.get(name, found["cpu"]))
            (Path(folder) / name).unlink(missing_ok=True)
            os.sync()  # what one has left to write must not slow the next one
    speed = {name: size / MB / seconds for name, seconds in cpu.items()}
    told = {name: f"{speed[name]:,.0f} MB/s" if name in speed else "-" for name in NAMES}
    others = f"httpx {told['httpx']}, aiohttp {told['aiohttp']}"
    limits = f"aria2c {told['aria2c']}, curl {told['curl']}, no sha256"
    made = [Row("download with sha256, a core", told["ours"], others, limits, "400 MB/s", speed["ours"] >= 400)]
    if "trio" in speed:
        made.append(Row("- under trio", told["trio"], goal="400 MB/s", ok=speed["trio"] >= 400))
    return [*made, Row("- of which sha256 alone", told["sha256"])]


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--size", type=int, default=300, help="MB")
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--one", nargs=4, metavar=("NAME", "URL", "TARGET", "BYTES"), help=argparse.SUPPRESS)
    how = asked.parse_args()
    if how.one:
        name, url, target, size = how.one
        print(json.dumps(globals()[name](url, Path(target), int(size))))
        return
    sys.exit(0 if show("What a download costs", rows(how.size * MB), as_json=how.json) else 1)


if __name__ == "__main__":
    main()
