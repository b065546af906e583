"""`preview`: the real embedded studio, started by the command itself; nothing else of the film is touched."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
from PIL import Image

import runner
from runner.cli import code
from runner.errors import ManifestError, UsageError

STORYBOARD = """\
callsheet: 1
title: Preview
provider: qwencloud
output: out/${shot}.mp4
providers: {studio: {seconds: 3600, faults: ["fail"]}}
in_flight: 1
budget: {USD: 1}
defaults: {model: wan2.7-t2v, parameters: {resolution: 720P, ratio: "16:9", duration: 2}}
shots:
  - {id: s010, prompt: A lighthouse at dusk, takes: 3}
  - {id: s020, prompt: The keeper turns, model: wan2.7-i2v, media: {first_frame: {shot: s010, take: 2}}}
  - {id: s030, prompt: The lens turns, model: wan2.5-t2v-preview, parameters: {resolution: 480P, duration: 5}}
"""


def call(capsys, *args):
    """Exit code, standard output, standard error of a command line."""
    capsys.readouterr()
    result = code([*args])
    found = capsys.readouterr()
    return result, found.out, found.err


@pytest.fixture
def film(tmp_path, monkeypatch):
    for name in ("DASHSCOPE_API_KEY", "STUDIO_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CALLSHEET_NO_SPEND", "1")
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(STORYBOARD.replace(', faults: ["fail"]', ""))
    monkeypatch.chdir(tmp_path)
    return path


def test_every_shot_once_free_without_a_key(film, capsys):
    result, _, err = call(capsys, "preview")
    assert result == 0, err
    first, second = err.splitlines()[:2]
    assert first == "the film itself: 5 takes, 13 s, 0.80 USD + 1 of unknown price at qwencloud"
    assert second == "Preview: 3 to submit (9 s of video, free)."
    for shot, seconds in (("s010", 2), ("s020", 2), ("s030", 5)):
        with av.open(f"renders/film.preview/{shot}.mp4") as made:
            assert abs(made.duration / 1e6 - seconds) < 0.2
            assert sum(1 for _ in made.decode(video=0)) > 10
    assert sorted(path.name for path in Path().iterdir() if not path.name.startswith(".")) == [
        "film.callsheet.yaml",
        "film.preview.callsheet.lock",
        "renders",
    ]
    lock = json.loads(Path("film.preview.callsheet.lock").read_text())
    assert sorted(lock["takes"]) == ["s010@1", "s020@1", "s030@1"]
    assert {entry["provider"] for entry in lock["takes"].values()} == {"studio"}
    result, _, err = call(capsys, "preview")
    assert result == 0
    assert "nothing to do, no request was sent" in err
    assert call(capsys, "status", "--profile", "preview")[1].count("saved") == 3
    assert "5 to submit" in call(capsys, "plan")[1], "the film itself has not moved"


def test_as_events(film, capsys):
    film.write_text(film.read_text().split("  - {id: s020")[0])
    result, out, _ = call(capsys, "preview", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert result == 0
    assert [event["event"] for event in events if event["event"] in {"plan", "saved", "report"}] == ["plan", "saved", "report"]
    assert events[-1]["counts"] == {"saved": 1}


def test_a_profile_of_that_name_is_laid_over_and_stays_the_studios(film):
    text = film.read_text().replace(
        "in_flight: 1", "in_flight: 1\nprofiles: {preview: {provider: aisa, parameters: {duration: 3}}}"
    )
    film.write_text(text.split("  - {id: s020")[0].replace(", duration: 2", ""))
    (shot,) = runner.read(film, profile="preview").shots
    assert (shot.provider, shot.seconds, shot.takes) == ("studio", 3, 1)


def test_the_limits_of_the_models_still_hold(film):
    film.write_text(film.read_text().replace("duration: 2", "duration: 200"))
    with pytest.raises(ManifestError, match="200"):
        runner.read(film, profile="preview")


def test_what_the_manifest_rehearses_with_is_left_out(film):
    film.write_text(STORYBOARD)
    spec = runner.read(film, profile="preview").catalog.providers["studio"].spec
    assert not {"seconds", "faults"} & spec.keys()
    spec = runner.read(film).catalog.providers["studio"].spec
    assert spec["seconds"] == 3600


def test_another_provider_is_a_contradiction(film, capsys):
    with pytest.raises(UsageError, match="cannot be qwencloud's"):
        runner.read(film, profile="preview", provider="qwencloud")
    assert call(capsys, "plan", "--profile", "preview", "--provider", "studio")[0] == 0


def test_a_film_that_cannot_be_run_yet_is_previewed(film, capsys):
    film.write_text(film.read_text().split("  - {id: s020")[0].replace("provider: qwencloud", "provider: opeai"))
    assert call(capsys, "check")[0] == 2
    result, _, err = call(capsys, "preview")
    assert result == 0, err
    assert "the film itself cannot be run yet: 1 error, `callsheet check` lists them" in err


def test_media_too(film, capsys):
    Image.new("RGB", (640, 360), "teal").save("keeper.png")
    head = film.read_text().split("shots:")[0]
    film.write_text(f"{head}shots: [{{id: s010, model: wan2.7-i2v, prompt: He turns, media: {{first_frame: keeper.png}}}}]\n")
    result, _, err = call(capsys, "preview")
    assert result == 0, err
    with av.open("renders/film.preview/s010.mp4") as made:
        frame = next(made.decode(video=0)).reformat(format="rgb24", src_colorspace="ITU709", dst_colorspace="DEFAULT")
    shown = frame.to_image().getpixel((frame.width // 2, frame.height // 2))
    assert all(abs(one - other) < 25 for one, other in zip(shown, (0, 128, 128), strict=True)), shown
