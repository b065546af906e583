"""200 takes on 16 slots: how near a run comes to the time in which the slots alone could have done it.

    python -m tests.bench.makespan [--takes 200] [--slots 16] [--json]

The product's own scheduler on virtual time. Each take has a sound of its own that is 8 s on its way up, a task of a
minute or so, and a render that is 10 s on its way down; queries are 5 s apart. The bound is list scheduling: tasks
alone, in order, each on the slot that is free first. A slot that is held while files travel is shown beside.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
import tempfile
import wave
from collections.abc import Iterable
from pathlib import Path

import anyio
import trio.testing
from PIL import Image

import runner
from runner.answers import Reply
from runner.catalog import Provider
from tests.bench.table import Row, show
from tests.fakes import Service, json_reply
from tests.test_schedule import run

SEED = 20261121
UP, DOWN = 8.0, 10.0  # seconds
MEDIAN, SPREAD = 60.0, 0.35  # seconds, and the sigma of the logarithm
MANIFEST = """\
callsheet: 1
provider: qwencloud
providers: {qwencloud: {poll: {first: 5, every: 5}}}
defaults: {model: wan2.7-i2v, media: {first_frame: pier.png}, parameters: {resolution: 720P, duration: 2}}
shots:
"""
POLICY = {
    "upload_dir": "dashscope-instant/bench",
    "oss_access_key_id": "id",
    "signature": "s",
    "policy": "p",
    "x_oss_object_acl": "private",
    "x_oss_forbid_overwrite": "true",
    "upload_host": "https://upload.example",
}


class Slow(Service):
    """The honest provider of the tests, to and from which files take their time."""

    def __init__(self, lengths: dict[str, float], provider: Provider) -> None:
        super().__init__(seconds=lengths.__getitem__)
        self.provider = provider
        self.download_seconds, self.uploads = DOWN, 0

    async def ask(self, request: object) -> Reply:
        return json_reply(200, {"data": POLICY}) if request.path == "/uploads" else await super().ask(request)

    async def post_form(self, *_: object, **__: object) -> Reply:
        self.uploads += 1
        await anyio.sleep(UP)
        return json_reply(200, {})


def sound(path: Path, number: int) -> None:
    """Two seconds that no other file has."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(number.to_bytes(2, "little") * 16000)


def storyboard(folder: Path, takes: int) -> runner.Manifest:
    rows = []
    Image.new("RGB", (640, 360), "navy").save(folder / "pier.png")
    for number in range(takes):
        sound(folder / f"{number}.wav", number)
        rows.append(f"  - {{id: s{number}, prompt: s{number} at dusk, media: {{driving_audio: {number}.wav}}}}\n")
    path = folder / "film.callsheet.yaml"
    path.write_text(MANIFEST + "".join(rows))
    return runner.read(path, environ={})


def bound(lengths: Iterable[float], slots: int) -> float:
    """List scheduling: each length, in order, on the slot that is free first; when the last one ends."""
    free = [0.0] * slots
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def rows(takes: int, slots: int) -> list[Row]:
    dice = random.Random(SEED)
    lengths = {f"s{number}": MEDIAN * dice.lognormvariate(0, SPREAD) for number in range(takes)}
    with tempfile.TemporaryDirectory() as name:
        manifest = storyboard(Path(name), takes)
        service = Slow(lengths, manifest.catalog.providers["qwencloud"])
        # A threshold, since files are put in place in threads, whose milliseconds must not look like hours.
        _, lock, took = run(manifest, service, slots=slots, clock=trio.testing.MockClock(autojump_threshold=0.01))
    assert {entry.state for entry in lock.takes.values()} == {"saved"}
    assert sorted(service.bills) == sorted(lengths)
    assert service.uploads == takes
    last = max(task["end"] for task in service.tasks.values())
    least = bound((lengths[take] for take in service.bills), slots)
    held = bound((UP + lengths[take] + DOWN for take in service.bills), slots)
    busy = sum(lengths.values()) / (slots * last)
    what = f"{takes} takes on {slots} slots, to the last file"
    return [
        Row(what, f"{took:.0f} s ({took / least:.2f} x)", f"files in the slot {held:.0f} s ({held / least:.2f} x)", f"{least:.0f} s", "1.1 x", took <= 1.1 * least),
        Row("- to the last task's end", f"{last:.0f} s ({last / least:.2f} x)", limit=f"{least:.0f} s"),
        Row("- slots that do work, until then", f"{busy:.0%}"),
        Row("- most tasks at once", str(service.most), goal=str(slots), ok=service.most == slots),
    ]  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--takes", type=int, default=200)
    asked.add_argument("--slots", type=int, default=16)
    asked.add_argument("--json", action="store_true")
    how = asked.parse_args()
    sys.exit(0 if show(f"Slots always full (seed {SEED})", rows(how.takes, how.slots), as_json=how.json) else 1)


if __name__ == "__main__":
    main()
