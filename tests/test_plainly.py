"""A plain shot made like one before it against the same shot made the long way: the same shots, the same problems."""

from __future__ import annotations

import csv
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runner
from runner import catalog
from runner.errors import ManifestError
from runner.plainly import Plainly
from runner.reading import Seen

TEXTS = st.sampled_from(
    ["A pier", "At ${time}", "${time}", "$$5", "${nowhere}", "${", "", "long", "longer", "a\nb", "  padded "]
).map(lambda text: {"long": "长" * 2600, "longer": "x" * 5001}.get(text, text))
IDS = st.sampled_from(
    [
        "s010",
        "S010",
        "s020",
        "s030",
        "s040",
        "s050",
        "con",
        "nul.x",
        "s060.",
        "s${time}",
        ".x",
        "s0123456789012345678901234567890123456789012345678901234567890123456789",
        "s070-A_b.1",
    ]
)
VALUES = st.sampled_from(
    [5, 3, 2.0, 16, 0, -1, True, False, None, "720P", "480P", "16:9", "9:16", "${seconds}", "1280*720", [1], {}]
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["resolution", "ratio", "duration", "seed", "watermark", "size", "durration"]), VALUES, max_size=3
)
MODELS = st.sampled_from(
    ["wan2.7-t2v", "wan2.7-t2v-2026-04-25", "wan2.2-t2v-plus", "wan2.7-i2v", "wan2.6-t2v", "wan2.6-i2v-flash", "${model}", "wan"]
)
LAYER = {
    "model": MODELS,
    "provider": st.sampled_from(["studio", "qwencloud", "aisa", "nobody", "${time}"]),
    "prompt": TEXTS,
    "negative_prompt": TEXTS | st.none(),
    "parameters": PARAMETERS | st.none(),
    "takes": st.sampled_from([0, 1, 2, 100, 101]),
    "vars": st.dictionaries(st.sampled_from(["time", "seconds"]), st.sampled_from(["dusk", "${look}", 4, "$$"]), max_size=2),
    "unchecked": st.sampled_from([{}, {"input": {"new": 1}}]),
    "media": st.sampled_from([{}, {"first_frame": "https://a.example/a.png"}]),
}
# A broken layer under all shots would leave nothing to compare.
MILD = st.dictionaries(
    st.sampled_from(["resolution", "duration", "seed", "watermark", "durration"]),
    st.sampled_from([5, 3, True, "720P", "${seconds}"]),
    max_size=2,
)
OUTER = {**LAYER, "parameters": MILD, "takes": st.sampled_from([0, 1, 2]), "prompt": TEXTS | st.just("${prompt}, ${time}")}
OUTER.pop("model")
CALM = st.fixed_dictionaries(
    {"model": st.sampled_from(["wan2.7-t2v", "wan2.6-t2v", "wan2.7-t2v-2026-04-25"])},
    optional={
        "prompt": st.just("${prompt}, ${time}"),
        "negative_prompt": st.sampled_from(["low", "no ${time}"]),
        "parameters": st.sampled_from([{}, {"duration": 5}, {"seed": 7, "duration": 3}]),
        "takes": st.sampled_from([0, 2]),
    },
)
# Most shots say what most shots say, so that many are made the short way.
PLAIN = st.fixed_dictionaries(
    {"id": st.integers(0, 999).map("p{:03d}".format), "prompt": st.sampled_from(["A pier", "At ${time}"])},
    optional={"parameters": st.fixed_dictionaries({"seed": st.integers(0, 9)})},
)
SHOT = PLAIN | st.fixed_dictionaries(
    {"id": IDS}, optional={**LAYER, "scene": st.sampled_from(["harbour", "tower", "none", "${time}"])}
)
# A plain shot but for one thing.
ODDITIES = {**LAYER, "id": IDS, "scene": st.sampled_from(["harbour", "tower", "none", "${time}"])}
NEARLY = st.one_of(
    *[
        st.tuples(PLAIN, st.fixed_dictionaries({name: odd})).map(lambda parts: parts[0] | parts[1])
        for name, odd in ODDITIES.items()
    ]
)
FILM = st.fixed_dictionaries(
    {
        "callsheet": st.just(1),
        "shots": st.lists(PLAIN | NEARLY | NEARLY | SHOT, min_size=4, max_size=12),
        "vars": st.just({"time": "dusk", "seconds": 4, "model": "wan2.7-t2v"}),
        "defaults": CALM | CALM | st.fixed_dictionaries({"model": MODELS}, optional=OUTER),
    },
    optional={
        "provider": st.sampled_from(["qwencloud", "studio"]),
        "output": st.sampled_from(
            [
                "renders/${shot}.mp4",
                "${shot}/a.mp4",
                "${scene}/${shot}-${time}.mp4",
                "a.mp4",
                "${shot}",
                "../${shot}.mp4",
                "a//${shot}.mp4",
            ]
        ),
        "scenes": st.fixed_dictionaries({"harbour": st.fixed_dictionaries({}, optional=OUTER), "tower": st.none()}),
    },
)


def read(path):
    """Each shot as it was made, None where it was not; and every problem."""
    seen = Seen()
    try:
        problems = runner.read(path, environ={}, seen=seen).problems
    except ManifestError as error:
        problems = error.problems
    return seen.made, problems


class Long(Plainly):
    """Knows no short way."""

    def made(self, draft):
        return None


def counted(short):
    """The short way, which tells for each shot whether it was taken."""

    class Counted(Plainly):
        def made(self, draft):
            found = super().made(draft)
            short.append(found is not None)
            return found

    return Counted


def test_both_ways_lead_to_the_same_shots_and_problems(tmp_path, monkeypatch):
    path = tmp_path / "film.callsheet.yaml"
    short = []

    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(film=FILM)
    def agree(film):
        path.write_text(json.dumps(film, ensure_ascii=False), encoding="utf-8")
        monkeypatch.setattr("runner.compose.Plainly", counted(short))
        ours = read(path)
        monkeypatch.setattr("runner.compose.Plainly", Long)
        assert ours == read(path)

    agree()
    assert sum(short) > 100, f"the short way was hardly ever taken: {sum(short)} of {len(short)}"


# Cells that are right under one name or another, and wrong under most.
CELLS = {
    "id": ["1", "A", "a", "con", ".x", "é", "", "x" * 70, "${time}", "$"],
    "caption": ["A pier, at night", 'He said "no"', "two\nlines", "${time}", "$$5", "$", "", "long", "longer", "5"],
    "seconds": ["5", " 3 ", "5.0", "3.5", "99", "-1", "five", "true", ""],
    "mark": ["true", "FALSE", "maybe", "1", ""],
    "place": ["harbour", "tower", "none", "${time}", ""],
    "model": ["wan2.7-t2v", "wan2.6-t2v", "wan2.7-i2v", "wan", ""],
}
OTHER_CELLS = st.sampled_from([5, 3, 2.0, 0.5, 99, -1, True, False])  # as a line of JSON may have them
GOOD = {name: cells[0] for name, cells in CELLS.items()}
ROW = st.one_of(
    st.just({}), *[st.fixed_dictionaries({name: st.sampled_from(cells) | OTHER_CELLS}) for name, cells in CELLS.items()]
)
SPREAD = st.fixed_dictionaries(
    {
        "id": st.sampled_from(
            ["t-${id}", "t-${id}", "${id}", "t-${id}-${seconds}", "t-${id}-${seed}", "t-${time}", "t", "${no}"]
        ),
        "prompt": st.sampled_from(["${caption}", "${caption}", "At ${time}: ${caption}", "A pier", "${no}", {"file": "a.txt"}]),
    },
    optional={
        "parameters": st.fixed_dictionaries(
            {},
            optional={
                "duration": st.sampled_from(["${seconds}", "${seconds}", "${seconds}0", 5, 99, None]),
                "watermark": st.sampled_from(["${mark}", True, ["${mark}"]]),
                "seed": st.sampled_from(["${seed}", "${id}", 7]),
                "size": st.just("1280*720"),
            },
        ),
        "scene": st.sampled_from(["${place}", "harbour"]),
        "model": st.sampled_from(["${model}", "wan2.7-t2v"]),
        "negative_prompt": st.sampled_from(["no ${caption}", "low"]),
        "takes": st.sampled_from([0, 2]),
        "vars": st.sampled_from([{"time": "dawn"}, {"caption": "${time}"}]),
        "matrix": st.sampled_from([{"seed": [1, 2]}, {"seed": ["1", "${time}"]}, {"id": [7, True], "seed": [0.5]}]),
    },
)
# As most say it.
SURE = st.fixed_dictionaries(
    {"id": st.just("t-${id}"), "prompt": st.sampled_from(["${caption}", "At ${time}: ${caption}"])},
    optional={
        "parameters": st.just({"duration": "${seconds}", "watermark": "${mark}"}),
        "scene": st.just("${place}"),
        "negative_prompt": st.just("no ${caption}"),
    },
)
TABLED = st.fixed_dictionaries(
    {
        "callsheet": st.just(1),
        "shots": st.lists(SURE | SURE | SPREAD | PLAIN, min_size=1, max_size=2),
        "vars": st.just({"time": "dusk", "seed": 3, "mark": False}),
        "defaults": CALM | st.fixed_dictionaries({"model": st.just("wan2.7-t2v"), "prompt": st.just("${prompt}, ${seconds} s")}),
    },
    optional={
        "provider": st.just("qwencloud"),
        "output": st.sampled_from(["${shot}/${shot}.mp4", "${place}/${shot}.mp4", "a/${shot}-${shot}.mp4", "a/${id}.mp4"]),
        "scenes": st.just({"harbour": {"parameters": {"duration": 3}, "vars": {"time": "noon"}}, "tower": None}),
    },
)


def written(rows, name, folder):
    """A table of these rows, each good but for what it says."""
    is_csv = name.endswith(".csv")
    good = GOOD if is_csv else {**GOOD, "seconds": 5, "mark": True}
    full = [{**good, "id": f"{number:02d}", **row} for number, row in enumerate(rows)]
    if is_csv:
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(GOOD))
            table.writeheader()
            table.writerows(full)
    else:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in full), encoding="utf-8")


@pytest.mark.parametrize("name", ["clips.csv", "clips.jsonl"])
def test_both_ways_lead_from_a_table_to_the_same_shots_and_the_same_cells_at_fault(tmp_path, monkeypatch, name):
    path = tmp_path / "film.callsheet.yaml"
    (tmp_path / "a.txt").write_text("A pier")
    short, blamed = [], []

    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(film=TABLED, rows=st.lists(st.just({}) | ROW, min_size=3, max_size=6))
    def agree(film, rows):
        long = {"long": "长" * 2600, "longer": "x" * 5001}
        written([{key: long.get(cell, cell) for key, cell in row.items()} for row in rows], name, tmp_path)
        shots = [shot if shot["id"].startswith("p") else {**shot, "each": name} for shot in film["shots"]]
        path.write_text(json.dumps({**film, "shots": shots}), encoding="utf-8")
        monkeypatch.setattr("runner.compose.Plainly", counted(short))
        ours = read(path)
        blamed.extend(problem for problem in ours[1] if problem.place.file.endswith(name))
        monkeypatch.setattr("runner.compose.Plainly", Long)
        assert ours == read(path)

    agree()
    assert sum(short) > 100, f"the short way was hardly ever taken: {sum(short)} of {len(short)}"
    assert len({problem.code for problem in blamed}) > 3, "hardly a cell was ever at fault"


ODD = [
    *[{"id": name} for name in ("S001", "con", "nul.x", "s060.", "s${time}", ".x", "s" * 65, "é")],
    *[{"prompt": text} for text in ("${time}", "$$5", "${nowhere}", "${", "", "x" * 5000, "x" * 5001, {"file": "a.txt"})],
    *[{"negative_prompt": text} for text in (None, "no ${time}", "x" * 501, "${")],
    *[
        {"parameters": {name: value}}
        for name in ("duration", "seed", "size", "durration")
        for value in (4, 1, 99, "5", None, True, "${seconds}", 5.0)
    ],
    *[{"parameters": value} for value in (None, {}, {"ratio": "16:9"}, {"ratio": "2:1"})],
    *[{"takes": number} for number in (0, 3, 100, 101)],
    *[{"scene": name} for name in ("harbour", "tower", "${time}")],
    *[{"model": name} for name in ("wan2.6-t2v", "wan2.7-t2v-2026-04-25", "wan2.7-i2v", "wan", "${model}")],
    *[{"provider": name} for name in ("aisa", "studio", "nobody", "opeai")],
    {"parameters": {"enable_thinking": True}},
    {"vars": {"time": "dawn"}},
    {"vars": {"other": "${time}"}},
    {"unchecked": {"input": {"new": 1}}},
    {"media": {"driving_audio": "https://a.example/a.mp3"}},
]
OUTER_TOO = [
    {},
    {"takes": 2},
    {"negative_prompt": "no ${time}"},
    {"prompt": "${prompt}, ${time}"},
    {"prompt": "${time}"},
    {"prompt": "\0 ${prompt}"},
    {"parameters": {"duration": "${seconds}"}},
    {"parameters": {"durration": 3, "ratio": "9:16"}},
    {"media": {"driving_audio": "https://a.example/a.mp3"}},
    {"unchecked": {"input": {"new": 1}}},
    {"vars": {"other": "${time}"}},
    {"model": "wan2.2-t2v-plus"},
    {"model": "wan3.0-video"},  # warns of one parameter
]


@pytest.mark.parametrize("outer", OUTER_TOO, ids=str)
@pytest.mark.parametrize("output", ["renders/${shot}.mp4", "a//${shot}.mp4", "${shot}/${shot}.mp4"])
def test_a_shot_that_is_plain_but_for_one_thing(tmp_path, monkeypatch, outer, output):
    """Each between two plain ones, so that it comes where the short way is known and leaves nothing behind."""
    plain = [
        {"id": f"p{number:03d}", "prompt": f"At ${{time}} {number}", "parameters": {"seed": number}}
        for number in range(2 * len(ODD) + 2)
    ]
    odd = [{**plain[2 * number + 1], **one} for number, one in enumerate(ODD)]
    shots = [plain[0], *(shot for number, one in enumerate(odd) for shot in (one, plain[2 * number + 2]))]
    film = {
        "callsheet": 1,
        "provider": "qwencloud",
        "output": output,
        "vars": {"time": "dusk", "seconds": 4, "model": "wan2.7-t2v"},
        "scenes": {"harbour": {"parameters": {"duration": 3}}, "tower": None},
        "defaults": {"model": "wan2.7-t2v", **outer},
        "shots": shots,
    }
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(json.dumps(film), encoding="utf-8")
    (tmp_path / "a.txt").write_text("A pier")
    ours = read(path)
    monkeypatch.setattr("runner.compose.Plainly", Long)
    assert ours == read(path)


def test_the_short_way_is_taken_for_shots_that_differ_only_in_what_they_say(tmp_path, monkeypatch):
    taken = []
    real = Plainly.made
    monkeypatch.setattr(Plainly, "made", lambda self, draft: taken.append(real(self, draft)) or taken[-1])
    shots = [{"id": f"s{number}", "prompt": f"Pier {number}", "parameters": {"seed": number}} for number in range(10)]
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(json.dumps({"callsheet": 1, "defaults": {"model": "wan2.7-t2v"}, "shots": shots}))
    manifest = runner.read(path, environ={})
    assert [shot is not None for shot in taken] == [False] + [True] * 9
    assert [shot.prompt for shot in manifest.shots] == [f"Pier {number}" for number in range(10)]


USUAL = {
    "id": "t-${id}",
    "prompt": "At ${time}: ${caption}",
    "parameters": {"duration": "${seconds}", "watermark": "${mark}"},
}
UNUSUAL = [
    {},
    {"scene": "${place}"},
    {"model": "${model}"},
    {"negative_prompt": "no ${caption}"},
    {"prompt": "${caption}"},
    {"id": "${id}"},
    {"id": "t-${id}-${seconds}"},
    {"parameters": {"duration": "${seconds}0"}},
    {"matrix": {"time": ["noon", "${x}"], "mark": [True, "false"]}, "id": "t-${id}-${time}-${mark}"},
    {"vars": {"time": "dawn"}},
]


@pytest.mark.parametrize("scenes", [{}, {"scenes": {"harbour": {"parameters": {"seed": 3}}, "tower": None}}], ids=["", "scenes"])
@pytest.mark.parametrize("name", ["clips.csv", "clips.jsonl"])
@pytest.mark.parametrize("unusual", UNUSUAL, ids=str)
def test_a_row_that_is_plain_but_for_one_cell(tmp_path, monkeypatch, unusual, name, scenes):
    """Each between two plain ones."""
    odd = [{column: cell} for column, cells in CELLS.items() for cell in (*cells, 5, 2.0, 0.5, 99, -1, True)]
    written([row for one in odd for row in ({}, one)], name, tmp_path)
    film = {
        "callsheet": 1,
        "provider": "qwencloud",
        "vars": {"time": "dusk"},
        "defaults": {"model": "wan2.7-t2v", "prompt": "${prompt}, at ${time}"},
        "shots": [{**USUAL, "each": name, **unusual}],
        **scenes,
    }
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(json.dumps(film), encoding="utf-8")
    ours = read(path)
    assert {problem.place.file.rpartition("/")[2] for problem in ours[1]} >= {name}
    monkeypatch.setattr("runner.compose.Plainly", Long)
    assert ours == read(path)


def test_the_short_way_is_taken_for_the_rows_of_a_table(tmp_path, monkeypatch):
    written([{"seconds": str(2 + number)} for number in range(10)], "clips.csv", tmp_path)
    taken = []
    monkeypatch.setattr("runner.compose.Plainly", counted(taken))
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(json.dumps({"callsheet": 1, "defaults": {"model": "wan2.7-t2v"}, "shots": [{**USUAL, "each": "clips.csv"}]}))
    path.write_text(path.read_text().replace("${time}", "dusk"))
    shots = runner.read(path, environ={}).shots
    assert taken == [False] + [True] * 9
    assert [(shot.parameters["duration"], shot.place.line) for shot in shots] == [(2 + row, 2 + row) for row in range(10)]


def test_the_folder_of_each_shot_is_looked_at_where_each_has_its_own(tmp_path):
    shots = [{"id": f"s{number}", "prompt": "A pier"} for number in range(4)]
    path = tmp_path / "film.callsheet.yaml"
    film = {"callsheet": 1, "output": "${shot}/${shot}.mp4", "defaults": {"model": "wan2.7-t2v"}, "shots": shots}
    path.write_text(json.dumps(film))
    (tmp_path / "s2").symlink_to(tmp_path.parent)
    with pytest.raises(ManifestError) as raised:
        runner.read(path, environ={})
    assert [(problem.code, '"s2"' in problem.message) for problem in raised.value.problems] == [("E410", True)]


def test_a_text_too_long_for_a_parameter_is_told_of_whoever_says_it(tmp_path):
    """Where the model itself sets no limit, as one of somebody's own may not."""
    model = {**catalog.load().models["wan2.7-t2v"].schema, "$id": "callsheet:models/mine"}
    fields = model["properties"]["parameters"]
    style = {"type": "string", "title": "Style", "description": "Any.", "x-to": "/parameters/style"}
    model["properties"] = {
        **model["properties"],
        "parameters": {**fields, "properties": {**fields["properties"], "style": style}},
    }
    model["x-model"] = {**model["x-model"], "id": "mine", "snapshots": []}
    (tmp_path / "mine.json").write_text(json.dumps(model))
    shots = [{"id": f"s{number}", "prompt": "A pier", "parameters": {"style": "x" * 60_000 * number}} for number in range(3)]
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(json.dumps({"callsheet": 1, "models": ["mine.json"], "defaults": {"model": "mine"}, "shots": shots}))
    with pytest.raises(ManifestError) as raised:
        runner.read(path, environ={})
    assert [(problem.code, problem.shot) for problem in raised.value.problems if problem.code[0] == "E"] == [("E105", "s2")]
