"""The film of nine shots in `manifests/`: preview, run, pick, board, reel and export, on the studio, one after the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import pytest

from runner.cli import code

MANIFESTS = Path(__file__).parent.parent / "manifests"
SHOTS = ["s110", "s120", "s130", "s210", "s220", "s310-calm", "s310-fog", "s310-storm", "s320"]
UPSTREAM = ("a sealed letter in his hand", "an open letter in his hand")


class Film:
    """A copy of the storyboard and what its commands said."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "letter.callsheet.yaml"

    def call(self, *args, result=0):
        found = code([args[0], str(self.path), *args[1:]])
        assert found == result, f"{args} left with {found}"

    def said(self, capsys, *args, result=0):
        capsys.readouterr()
        self.call(*args, "--json", result=result)
        return json.loads(capsys.readouterr().out)

    def edit(self, old, new):
        text = self.path.read_text("utf-8")
        assert text.count(old) == 1
        self.path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Previewed and rendered once for all tests here, which go on from one another only by what they say."""
    folder = tmp_path_factory.mktemp("letter")
    for name in ("frames", "audio"):
        shutil.copytree(MANIFESTS / name, folder / name)
    shutil.copy(MANIFESTS / "letter.callsheet.yaml", folder)
    made = Film(folder)
    made.call("preview")
    made.call("run")
    return made


def test_the_preview_is_a_film_of_its_own(film, capsys):
    previewed = film.said(capsys, "status", "--profile", "preview")
    assert previewed["counts"]["saved"] >= len(SHOTS)
    assert {take["render"]["path"].split("/")[1] for take in previewed["takes"]} == {"letter.preview"}
    assert (film.folder / "letter.preview.callsheet.lock").exists()
    rendered = film.said(capsys, "status")
    assert rendered["counts"] == {"saved": 10}
    assert all(take["render"]["path"].startswith("renders/letter/") for take in rendered["takes"])


def test_output_is_the_take_that_was_picked(film, capsys):
    output = film.folder / "renders/letter/stairs/s210.mp4"
    assert output.samefile(output.parent / "takes/s210@2.mp4"), "the newest, as long as none is picked"
    film.call("pick", "s210@1")
    assert output.samefile(output.parent / "takes/s210@1.mp4")
    film.call("board")
    page = (film.folder / "letter.board.html").read_text("utf-8")
    assert all(f'"{shot}"' in page or f">{shot}<" in page for shot in SHOTS)
    assert "takes/s210@2.mp4" in page or "takes/s210%402.mp4" in page


def test_the_reel_is_as_long_as_its_shots(film, capsys):
    told = film.said(capsys, "reel")
    assert [clip["shot"] for clip in told["clips"]] == SHOTS
    assert next(clip["take"] for clip in told["clips"] if clip["shot"] == "s210") in {"s210@1", "s210@2"}
    with av.open(str(film.folder / told["path"])) as reel:
        stream = reel.streams.video[0]
        pictures = sum(1 for _ in reel.decode(stream))
    assert pictures / float(stream.average_rate) == pytest.approx(20, abs=0.1)
    assert told["seconds"] == pytest.approx(20, abs=0.1)


def test_the_timeline_opens_and_has_the_right_cut_lengths(film):
    otio = pytest.importorskip("opentimelineio")
    target = film.folder / "letter.otio"
    film.call("export", "--to", "otio", "--out", str(target))
    timeline = otio.adapters.read_from_file(str(target))
    assert timeline.name == "The Letter"
    clips = [clip for clip in timeline.video_tracks()[0] if isinstance(clip, otio.schema.Clip)]
    assert [round(clip.duration().to_seconds(), 2) for clip in clips] == [2, 2, 2, 2, 4, 2, 2, 2, 2]
    assert [clip.metadata["callsheet"]["shot"] for clip in clips] == SHOTS
    assert timeline.video_tracks()[0].duration().to_seconds() == pytest.approx(20)
    for clip in clips:
        file = target.parent / clip.media_reference.target_url.replace("%40", "@")
        with av.open(str(file)) as render:
            stream = render.streams.video[0]
            assert clip.available_range().duration.to_seconds() == pytest.approx(float(stream.duration * stream.time_base))


def test_an_edit_upstream_makes_exactly_the_descendants_outdated(film, capsys):
    film.edit(*UPSTREAM)
    steps = {step["take"]: step for step in film.said(capsys, "plan")["steps"]}
    assert {take for take, step in steps.items() if step["action"] == "submit"} == {"s110@2", "s120@2", "s130@2"}
    assert {step["action"] for take, step in steps.items() if take[:4] in {"s210", "s220", "s310", "s320"}} == {"keep"}
    assert [steps[take]["after"] for take in ("s110@2", "s120@2", "s130@2")] == [[], ["s110@2"], ["s120@2"]]
    film.call("why", *SHOTS)
    said = capsys.readouterr().out
    assert "[-a sealed-]{+an open+}" in said
    assert said.count("changed since") == 3
    assert said.count("nothing changed") == 6
    film.edit(*reversed(UPSTREAM))
    assert {step["action"] for step in film.said(capsys, "plan")["steps"]} == {"keep"}, "back to the old wording: free"
