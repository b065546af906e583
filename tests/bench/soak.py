"""Thousands of takes in one process, with a share of every fault the studio has: descriptors and memory stay flat.

    python -m tests.bench.soak [--takes 2000] [--share 0.05] [--seed 1]

The studio is a process of its own, so that what is sampled is the runner alone. A run that faults have ended early is
run again, as a person would; takes that failed for good or are in doubt are answered with `again`. In the end every
take is saved and every accepted submit accounted for. `--json` prints one object instead of the table.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

import runner
from runner.studio import Faults, Settings, Studio, read_bills
from runner.studio.faults import DOOMS, KNOWN
from tests.faults import oracle
from tests.faults.world import ROOT, tiny

# Not this one, which is a rate and not an event.
NOT_HERE = {"qps"}
# These stop the whole account, for a second or for the run: a tenth as often, or 2,000 takes would wait for an hour.
_IDLE = 100  # runs with nothing to do, in the end
STOPPING = {"429", "429-bare", "busy", "poll-429", "balance", "arrearage"}
# What makes everybody wait for a second or ends the run: left out where there are only seconds.
SLOW = {"429", "429-bare", "busy", "poll-429", "slow-reply", "balance", "arrearage", "poll-401", "unknown", "unknown-400"}
MANIFEST = """\
callsheet: 1
provider: qwencloud
attempts: 9
providers:
  qwencloud:
    base_url: "{url}"
    poll: {{first: 0.05, every: 0.1, unknown_for: 60}}
    limits: {{submits_per_second: 500, queries_per_second: 2000, in_flight: 40}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
"""


class Share(Faults):
    """Each fault happens with a small probability, every time it could."""

    def __init__(self, share: float, seed: int, *, patient: bool) -> None:
        super().__init__()
        self.names = KNOWN.keys() - NOT_HERE - (set() if patient else SLOW)
        self.share = share
        self.random = random.Random(seed)

    def take(self, name: str) -> bool:
        with self._lock:
            return name in self.names and self.random.random() < self.share / (10 if name in STOPPING else 1)


def serve(folder: Path, share: float, seed: int, *, patient: bool) -> None:
    """The provider's side, until its standard input closes; says its address first."""
    with Studio(Settings(folder=folder, render=tiny, in_flight=8, faults=Share(share, seed, patient=patient))) as studio:
        print(studio.base_url, flush=True)
        sys.stdin.read()


def sample() -> dict[str, int]:
    """Open descriptors, and resident memory in kB."""
    told = Path("/proc/self/status").read_text(encoding="ascii")
    rss = next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmRSS"))
    return {"fds": len(list(Path("/proc/self/fd").iterdir())), "rss": rss}


def soak(folder: Path, *, takes: int, share: float, seed: int, patient: bool = True) -> dict:
    """Run to the end and account for everything; what was counted."""
    how = ["--serve", str(folder / "studio"), "--share", str(share), "--seed", str(seed), *([] if patient else ["--hasty"])]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.soak", *how],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as studio:
        url = studio.stdout.readline().strip()
        path = folder / "soak.callsheet.yaml"
        rows = "".join(f"  - {{id: s{number:05d}, prompt: Pier {number}}}\n" for number in range(takes))
        path.write_text(MANIFEST.format(url=url) + rows)
        began = time.monotonic()
        samples, permitted, runs = _runs(path)
        seconds = time.monotonic() - began
        idle = _idle(path)
        studio.stdin.close()
    lock = oracle.lock_of(folder)["takes"]
    bills = [
        oracle.Accepted(
            task_id=bill.task_id,
            prompt=bill.body["input"]["prompt"],
            seed=bill.body["parameters"].get("seed"),
            fails=bill.doom in DOOMS,
        )
        for bill in read_bills(folder / "studio")
    ]
    owned, lost = oracle.owners(lock, bills)
    return {
        "takes": takes,
        "share": share,
        "seed": seed,
        "seconds": round(seconds, 1),
        "runs": runs,
        "submits": len(bills),
        "states": oracle.summary(lock),
        "lost": lost,
        "twice": list(oracle.double(owned, permitted)),
        "damaged": list(oracle.damaged(folder, lock)),
        "samples": samples,
        "idle": idle,
    }


def _idle(path: Path) -> list[dict[str, int]]:
    """What is left after five runs with nothing to do, and after a hundred: what a run keeps shows here, the lock's own growth does not."""
    manifest = runner.read(path, environ={})
    samples = []
    for number in range(1, _IDLE + 1):
        with runner.hold(manifest) as held:
            assert not runner.decide(manifest, held.lock).has_work
        if number in {5, _IDLE}:
            samples.append({"runs": number, **sample()})
    return samples


def _runs(path: Path) -> tuple[list[dict[str, int]], dict[str, int], int]:
    """As many runs as it takes; samples after each tenth of the takes, what a person permitted, and how many runs."""
    environ = {"DASHSCOPE_API_KEY": "sk-test-0123456789"}
    manifest = runner.read(path, environ=environ)
    samples: list[dict[str, int]] = []
    permitted: dict[str, int] = {}
    every = max(1, len(manifest.shots) // 10)
    saved = 0

    def listen(event: dict) -> None:
        nonlocal saved
        if event["event"] == "saved":
            saved += 1
            if saved % every == 0:
                samples.append({"saved": saved, **sample()})

    async def run(plan: runner.Plan, held: runner.Held) -> runner.Report:
        return await runner.run(plan, held, listen, environ=environ)

    for number in range(1, 2000):
        with runner.hold(manifest) as held:
            plan = runner.decide(manifest, held.lock)
            asking = [step for step in plan.doing("answer") if held.lock.takes[step.take].state != "intended" or number % 5 == 0]
            if not plan.has_work:
                return samples, permitted, number
            if asking:
                for step in asking:
                    entry = held.lock.takes[step.take]
                    paid = sum(1 for attempt in entry.attempts if not attempt.error)
                    permitted[step.take] = max(permitted.get(step.take, 0), paid)
                runner.again(held, asking)
                plan = runner.decide(manifest, held.lock)
            anyio.run(run, plan, held)
    raise RuntimeError("2000 runs did not finish it")


def table(found: dict) -> str:
    lines = [
        f"{found['takes']} takes, {found['share']:.0%} of every fault, seed {found['seed']}: {found['seconds']} s, {found['runs']} runs"
    ]
    lines += [f"{found['submits']} submits accepted; {found['states']}"]
    lines += [
        f"lost {len(found['lost'])}, paid twice {len(found['twice'])}, damaged {len(found['damaged'])}",
        "",
        "saved    fds    RSS kB",
    ]
    lines += [f"{one['saved']:5d}  {one['fds']:5d}  {one['rss']:8d}" for one in found["samples"]]
    lines += [f"after {one['runs']} more runs with nothing to do: {one['fds']} fds, {one['rss']} kB" for one in found["idle"]]
    return "\n".join(lines)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--takes", type=int, default=2000)
    asked.add_argument("--share", type=float, default=0.05)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked.add_argument("--hasty", action="store_true", help="Leave out the faults that make everybody wait.")
    how = asked.parse_args()
    if how.serve:
        serve(how.serve, how.share, how.seed, patient=not how.hasty)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), takes=how.takes, share=how.share, seed=how.seed, patient=not how.hasty)
    print(json.dumps(found) if how.json else table(found))


if __name__ == "__main__":
    main()
