"""What one waits for before anything happens: whole processes, above a bare interpreter, with byte code as pip leaves it.

    python -m tests.bench.startup [--runs 15] [--json]

CPU seconds of the process and its start, the least of all runs: what the machine adds by being busy is not ours.
Otherwise is what a script would begin with that imports the same libraries at its head.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.loading import ROOT, written
from tests.bench.table import Row, show

EAGER = "import anyio, av, click, filelock, httpx, jsonschema, PIL.Image, rich.live, yaml"
COMMANDS = {
    "bare": ("-c", "pass"),
    "eager": ("-c", EAGER),
    "--version": ("-m", "runner", "--version"),
    "--help": ("-m", "runner", "--help"),
    "check": ("-m", "runner", "check"),
    "plan": ("-m", "runner", "plan"),
    "status": ("-m", "runner", "status"),
}


def spent(args: tuple[str, ...], folder: Path) -> float:
    """CPU milliseconds of one process."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "cache")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *args], cwd=folder, env=env, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def rows(folder: Path, runs: int) -> list[Row]:
    written(20, folder / "film.callsheet.yaml")
    least: dict[str, float] = {}
    for number in range(runs + 1):
        for name, args in COMMANDS.items():
            took = spent(args, folder)
            if number:  # the first run writes the byte code
                least[name] = min(least.get(name, took), took)
    bare, eager = least["bare"], f"{least['eager']:.0f} ms"

    def row(what: str, name: str, goal: str = "", most: float | None = None, *, above: bool = False) -> Row:
        took = least[name] - (bare if above else 0)
        return Row(what, f"{took:.0f} ms", eager, f"{0 if above else bare:.0f} ms", goal, None if most is None else took <= most)

    return [
        row("callsheet --version", "--version", "<= 60 ms", 60),
        row("callsheet --help", "--help"),
        row("callsheet check, 20 shots, above bare Python", "check", "<= 150 ms", 150, above=True),
        row("callsheet plan, 20 shots, above bare Python", "plan", above=True),
        row("callsheet status, above bare Python", "status", above=True),
    ]


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--runs", type=int, default=15)
    asked.add_argument("--json", action="store_true")
    how = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show("Start-up", rows(Path(folder), how.runs), as_json=how.json)


if __name__ == "__main__":
    main()
