"""The whole process, embedded studio and all, killed at random moments; and two processes started together."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter

import pytest
from PIL import Image

from runner.studio import read_bills
from tests.faults.world import ROOT

STORYBOARD = """\
callsheet: 1
title: Embedded
providers: {studio: {seconds: 2}}
defaults: {model: wan2.7-t2v, parameters: {resolution: 720P, duration: 2}}
shots:
  - {id: s010, prompt: A lighthouse at dusk, takes: 2}
  - {id: s020, prompt: The keeper turns, model: wan2.7-i2v, media: {first_frame: keeper.png}}
  - {id: s030, prompt: The lens begins to turn}
"""
TAKES = {"s010@1": 1, "s010@2": 1, "s020@1": 1, "s030@1": 1}


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


@pytest.mark.parametrize("seed", [int(os.environ.get("CALLSHEET_SEED", "20261121")), 7])
def test_killed_at_random_moments_it_finishes_and_every_take_was_submitted_once(folder, seed):
    moments = random.Random(seed)
    kills = 0
    for _ in range(12):
        child = started(folder)
        try:
            said, _ = child.communicate(timeout=moments.uniform(0.3, 1.7) if kills < 6 else 60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            kills += 1
            continue
        assert child.returncode == 0, f"seed {seed}, after {kills} kills: {said}"
        break
    # A task takes about two seconds here, so the first moments always find a run at work.
    assert kills, f"seed {seed} killed nothing"
    assert Counter(bill.take for bill in read_bills(folder / ".callsheet/studio")) == TAKES, f"seed {seed}"
    assert len(list(folder.glob("renders/film/takes/*.mp4"))) == 4


def test_of_two_runs_started_together_one_stops_at_once_and_names_the_other(folder):
    one = started(folder)
    time.sleep(0.05)
    other = started(folder)
    said = {child.communicate(timeout=60)[0]: child.returncode for child in (one, other)}
    assert sorted(said.values()) == [0, 3]
    (refusal,) = (text for text, code in said.items() if code == 3)
    assert "another run holds this lock: pid" in refusal
    assert Counter(bill.take for bill in read_bills(folder / ".callsheet/studio")) == TAKES


def test_a_holder_on_another_machine_is_not_broken_by_itself(folder, monkeypatch, capsys):
    import json

    from runner.cli import code

    monkeypatch.chdir(folder)
    (folder / ".callsheet").mkdir()
    holder = folder / ".callsheet/film.holder.json"
    holder.write_text(json.dumps({"pid": 1, "host": "another-machine", "since": "2026-11-21T00:00:00Z"}))
    assert code(["run"]) == 3
    assert "another-machine" in capsys.readouterr().err
    holder.unlink()
    assert code(["plan"]) == 0
