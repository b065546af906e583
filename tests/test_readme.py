"""The README under test: its commands exist, its manifest passes, its two first commands are where CI looks for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import runner
from runner.cli import VERBS
from runner.outputs import catalogue

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MANIFESTS = sorted((ROOT / "manifests").glob("*.callsheet.yaml"))


def test_its_manifest_passes(tmp_path):
    (tmp_path / "frames").symlink_to(ROOT / "manifests" / "frames")
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[1])
    manifest = runner.read(path, environ={}, allowed=[ROOT / "manifests"])
    assert [shot.id for shot in manifest.shots] == ["s010", "s020"]


def test_its_matrix_and_table_make_the_shots_it_says(tmp_path):
    text = next(found for found in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "matrix:" in found)
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "a.yaml").write_text("shots: [{id: s900, prompt: End}]\n")
    (tmp_path / "clips.csv").write_text("id,caption\n1,A boat\n2,A gull\n")
    path = tmp_path / "film.callsheet.yaml"
    path.write_text("callsheet: 1\ndefaults: {model: wan2.7-t2v}\n" + text)
    shots = runner.read(path, environ={}).shots
    assert [shot.id for shot in shots] == ["pier-dawn-1", "pier-dawn-2", "pier-noon-1", "clip-1", "clip-2", "s900"]
    assert [shot.seed for shot in shots][:3] == [1, 2, 1]


def test_every_verb_is_in_it():
    assert [verb for verb in VERBS if f"`callsheet {verb}" not in TEXT] == []


def test_its_tables_are_what_the_catalogue_gives():
    assert catalogue.renewed(TEXT) == TEXT, f"the catalogue has moved on; write the tables anew: {catalogue.COMMAND}"


def test_the_first_commands_set_up_by_themselves():
    for word in ("callsheet run", "pytest"):
        line = next(line for line in TEXT.splitlines() if word in line)
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_manifest_passes_check(path):
    manifest = runner.read(path, environ={})
    assert manifest.problems == ()
    assert len(manifest.shots) >= 4


def test_python_as_shown(tmp_path, monkeypatch):
    """The library's door, on both back ends, with the embedded studio."""
    import anyio

    for backend in ("asyncio", "trio"):
        path = tmp_path / backend / "film.callsheet.yaml"
        path.parent.mkdir()
        path.write_text(
            "callsheet: 1\ndefaults: {model: wan2.7-t2v, parameters: {resolution: 720P, duration: 2}}\nshots: [{id: s010, prompt: A}]\n"
        )
        manifest = runner.read(path)
        with runner.hold(manifest) as held:
            plan = runner.decide(manifest, held.lock)
            report = anyio.run(runner.run, plan, held, backend=backend)
        assert report.data["counts"] == {"saved": 1}
        assert (path.parent / "renders/film/s010.mp4").stat().st_size > 1000
