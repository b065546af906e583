"""A part of a shot that has a wrong form hides nothing else: all that can be judged without it is told, in the file's order."""

from __future__ import annotations

import json

import pytest

import runner
from runner.cli import code
from runner.errors import ManifestError

HEAD = "callsheet: 1\ndefaults: {model: wan2.7-i2v, parameters: {resolution: 720P, duration: 5}}\nshots:\n"
# One fault in each part of a shot, none of which has to do with another one.
PARTS = {
    "prompt": "${nothing}",
    "provider": "nobody",
    "media": {"first_frame": {"shot": "nobdy", "frame": "last"}, "last_frame": "nobody.png"},
    "parameters": {"duration": 99, "seed": -4},
    "takes": 1,
}


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """What is wrong with these shots, as (code, path, shot)."""
    monkeypatch.chdir(tmp_path)

    def told(*shots, head=HEAD):
        path = tmp_path / "film.callsheet.yaml"
        path.write_text(head + "".join(f"  - {json.dumps(shot)}\n" for shot in shots))
        with pytest.raises(ManifestError) as raised:
            runner.read(path, environ={})
        found = raised.value.problems
        assert list(found) == sorted(found, key=lambda problem: problem.place)
        return {(problem.code, problem.path.removeprefix("/shots/0"), problem.shot) for problem in found}

    return told


WHOLE = {
    ("E203", "/prompt", "s010"),
    ("E302", "/provider", "s010"),
    ("E208", "/media/first_frame/shot", "s010"),
    ("E401", "/media/last_frame", "s010"),
    ("E105", "/parameters/duration", "s010"),
    ("E105", "/parameters/seed", "s010"),
}


def test_all_faults_of_a_shot_are_told_at_once(problems):
    assert problems({"id": "s010", **PARTS}) == WHOLE


@pytest.mark.parametrize(
    ("part", "value", "code", "path"),
    [
        ("prompt", [1], "E103", "/prompt"),
        ("prompt", {"file": 3}, "E103", "/prompt/file"),
        ("provider", [1], "E103", "/provider"),
        ("media", 5, "E103", "/media"),
        ("media", {**PARTS["media"], "first_frame": 5}, "E103", "/media/first_frame"),
        ("media", {**PARTS["media"], "first_frame": {"shot": "nobdy", "frame": "lats"}}, "E104", "/media/first_frame/frame"),
        ("media", {**PARTS["media"], "frist_frame": "x.png"}, "E101", "/media/frist_frame"),
        ("parameters", 5, "E103", "/parameters"),
        ("takes", -1, "E105", "/takes"),
        ("negative_prompt", [1], "E103", "/negative_prompt"),
        ("unchecked", 5, "E103", "/unchecked"),
        ("bogus", 5, "E101", "/bogus"),
        ("exclude", [], "E307", "/exclude"),
    ],
)
def test_a_broken_part_hides_only_what_stands_in_it(problems, part, value, code, path):
    kept = {one for one in WHOLE if not f"{one[1]}/".startswith(f"{path}/") and not f"{path}/".startswith(f"{one[1]}/")}
    assert problems({"id": "s010", **PARTS, part: value}) == {*kept, (code, path, "s010")}


def test_a_model_that_nobody_knows_hides_only_what_the_model_would_judge(problems):
    kept = {one for one in WHOLE if not one[1].startswith("/parameters")}
    assert problems({"id": "s010", **PARTS, "model": "wan9"}) == {*kept, ("E301", "/model", "s010")}
    assert problems({"id": "s010", **PARTS, "model": [1]}) == {*kept, ("E103", "/model", "s010")}


def test_a_shot_without_an_id_is_judged_as_one_without_a_name(problems):
    assert problems(PARTS) == {("E102", "", None), *((code, path, None) for code, path, _ in WHOLE)}


def test_what_lost_variables_might_have_said_is_not_guessed(problems):
    kept = {one for one in WHOLE if one[0] != "E203"}
    assert problems({"id": "s010", **PARTS, "vars": [1]}) == {*kept, ("E103", "/vars", "s010")}


def test_what_a_lost_scene_might_have_said_is_not_guessed(problems):
    """Its variables, and its model, unless the shot names one."""
    kept = {one for one in WHOLE if one[0] != "E203"}
    shot = {"id": "s010", **PARTS, "scene": [1]}
    assert problems({**shot, "model": "wan2.7-i2v"}) == {*kept, ("E103", "/scene", "s010")}
    unmodelled = {one for one in kept if not one[1].startswith("/parameters")}
    assert problems(shot) == {*unmodelled, ("E103", "/scene", "s010")}


def test_a_shot_that_cannot_be_spread_is_left_and_links_to_it_are_believed(problems):
    torn = {"id": "pier-${time}", "matrix": {"time": 3}, "prompt": "${time}", "parameters": {"duration": 99}}
    user = {"id": "s020", "prompt": "x", "media": {"first_frame": {"shot": "pier-dawn"}}}
    assert problems(torn, user) == {("E103", "/matrix/time", "pier-${time}")}


def test_a_misspelt_key_is_taken_for_what_was_meant(problems):
    """No complaint that the prompt is missing: it is there, under another name."""
    head = HEAD.replace("wan2.7-i2v", "wan2.7-t2v")
    assert problems({"id": "s010", "promt": "x"}, head=head) == {("E101", "/promt", "s010")}
    assert problems({"id": "s010", "bogus": "x"}, head=head) == {("E101", "/bogus", "s010"), ("E306", "", "s010")}


def test_broken_shots_are_among_those_that_a_misspelt_link_may_have_meant(tmp_path, capsys):
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(
        HEAD + "  - {id: harbour, prompt: [1]}\n  - {id: pier, prompt: x, model: wan9}\n"
        "  - {id: sea, model: wan2.7-t2v, prompt: x}\n"
        "  - {id: s010, prompt: x, media: {first_frame: {shot: harbor}, last_frame: {shot: qqq}}}\n"
    )
    assert code(["check", str(path)]) == 2
    said = capsys.readouterr().out
    assert 'there is no shot "harbor" [E208]\n    hint: did you mean "harbour"?' in said
    assert 'there is no shot "qqq" [E208]\n    hint: one of: sea, s010, harbour, pier\n' in said


def test_a_link_to_a_broken_shot_is_no_fault_of_the_link(problems):
    broken = {"id": "s010", "model": "wan2.7-t2v", "prompt": [1]}
    user = {"id": "s020", "prompt": "x", "media": {"first_frame": {"shot": "s010", "frame": 99, "take": 7}}}
    assert problems(broken, user) == {("E103", "/prompt", "s010")}
    chained = {**broken, "model": "wan2.7-i2v", "media": {"first_frame": {"shot": "s030"}}, "parameters": 5}
    first = {"id": "s030", "model": "wan2.7-t2v", "prompt": "x"}
    assert problems(chained, user, first) == {("E103", "/prompt", "s010"), ("E103", "/parameters", "s010")}


def test_an_included_file_with_a_broken_shot_is_judged_like_the_manifest(problems, tmp_path):
    (tmp_path / "more.yaml").write_text(
        "shots:\n  - {id: s020, prompt: [1], media: {first_frame: nobody.png}}\n  - {id: s030, prompt: x, takes: 1,\n     media: {first_frame: {shot: s020}}, parameters: {duration: 99}}\n"
    )
    found = problems({"id": "s010", "model": "wan2.7-t2v", "prompt": [1]}, head=f"include: [more.yaml]\n{HEAD}")
    assert found == {
        ("E103", "/prompt", "s020"),
        ("E401", "/media/first_frame", "s020"),
        ("E105", "/shots/1/parameters/duration", "s030"),
        ("E103", "/prompt", "s010"),
    }


def test_no_part_of_a_secret_is_repeated_by_what_is_judged_besides(tmp_path, capsys):
    key = "sk-abcdefghij0123456789"
    shots = [
        {"id": "a", "prompt": "x", "media": {"first_frame": key}, "parameters": {"duration": 99}},
        {"id": key, "prompt": "x", "media": {"first_frame": "nobody.png"}},
        {"id": "c", "prompt": "x", "media": {key: "x.png"}, "parameters": {key: 1}},
        {"id": "d", key: 1, "promt": key, "model": key, "provider": key, "parameters": {"duration": 98}},
        {"id": "e", "vars": {"x": key}, "prompt": "${x}", "scene": "${x}", "model": "${x}", "media": {"first_frame": "${x}"}},
    ]
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(HEAD + "".join(f"  - {json.dumps(shot)}\n" for shot in shots))
    assert code(["check", str(path), "--json"]) == 2
    said = capsys.readouterr()
    assert key[4:] not in said.out + said.err
    codes = [problem["code"] for problem in json.loads(said.out)["problems"]]
    assert codes.count("E501") == 9
    assert codes.count("E105") == 1
    assert codes.count("E401") == 1
