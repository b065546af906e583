"""What reading, drawing and joining films costs: probes, the studio's cards, last frames, reels.

    python -m tests.bench.video [--quick] [--json]

CPU time of this process and all its threads, which a busy machine inflates less than the clock on the wall, but does:
measure on a quiet one. "x" is seconds of film for a second of CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from PIL import Image

from runner import still
from runner.folder import sha256
from runner.outputs import reel
from runner.outputs.reel import footage, timeline
from runner.outputs.reel.timeline import Source
from runner.probe import check_video, probe
from runner.studio.animatic import Card, render
from tests.bench.table import Row, show

PROMPT = "A lighthouse at dusk, waves breaking on the black rocks below, the lamp turning slowly; wide shot, slow push in."


def spent(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of one go."""
    work()
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def card(folder: Path, name: str, **changes: object) -> tuple[Path, Card]:
    known = {"take": "s010@1", "model": "wan2.7-t2v", "prompt": PROMPT, "seed": 7, "width": 1280, "height": 720, "seconds": 5.0}
    return folder / name, Card(**{**known, "fps": 30, **changes})


def joined(files: list[Path], target: Path, size: tuple[int, int] | None) -> None:
    """The road of `reel` below the manifest: read, decide, write."""
    sources = [
        Source(clip=SimpleNamespace(shot=SimpleNamespace(id="s010"), take="s010@1"), footage=footage.read(one)) for one in files
    ]
    look = timeline.look(sources, size, None)
    film = reel._Film(timeline.parts(sources, look.fps), look, None, lambda *_: None)
    assert bool(film.obstacles()) is (size is not None)
    film.write(target, "Bench", is_copied=size is None)


def rows(folder: Path, times: int) -> list[Row]:
    picture = folder / "first.png"
    soft, grain = Image.effect_noise((160, 90), 90).resize((1280, 720)), Image.effect_noise((1280, 720), 12)
    Image.blend(soft, grain, 0.3).convert("RGB").save(picture)  # as a photograph: large shapes, some grain
    slate, slated = card(folder, "slate.mp4", sounds=True)
    move, moved = card(folder, "move.mp4", first_frame=picture)
    found = []
    for path, wanted, what in (
        (slate, slated, "card without a picture, 720P30, with sound"),
        (*card(folder, "tall.mp4", width=1080, height=1920), "- 1080x1920"),
        (move, moved, "card that moves over a picture, 720P30"),
        (*card(folder, "wide.mp4", width=1920, height=1080, first_frame=picture), "- 1080P30"),
    ):
        share = wanted.seconds / spent(lambda path=path, wanted=wanted: render(wanted, path), times)
        found.append(Row(what, f"{share:.1f} x", goal="3 x", ok=share >= 3))
    probed = spent(lambda: probe(slate), 20 * times) * 1000
    found.append(Row("probe of a render", f"{probed:.1f} ms", goal="5 ms", ok=probed <= 5))
    found.append(Row("- of a picture", f"{spent(lambda: probe(picture), 20 * times) * 1000:.1f} ms"))
    found.append(Row("- as fetched: both ends decoded", f"{spent(lambda: check_video(move), times) * 1000:.0f} ms"))
    digest = sha256(move)
    last = spent(lambda: still.cut(move, digest, "last", folder / "last.png"), times) * 1000
    found.append(Row("last frame as PNG", f"{last:.0f} ms"))
    return found + reels(folder, times, slate, move)


def reels(folder: Path, times: int, slate: Path, move: Path) -> list[Row]:
    """Twelve clips of five seconds, copied; three, encoded anew."""
    target = folder / "reel.mp4"
    copied = spent(lambda: joined([move] * 12, target, None), times)
    found = [Row("reel, copied", f"{60 / copied:.0f} x, {target.stat().st_size / 1e6 / copied:.0f} MB/s")]
    found.append(Row("- with sound", f"{60 / spent(lambda: joined([slate] * 12, target, None), times):.0f} x"))
    found.append(Row("reel, re-encoded, moving pictures", f"{15 / spent(lambda: joined([move] * 3, target, (1024, 720))):.1f} x"))
    found.append(Row("- cards", f"{15 / spent(lambda: joined([slate] * 3, target, (1024, 720))):.1f} x"))
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--quick", action="store_true", help="Everything once.")
    asked.add_argument("--json", action="store_true")
    how = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = rows(Path(folder), 1 if how.quick else 5)
    sys.exit(0 if show("What films cost: seconds of film for a second of CPU", found, as_json=how.json) else 1)


if __name__ == "__main__":
    main()
