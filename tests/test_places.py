"""Every lock has a studio of its own: runs, previews and a served studio in one folder at once. Real processes, one killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import av
import pytest
from PIL import Image

from runner.cli import code
from runner.studio import read_bills

ROOT = Path(__file__).parent.parent
# Tasks of the film itself take an hour: its run is alive until it is killed, or has watched for long enough.
FILM = """\
callsheet: 1
providers: {studio: {seconds: SECONDS, poll: {give_up: 100}}}
defaults: {model: wan2.7-t2v, parameters: {resolution: 720P, ratio: "16:9", duration: 2}}
profiles: {draft: {prompt: "${prompt}, a draft"}}
shots:
  - {id: s010, prompt: A lighthouse at dusk}
  - {id: s020, prompt: He turns, model: wan2.7-i2v, media: {first_frame: keeper.png}}
"""
TAKES = {"s010@1": 1, "s020@1": 1}


class Place:
    """A folder with a film, and command lines in it, each a process of its own where it has to live on."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys, self.alive = folder, capsys, []
        Image.new("RGB", (640, 360), "navy").save(folder / "keeper.png")
        self.write("film", 3600)

    def write(self, name, seconds):
        """Only the film's run is slow; a render has the size that its first frame has, so most of them are small."""
        (self.folder / f"{name}.callsheet.yaml").write_text(FILM.replace("SECONDS", str(seconds)), "utf-8")

    def start(self, *args, env=None):
        child = subprocess.Popen(
            [sys.executable, "-m", "runner", *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.alive.append(child)
        return child

    def under_way(self, name="film"):
        """A run, from the moment at which both its takes are submitted."""
        child = self.start("run", f"{name}.callsheet.yaml")
        journal = self.folder / f".callsheet/{name}.journal"
        until = time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b'"event":"submitted"') < len(TAKES):
            assert child.poll() is None, child.stdout.read()
            assert time.monotonic() < until
            time.sleep(0.02)
        return child

    def forget(self, name="film"):
        """As if its run had died before any reply was written down."""
        journal = self.folder / f".callsheet/{name}.journal"
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(line for line in lines if b'"event":"submitted"' not in line))
        (self.folder / f"{name}.callsheet.lock").unlink()

    def call(self, *args):
        self.capsys.readouterr()
        result = code([*args])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        assert "Traceback" not in found.err
        return result

    def bills(self, studio):
        return Counter(bill.take for bill in read_bills(self.folder / ".callsheet" / studio))

    def tasks(self, name="film"):
        takes = json.loads((self.folder / f"{name}.callsheet.lock").read_text("utf-8"))["takes"]
        return {take: [one["task_id"] for one in entry["attempts"]] for take, entry in takes.items()}

    def rendered(self, name):
        """The film's renders, each decoded to its end."""
        found = []
        for path in sorted((self.folder / "renders" / name).glob("*.mp4")):
            with av.open(str(path)) as film:
                assert sum(1 for _ in film.decode(video=0)) > 10
            found.append(path.stem)
        return found

    def kill(self, child):
        child.kill()
        child.wait()


@pytest.fixture
def place(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made = Place(tmp_path, capsys)
    yield made
    for child in made.alive:
        child.kill()
        child.wait()
        child.stdout.close()


def test_beside_a_run_that_is_alive_everything_else_of_the_folder_goes_on(place):
    run = place.under_way()
    place.write("other", 0)
    film = ["film.callsheet.yaml"]
    assert place.call("preview", *film) == 0, place.err
    assert place.call("run", "other.callsheet.yaml") == 0, place.err
    served = place.start("studio", "--port", "0", "--json")
    assert json.loads(served.stdout.readline())["folder"] == ".callsheet/studio"
    assert place.call("run", *film) == 3
    assert "another run holds this lock" in place.err
    assert run.poll() is None, "the film's own run has ended"
    assert place.rendered("film.preview") == place.rendered("other") == ["s010", "s020"]

    # Killed, it goes on: with the tasks that it had, beside the studio that is still served.
    place.kill(run)
    place.write("film", 0)
    assert place.call("run", *film) == 0, place.err
    assert served.poll() is None
    assert place.rendered("film") == ["s010", "s020"]
    studios = ["film.studio", "film.preview.studio", "other.studio"]
    assert [place.bills(name) for name in studios] == [TAKES] * 3
    assert place.bills("studio") == {}
    assert {task for tasks in place.tasks().values() for task in tasks} == {
        bill.task_id for bill in read_bills(place.folder / ".callsheet/film.studio")
    }


def test_two_profiles_at_once(place):
    run = place.start("run", "film.callsheet.yaml", "--profile", "draft")
    while not (place.folder / ".callsheet/film.draft.studio/tasks.jsonl").exists():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.02)
    place.write("film", 0)
    assert place.call("run", "film.callsheet.yaml") == 0, place.err
    assert run.poll() is None


def test_a_served_studio_in_the_folder_has_its_own_tasks_and_no_run_takes_one_for_its_own(place, monkeypatch):
    place.write("film", 0)
    served = place.start("studio", "--port", "0", "--json")
    monkeypatch.setenv("QWENCLOUD_BASE_URL", json.loads(served.stdout.readline())["base_url"])
    monkeypatch.setenv("DASHSCOPE_API_KEY", "any-key-at-all")
    path = place.folder / "film.callsheet.yaml"
    path.write_text(path.read_text("utf-8").replace("{studio:", "{qwencloud: {poll: {first: 0.1, every: 0.1}}, studio:"), "utf-8")
    film = [path.name]
    assert place.call("run", *film) == 0, place.err
    assert place.call("run", *film, "--provider", "qwencloud", "--yes") == 0, place.err
    assert place.bills("film.studio") == TAKES
    assert place.bills("studio") == {"": 2}, "the gateway's takes have no names there"
    assert place.tasks().keys() == {"s010@1", "s010@2", "s020@1", "s020@2"}


def test_two_films_of_the_same_words_in_doubt_at_once_each_find_their_own_tasks(place):
    """Neither's request can be in the other's list, so neither is a rival for what is in its own."""
    names = ["film", "other"]
    place.write("other", 3600)
    for run in [place.under_way(name) for name in names]:
        place.kill(run)
    for name in names:
        place.forget(name)
        place.write(name, 0)
    for name in names:
        assert place.call("run", f"{name}.callsheet.yaml") == 0, place.err
        assert place.bills(f"{name}.studio") == TAKES
        assert {task for tasks in place.tasks(name).values() for task in tasks} == {
            bill.task_id for bill in read_bills(place.folder / f".callsheet/{name}.studio")
        }
