"""A scene that a variable names: its layer lies under the shot, wherever the variable is written."""

from __future__ import annotations

import json

import pytest

import runner
from runner.errors import ManifestError

SCENES = {"harbour": {"parameters": {"duration": 3}}, "tower": {"parameters": {"duration": 7}}}


def seconds(folder, shot, *, included=(), **more):
    """What the shots of a film last; of included ones too."""
    film = {"callsheet": 1, "defaults": {"model": "wan2.7-t2v", "prompt": "A pier"}, "scenes": SCENES, "shots": [shot], **more}
    if included:
        (folder / "more.yaml").write_text(json.dumps({"shots": included}))
        film["include"] = ["more.yaml"]
    path = folder / "film.callsheet.yaml"
    path.write_text(json.dumps(film))
    return [shot.parameters.get("duration") for shot in runner.read(path, environ={}).shots]


def test_by_a_variable_of_the_manifest(tmp_path):
    assert seconds(tmp_path, {"id": "s1", "scene": "${where}"}, vars={"where": "tower"}) == [7]


def test_by_a_variable_of_the_shot(tmp_path):
    shot = {"id": "s1", "scene": "${where}", "vars": {"where": "harbour"}}
    assert seconds(tmp_path, shot, vars={"where": "tower"}) == [3]


def test_by_a_column(tmp_path):
    shot = {"id": "s-${where}", "scene": "${where}", "matrix": {"where": ["tower", "harbour"]}}
    assert seconds(tmp_path, shot) == [7, 3]


def test_by_a_variable_of_the_manifest_in_an_included_matrix(tmp_path):
    shot = {"id": "s-${n}", "scene": "${where}", "matrix": {"n": [1, 2]}}
    assert seconds(tmp_path, {"id": "first"}, included=[shot], vars={"where": "tower"}) == [None, 7, 7]


def test_one_that_is_not_there_is_told_of_by_its_name(tmp_path):
    with pytest.raises(ManifestError, match='there is no scene "pier"'):
        seconds(tmp_path, {"id": "s1", "scene": "${where}"}, vars={"where": "pier"})
