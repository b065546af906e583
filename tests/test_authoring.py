"""Storyboards that write themselves: matrices, tables, included files, models of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import runner
from runner import catalog, tables
from runner.errors import ManifestError
from runner.source import parse

HEAD = "callsheet: 1\nvars: {look: 35mm}\ndefaults: {model: wan2.7-t2v, prompt: '${prompt}. ${look}', parameters: {resolution: 720P, duration: 5}}\n"


@pytest.fixture
def read(tmp_path):
    """`read("shots: …", **files)` writes the manifest and files beside it, and reads it."""

    def make(text, /, **files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="")
        path = tmp_path / "film.callsheet.yaml"
        path.write_text(HEAD + text, encoding="utf-8")
        return runner.read(path, environ={})

    return make


def test_a_matrix_makes_a_shot_for_each_combination_the_last_column_fastest(read):
    shots = read(
        "shots:\n- id: p-${time}-${seed}\n  matrix: {time: [dawn, noon], seed: [1, 2]}\n  exclude: [{time: noon, seed: 1}]\n"
        "  prompt: The pier at ${time}\n  parameters: {seed: '${seed}'}\n- {id: last, prompt: End}\n"
    ).shots
    assert [shot.id for shot in shots] == ["p-dawn-1", "p-dawn-2", "p-noon-2", "last"]
    assert [shot.prompt for shot in shots][:3] == ["The pier at dawn. 35mm", "The pier at dawn. 35mm", "The pier at noon. 35mm"]
    assert [shot.seed for shot in shots] == [1, 2, 2, None]
    assert len({shot.fingerprint for shot in shots}) == 4


def test_an_exclusion_without_a_column_leaves_all_its_values_out(read):
    shots = read("shots:\n- {id: 'p-${a}-${b}', matrix: {a: [1, 2], b: [1, 2, 3]}, exclude: [{a: 1}], prompt: A}\n").shots
    assert [shot.id for shot in shots] == ["p-2-1", "p-2-2", "p-2-3"]


def test_a_matrix_may_try_models(read):
    shots = read("shots:\n- {id: 'm-${m}', matrix: {m: [wan2.6-t2v, wan2.7-t2v]}, model: '${m}', prompt: A}\n").shots
    assert [shot.model.id for shot in shots] == ["wan2.6-t2v", "wan2.7-t2v"]
    assert shots[0].wired["size"] == "1280*720"


TABLE = 'id,caption,seconds,mark,where\r\n1,"A pier, at dawn",5,true,harbour\r\n002,"He said ""go""\nand went",7,FALSE,\r\n'


def test_a_table_gives_a_shot_a_row_and_its_texts_become_what_the_schema_asks_for(read):
    shots = read(
        "scenes: {harbour: {vars: {look: 16mm}}}\n"
        "shots:\n- {id: 'clip-${id}', each: clips.csv, prompt: '${caption}', parameters: {duration: '${seconds}', watermark: '${mark}'}}\n",
        clips_dot_csv=TABLE,
    ).shots
    assert [shot.id for shot in shots] == ["clip-1", "clip-002"]
    assert [shot.prompt for shot in shots] == ["A pier, at dawn. 35mm", 'He said "go"\nand went. 35mm']
    assert [shot.parameters["duration"] for shot in shots] == [5, 7]
    assert [shot.parameters["watermark"] for shot in shots] == [True, False]


def test_a_row_may_name_its_scene(read):
    shots = read(
        "scenes: {harbour: {vars: {look: 16mm}}, cliff: null}\n"
        "shots:\n- {id: 'clip-${id}', each: clips.jsonl, scene: '${where}', prompt: '${caption}', parameters: {duration: '${seconds}'}}\n",
        clips_dot_jsonl='\ufeff{"id": 1, "caption": "A", "seconds": 5, "where": "harbour"}\n\n{"id": 2, "caption": "B", "seconds": 6, "where": "cliff"}\n',
    ).shots
    assert [shot.prompt for shot in shots] == ["A. 16mm", "B. 35mm"]
    assert [shot.scene for shot in shots] == ["harbour", "cliff"]
    assert [shot.seconds for shot in shots] == [5, 6]


def test_a_table_and_a_matrix_multiply(read):
    shots = read(
        "shots:\n- {id: 'c-${id}-${seed}', each: c.csv, matrix: {seed: [1, 2]}, prompt: A, parameters: {seed: '${seed}'}}\n",
        c_dot_csv="id\na\nb\n",
    ).shots
    assert [shot.id for shot in shots] == ["c-a-1", "c-a-2", "c-b-1", "c-b-2"]


def test_included_files_inherit_vars_and_defaults_and_may_have_their_own(read):
    manifest = read(
        "include: [scenes/*.yaml]\nshots: [{id: s1, prompt: First}]\n",
        scenes__b_dot_yaml="vars: {look: 8mm}\ndefaults: {parameters: {duration: 7}}\nshots: [{id: s3, prompt: Third}]\n",
        scenes__a_dot_yaml="callsheet: 1\nshots: [{id: s2, prompt: Second, parameters: {duration: 3}}]\n",
    )
    assert [(shot.id, shot.prompt, shot.seconds) for shot in manifest.shots] == [
        ("s1", "First. 35mm", 5),
        ("s2", "Second. 35mm", 3),
        ("s3", "Third. 8mm", 7),
    ]
    assert manifest.shots[2].place.file.endswith("scenes/b.yaml")


def test_an_included_file_outside_the_folder_is_refused(read, tmp_path):
    outside = tmp_path.parent / "outside-of-it.yaml"
    outside.write_text("shots: [{id: x, prompt: A}]\n")
    with pytest.raises(ManifestError, match="lies outside"):
        read("include: [../outside-of-it.yaml]\nshots: [{id: s1, prompt: A}]\n")
    (tmp_path / "link.yaml").symlink_to(outside)
    with pytest.raises(ManifestError, match="lies outside"):
        read("include: [link.yaml]\nshots: [{id: s1, prompt: A}]\n")


def test_a_key_in_a_table_or_an_included_file_is_an_error(read):
    key = "sk-0123456789abcdef0123"
    with pytest.raises(ManifestError, match="secret key") as found:
        read("shots:\n- {id: '${id}', each: c.csv, prompt: '${t}'}\n", c_dot_csv=f"id,t\na,{key}\n")
    assert key not in str(found.value)
    with pytest.raises(ManifestError, match="secret key"):
        read("include: [a.yaml]\nshots: [{id: s1, prompt: A}]\n", a_dot_yaml=f"shots: [{{id: s2, prompt: {key}}}]\n")


def test_a_model_of_ones_own_is_checked_like_the_others(read, tmp_path):
    own = json.loads(Path(catalog.SCHEMAS / "models" / "wan2.7-t2v.json").read_text())
    own["x-model"] |= {"id": "my-wan", "snapshots": [], "aliases": []}
    own["title"] = "my-wan"
    manifest = read("models: [my.json]\nshots: [{id: s1, model: my-wan, prompt: A}]\n", my_dot_json=json.dumps(own))
    assert manifest.shots[0].model.id == "my-wan"
    with pytest.raises(ManifestError, match="too large"):
        read("models: [my.json]\nshots: [{id: s1, model: my-wan, prompt: A, parameters: {duration: 60}}]\n")


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "empty"),
        ("id,id\n", 1, 4, "two columns"),
        ("id,1x\n", 1, 4, "cannot be the name"),
        ("id,a\n1,2,3\n", 2, 5, "3 cells"),
        ('id\n"open\n', 2, 1, "not closed"),
        ('id\n"a"b\n', 2, 4, "behind a closing"),
        ("id\na\0\n", 2, 2, "NUL"),
    ],
)
def test_a_broken_table_is_placed(tmp_path, text, line, column, says):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ManifestError, match=says) as found:
        tables.read(path, shown="t.csv")
    (problem,) = found.value.problems
    assert (problem.place.line, problem.place.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('{"a": 1}\nnope\n', 2, "not JSON"),
        ("[1]\n", 1, "JSON object"),
        ('{"a": [1]}\n', 1, "must be text"),
        ('{"a": NaN}\n', 1, "NaN"),
    ],
)
def test_a_broken_json_line_is_placed(tmp_path, text, line, says):
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(ManifestError, match=says) as found:
        tables.read(path, shown="t.jsonl")
    assert found.value.problems[0].place.line == line


def test_every_cell_knows_its_place_as_the_yaml_reader_would_say_it(tmp_path):
    """JSON is YAML, so the places of one line can be held against the manifest's own reader."""
    line = '{"id": "a", "caption": "x, \\"y\\"", "n":  7, "ok":true}'
    path = tmp_path / "t.jsonl"
    path.write_text(line + "\n")
    (row,) = tables.read(path, shown="t.jsonl")
    known = parse(line.encode(), file="t.jsonl").data
    assert {name: row.place(name) for name in row.values} == {name: known.place(name) for name in known}
    assert list(row.values.values()) == ["a", 'x, "y"', 7, True]


def test_a_hundred_thousand_rows_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,caption\n" + "".join(f'{number},"caption, {number}"\n' for number in range(100_000)))
    rows = tables.read(path, shown="t.csv")
    assert len(rows) == 100_000
    assert rows[-1].place("caption").line == 100_001
    assert rows[-1].values == {"id": "99999", "caption": "caption, 99999"}
