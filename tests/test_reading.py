"""What is done fast says the same as what is plain: fingerprints, repeated layers; and a long reading is seen on a terminal."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runner
from runner import shots
from runner.outputs import reading
from runner.reading import Seen

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def whole(value):
    """5.0 as 5, everywhere."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None, database=None)
@given(parameters=st.dictionaries(st.text(max_size=4), PLAIN, max_size=4), prompt=st.none() | st.text(max_size=20))
def test_a_fingerprint_is_the_sha256_of_plain_json(parameters, prompt):
    found = shots.fingerprint(
        model="wan2.7-t2v", prompt=prompt, negative_prompt=None, media=(), parameters=parameters, unchecked={}
    )
    said = {
        "model": "wan2.7-t2v",
        **({"prompt": prompt} if prompt else {}),
        **({"parameters": whole(parameters)} if parameters else {}),
    }
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert found == f"1:sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


FILM = """\
callsheet: 1
vars: {look: grainy, time: never}
defaults: {model: wan2.7-t2v, prompt: "${prompt}, ${look}", parameters: {duration: 3, watermark: false}}
scenes:
  harbour: {vars: {time: dusk}, parameters: {duration: 4}}
  tower: {prompt: "${time}: ${prompt}", vars: {time: dawn}}
shots:
"""
SHOT = "  - {{id: s{0}, scene: {1}, prompt: Pier {0}{2}, parameters: {{seed: {0}}}}}\n"


def test_shots_with_the_same_layers_are_what_each_is_alone(tmp_path):
    """What the outer layers come to is kept from shot to shot: nothing of one may be seen in the next."""
    written = [
        SHOT.format(number, scene, own)
        for number, (scene, own) in enumerate(
            (scene, own) for own in ("", ", vars: {look: sharp}", "") for scene in ("harbour", "tower", "none") if scene != "none"
        )
    ]
    together = tmp_path / "film.callsheet.yaml"
    together.write_text(FILM + "".join(written))
    found = runner.read(together, environ={}).shots
    for number, shot in enumerate(written):
        path = tmp_path / f"alone{number}.callsheet.yaml"
        path.write_text(FILM + shot)
        (alone,) = runner.read(path, environ={}).shots
        assert (alone.prompt, alone.parameters, alone.fingerprint) == (
            found[number].prompt,
            found[number].parameters,
            found[number].fingerprint,
        )
    assert [shot.prompt for shot in found[:4]] == ["Pier 0, grainy", "dawn: Pier 1", "Pier 2, sharp", "dawn: Pier 3"]


class Terminal(io.StringIO):
    """A terminal that says when something was written to it."""

    def __init__(self):
        super().__init__()
        self.written = threading.Event()

    def isatty(self):
        return True

    def write(self, text):
        found = super().write(text)
        self.written.set()
        return found


@pytest.fixture
def terminal(monkeypatch):
    """Called in the test itself: pytest puts its own stream back before each."""

    def made():
        out = Terminal()
        monkeypatch.setattr(sys, "stderr", out)
        monkeypatch.setattr(reading, "_EVERY", 0.001)
        return out

    return made


def test_a_long_reading_is_seen_on_a_terminal_and_leaves_nothing_there(terminal, monkeypatch):
    monkeypatch.setattr(reading, "PATIENCE", 0.0)
    out = terminal()
    seen = Seen(shots=1000, made=[None] * 250)
    with reading.shown(seen, "film.callsheet.yaml"):
        assert out.written.wait(30)
    assert "checking film.callsheet.yaml [######..................] 250 of 1,000 shots" in out.getvalue()
    assert out.getvalue().endswith("\r\x1b[K")


def test_a_short_reading_says_nothing(terminal):
    out = terminal()
    with reading.shown(Seen(), "film.callsheet.yaml"):
        pass
    assert out.getvalue() == ""


def test_nothing_is_drawn_where_there_is_no_terminal(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setattr(reading, "PATIENCE", 0.0)
    with reading.shown(Seen(shots=2), "film.callsheet.yaml"):
        assert not [
            thread
            for thread in threading.enumerate()
            if thread is not threading.main_thread() and thread.daemon and thread.name.endswith("(_draw)")
        ]
    assert out.getvalue() == ""


def test_the_reader_tells_how_far_it_is(tmp_path):
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(FILM + SHOT.format(1, "tower", "") + SHOT.format(2, "tower", ""))
    seen = Seen()
    runner.read(path, environ={}, seen=seen)
    assert (seen.shots, len(seen.made)) == (2, 2)
    assert reading.line(Seen(), "f") == "reading f"
    assert reading.line(Seen(shots=1, made=[None] * 1200), "f") == "checking f: 1,200 shots"
