"""Processes killed at random moments, and started together: every take is submitted once, the second run stops at once."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from runner.studio import Settings, Studio, read_bills
from tests.faults import oracle
from tests.faults.scenarios import PICTURE, TWO, Do, Scenario, Trial
from tests.faults.world import ROOT, TAKES, billed, storyboard, tiny, whole

SEED = int(os.environ.get("CALLSHEET_SEED", "20261121"))
KILLS = int(os.environ.get("CALLSHEET_KILLS", "16"))
PAIRS = int(os.environ.get("CALLSHEET_PAIRS", "30"))
STORYBOARD = """\
callsheet: 1
title: Embedded
providers: {studio: {seconds: 1}}
defaults: {model: wan2.7-t2v, parameters: {resolution: 720P, duration: 2}}
shots:
  - {id: s010, prompt: A lighthouse at dusk, takes: 2}
  - {id: s020, prompt: The keeper turns, model: wan2.7-i2v, media: {first_frame: keeper.png}}
  - {id: s030, prompt: The lens begins to turn}
"""
EMBEDDED = {"s010@1": 1, "s010@2": 1, "s020@1": 1, "s030@1": 1}
NAMED = re.compile(r"another run holds this lock: pid \d+ on \S+, since \S+Z")
# Any of these may come with a kill; none of them ends a take for good.
TROUBLES = ("lost-reply", "no-id-paid", "429-bare", "500", "html", "poll-500", "poll-html", "poll-drop", "odd-word", "unknown:2")
TROUBLES += ("truncate", "short-file", "expired-link", "fail")
PROVIDERS = ("studio", "studio", "qwencloud", "aisa", "apiyi", "yutoai", "opeai")


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (640, 360), "navy").save(tmp_path / "keeper.png")
    (tmp_path / "film.callsheet.yaml").write_text(STORYBOARD)
    return tmp_path


def started(folder):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "run"], cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_killed_with_its_own_studio_it_finishes_and_every_take_was_submitted_once(folder):
    """The whole process, embedded studio and all, as a user starts it."""
    moments = random.Random(SEED)
    kills = 0
    for _ in range(12):
        child = started(folder)
        try:
            said, _ = child.communicate(timeout=moments.uniform(0.3, 1.5) if kills < 4 else 60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            kills += 1
            continue
        assert child.returncode == 0, f"seed {SEED}, after {kills} kills: {said}"
        break
    # A task takes about a second here, so the first moments always find a run at work.
    assert kills, f"seed {SEED} killed nothing"
    assert Counter(bill.take for bill in read_bills(folder / ".callsheet/film.studio")) == EMBEDDED, f"seed {SEED}"
    assert len(list(folder.glob("renders/film/takes/*.mp4"))) == 4


def test_killed_at_random_moments_nothing_is_lost_or_paid_twice(workers, tmp_path, figures):
    """Any provider, any trouble, several kills in a row, with and without the power; then to the end by the oracle."""
    began = time.monotonic()
    results, kills = [], 0
    while kills < KILLS and len(results) < 3 * KILLS:
        batch = range(len(results), len(results) + 8)
        results += workers(lambda worker, number: _random(worker, number, tmp_path / f"k{number}"), batch)
        kills = sum(done for done, _ in results)
    wrong = [what for _, all_ in results for what in all_]
    figures.add("kills", "random", kills=kills, wrong=wrong, seed=SEED, trials=len(results), seconds=time.monotonic() - began)
    assert not wrong, f"{len(wrong)} wrong of {kills} kills, seed {SEED}:\n" + "\n".join(wrong[:5])
    assert kills >= KILLS


def _random(worker, number, folder):
    """Three kills at random moments of one storyboard; whoever wants to see one again needs only seed and number."""
    draw = random.Random(f"{SEED}/{number}")
    provider = draw.choice(PROVIDERS)
    troubles = tuple(draw.sample(TROUBLES, draw.randint(0, 3)))
    # `fails` only permits a run that leaves something for the next; how many failed is not told beforehand.
    scenario = Scenario(name="random", provider=provider, shots=TWO + PICTURE, faults=troubles, saved=TAKES, fails=None)
    trial = Trial(scenario, worker, folder, f"random {number}")
    kills = 0
    for _ in range(3):
        code, _ = trial.do(Do("run"), kill_after=draw.uniform(0.02, 0.2), lossy=draw.random() < 0.5)
        kills += code == -9
        trial.wrong += oracle.torn(folder)
    trial._set(())
    trial.finish()
    if not trial.wrong:
        shutil.rmtree(folder)
    return kills, [f"seed {SEED}, number {number}, {provider}, {troubles}: {what}" for what in trial.wrong]


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A studio whose tasks take a while, so that a run is surely alive when the next one starts."""
    with Studio(Settings(folder=tmp_path_factory.mktemp("slow"), render=tiny, in_flight=4, seconds=0.4)) as studio:
        yield studio


def together(pair, folder, later):
    """Two runs of one storyboard, the second `later` seconds after the first; exit code and words of each."""
    start = time.monotonic() + 0.05
    orders = [
        {"start_at": start, "out": f"{folder}.one"},
        {"start_at": start + later, "out": f"{folder}.two"},
    ]
    with ThreadPoolExecutor(2) as threads:
        runs = [
            threads.submit(worker.nursery.run, folder, "run", "small.callsheet.yaml", **order)
            for worker, order in zip(pair, orders, strict=True)
        ]
        return [run.result()[:2] for run in runs]


@pytest.mark.parametrize("kind", ["together", "on a dead holder's lock", "while the other ends"])
def test_of_two_runs_one_pays_and_the_other_stops_at_once_and_names_it(kind, slow, workers, tmp_path, figures):
    count = max(1, PAIRS // 3)
    stopped = workers(lambda *pair: _pair(*pair, kind=kind, studio=slow, tmp_path=tmp_path), range(count), lend=2)
    figures.add("pairs", kind, pairs=count, stopped=sum(stopped), seed=SEED)


def _pair(one, other, number, *, kind, studio, tmp_path):
    """How many of the two were stopped, by what they said and by the bill."""
    draw, tag, ending = random.Random(f"{SEED}/{kind}/{number}"), f"{kind} {number}", kind == "while the other ends"
    folder = storyboard(tmp_path / f"t{number}", url=studio.base_url, tag=tag).parent
    if kind == "on a dead holder's lock":
        code, _, _ = one.nursery.run(folder, "run", "small.callsheet.yaml", kill_after=draw.uniform(0.1, 0.4))
        assert code == -9
    codes = together((one, other), folder, draw.uniform(0.3, 1.2) if ending else draw.uniform(-0.004, 0.004))
    said = "\n".join(text for _, text in codes)
    assert {code for code, _ in codes} <= ({0, 3} if ending else {0, 1, 3}), said
    refused = [text for code, text in codes if code == 3]
    assert len(refused) <= 1, "both stopped: " + said
    assert ending or len(refused) == 1, "neither stopped: " + said
    for text in refused:
        assert NAMED.search(text), text
        assert "submitted" not in text
    code, text, _ = one.nursery.run(folder, "run", "small.callsheet.yaml")
    assert code == 0, text
    assert sorted(billed(studio, tag)) == sorted(TAKES), f"seed {SEED}, {tag}: {said}"
    assert set(whole(folder)) == set(TAKES)
    return len(refused)


def test_a_holder_on_another_machine_is_not_broken_by_itself(folder, monkeypatch, capsys):
    from runner.cli import code

    monkeypatch.chdir(folder)
    (folder / ".callsheet").mkdir()
    holder = folder / ".callsheet/film.holder.json"
    holder.write_text(json.dumps({"pid": 1, "host": "another-machine", "since": "2026-11-21T00:00:00Z"}))
    assert code(["run"]) == 3
    assert "another-machine" in capsys.readouterr().err
    holder.unlink()
    assert code(["plan"]) == 0
