"""The pictures and sounds beside the manifests are what their script draws, and what the models accept."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

import pytest
from PIL import Image, ImageChops

MANIFESTS = Path(__file__).parent.parent / "manifests"
FILES = sorted(
    path.relative_to(MANIFESTS).as_posix() for folder in ("frames", "audio") for path in (MANIFESTS / folder).iterdir()
)
PICTURES = [name for name in FILES if name.endswith(".png")]
SOUNDS = [name for name in FILES if name.endswith(".wav")]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([sys.executable, str(MANIFESTS / "make_media.py"), str(folder)], check=True)
    return folder


def test_the_script_makes_these_files_and_no_others(made):
    assert sorted(path.relative_to(made).as_posix() for path in made.rglob("*.*")) == FILES
    assert sorted(PICTURES + SOUNDS) == FILES


@pytest.mark.parametrize("name", PICTURES)
def test_the_script_draws_the_same_picture(made, name):
    with Image.open(MANIFESTS / name) as kept, Image.open(made / name) as drawn:
        assert (kept.size, kept.mode) == (drawn.size, drawn.mode)
        assert ImageChops.difference(kept, drawn).getbbox() is None


@pytest.mark.parametrize("name", SOUNDS)
def test_the_script_makes_the_same_sound(made, name):
    assert (made / name).read_bytes() == (MANIFESTS / name).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_files_are_small(name):
    assert (MANIFESTS / name).stat().st_size < 150_000


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_as_models_want_them(name):
    with Image.open(MANIFESTS / name) as picture:
        assert picture.mode == "RGB"
        assert 640 <= picture.width <= 8000
        assert min(picture.size) >= 360


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_are_as_models_want_them(name):
    with wave.open(str(MANIFESTS / name)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16_000)
        assert 2 <= sound.getnframes() / sound.getframerate() <= 6
        levels = memoryview(sound.readframes(sound.getnframes())).cast("h")
        assert 20_000 < max(map(abs, levels)) < 32_000
