"""The shipped schemas by themselves: what each must accept, what it must refuse, and where."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from runner import catalog, judge

OWN = sorted(catalog.SCHEMAS.glob("*.schema.json"))
MODELS = sorted((catalog.SCHEMAS / "models").glob("*.json"))
POINTER = re.compile(r"/(input|parameters)(/[A-Za-z0-9_]+)+(/-)?")
HEX = "0123456789abcdef" * 4
PRINT = f"1:sha256:{HEX}"
AT = "2026-11-21T01:02:03Z"


def load(path):
    return json.loads(path.read_text("utf-8"))


def errors(name, value):
    return list(Draft202012Validator(catalog.schema(name)).iter_errors(value))


def fits(name, value):
    assert [error.message for error in errors(name, value)] == []


def breaks(name, value, path):
    """The fault that explains most lies at `path`."""
    worst = best_match(errors(name, value))
    assert worst is not None, "was accepted"
    assert "".join(f"/{part}" for part in worst.absolute_path) == path, worst.message


def places(name, value):
    """Where anything is wrong, alternatives included."""
    return {"".join(f"/{part}" for part in leaf.absolute_path) for error in errors(name, value) for leaf in _leaves(error)}


def _leaves(error):
    yield error
    for inner in error.context or ():
        yield from _leaves(inner)


def changed(value, path, new):
    """A copy of `value` with `new` at a path such as `/shots/0/id`; without it where `new` is `...`."""
    made = json.loads(json.dumps(value))
    *way, last = [int(part) if part.isdigit() else part for part in path.split("/")[1:]]
    inner = made
    for part in way:
        inner = inner[part]
    if new is ...:
        del inner[last]
    else:
        inner[last] = new
    return made


# Every file


@pytest.mark.parametrize("path", [*OWN, *MODELS], ids=lambda path: path.name)
def test_every_file_is_a_schema_of_its_own(path):
    schema = load(path)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    assert schema["title"]
    assert schema["description"]
    for found in _walk(schema):
        if isinstance(found.get("$ref"), str):
            name = found["$ref"].removeprefix("#/$defs/")
            assert name in schema["$defs"], f"{name} lies elsewhere: the file would not stand alone beside a manifest"


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_every_mapping_is_closed_or_says_what_it_holds(path):
    """Unknown keys are found everywhere but where a provider's or a model's own words stand."""
    free = {"parameters", "input", "request", "usage", "provider"}
    schema = load(path)
    for name, found in _named(schema):
        if "properties" in found and found.get("type") == "object" and name not in free:
            assert found.get("additionalProperties") is False, name


def test_the_manifest_teaches():
    """Whoever writes one in an editor is told what each key is for."""
    schema = catalog.schema("manifest")
    parts = schema["$defs"]
    for name in ("shot", "layer", "included", "media", "reference", "chain", "textFile", "budget", "provider", "price"):
        for key, rule in parts[name]["properties"].items():
            said = {**parts.get(rule.get("$ref", "").removeprefix("#/$defs/"), {}), **rule}
            assert said.get("description"), f"{name}.{key}"
    for key, rule in schema["properties"].items():
        assert rule.get("description") or parts[rule["$ref"].removeprefix("#/$defs/")]["description"], key


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_examples_and_defaults_are_right_themselves(path):
    schema = load(path)
    for found in _walk(schema):
        for example in [*found.get("examples", ()), *([found["default"]] if "default" in found else ())]:
            rule = {**found, "$defs": schema.get("$defs", {})}
            assert not list(Draft202012Validator(rule).iter_errors(example)), example


def _walk(value):
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _named(value, name=""):
    if isinstance(value, dict):
        yield name, value
        for key, inner in value.items():
            yield from _named(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner, name)


# Models


@pytest.fixture(params=MODELS, ids=lambda path: path.stem)
def model(request):
    return load(request.param)


def _fields(model):
    parts = model["properties"]
    yield from ((name, rule) for name, rule in parts.items() if name not in {"media", "parameters"})
    for part in ("media", "parameters"):
        yield from ((f"{part}/{name}", rule) for name, rule in parts.get(part, {}).get("properties", {}).items())


def test_a_model_says_what_it_is_and_who_says_so(model):
    about = model["x-model"]
    assert model["title"] == about["id"]
    assert {f"{about['id']}.json"} <= {path.name for path in MODELS}
    assert about["makes"] in {"text to video", "image to video"}
    assert about["endpoint"] in {"video-generation", "image2video"}
    assert about["sound"] in {"always", "never", "switchable", "input"}
    assert about["fps"] is None or about["fps"] > 0
    assert set(about["regions"]) <= {"intl", "cn", "us", "hk"}
    assert about["bills"] in {"output", "input and output"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", about["checked"])
    assert about["sources"]
    assert all(about["checked"] in source for source in about["sources"])
    assert all(name.startswith(f"{about['id']}-20") for name in about["snapshots"])
    assert isinstance(about["aliases"], list)
    assert isinstance(about["notes"], list)


def test_no_name_belongs_to_two_models():
    names = [name for path in MODELS for name in (load(path)["x-model"]["id"], *load(path)["x-model"]["snapshots"])]
    assert len(names) == len(set(names))


def test_what_is_said_of_a_retirement_says_how_surely():
    retired = {path.stem: load(path)["x-model"].get("retirement") for path in MODELS if path.stem.startswith("wan2.6-")}
    assert retired.keys() >= {"wan2.6-t2v", "wan2.6-i2v"}
    for said in retired.values():
        assert said["date"] == "2026-10-14"
        assert said["confidence"] == "third party only"


def test_every_field_says_where_it_goes(model):
    places = []
    for name, rule in _fields(model):
        assert POINTER.fullmatch(rule["x-to"]), name
        assert rule["title"], name
        assert rule["description"].count("\n") == 0, name
        assert rule["x-to"].endswith("/-") == ("x-type" in rule), name
        places.append((rule["x-to"], rule.get("x-type")))
    assert len(places) == len(set(places))


def test_every_medium_has_limits(model):
    known = {"kind", "formats", "alpha", "side", "ratio", "seconds", "bytes", "accepts"}
    for role, rule in model["properties"].get("media", {}).get("properties", {}).items():
        limits = rule["x-media"]
        assert limits.keys() <= known, role
        assert limits["kind"] in {"image", "video", "audio"}, role
        assert limits["formats"], role
        assert limits["bytes"] > 0, role
        assert set(limits["accepts"]) <= {"http", "oss", "data"}, role
        assert "data" not in limits["accepts"] or limits["kind"] == "image", f"{role}: only pictures go inline"
        assert all(limits[pair][0] < limits[pair][1] for pair in ("side", "ratio", "seconds") if pair in limits), role
        assert {"image": "side", "video": "side", "audio": "seconds"}[limits["kind"]] in limits, role


def test_only_known_keywords_are_used(model):
    known = {"x-model", "x-to", "x-type", "x-media", "x-cut-at", "x-combinations", "x-tiers"}
    assert {key for found in _walk(model) for key in found if key.startswith("x-")} <= known


def test_prompts_are_cut_where_the_service_cuts_them():
    cut = {path.stem: [load(path)["properties"][name]["x-cut-at"] for name in ("prompt", "negative_prompt")] for path in MODELS}
    assert cut["wan2.7-t2v"] == cut["wan2.7-i2v"] == [5000, 500]
    assert cut["wan2.6-t2v"] == cut["wan2.6-i2v"] == [1500, 500]


def test_sizes_belong_to_one_tier_each():
    size = catalog.schema("wan2.6-t2v")["properties"]["parameters"]["properties"]["size"]
    assert [one for tier in size["x-tiers"].values() for one in tier] == size["enum"]
    assert size["default"] == "1920*1080"
    assert {len(tier) for tier in size["x-tiers"].values()} == {5}


COMBINATIONS = [
    {"first_frame"},
    {"first_frame", "driving_audio"},
    {"first_frame", "last_frame"},
    {"first_frame", "last_frame", "driving_audio"},
    {"first_clip"},
    {"first_clip", "last_frame"},
]


def test_media_go_together_in_exactly_six_ways():
    schema = catalog.schema("wan2.7-i2v")
    roles = sorted(schema["properties"]["media"]["properties"])
    for number in range(1 << len(roles)):
        chosen = {role for bit, role in enumerate(roles) if number >> bit & 1}
        faults = judge.faults(schema, {"media": dict.fromkeys(chosen, "x")})
        assert (not faults) == (chosen in COMBINATIONS), chosen


T2V = {"prompt": "A pier", "negative_prompt": "text", "media": {"driving_audio": "vo.mp3"}}
GOOD_SHOTS = [
    ("wan2.7-t2v", {"prompt": "A pier"}),
    (
        "wan2.7-t2v",
        {
            **T2V,
            "parameters": {
                "resolution": "720P",
                "ratio": "3:4",
                "duration": 15,
                "prompt_extend": False,
                "watermark": True,
                "seed": 0,
            },
        },
    ),
    ("wan2.7-i2v", {"media": {"first_frame": "a.png"}, "parameters": {"resolution": "1080P", "duration": 2, "seed": 2147483647}}),
    ("wan2.6-t2v", {**T2V, "parameters": {"size": "1088*832", "duration": 5.0, "shot_type": "multi"}}),
    (
        "wan2.6-i2v",
        {"media": {"first_frame": "a.png", "driving_audio": "b.mp3"}, "parameters": {"resolution": "720P", "template": "flying"}},
    ),
]
BAD_SHOTS = [
    ("wan2.7-t2v", {}, ""),
    ("wan2.7-t2v", {"prompt": ""}, "/prompt"),
    ("wan2.7-t2v", {"prompt": 7}, "/prompt"),
    ("wan2.7-t2v", {"prompt": "x", "media": {"first_frame": "a.png"}}, "/media"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"size": "1280*720"}}, "/parameters"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"shot_type": "multi"}}, "/parameters"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"resolution": "480P"}}, "/parameters/resolution"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"resolution": "720p"}}, "/parameters/resolution"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"ratio": "21:9"}}, "/parameters/ratio"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"duration": 1}}, "/parameters/duration"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"duration": 16}}, "/parameters/duration"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"duration": 5.5}}, "/parameters/duration"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"duration": "5"}}, "/parameters/duration"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"duration": True}}, "/parameters/duration"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"seed": -1}}, "/parameters/seed"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"seed": 2147483648}}, "/parameters/seed"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"seed": True}}, "/parameters/seed"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"watermark": "false"}}, "/parameters/watermark"),
    ("wan2.7-i2v", {"prompt": "x"}, ""),
    ("wan2.7-i2v", {"media": {"first_frame": "a"}, "parameters": {"ratio": "16:9"}}, "/parameters"),
    ("wan2.6-t2v", {"prompt": "x", "parameters": {"size": "1280x720"}}, "/parameters/size"),
    ("wan2.6-t2v", {"prompt": "x", "parameters": {"size": "832*480"}}, "/parameters/size"),
    ("wan2.6-t2v", {"prompt": "x", "parameters": {"shot_type": "several"}}, "/parameters/shot_type"),
    ("wan2.6-i2v", {"media": {"driving_audio": "a.mp3"}}, "/media"),
    ("wan2.6-i2v", {"media": {"first_frame": "a", "last_frame": "b"}}, "/media"),
    ("wan2.6-i2v", {"media": {"first_frame": "a"}, "parameters": {"audio": False}}, "/parameters"),
]


@pytest.mark.parametrize(("name", "shot"), GOOD_SHOTS)
def test_shots_a_model_takes(name, shot):
    assert judge.faults(catalog.schema(name), shot) == []


@pytest.mark.parametrize(("name", "shot", "path"), BAD_SHOTS)
def test_shots_a_model_refuses(name, shot, path):
    breaks(name, shot, path)


# The manifest

LIGHTHOUSE = {
    "callsheet": 1,
    "title": "The Lighthouse",
    "provider": "studio",
    "output": "renders/${manifest}/${shot}.mp4",
    "budget": {"USD": 12.50, "seconds": 300, "takes": 60},
    "in_flight": 3,
    "attempts": 2,
    "vars": {"look": "cinematic lighting, 35mm"},
    "defaults": {
        "model": "wan2.7-t2v",
        "prompt": "${prompt}. ${look}",
        "parameters": {"resolution": "720P", "ratio": "16:9", "duration": 5},
    },
    "scenes": {"harbour": {"vars": {"time": "dusk"}}},
    "profiles": {"draft": {"parameters": {"resolution": "480P"}, "takes": 1}},
    "include": ["scenes/*.yaml"],
    "models": ["models/my-model.json"],
    "providers": {
        "my-gateway": {"extends": "qwencloud", "base_url": "https://gateway.example.com/api/v1", "auth": {"env": "MY_KEY"}}
    },
    "shots": [
        {"id": "s010", "scene": "harbour", "prompt": "A lighthouse at ${time}", "takes": 2},
        {
            "id": "s020",
            "model": "wan2.7-i2v",
            "provider": "qwencloud",
            "prompt": {"file": "prompts/s020.txt"},
            "negative_prompt": "low quality",
            "media": {"first_frame": "frames/keeper.png", "driving_audio": "audio/vo.mp3"},
            "parameters": {"seed": 12345},
        },
        {
            "id": "s030",
            "model": "wan2.7-i2v",
            "prompt": "She turns to the window",
            "media": {"first_frame": {"shot": "s020", "frame": "last"}},
        },
        {
            "id": "s040-${time}-${seed}",
            "matrix": {"time": ["dawn", "noon"], "seed": [1, 2]},
            "exclude": [{"time": "noon", "seed": 2}],
            "prompt": "The pier at ${time}",
            "parameters": {"seed": "${seed}"},
        },
        {"id": "clip-${id}", "each": "clips.csv", "prompt": "${caption}"},
    ],
}
SIX_LINES = {"callsheet": 1, "shots": [{"id": "s010", "model": "wan2.7-t2v", "prompt": "A lighthouse"}]}


def with_shot(**more):
    return {"callsheet": 1, "shots": [{"id": "s010", **more}]}


@pytest.mark.parametrize(
    "manifest",
    [
        LIGHTHOUSE,
        SIX_LINES,
        with_shot(prompt=None, negative_prompt=None, model=None, media=None, parameters={"seed": None}, takes=0),
        with_shot(media={"first_frame": None, "last_frame": {"shot": "a", "frame": 2.5, "take": 2}}),
        with_shot(
            media=[
                {"type": "first_frame", "url": "a.png"},
                {"type": "reference_image", "url": "b.png", "reference_voice": "c.wav"},
            ]
        ),
        with_shot(media={"references": ["a.png", {"image": "b.png", "voice": "c.wav"}, {"video": "d.mp4"}, {"audio": "e.mp3"}]}),
        with_shot(unchecked={"input": {"new": [1, {"deep": None}]}, "parameters": {"newer": True}}),
        {**SIX_LINES, "scenes": {"label": None}, "budget": {"CNY": 0}},
        {**SIX_LINES, "defaults": {"prompt": {"file": "all.txt"}, "takes": 100}},
        {
            **SIX_LINES,
            "providers": {
                "studio": {"seconds": 0, "faults": ["429:2"]},
                "qwencloud": {"region": "cn", "limits": {"in_flight": 2}},
            },
        },
    ],
)
def test_manifests_that_are_right(manifest):
    fits("manifest", manifest)
    assert judge.faults(catalog.schema("manifest"), json.loads(json.dumps(manifest))) == []


@pytest.mark.parametrize(
    ("path", "new", "at"),
    [
        ("/callsheet", "1", "/callsheet"),
        ("/callsheet", 2, "/callsheet"),
        ("/callsheet", True, "/callsheet"),
        ("/callsheet", ..., ""),
        ("/shots", ..., ""),
        ("/shots", [], "/shots"),
        ("/shots", {"s010": {}}, "/shots"),
        ("/title", ["a"], "/title"),
        ("/shot", [], ""),
        ("/in_flight", 0, "/in_flight"),
        ("/in_flight", 1.5, "/in_flight"),
        ("/attempts", 0, "/attempts"),
        ("/budget/usd", 5, "/budget"),
        ("/budget/USD", -1, "/budget/USD"),
        ("/budget/USD", "12.50", "/budget/USD"),
        ("/budget/takes", 1.5, "/budget/takes"),
        ("/vars/look", ["a"], "/vars/look"),
        ("/vars/two words", "a", "/vars"),
        ("/defaults/paramters", {}, "/defaults"),
        ("/defaults/id", "s", "/defaults"),
        ("/scenes/harbour", "dusk", "/scenes/harbour"),
        ("/scenes/harbour/matrix", {}, "/scenes/harbour"),
        ("/profiles/draft/takes", "1", "/profiles/draft/takes"),
        ("/include", "scenes/*.yaml", "/include"),
        ("/models/0", 7, "/models/0"),
        ("/providers/my-gateway/auth/key", "k", "/providers/my-gateway/auth"),
        ("/providers/my-gateway/auth/env", "my key", "/providers/my-gateway/auth/env"),
        ("/providers/my-gateway/limits", {"in_flihgt": 1}, "/providers/my-gateway/limits"),
        ("/providers/my-gateway/poll", {"floor": 0.1}, "/providers/my-gateway/poll"),
        ("/providers/my-gateway/media_encoding", "list", "/providers/my-gateway/media_encoding"),
        ("/shots/0/id", ..., "/shots/0"),
        ("/shots/0/id", 10, "/shots/0/id"),
        ("/shots/0/id", "", "/shots/0/id"),
        ("/shots/0/promt", "x", "/shots/0"),
        ("/shots/0/prompt", 7, "/shots/0/prompt"),
        ("/shots/0/prompt", {"flie": "a"}, "/shots/0/prompt"),
        ("/shots/0/takes", 101, "/shots/0/takes"),
        ("/shots/0/takes", -1, "/shots/0/takes"),
        ("/shots/0/takes", True, "/shots/0/takes"),
        ("/shots/0/parameters", ["seed"], "/shots/0/parameters"),
        ("/shots/0/unchecked", {"header": {}}, "/shots/0/unchecked"),
        ("/shots/1/media/frist_frame", "a.png", "/shots/1/media"),
        ("/shots/1/media/first_frame", 7, "/shots/1/media/first_frame"),
        ("/shots/1/media/first_frame", "", "/shots/1/media/first_frame"),
        ("/shots/1/media/driving_audio", {"shot": "s010"}, "/shots/1/media/driving_audio"),
        ("/shots/1/media", [{"type": "first_frame"}], "/shots/1/media/0"),
        ("/shots/2/media/first_frame", {"frame": "last"}, "/shots/2/media/first_frame"),
        ("/shots/2/media/first_frame/frame", "middle", "/shots/2/media/first_frame/frame"),
        ("/shots/2/media/first_frame/frame", -1, "/shots/2/media/first_frame/frame"),
        ("/shots/2/media/first_frame/take", 0, "/shots/2/media/first_frame/take"),
        ("/shots/3/matrix/time", [], "/shots/3/matrix/time"),
        ("/shots/3/matrix/time", "dawn", "/shots/3/matrix/time"),
        ("/shots/3/matrix", ..., "/shots/3"),
        ("/shots/3/exclude/0/time", ["noon"], "/shots/3/exclude/0/time"),
        ("/shots/4/each", 7, "/shots/4/each"),
    ],
)
def test_manifests_that_are_wrong(path, new, at):
    wrong = changed(LIGHTHOUSE, path, new)
    assert any(
        "".join(f"/{part}" for part in fault.path).startswith(at) for fault in judge.faults(catalog.schema("manifest"), wrong)
    )
    assert at in places("manifest", wrong)


def test_an_included_file_needs_shots_only():
    schema = catalog.schema("manifest")
    included = Draft202012Validator({"$ref": "#/$defs/included", "$defs": schema["$defs"]})
    assert included.is_valid({"shots": LIGHTHOUSE["shots"]})
    assert included.is_valid({"callsheet": 1, "vars": {"a": 1}, "defaults": {"takes": 2}, "shots": LIGHTHOUSE["shots"]})
    assert not included.is_valid({"shots": LIGHTHOUSE["shots"], "include": ["more.yaml"]})
    assert not included.is_valid({"vars": {}})


# The lock

RENDER = {
    "path": "renders/lighthouse/takes/s010@1.mp4",
    "sha256": HEX,
    "bytes": 1,
    "seconds": 5.0,
    "width": 1280,
    "height": 720,
    "fps": 24.0,
    "sound": True,
}
ATTEMPT = {
    "id": "a1",
    "task_id": "t1",
    "request_id": "r1",
    "account": "aisa:1a2b3c4d",
    "host": "api.aisa.one",
    "intended_at": AT,
    "submitted_at": AT,
    "ended_at": AT,
    "usage": {"duration": 5},
    "cost": {"amount": "0.50", "currency": "USD", "basis": "usage"},
    "actual_prompt": "…",
    "error": None,
}
ENTRY = {
    "state": "saved",
    "fingerprint": PRINT,
    "seed": 7,
    "provider": "aisa",
    "model": "wan2.7-t2v",
    "request": {"prompt": "…", "media": {"first_frame": f"sha256:{HEX}"}, "parameters": {}},
    "render": RENDER,
    "attempts": [ATTEMPT],
}
FAILED = {"code": "DataInspectionFailed", "message": "no", "retryable": False, "billed": False}
LOCK = {
    "callsheet_lock": 1,
    "picked": {"s010": "s010@2"},
    "takes": {
        "s010@1": ENTRY,
        "s010@2": {**ENTRY, "was": ["s009@1"]},
        "s020@1": {"state": "intended", "attempts": [{"id": "a2", "intended_at": AT}]},
        "s020@2": {"state": "failed", "attempts": [{**ATTEMPT, "error": FAILED}]},
        "s020@3": {"state": "wanted", "attempts": []},
    },
    "run": {"id": "r", "host": "studio-1", "since": AT},
}


def test_a_lock_that_is_right():
    fits("lock", LOCK)
    fits("lock", {"callsheet_lock": 1, "takes": {}})


@pytest.mark.parametrize(
    ("path", "new", "at"),
    [
        ("/callsheet_lock", 2, "/callsheet_lock"),
        ("/callsheet_lock", ..., ""),
        ("/takes", ..., ""),
        ("/note", "x", ""),
        ("/picked/s010", "s010", "/picked/s010"),
        ("/run/pid", 7, "/run"),
        ("/run/since", "yesterday", "/run/since"),
        ("/takes/s010@0", ENTRY, "/takes"),
        ("/takes/s010", ENTRY, "/takes"),
        ("/takes/s010@1/state", "absent", "/takes/s010@1/state"),
        ("/takes/s010@1/state", ..., "/takes/s010@1"),
        ("/takes/s010@1/url", "https://…", "/takes/s010@1"),
        ("/takes/s010@1/fingerprint", HEX, "/takes/s010@1/fingerprint"),
        ("/takes/s010@1/seed", "7", "/takes/s010@1/seed"),
        ("/takes/s010@1/render/path", "/home/me/s010.mp4", "/takes/s010@1/render/path"),
        ("/takes/s010@1/render/path", "C:/films/s010.mp4", "/takes/s010@1/render/path"),
        ("/takes/s010@1/render/path", "a\\s010.mp4", "/takes/s010@1/render/path"),
        ("/takes/s010@1/render/sha256", "…", "/takes/s010@1/render/sha256"),
        ("/takes/s010@1/render/bytes", 0, "/takes/s010@1/render/bytes"),
        ("/takes/s010@1/attempts/0/cost/amount", 0.5, "/takes/s010@1/attempts/0/cost/amount"),
        ("/takes/s010@1/attempts/0/cost/amount", "0,50", "/takes/s010@1/attempts/0/cost/amount"),
        ("/takes/s010@1/attempts/0/cost/currency", "usd", "/takes/s010@1/attempts/0/cost/currency"),
        ("/takes/s010@1/attempts/0/intended_at", "2026-11-21T01:02:03+08:00", "/takes/s010@1/attempts/0/intended_at"),
        ("/takes/s010@1/attempts/0/video_url", "https://…", "/takes/s010@1/attempts/0"),
        ("/takes/s010@1/attempts/0/id", ..., "/takes/s010@1/attempts/0"),
        ("/takes/s010@2/was", ["s009"], "/takes/s010@2/was/0"),
    ],
)
def test_a_lock_that_is_wrong(path, new, at):
    breaks("lock", changed(LOCK, path, new), at)


def test_an_error_says_whether_it_was_billed():
    wrong = changed(LOCK, "/takes/s020@2/attempts/0/error", {"code": "X", "message": "y", "retryable": True})
    assert errors("lock", wrong)


# Outputs

STEP = {
    "take": "s010@1", "shot": "s010", "action": "submit", "reason": "new", "changed": [], "after": ["s009@1"], "provider": "studio", "model": "wan2.7-t2v",
    "seed": None, "seconds": 5, "cost": {"amount": "0.50", "currency": "USD", "basis": "list price"}, "output": "renders/x/s010.mp4", "fingerprint": PRINT,
}  # fmt: skip
TOTALS = {"actions": {"submit": 1}, "seconds": 5, "cost": [{"amount": "0.50", "currency": "USD"}], "unpriced": 0}
PLAN = {
    "steps": [STEP, {**STEP, "action": "keep", "cost": None, "seconds": None, "fingerprint": None, "seed": 7}],
    "totals": TOTALS,
}
PROBLEM = {
    "code": "E104",
    "severity": "error",
    "message": "m",
    "hint": None,
    "file": "film.yaml",
    "line": 1,
    "column": 1,
    "path": "/shots/0/id",
    "shot": None,
}
CHECK = {
    "problems": [PROBLEM, {**PROBLEM, "code": "W101", "severity": "warning", "hint": "h", "shot": "s010"}],
    "errors": 1,
    "warnings": 1,
}
SHOWN = {"take": "s010@1", "in_doubt": False, "current": True, "picked": True, "orphaned": False, **ENTRY}
REPORT = {
    "takes": [SHOWN, {**SHOWN, "current": None, "orphaned": None}],
    "counts": {"saved": 2},
    "cost": [{"currency": "USD", "spent": "0.50", "under_way": "0.00", "in_doubt": "0.00"}],
    "fetch_before": None,
    "exit_code": 0,
}


@pytest.mark.parametrize(
    ("name", "value"), [("plan", PLAN), ("check", CHECK), ("report", REPORT), ("report", {**REPORT, "fetch_before": AT})]
)
def test_outputs_that_are_right(name, value):
    fits(name, value)


@pytest.mark.parametrize(
    ("name", "value", "path", "new", "at"),
    [
        ("plan", PLAN, "/steps/0/action", "wait", "/steps/0/action"),
        ("plan", PLAN, "/steps/0/reason", ..., "/steps/0"),
        ("plan", PLAN, "/steps/0/take", "s010", "/steps/0/take"),
        ("plan", PLAN, "/steps/0/why", "x", "/steps/0"),
        ("plan", PLAN, "/steps/0/seed", "7", "/steps/0/seed"),
        ("plan", PLAN, "/totals/cost", {"USD": "0.50"}, "/totals/cost"),
        ("plan", PLAN, "/totals/unpriced", ..., "/totals"),
        ("check", CHECK, "/problems/0/severity", "info", "/problems/0/severity"),
        ("check", CHECK, "/problems/0/code", "X1", "/problems/0/code"),
        ("check", CHECK, "/problems/0/line", 0, "/problems/0/line"),
        ("check", CHECK, "/problems/0/hint", ..., "/problems/0"),
        ("check", CHECK, "/errors", "1", "/errors"),
        ("report", REPORT, "/takes/0/state", "outdated", "/takes/0/state"),
        ("report", REPORT, "/takes/0/in_doubt", ..., "/takes/0"),
        ("report", REPORT, "/takes/0/link", "https://…", "/takes/0"),
        ("report", REPORT, "/cost/0/spent", 0.5, "/cost/0/spent"),
        ("report", REPORT, "/counts/saved", "2", "/counts/saved"),
        ("report", REPORT, "/exit_code", ..., ""),
    ],
)
def test_outputs_that_are_wrong(name, value, path, new, at):
    breaks(name, changed(value, path, new), at)


ABOUT = {"take": "s010@1", "attempt": "a1"}
EVENTS = [
    {"event": "plan", **PLAN},
    {"event": "intended", **ABOUT},
    {"event": "submitted", **ABOUT, "task_id": "t1"},
    {"event": "status", **ABOUT, "word": "RUNNING"},
    {"event": "rendered", **ABOUT},
    {"event": "saved", **ABOUT, "path": RENDER["path"], "sha256": HEX, "bytes": 1},
    {"event": "failed", **ABOUT, "code": "X", "message": "y", "retryable": False},
    {"event": "in_doubt", **ABOUT, "message": "no reply was seen"},
    {"event": "lost", **ABOUT, "message": "the provider no longer knows it"},
    {"event": "blocked", "take": "s010@1", "reason": "the output is taken"},
    {"event": "waiting", "reason": "429", "until": AT},
    {"event": "error", "code": "E104", "message": "m", "hint": "h"},
    {"event": "report", **REPORT},
]


def line(event):
    return {"at": AT, "run": "r", "seq": 0, **event}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["event"])
def test_events_that_are_right(event):
    fits("event", line(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["event"])
def test_events_that_are_wrong(event):
    whole = line(event)
    for key in ("at", "run", "seq", "event"):
        assert errors("event", changed(whole, f"/{key}", ...)), key
    for key, new in {"at": "21 Nov", "seq": -1, "surprise": 1, "event": "finished"}.items():
        assert errors("event", changed(whole, f"/{key}", new)), key
    if "take" in event:
        assert errors("event", changed(whole, "/take", ...))
        assert errors("event", changed(whole, "/take", "s010"))


def test_the_same_thing_has_the_same_shape_wherever_it_is_said():
    """Each file stands alone, so what they share is written several times: it may not drift apart."""
    lock, report, plan, event = (catalog.schema(name) for name in ("lock", "report", "plan", "event"))
    said = {one["properties"]["event"]["const"]: one["properties"] for one in event["oneOf"]}
    entry = lock["properties"]["takes"]["additionalProperties"]["properties"]
    shown = report["properties"]["takes"]["items"]["properties"]
    assert {name: shown[name] for name in entry} == entry
    assert {name: said["report"][name] for name in report["properties"]} == report["properties"]
    assert {name: said["plan"][name] for name in ("steps", "totals")} == {
        name: plan["properties"][name] for name in ("steps", "totals")
    }
    price = catalog.schema("manifest")["$defs"]["price"]["properties"]
    profile = catalog.schema("provider")["properties"]["prices"]["items"]["properties"]
    assert price.keys() == profile.keys()


# Provider profiles

OPEAI = {
    "provider": "opeai",
    "title": "ope.ai",
    "sources": ["generations and get-task pages, 2026-11-21"],
    "base_url": "https://api-platform.ope.ai",
    "auth": {"scheme": "Bearer", "env": "OPEAI_API_KEY"},
    "submit": {
        "path": "/aliyun/v1/videos/generations",
        "task_id": ["/output/task_id"],
        "refused": [{"status": 400}, {"status": 401}, {"status": 429, "retry": True}],
    },
    "poll": {
        "path": "/aliyun/v1/tasks/{task_id}",
        "status": ["/output/task_status"],
        "words": "native",
        "first": 10,
        "every": 5,
        "floor": 1,
        "give_up": 10800,
        "unknown_for": 600,
    },
    "result": {
        "url": ["/output/video_url"],
        "content": {"path": "/aliyun/v1/videos/{task_id}/content", "key": True},
        "lives": "24h",
    },
    "failure": {"code": ["/output/code"], "message": ["/output/message"]},
    "http_error": [{"code": ["/error/code"], "message": ["/error/message"]}],
    "limits": {"in_flight": 3, "submits_per_second": 1, "queries_per_second": 5},
    "media": {"upload": "none", "data_uri": {"images": True}},
    "models": ["wan2.7-i2v", "wan2.6-i2v"],
    "prices": [],
}
WORDS = {"queued": ["submitted"], "running": ["in_progress"], "succeeded": ["completed"], "failed": ["failed"]}
PRICE = {
    "models": ["wan2.7-*"],
    "currency": "USD",
    "per_second": {"720P": "0.084"},
    "source": "price page",
    "date": "2026-10-11",
    "verified": True,
}


@pytest.mark.parametrize(
    "profile",
    [
        OPEAI,
        changed(OPEAI, "/auth", ...),
        changed(OPEAI, "/base_url", None),
        changed(OPEAI, "/poll/words", WORDS),
        changed(OPEAI, "/submit/headers", {"X-DashScope-Async": "enable"}),
        changed(OPEAI, "/submit/paths", [{"models": ["*kf2v*"], "path": "/image2video"}]),
        changed(OPEAI, "/submit/refused", [{"status": 429, "message": "balance", "stop": True, "why": "no money left"}]),
        changed(OPEAI, "/prices", [PRICE]),
    ],
)
def test_profiles_that_are_right(profile):
    fits("provider", profile)


@pytest.mark.parametrize(
    ("path", "new", "at"),
    [
        ("/provider", "Ope AI", "/provider"),
        ("/sources", [], "/sources"),
        ("/poll", ..., ""),
        ("/key", "sk-…", ""),
        ("/auth/env", "opeai key", "/auth/env"),
        ("/auth/key", "sk-…", "/auth"),
        ("/auth/scheme", "Basic", "/auth/scheme"),
        ("/submit/task_id", "/output/task_id", "/submit/task_id"),
        ("/submit/task_id/0", "output.task_id", "/submit/task_id/0"),
        ("/submit/refused/0/status", "400", "/submit/refused/0/status"),
        ("/submit/refused/0/retries", True, "/submit/refused/0"),
        ("/poll/floor", 0, "/poll/floor"),
        ("/poll/every", ..., "/poll"),
        ("/poll/words", "openai", "/poll/words"),
        ("/result/lives", "a day", "/result/lives"),
        ("/limits/in_flight", 0, "/limits/in_flight"),
        ("/limits/queries_per_second", ..., "/limits"),
        ("/media/upload", "ftp", "/media/upload"),
        ("/prices", [{**PRICE, "per_second": {"720P": 0.084}}], "/prices/0/per_second/720P"),
        ("/prices", [{**PRICE, "currency": "$"}], "/prices/0/currency"),
        ("/prices", [{key: PRICE[key] for key in PRICE if key != "source"}], "/prices/0"),
    ],
)
def test_profiles_that_are_wrong(path, new, at):
    wrong = changed(OPEAI, path, new)
    places = {
        "".join(f"/{part}" for part in leaf.absolute_path) for error in errors("provider", wrong) for leaf in _leaves(error)
    }
    assert at in places


@pytest.mark.parametrize("provider", catalog.load().providers.values(), ids=lambda provider: provider.name)
def test_built_in_profiles_say_when_they_were_checked(provider):
    fits("provider", provider.spec)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", provider.spec["checked"])
