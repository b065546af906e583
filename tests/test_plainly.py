"""A plain shot made like one before it against the same shot made the long way: the same shots, the same problems."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runner
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

    def made(self, outer, own):
        return None


def test_both_ways_lead_to_the_same_shots_and_problems(tmp_path, monkeypatch):
    path = tmp_path / "film.callsheet.yaml"
    short = []

    class Counted(Plainly):
        def made(self, outer, own):
            found = super().made(outer, own)
            short.append(found is not None)
            return found

    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(film=FILM)
    def agree(film):
        path.write_text(json.dumps(film, ensure_ascii=False), encoding="utf-8")
        monkeypatch.setattr("runner.compose.Plainly", Counted)
        ours = read(path)
        monkeypatch.setattr("runner.compose.Plainly", Long)
        assert ours == read(path)

    agree()
    assert sum(short) > 100, f"the short way was hardly ever taken: {sum(short)} of {len(short)}"


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
    monkeypatch.setattr(Plainly, "made", lambda self, outer, own: taken.append(real(self, outer, own)) or taken[-1])
    shots = [{"id": f"s{number}", "prompt": f"Pier {number}", "parameters": {"seed": number}} for number in range(10)]
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(json.dumps({"callsheet": 1, "defaults": {"model": "wan2.7-t2v"}, "shots": shots}))
    manifest = runner.read(path, environ={})
    assert [shot is not None for shot in taken] == [False] + [True] * 9
    assert [shot.prompt for shot in manifest.shots] == [f"Pier {number}" for number in range(10)]
