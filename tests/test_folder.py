"""A folder of a film whose renders all have one size: what lies there is told, and the cost of telling it counted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import runner
from runner import folder
from runner.lock import Entry, Lock
from runner.shots import Manifest

SHOTS = 60
HEAD = "callsheet: 1\nprovider: studio\ndefaults: {model: wan2.2-t2v-plus, parameters: {resolution: 480P}}\nshots:\n"


@pytest.fixture
def film(tmp_path: Path) -> tuple[Manifest, Lock]:
    """A storyboard and its lock; every take is here, eight bytes each, and there are no outputs yet."""
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(HEAD + "".join(f"  - {{id: s{number:03}, prompt: Pier}}\n" for number in range(SHOTS)), "utf-8")
    manifest = runner.read(path, environ={})
    takes = {}
    for shot in manifest.shots:
        take = tmp_path / shot.take_path(1)
        take.parent.mkdir(parents=True, exist_ok=True)
        take.write_text(f"film {shot.id[1:]}", "ascii")
        render = {"path": shot.take_path(1), "bytes": 8, "sha256": folder.sha256(take)}
        takes[f"{shot.id}@1"] = Entry(state="saved", render=render)
    return manifest, Lock(takes=takes)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a file was read for its hash, and how often one was asked for."""
    counts = {"hashed": 0, "asked": 0}
    sha256, stat = folder.sha256, os.stat

    def hashing(path: Path) -> str:
        counts["hashed"] += 1
        return sha256(path)

    def asking(*args, **options) -> os.stat_result:
        counts["asked"] += 1
        return stat(*args, **options)

    monkeypatch.setattr(folder, "sha256", hashing)
    monkeypatch.setattr(os, "stat", asking)
    return counts


def outputs(manifest: Manifest, put) -> None:
    for shot in manifest.shots:
        put(manifest.folder / shot.take_path(1), manifest.folder / shot.output)


def test_links_of_equal_size_are_told_without_reading_and_not_each_by_each(film, counted):
    manifest, known = film
    outputs(manifest, os.link)
    counted.update(hashed=0, asked=0)
    found = folder.look(known, manifest)
    assert (found.foreign, found.here) == (frozenset(), frozenset(known.takes))
    assert counted["hashed"] == 0
    assert counted["asked"] <= 5 * SHOTS


def test_copies_of_equal_size_are_read_once_each(film, counted):
    manifest, known = film
    outputs(manifest, shutil.copyfile)
    counted.update(hashed=0, asked=0)
    assert folder.look(known, manifest).foreign == frozenset()
    assert counted["hashed"] == SHOTS
    assert counted["asked"] <= 5 * SHOTS


def test_a_copy_of_another_shot_s_take_is_ours_and_a_stranger_of_the_same_size_is_not(film, counted):
    manifest, known = film
    first, second, third = manifest.shots[:3]
    shutil.copyfile(manifest.folder / second.take_path(1), manifest.folder / first.output)
    (manifest.folder / second.output).write_text("somebody", "ascii")
    (manifest.folder / third.output).write_text("somebody else", "ascii")
    counted.update(hashed=0, asked=0)
    assert folder.look(known, manifest).foreign == {second.output, third.output}
    assert counted["hashed"] == 2, "nothing of the lock is as long as the third"


def test_a_take_that_is_gone_still_knows_its_copy(film):
    manifest, known = film
    first = manifest.shots[0]
    (manifest.folder / first.take_path(1)).rename(manifest.folder / first.output)
    found = folder.look(known, manifest)
    assert found.foreign == frozenset()
    assert found.here == known.takes.keys() - {f"{first.id}@1"}
