"""`why`: real takes of a real studio, the manifest edited under them, and the places of what changed looked up in its text."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from PIL import Image

from runner import changed
from runner.cli import code
from runner.studio import Settings, Studio
from tests.faults.world import tiny

STORYBOARD = """\
callsheet: 1
title: Why
providers: {{studio: {{base_url: "{url}", poll: {{first: 0.02, every: 0.02}}}}}}
vars: {{look: "cinematic light, 35mm"}}
defaults:
  model: wan2.7-t2v
  prompt: "${{prompt}}. ${{look}}"
  parameters: {{resolution: 720P, ratio: 16:9, duration: 2}}
shots:
  - {{id: s010, prompt: A lighthouse at dusk}}
  - {{id: s020, prompt: {{file: prompts/s020.txt}}, negative_prompt: blur, parameters: {{seed: 7}}}}
  - {{id: s030, model: wan2.7-i2v, prompt: He turns, media: {{first_frame: frames/keeper.png}}}}
  - id: s040-${{time}}
    matrix: {{time: [dawn, noon]}}
    prompt: The pier at ${{time}}
  - id: s050
    model: wan2.7-r2v
    prompt: Two of them
    media: {{references: [frames/keeper.png, frames/night.png]}}
    unchecked: {{parameters: {{tones: [1, 2], deep: {{a: true, b: "7"}}}}}}
  - {{id: s060, model: wan2.7-i2v, prompt: It goes on, parameters: {{ratio: null}}, media: {{first_frame: {{shot: s040-dawn}}}}}}
"""


class Film:
    """A storyboard in a folder of its own."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.path = folder / "film.callsheet.yaml"

    def call(self, *args):
        """Exit code of a command line in the manifest's folder; what it said is kept."""
        self.capsys.readouterr()
        result = code([*args])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        return result

    def why(self, *args):
        assert self.call("why", *args, "--json") == 0, self.err
        return json.loads(self.out)["shots"]

    def change(self, shot):
        """Field → the change of one shot, its place as the text that stands there."""
        (answer,) = self.why(shot)
        return {one["field"]: {**one, "there": [self.at(place) for place in one["places"]]} for one in answer["changes"]}

    def at(self, place):
        line = (self.folder / place["file"]).read_text().splitlines()[place["line"] - 1]
        return line[place["column"] - 1 :]

    def edit(self, *pairs):
        text = self.path.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        self.path.write_text(text)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The storyboard run to its end, once; each test has a copy of it."""
    folder = tmp_path_factory.mktemp("why") / "film"
    for name in ("prompts", "frames"):
        (folder / name).mkdir(parents=True)
    (folder / "prompts/s020.txt").write_text("The keeper\nturns to the window\n")
    for name, color in (("keeper", "navy"), ("night", "black")):
        Image.new("RGB", (640, 360), color).save(folder / f"frames/{name}.png")
    with Studio(Settings(folder=folder.parent / "studio", render=tiny)) as studio:
        path = folder / "film.callsheet.yaml"
        path.write_text(STORYBOARD.format(url=studio.base_url))
        assert code(["run", str(path)]) == 0
        yield folder


@pytest.fixture
def film(rendered, tmp_path, capsys, monkeypatch):
    import shutil

    shutil.copytree(rendered, tmp_path / "film")
    monkeypatch.chdir(tmp_path / "film")
    return Film(tmp_path / "film", capsys)


def test_nothing_changed(film):
    (answer,) = film.why("s010")
    assert (answer["current"], answer["changes"], answer["compared"]) == (True, [], "s010@1")
    assert film.call("why", "s010") == 0
    assert "nothing changed: s010@1 was made from the shot as it is now written" in film.out
    assert film.call("why") == 0
    assert film.out == ""


def test_a_prompt_word_by_word_at_its_own_place(film):
    film.edit(("at dusk", "at dawn and far away"))
    found = film.change("s010")
    assert list(found) == ["prompt"]
    assert found["prompt"]["was"] == "A lighthouse at dusk. cinematic light, 35mm"
    assert found["prompt"]["there"][0].startswith("A lighthouse at dawn and far away}")
    film.call("why", "s010")
    assert "A lighthouse at [-dusk-]{+dawn and far away+}. cinematic light, 35mm" in film.out
    assert "film.callsheet.yaml:10:24" in film.out
    assert "the next run: submit s010@2, 2 s, free: changed: prompt" in film.out


def test_a_variable_is_where_a_prompt_changed(film):
    film.edit(("cinematic light, 35mm", "cinematic glow, 35mm"))
    found = film.change("s010")
    assert found["prompt"]["there"] == ['"cinematic glow, 35mm"}']


def test_the_wrapping_prompt_is_where_a_prompt_changed(film):
    film.edit(('"${prompt}. ${look}"', '"${prompt}, seen from the sea. ${look}"'))
    assert film.change("s010")["prompt"]["there"] == ['"${prompt}, seen from the sea. ${look}"']


def test_a_prompt_file_is_named_with_its_line(film):
    (film.folder / "prompts/s020.txt").write_text("The keeper\nturns to the stove\n")
    found = film.change("s020")
    assert found["prompt"]["places"] == [{"file": "prompts/s020.txt", "line": 2, "column": 14}]
    assert found["prompt"]["there"] == ["stove"]


def test_a_matrix_column_is_where_a_prompt_changed(film):
    film.edit(("[dawn, noon]", "[dawn, noon, dusk]"), ("prompt: The pier at ${time}", "prompt: The old pier at ${time}"))
    assert film.change("s040-noon")["prompt"]["there"] == ["The old pier at ${time}"]


def test_parameters_changed_added_and_taken_away(film):
    film.edit(("ratio: 16:9, duration: 2", "duration: 3"), ("{seed: 7}", "{seed: 8, watermark: true}"))
    found = film.change("s020")
    assert {name: (one["was"], one["now"]) for name, one in found.items()} == {
        "parameters.duration": (2, 3),
        "parameters.ratio": ("16:9", None),
        "parameters.seed": (7, 8),
        "parameters.watermark": (None, True),
    }
    assert found["parameters.duration"]["there"] == ["3}"]
    assert found["parameters.seed"]["there"] == ["8, watermark: true}}"]
    film.call("why", "s020")
    assert "7 → 8" in film.out
    assert "not written → true" in film.out


def test_negative_prompt_and_model(film):
    film.edit(("negative_prompt: blur", "model: wan2.6-t2v"))
    found = film.change("s020")
    assert (found["model"]["was"], found["model"]["now"]) == ("wan2.7-t2v", "wan2.6-t2v")
    assert found["model"]["there"][0].startswith("wan2.6-t2v")
    assert (found["negative_prompt"]["was"], found["negative_prompt"]["now"]) == ("blur", None)
    ratio = film.change("s020").get("parameters.ratio")
    assert ratio is None or ratio["note"]


def test_another_file_and_a_file_that_changed_are_told_apart(film):
    film.edit(("frames/keeper.png", "frames/night.png"))
    found = film.change("s030")["media.first_frame"]
    assert (found["was"], found["now"], found["note"]) == ("frames/keeper.png", "frames/night.png", None)
    assert found["there"] == ["frames/night.png}}"]
    film.edit(("frames/night.png", "frames/keeper.png"))
    Image.new("RGB", (640, 360), "teal").save(film.folder / "frames/keeper.png")
    found = film.change("s030")["media.first_frame"]
    assert (found["was"], found["now"]) == (None, "frames/keeper.png")
    assert "not the content that the take was made from (sha256:" in found["note"]
    film.call("why", "s030")
    assert "frames/keeper.png: not the content" in film.out


def test_only_the_studio_has_it(film):
    film.edit(("title: Why", "title: Why\nprovider: qwencloud"))
    found = film.change("s010")
    assert list(found) == ["provider"]
    assert (found["provider"]["was"], found["provider"]["now"]) == ("studio", "qwencloud")
    assert found["provider"]["there"] == ["qwencloud"]
    assert "never stands for another" in found["provider"]["note"]


def test_lists_and_mappings_are_read_without_the_signs_of_a_machine(film):
    film.edit(("[frames/keeper.png, frames/night.png]", "[frames/night.png]"))
    film.edit(('tones: [1, 2], deep: {a: true, b: "7"}', "tones: [1, 3], deep: {a: true, b: 7}, more: [{x: 1}, []]"))
    film.call("why", "s050")
    assert "      image frames/keeper.png, image frames/night.png → image frames/night.png\n" in film.out
    assert "      parameters.tones  1, 2 → 1, 3\n" in film.out
    assert '      parameters.deep.b  "7" → 7\n' in film.out  # a text that looks like the number
    assert "      parameters.more  not written → (x: 1), ([])\n" in film.out
    assert "parameters.deep.a" not in film.out
    assert film.change("s050")["unchecked"]["now"]["parameters"]["deep"] == {"a": True, "b": 7}  # for scripts as it is


def test_a_step_that_costs_nothing_yet_says_no_price(film):
    film.edit(("The pier at ${time}", "The old pier at ${time}\n    takes: 2"))
    film.call("why", "s060")
    assert "  the next run: blocked s060@2, 2 s: waits for a pick among s040-dawn@2, s040-dawn@3" in film.out
    assert " -" not in film.out


def test_one_that_left_and_one_that_was_renamed(film):
    film.edit(("id: s010", "id: tower"))
    film.path.write_text("\n".join(line for line in film.path.read_text().splitlines() if "s020" not in line) + "\n")
    (gone,) = film.why("s010")
    assert (gone["orphaned"], gone["heir"]) == (True, "tower")
    (heir,) = film.why("tower")
    assert heir["current"]
    assert [take["take"] for take in heir["takes"]] == ["s010@1"]
    film.call("why", "tower")
    assert "the next run: s010@1 becomes tower@1" in film.out
    film.call("why", "s020")
    assert "left the manifest; its takes are kept" in film.out


def test_an_older_take_can_be_asked_about(film):
    film.edit(("at dusk", "at dawn"))
    assert film.call("run") in {0, 75, 1}
    (answer,) = film.why("s010@1")
    assert (answer["compared"], answer["current"]) == ("s010@1", False)
    assert [one["field"] for one in answer["changes"]] == ["prompt"]


def test_without_names_all_that_is_odd(film):
    film.edit(("at dusk", "at dawn"), ("He turns", "She turns"))
    assert [answer["shot"] for answer in film.why()] == ["s010", "s030"]
    assert [answer["shot"] for answer in film.why("s03*", "s010")] == ["s030", "s010"]


def test_unknown_names_have_a_hint(film):
    assert film.call("why", "s0100") == 2
    assert 'did you mean "s010"?' in film.err


def test_words_compared():
    def said(was, now):
        marks = {"same": "{}", "gone": "[-{}-]", "new": "{{+{}+}}"}
        return "".join(marks[kind].format(text) for kind, text in changed.compared(was, now))

    assert said("a red boat", "a blue boat") == "a [-red-]{+blue+} boat"
    assert said("boat", "boat") == "boat"
    assert said("a boat.", "a boat. It sinks.") == "a boat.{+ It sinks.+}" or "It sinks" in said("a boat.", "a boat. It sinks.")
    assert said("暴风雨之夜", "暴风雪之夜") == "暴风[-雨-]{+雪+}之夜"
    assert said("", "new") == "{+new+}"


def test_long_texts_are_compared_quickly_and_cut_to_what_changed():
    was = " ".join(f"word{number % 97} and then" for number in range(6000))
    now = was.replace("word96 and", "word96 AND", 40).replace("word96 AND", "word96 and", 37)
    began = time.monotonic()
    words = changed.compared(was, now)
    assert time.monotonic() - began < 5
    assert "".join(text for kind, text in words if kind != "gone") == now
    assert "".join(text for kind, text in words if kind != "new") == was
    assert sum(len(text) for _, text in changed.shortened(words)) < len(was)


def test_one_shot_among_thousands_is_looked_up_as_quickly_as_the_manifest_is_read(tmp_path, capsys, monkeypatch):
    """Its places cost one more reading, and no more."""
    monkeypatch.chdir(tmp_path)
    lines = "\n".join(f"  - {{id: s{number:05}, prompt: Boat {number}}}" for number in range(3000))
    Path("big.callsheet.yaml").write_text(f"callsheet: 1\ndefaults: {{model: wan2.7-t2v}}\nshots:\n{lines}\n")
    began = time.monotonic()
    assert code(["check", "big.callsheet.yaml"]) == 0
    once = time.monotonic() - began
    began = time.monotonic()
    assert code(["why", "big.callsheet.yaml", "s02999"]) == 0
    assert time.monotonic() - began < 4 * once + 2
    assert "no take yet" in capsys.readouterr().out
