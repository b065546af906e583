"""`python -m tests.faults.page` → everything in full, and the figures of README.md from what was counted.

Takes about an hour on two cores, half of it the soak. `--safeguards` and `--figures` do one half each. What has been
made already can be given: a soak (`python -m tests.bench.soak --json > FILE`) with `--soak FILE`, and tests that were
run in full with CALLSHEET_FIGURES=FILE with `--counted FILE`, where the latest count of a thing is the one that counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.faults.without import SAFEGUARDS
from tests.faults.world import ROOT

PAGE = Path(__file__).parent / "README.md"
FULL = {"CALLSHEET_FAULTS": "all", "CALLSHEET_KILLS": "500", "CALLSHEET_PAIRS": "90", "CALLSHEET_EXAMPLES": "300"}
TESTS = [f"tests/faults/test_{name}.py" for name in ("points", "lossy", "kills", "machine", "found", "soak")]


def main() -> int:
    asked = argparse.ArgumentParser()
    asked.add_argument("--figures", action="store_true")
    asked.add_argument("--safeguards", action="store_true")
    asked.add_argument("--soak", type=Path)
    asked.add_argument("--counted", type=Path)
    how = asked.parse_args()
    both = not (how.figures or how.safeguards)
    bad = 0
    if how.figures or both:
        lines, bad = figures(how.soak, how.counted)
        _put("figures", lines)
    if how.safeguards or both:
        lines, unseen = safeguards()
        _put("safeguards", lines)
        bad += unseen
    return 1 if bad else 0


def figures(soaked: Path | None, counted: Path | None) -> tuple[list[str], int]:
    """What all tests of this folder count in full, and how much of it went wrong."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        told = counted or Path(folder) / "figures.jsonl"
        if not counted:
            done = _pytest(TESTS, {**FULL, "CALLSHEET_FIGURES": str(told)})
            print(done.stdout, flush=True)
            failed = done.stdout.count("\nFAILED") + done.stdout.count("\nERROR")
        lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    latest = list({(one["kind"], one["name"]): one for one in lines}.values())
    soak = json.loads(soaked.read_text(encoding="utf-8") if soaked else _soak())
    wrong = sum(len(one.get("wrong", ())) for one in latest) + sum(len(soak[name]) for name in ("lost", "twice", "damaged"))
    return list(_table(latest, soak)), failed + wrong


def _soak() -> str:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench.soak", "--json"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def _table(counted: list[dict], soak: dict) -> Iterator[str]:
    yield f"{time.strftime('%Y-%m-%d', time.gmtime())}, on {os.cpu_count()} cores."
    yield ""
    yield "| what | roads | points | kills | double submits | lost ids | damaged files | other |"
    yield "|---|---|---|---|---|---|---|---|"
    rows = {"points": "killed at each point", "power": "killed there with the power gone", "kills": "killed at random moments"}
    for kind, says in rows.items():
        found = [one for one in counted if one["kind"] == kind]
        wrong = [what for one in found for what in one["wrong"]]
        roads = len(found) if kind != "kills" else f"{found[0]['trials']} storyboards" if found else 0
        points = sum(one.get("points", 0) for one in found) or "any"
        yield f"| {says} | {roads} | {points} | {sum(one['kills'] for one in found)} | {_counts(wrong)} |"
    yield ""
    for one in counted:
        if one["kind"] == "kills":
            yield f"Random kills: seed {one['seed']}; each storyboard draws from `seed/number`."
        if one["kind"] == "pairs":
            yield f"Two runs, {one['name']}: {one['pairs']} pairs, {one['stopped']} stopped with exit 3 naming the other, none paid twice."
        if one["kind"] == "lies":
            yield f"An fsync that does nothing ({one['name']}): noticed {one['seen']} times in {one['kills']} kills."
        if one["kind"] == "machine":
            yield f"State machine: {one['examples']} examples, {one['runs']} runs, {one['bills']} submits accepted."
    rss = [one["rss"] for one in soak["samples"]]
    fds = [one["fds"] for one in soak["samples"]]
    yield (
        f"Soak: {soak['takes']} takes, {soak['share']:.0%} of every fault, seed {soak['seed']}: {soak['submits']} submits accepted in "
        f"{soak['runs']} runs and {soak['seconds']:.0f} s; {soak['states']}; lost {len(soak['lost'])}, twice {len(soak['twice'])}, "
        f"damaged {len(soak['damaged'])}; descriptors {min(fds)} to {max(fds)}, "
        f"memory {rss[0] // 1024} MB after a tenth, {rss[len(rss) // 2] // 1024} MB half-way, {rss[-1] // 1024} MB at the end"
        + "".join(f"; {one['rss'] // 1024} MB after {one['runs']} more runs with nothing to do" for one in soak.get("idle", ()))
        + "."
    )
    yield ""
    yield "| road | points | kills | wrong |"
    yield "|---|---|---|---|"
    for one in counted:
        if one["kind"] in {"points", "power"}:
            yield f"| {one['name']}{' (power)' if one['kind'] == 'power' else ''} | {one['points']} | {one['kills']} | {len(one['wrong'])} |"


def _counts(wrong: list[str]) -> str:
    kinds = [sum(word in what for what in wrong) for word in ("TWICE", "LOST", "DAMAGED")]
    return " | ".join(map(str, [*kinds, len(wrong) - sum(kinds)]))


def safeguards() -> tuple[list[str], int]:
    """Each safeguard taken out in turn: the test that noticed; how many went unnoticed."""
    lines, unseen = ["| safeguard | taken out, this fails | by |", "|---|---|---|"], 0
    for name, one in SAFEGUARDS.items():
        done = _pytest([one.test, "-x"], {"CALLSHEET_WITHOUT": name})
        said = next((line[1:].strip() for line in done.stdout.splitlines() if line.startswith("E  ")), "")
        unseen += done.returncode != 1
        seen = f"`{_short(said)}`" if done.returncode == 1 else "**NOT NOTICED**"
        lines.append(f"| {one.says} (`{name}`) | `{one.test.rpartition('/')[2]}` | {seen} |")
        print(lines[-1], flush=True)
    return lines, unseen


def _short(said: str) -> str:
    said = re.sub(r"/tmp/\S+", "…", said).replace("|", "/").replace("`", "'")
    return said if len(said) <= 90 else said[:89] + "…"


def _pytest(what: Iterable[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *what]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=False, capture_output=True, text=True)


def _put(name: str, lines: list[str]) -> None:
    """Replace what stands between the page's two marks of that name."""
    text = PAGE.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    PAGE.write_text(before + start + "\n".join(lines) + "\n" + end + after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
