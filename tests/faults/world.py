"""What the fault tests share: studios that bill, folders with a small storyboard, and processes that can be killed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import av
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
STORYBOARD = """\
callsheet: 1
title: Small {tag}
providers:
  studio: {{base_url: "{url}", poll: {{first: 0.03, every: 0.03}}}}
in_flight: 2
defaults:
  model: wan2.7-t2v
  parameters: {{resolution: 720P, duration: 2}}
shots:
  - {{id: s010, prompt: "A lighthouse at dusk, {tag}", takes: 2}}
  - {{id: s020, prompt: "The keeper turns, {tag}", model: wan2.7-i2v, media: {{first_frame: keeper.png}}}}
"""
SIDES = (320, 240)  # the smallest that may be the first frame of another shot
TAKES = ("s010@1", "s010@2", "s020@1")


def tiny(card, target: Path) -> None:
    """A real MP4 of a few frames: what is tested here is not how the picture looks."""
    words = f"{card.take}{card.prompt}{card.seed}".encode()
    # The words once more in a box that no player reads: two takes never have the same bytes, as with a real service.
    target.write_bytes(_film(sum(words) % 256) + (8 + len(words)).to_bytes(4, "big") + b"free" + words)


@lru_cache(maxsize=256)
def _film(shade: int) -> bytes:
    made = BytesIO()
    with av.open(made, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(8))
        stream.width, stream.height = SIDES
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "threads": "1"}
        for _ in range(4):
            frame = av.VideoFrame.from_image(Image.new("RGB", SIDES, (shade, 90, 255 - shade)))
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return made.getvalue()


def storyboard(folder: Path, *, url: str, tag: str) -> Path:
    folder.mkdir(parents=True)
    Image.new("RGB", (640, 360), "navy").save(folder / "keeper.png")
    path = folder / "small.callsheet.yaml"
    path.write_text(STORYBOARD.format(url=url, tag=tag), encoding="utf-8")
    return path


class Nursery:
    """Forks commands in a warm process of its own; one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, folder: Path, *argv: str, **order) -> tuple[int, str, list[str]]:
        """Exit code (negative: killed), everything said, and the points passed by a run that ended by itself."""
        out = Path(order.pop("out", folder.parent / f"{folder.name}.said"))  # beside: the folder may lose what was not fsynced
        order = {"argv": list(argv), "folder": str(folder), "out": str(out), **order}
        if names := os.environ.get("CALLSHEET_WITHOUT"):
            order["without"] = names.split(",")
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        passed = Path(f"{out}.points")
        names = json.loads(passed.read_text()) if passed.exists() and answer["code"] >= 0 else []
        passed.unlink(missing_ok=True)
        said = out.read_text(encoding="utf-8", errors="replace") if out.exists() else ""  # killed before it could open it
        return answer["code"], said, names

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@contextmanager
def nurseries(count: int):
    made = [Nursery() for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


def billed(studio, tag: str) -> list[str]:
    """The takes that the studio accepted for one storyboard, in order: what would stand on the invoice."""
    return [bill.take for bill in studio.bills() if tag in bill.body["input"].get("prompt", "").split(", ")]


def whole(folder: Path) -> dict[str, dict]:
    """The lock's takes, each checked against its file: there, of the recorded size and sha256, and decodable."""
    lock = json.loads((folder / "small.callsheet.lock").read_text(encoding="utf-8"))
    for take, entry in lock["takes"].items():
        if entry["state"] == "saved":
            data = (folder / entry["render"]["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry["render"]["sha256"], take
            with av.open(str(folder / entry["render"]["path"])) as film:
                assert sum(1 for _ in film.decode(video=0)) == 4, take
    return lock["takes"]


def cores() -> int:
    return max(1, min(4, os.cpu_count() or 1))
