"""The shipped schemas by themselves: what each must accept, what it must refuse, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

import runner
from runner import catalog, judge, wire

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
    free = {"parameters", "input", "request", "usage", "provider", "field", "role"}  # the last two are JSON Schema themselves
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


def _roles(model):
    return model["properties"].get("media", {}).get("properties", {})


def _parameters(model):
    return model["properties"]["parameters"]["properties"]


def _fields(model):
    parts = model["properties"]
    yield from ((name, rule) for name, rule in parts.items() if name not in {"media", "parameters"})
    yield from ((f"media/{name}", rule) for name, rule in _roles(model).items())
    yield from ((f"parameters/{name}", rule) for name, rule in _parameters(model).items())


def _media(model):
    """Every medium that a model takes, a reference of each kind and a voice among them."""
    for role, rule in _roles(model).items():
        if role != "references":
            yield role, rule["x-media"]
            continue
        yield from ((f"references.{kind}", one["x-media"]) for kind, one in rule["x-items"].items())
        if "x-voice" in rule:
            yield "references.voice", rule["x-voice"]["x-media"]


@dataclass(frozen=True)
class Row:
    """A line of the provider's facts, typed from the pages and not from the files."""

    endpoint: str
    tiers: str
    default: str | None
    seconds: Collection[int] | None
    preset: int | None
    cut: int | None
    sound: str
    needs: str


V, I = "video-generation", "image2video"  # noqa: E741 - the two submit paths, as the table has them
PICTURE, FRAMES = "first_frame", "first_frame last_frame"
LONG = range(2, 16)
HORSE = range(3, 16)
QUICK = {
    "wanx2.1-t2v-turbo": Row(V, "480P 720P", "1280*720", {5}, 5, 800, "never", "prompt"),
    "wanx2.1-t2v-plus": Row(V, "720P", "1280*720", {5}, 5, 800, "never", "prompt"),
    "wan2.2-t2v-plus": Row(V, "480P 1080P", "1920*1080", {5}, 5, 800, "never", "prompt"),
    "wan2.5-t2v-preview": Row(V, "480P 720P 1080P", "1920*1080", {5, 10}, 5, 1500, "always", "prompt"),
    "wan2.6-t2v": Row(V, "720P 1080P", "1920*1080", LONG, 5, 1500, "always", "prompt"),
    "wan2.6-t2v-us": Row(V, "720P 1080P", "1920*1080", {5, 10, 15}, 5, 1500, "always", "prompt"),  # 15 with a warning
    "wan2.7-t2v": Row(V, "720P 1080P", "1080P", LONG, 5, 5000, "always", "prompt"),
    "wanx2.1-i2v-turbo": Row(V, "480P 720P", "720P", {3, 4, 5}, 5, 800, "never", PICTURE),
    "wanx2.1-i2v-plus": Row(V, "720P", "720P", {5}, 5, 800, "never", PICTURE),
    "wan2.2-i2v-plus": Row(V, "480P 1080P", "1080P", {5}, 5, 800, "never", PICTURE),
    "wan2.2-i2v-flash": Row(V, "480P 720P 1080P", "720P", {5}, 5, 800, "never", PICTURE),
    "wan2.5-i2v-preview": Row(V, "480P 720P 1080P", "1080P", {5, 10}, 5, 1500, "always", PICTURE),
    "wan2.6-i2v": Row(V, "720P 1080P", "1080P", LONG, 5, 1500, "always", PICTURE),
    "wan2.6-i2v-flash": Row(V, "720P 1080P", "1080P", LONG, 5, 1500, "switchable", PICTURE),
    "wan2.6-i2v-us": Row(V, "720P 1080P", "1080P", {5, 10, 15}, 5, 1500, "always", PICTURE),
    "wan2.7-i2v": Row(V, "720P 1080P", "1080P", LONG, 5, 5000, "always", PICTURE),
    "wanx2.1-kf2v-plus": Row(I, "480P 720P", "720P", {5}, 5, 800, "never", FRAMES),  # 480P with a warning
    "wan2.2-kf2v-flash": Row(I, "480P 720P 1080P", "720P", {5}, 5, 800, "never", FRAMES),
    "wan2.6-r2v": Row(V, "720P 1080P", "1920*1080", range(2, 11), 5, 1500, "always", "prompt references"),
    "wan2.6-r2v-flash": Row(V, "720P 1080P", "1920*1080", range(2, 11), 5, 1500, "switchable", "prompt references"),
    "wan2.7-r2v": Row(V, "720P 1080P", "1080P", LONG, 5, 5000, "always", "prompt references"),  # 10 with a video
    "wan2.7-videoedit": Row(V, "720P 1080P", "1080P", {0, *range(2, 11)}, 0, 5000, "input", "video"),
    "wan3.0-video": Row(V, "480P 720P 1080P", "1080P", {-1, *range(2, 31)}, 5, 20000, "switchable", "prompt"),
    "wan3.0-video-prime": Row(V, "480P 720P 1080P", "1080P", {-1, *range(2, 31)}, 5, 20000, "switchable", "prompt"),
    "happyhorse-1.1-t2v": Row(V, "480P 720P 1080P", "1080P", HORSE, 5, 5000, "always", "prompt"),
    "happyhorse-1.0-t2v": Row(V, "720P 1080P", "1080P", HORSE, 5, 5000, "always", "prompt"),
    "happyhorse-1.1-i2v": Row(V, "480P 720P 1080P", "1080P", HORSE, 5, 5000, "always", PICTURE),
    "happyhorse-1.0-i2v": Row(V, "720P 1080P", "1080P", HORSE, 5, 5000, "always", PICTURE),
    "happyhorse-1.1-r2v": Row(V, "480P 720P 1080P", "1080P", HORSE, 5, 5000, "always", "prompt references"),
    "happyhorse-1.0-r2v": Row(V, "720P 1080P", "1080P", HORSE, 5, 5000, "always", "prompt references"),
    "happyhorse-1.0-video-edit": Row(V, "720P 1080P", "1080P", None, None, 5000, "input", "prompt video"),
    # Of vace's five functions two have a size: sent unasked, it would go to the other three too.
    "wanx2.1-vace-plus": Row(V, "720P", None, {5}, 5, 800, "never", "prompt video"),
    "wan2.2-s2v": Row(I, "480P 720P", "480P", None, None, None, "input", "image driving_audio"),
    "wan2.2-animate-move": Row(I, "", None, None, None, None, "input", "image video"),
    "wan2.2-animate-mix": Row(I, "", None, None, None, None, "input", "image video"),
}
# What else a shot of the model cannot do without.
ALSO = {
    "wanx2.1-vace-plus": {"function": "video_outpainting"},
    "wan2.2-animate-move": {"mode": "wan-std"},
    "wan2.2-animate-mix": {"mode": "wan-std"},
}


def judged(name, shot):
    """A shot as it is judged: `parameters` always there, `media` where the model has roles."""
    return {**({"media": {}} if _roles(catalog.schema(name)) else {}), "parameters": {}, **shot}


def told(name, shot):
    """Where the judge finds fault."""
    return {"".join(f"/{part}" for part in fault.path) for fault in judge.faults(catalog.schema(name), judged(name, shot))}


def least(name):
    """The smallest shot that the table says is enough."""
    names = QUICK[name].needs.split()
    media = {role: [{"image": ""}] if role == "references" else "" for role in names if role != "prompt"}
    return {
        **({"prompt": "x"} if "prompt" in names else {}),
        **({"media": media} if media else {}),
        "parameters": dict(ALSO.get(name, {})),
    }


def test_every_model_of_the_provider_is_there():
    assert {path.stem for path in MODELS} == set(QUICK)


@pytest.mark.parametrize("name", QUICK)
def test_a_file_says_what_the_facts_say(name):
    model, row = catalog.schema(name), QUICK[name]
    about, parameters = model["x-model"], _parameters(model)
    assert about["endpoint"] == row.endpoint
    assert about["sound"] == row.sound
    assert model["properties"].get("prompt", {}).get("x-cut-at") == row.cut
    shape = parameters.get("size") or parameters.get("resolution", {})
    assert list(shape.get("x-tiers", shape.get("enum", ()))) == row.tiers.split()
    assert shape.get("default") == row.default
    length = parameters.get("duration", {})
    assert length.get("default") == row.preset
    if row.seconds is not None:
        fits = Draft202012Validator({key: rule for key, rule in length.items() if key != "default"}).is_valid
        assert [second for second in range(-5, 70) if fits(second)] == sorted(row.seconds)


@pytest.mark.parametrize("name", QUICK)
def test_what_the_facts_call_enough_is_enough_and_nothing_less(name):
    shot = least(name)
    assert told(name, shot) == set()
    for part in shot:
        if part == "media":
            for role in shot["media"]:
                others = {one: value for one, value in shot["media"].items() if one != role}
                assert told(name, {**shot, "media": others}), role
        elif shot[part]:
            assert told(name, {key: value for key, value in shot.items() if key != part}), part


def test_names_are_those_of_the_provider():
    """Beijing prints wanx2.1-…, the international site wan2.1-…: one model each, whichever name is written."""
    old = ("t2v-turbo", "t2v-plus", "i2v-turbo", "i2v-plus", "kf2v-plus", "vace-plus")
    aliases = {path.stem: load(path)["x-model"]["aliases"] for path in MODELS}
    assert {name: given for name, given in aliases.items() if given} == {f"wanx2.1-{one}": [f"wan2.1-{one}"] for one in old}
    snapshots = {path.stem: load(path)["x-model"]["snapshots"] for path in MODELS}
    assert {name: given for name, given in snapshots.items() if given} == {
        "wan2.7-t2v": ["wan2.7-t2v-2026-04-25", "wan2.7-t2v-2026-06-12"],
        "wan2.7-i2v": ["wan2.7-i2v-2026-04-25"],
        "wan2.7-r2v": ["wan2.7-r2v-2026-06-12"],
    }


def test_regions_are_those_of_the_provider():
    world = ["cn", "intl", "us", "eu", "jp", "hk"]
    for path in MODELS:
        name = path.stem
        if name.startswith("wan3.0-"):
            expected = world
        elif name.startswith("happyhorse-"):
            expected = world[:-1]
        elif name.endswith("-us"):
            expected = ["us"]
        else:
            expected = ["cn"] if name == "wan2.2-s2v" else ["cn", "intl"]
        assert load(path)["x-model"]["regions"] == expected, name


def test_a_model_says_what_it_is_and_who_says_so(model):
    about = model["x-model"]
    assert model["title"] == about["id"]
    assert model["$id"] == f"callsheet:models/{about['id']}"
    assert {f"{about['id']}.json"} <= {path.name for path in MODELS}
    assert about["makes"] in {
        "text to video",
        "image to video",
        "reference to video",
        "video edit",
        "any to video",
        "speech to video",
        "animation",
    }
    assert about["endpoint"] in {"video-generation", "image2video"}
    assert about["sound"] in {"always", "never", "switchable", "input"}
    assert ("audio" in _parameters(model)) == (about["sound"] == "switchable")
    assert about["fps"] is None or about["fps"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", about["checked"])
    assert about["sources"]
    assert all(source.endswith(f"read {about['checked']}") for source in about["sources"])
    assert all(name.startswith(f"{about['id']}-20") for name in about["snapshots"])
    assert isinstance(about["aliases"], list)
    assert isinstance(about["notes"], list)


def test_a_model_says_what_is_billed_and_what_gives_the_length(model):
    about, roles = model["x-model"], _roles(model)
    assert about["bills"] in {"output", "input and output", "output, perhaps input"}
    assert ("billed_roles" in about) == (about["bills"] != "output")
    billed = about.get("billed_roles", ())
    assert set(billed) <= set(roles)
    for role in billed:
        kinds = roles[role]["x-items"] if role == "references" else [roles[role]["x-media"]["kind"]]
        assert "video" in kinds, f"{role} has no seconds to bill"
    assert about.get("length_from", next(iter(roles), None)) in {*roles, None}
    assert "length_from" in about or "length_most" not in about
    assert ("duration" in _parameters(model) and _parameters(model)["duration"]["default"] != 0) != ("length_from" in about)
    assert "price_by" not in about or about["price_by"] in _parameters(model)
    assert about.get("follows", "first_frame") == "first_frame"
    assert "follows" not in about or "first_frame" in roles


def test_input_seconds_are_billed_where_a_video_goes_in():
    billed = {path.stem: load(path)["x-model"]["bills"] for path in MODELS}
    both = {name for name, said in billed.items() if said == "input and output"}
    assert both == {
        *("wan2.6-r2v", "wan2.6-r2v-flash", "wan2.7-r2v", "wan2.7-videoedit"),
        *("wan3.0-video", "wan3.0-video-prime", "happyhorse-1.0-video-edit"),
    }
    assert {name for name, said in billed.items() if said == "output, perhaps input"} == {"wan2.7-i2v"}


def test_the_video_has_the_shape_of_its_first_frame_where_the_pages_say_so():
    follows = {path.stem for path in MODELS if "follows" in load(path)["x-model"]}
    assert follows == {name for name in QUICK if "-i2v" in name or "-kf2v-" in name or name == "wan2.7-r2v"}


def test_a_model_file_fits_the_schema_of_model_files(model):
    assert errors("model", model) == []


def test_no_name_belongs_to_two_models():
    about = [load(path)["x-model"] for path in MODELS]
    names = [name for one in about for name in (one["id"], *one["aliases"], *one["snapshots"])]
    assert len(names) == len(set(names))


def test_what_is_said_of_a_retirement_says_how_surely():
    for path in MODELS:
        said = load(path)["x-model"].get("retirement")
        assert (said is not None) == path.stem.startswith("wan2.6-"), path.stem
        if said:
            assert said["date"] == "2026-10-14"
            assert said["confidence"] == "third party only"


def test_every_field_says_where_it_goes(model):
    places = []
    for name, rule in _fields(model):
        assert POINTER.fullmatch(rule["x-to"]), name
        assert rule["title"], name
        assert rule["description"].endswith("."), name
        assert "\n" not in rule["description"], name
        if name == "media/references":
            types = [one.get("x-type") for one in rule["x-items"].values()]
            assert rule["x-to"].endswith("/-")
            assert (None in types) == (not rule["x-to"].endswith("/media/-")), "bare URLs where the items have no type"
            places += [(rule["x-to"], one) for one in set(types)]
            continue
        assert rule["x-to"].endswith("/-") == ("x-type" in rule), name
        assert name.startswith("media/") or "x-media" not in rule, name
        places.append((rule["x-to"], rule.get("x-type")))
    assert len(places) == len(set(places))


def test_every_medium_has_limits(model):
    known = {"kind", "formats", "alpha", "side", "safe_side", "ratio", "seconds", "least_fps", "bytes", "cut_to", "part_of"}
    for role, limits in _media(model):
        assert limits.keys() <= known | {"accepts", "unsure"}, role
        kind = limits["kind"]
        assert kind in {"image", "video", "audio", "document", "page"}, role
        assert bool(limits.get("formats")) == (kind != "page"), role
        assert limits.get("bytes", 1) > 0, role
        assert limits["accepts"], role
        ways = [*limits["accepts"], *limits.get("unsure", ())]
        assert len(ways) == len(set(ways)), role
        assert set(ways) <= {"http", "oss", "data"}, role
        assert "data" not in ways or kind == "image", f"{role}: only pictures go inline"
        for pair in ("side", "safe_side", "ratio", "seconds"):
            if pair in limits:
                least, most = limits[pair]
                assert least is None or most is None or least < most, (role, pair)
        assert "safe_side" not in limits or limits["safe_side"][0] > limits["side"][0], role
        assert limits.get("cut_to", 1) == "duration" or limits.get("cut_to", 1) > 0, role
        assert "seconds" not in limits or kind in {"video", "audio"}, role
        assert "least_fps" not in limits or kind == "video", role
        assert "alpha" not in limits or kind == "image", role


MB = 1024**2
PHOTO = {"kind": "image", "formats": ["jpeg", "png", "bmp", "webp"], "alpha": False}
WIDE = {"side": [240, 8000], "ratio": [0.125, 8], "bytes": 20 * MB}
FILM = {"kind": "video", "formats": ["mp4", "mov"]}
VOICE = {"kind": "audio", "formats": ["wav", "mp3"], "bytes": 15 * MB}
WEB = {"accepts": ["http", "oss"]}
HORSE_PHOTO = {"kind": "image", "formats": ["jpeg", "png", "webp"], "bytes": 20 * MB}
HORSE_WEB = {"accepts": ["http", "data"], "unsure": ["oss"]}
VACE_PHOTO = {"kind": "image", "formats": ["jpeg", "png", "bmp", "tiff", "webp"], "bytes": 10 * MB, "unsure": ["data"], **WEB}
VACE_FILM = {"kind": "video", "formats": ["mp4"], "least_fps": 16, "bytes": 50 * MB, **WEB}
OFFICE = ["docx", "doc", "xlsx", "xls", "pptx", "ppt", "pdf", "txt", "key", "pages", "numbers", "md"]
PAPER = {"kind": "document", "formats": OFFICE, "bytes": 100 * MB, **WEB}
ANY = {"accepts": ["http", "oss", "data"]}
OLD = {**PHOTO, **ANY, "side": [240, 8000], "safe_side": [360, 2000]}
FOLLOWED = {**VOICE, **WEB, "cut_to": "duration"}
# As the facts have it, by model and medium; "less than" and "more than" are the nearest number that is meant.
LIMITS = [
    ("wan2.[56]-*", "driving_audio", {**FOLLOWED, "seconds": [3, 30]}),
    ("wan2.7-*", "driving_audio", {**FOLLOWED, "seconds": [2, 30]}),
    ("wan*2.[12]-i2v-*", "first_frame", {**OLD, "bytes": 10 * MB}),
    ("wan2.[56]-i2v*", "first_frame", {**OLD, "bytes": 20 * MB}),
    ("*-kf2v-*", "*_frame", {**PHOTO, **WEB, "side": [360, 2000], "bytes": 10 * MB, "unsure": ["data"]}),
    ("wan2.6-r2v*", "references.image", {**PHOTO, **WEB, "side": [240, 8000], "bytes": 20 * MB, "unsure": ["data"]}),
    ("wan2.6-r2v*", "references.video", {**FILM, **WEB, "seconds": [1, 30], "bytes": 100 * MB}),
    ("wan2.7-i2v", "*_frame", {**PHOTO, **WIDE, **ANY}),
    (
        "wan2.7-i2v",
        "first_clip",
        {**FILM, **WIDE, **WEB, "side": [240, 4096], "seconds": [2, 10], "bytes": 100 * MB, "part_of": "duration"},
    ),
    ("wan2.7-r2v", "first_frame", {**PHOTO, **WIDE, **ANY}),
    ("wan2.7-r2v", "references.image", {**PHOTO, **WIDE, **ANY}),
    ("wan2.7-r2v", "references.video", {**FILM, **WIDE, **WEB, "side": [240, 4096], "seconds": [1, 30], "bytes": 100 * MB}),
    ("wan2.7-r2v", "references.voice", {**VOICE, **WEB, "seconds": [1, 10]}),
    ("wan2.7-videoedit", "references.image", {**PHOTO, **WIDE, **HORSE_WEB}),
    (
        "wan2.7-videoedit",
        "video",
        {
            **FILM,
            "side": [240, 4096],
            "ratio": [0.125, 8],
            "seconds": [2, 10],
            "bytes": 100 * MB,
            "accepts": ["http"],
            "unsure": ["oss"],
        },
    ),
    ("wan3.0-*", "*_frame", {**PHOTO, **WIDE, **ANY}),
    ("wan3.0-*", "references.image", {**PHOTO, **WIDE, **ANY}),
    (
        "wan3.0-*",
        "references.video",
        {**FILM, **WIDE, **WEB, "side": [240, 4096], "seconds": [1, 15], "least_fps": 16, "bytes": 100 * MB},
    ),
    ("wan3.0-*", "references.audio", {**VOICE, **WEB, "seconds": [1, 15]}),
    ("wan3.0-*", "file", PAPER),
    ("wan3.0-*", "link", {"kind": "page", "accepts": ["http"]}),
    ("happyhorse-*-i2v", "first_frame", {**HORSE_PHOTO, **HORSE_WEB, "side": [300, None], "ratio": [0.4, 2.5]}),
    ("happyhorse-*-r2v", "references.image", {**HORSE_PHOTO, **HORSE_WEB, "side": [400, None]}),
    ("happyhorse-*-edit", "references.image", {**HORSE_PHOTO, **HORSE_WEB, "side": [300, None], "ratio": [0.4, 2.5]}),
    (
        "happyhorse-*-edit",
        "video",
        {
            **FILM,
            "side": [360, 4096],
            "ratio": [0.4, 2.5],
            "seconds": [3, 60],
            "least_fps": 8.001,
            "bytes": 100 * MB,
            "cut_to": 15,
            "accepts": ["http"],
            "unsure": ["oss"],
        },
    ),
    ("*-vace-*", "references.image", {**VACE_PHOTO, "side": [360, 2000]}),
    ("*-vace-*", "*_frame", {**VACE_PHOTO, "side": [360, 2000]}),
    ("*-vace-*", "mask_image", VACE_PHOTO),
    ("*-vace-*", "video", {**VACE_FILM, "cut_to": 5}),
    ("*-vace-*", "mask_video", {**VACE_FILM, "cut_to": 5}),
    ("*-vace-*", "*_clip", VACE_FILM),
    ("wan2.2-s2v", "image", {"kind": "image", "formats": PHOTO["formats"], **WEB, "side": [400, 7000], "unsure": ["data"]}),
    ("wan2.2-s2v", "driving_audio", {**VOICE, **WEB, "seconds": [None, 19.999], "bytes": 15 * MB - 1}),
    (
        "wan2.2-animate-*",
        "image",
        {
            "kind": "image",
            "formats": PHOTO["formats"],
            **WEB,
            "side": [200, 4096],
            "ratio": [0.3333, 3],
            "bytes": 5 * MB,
            "unsure": ["data"],
        },
    ),
    (
        "wan2.2-animate-*",
        "video",
        {"kind": "video", "formats": ["mp4", "avi", "mov"], **WEB, "side": [200, 2048], "ratio": [0.3333, 3], "seconds": [2, 30]},
    ),
]


def test_limits_of_media_are_those_of_the_facts(model):
    for medium, limits in _media(model):
        stated = [row for name, role, row in LIMITS if fnmatchcase(model["title"], name) and fnmatchcase(medium, role)]
        assert stated == [limits], medium


def test_references_are_counted(model):
    rule = _roles(model).get("references")
    if rule:
        assert rule["x-items"].keys() <= {"image", "video", "audio"}
        assert all(one["x-media"]["kind"] == kind for kind, one in rule["x-items"].items())
        assert 1 <= rule["minItems"] <= rule["maxItems"]
        assert all(one["most"] <= rule["maxItems"] for one in rule["x-items"].values())
        assert rule["maxItems"] <= sum(one["most"] for one in rule["x-items"].values())


def test_only_known_keywords_are_used(model):
    fields = {"x-to", "x-type", "x-media", "x-cut-at", "x-cjk-counts", "x-tiers", "x-items", "x-voice"}
    rules = {"x-combinations", "x-one-of", "x-excludes", "x-only", "x-same-length", "x-totals", "x-why", "x-warnings"}
    assert {key for found in _walk(model) for key in found if key.startswith("x-")} <= {"x-model", *fields, *rules}


def test_rules_speak_of_what_the_model_has(model):
    roles, parameters = set(_roles(model)), set(_parameters(model))
    for found in _walk(model):
        named = {role for one in found.get("x-combinations", ()) for role in one}
        named |= {role for pair in found.get("x-excludes", ()) for group in pair for role in group}
        named |= {*found.get("x-only", ()), *(role for rule in found.get("x-totals", ()) for role in rule["roles"])}
        assert named <= roles
        assert set(found.get("x-one-of", ())) <= roles | set(model["properties"])
        assert {rule["plus"] for rule in found.get("x-totals", ()) if "plus" in rule} <= parameters
    for rule in model.get("x-warnings", ()):
        first, *rest = rule["at"].split("/")[1:]
        assert first in model["properties"], rule["at"]
        assert not rest or rest[0] in {"media": roles, "parameters": parameters}[first], rule["at"]
        assert rule["says"].strip(".") == rule["says"]
        Draft202012Validator.check_schema(rule["if"])


# Which parameters a model has; every line that fits adds its own.
PARAMETERS = [
    ("*-t2v*", "duration watermark seed"),
    ("*-i2v*", "resolution duration watermark seed"),
    ("*-r2v*", "duration watermark seed"),
    ("*-kf2v-*", "resolution duration template prompt_extend watermark seed"),
    ("wan*-[ti]2v*", "prompt_extend"),
    ("wan*2.[1256]-t2v*", "size"),
    ("wan2.7-[tr]2v", "resolution ratio prompt_extend"),
    ("wan2.6-[tir]2v*", "shot_type"),
    ("wan2.6-?2v-flash", "audio"),
    ("wan*2.[125]-i2v-*", "template"),
    ("wan2.6-i2v", "template"),
    ("wan2.6-i2v-flash", "template"),
    ("wan2.6-r2v*", "size"),
    ("wan2.7-videoedit", "resolution ratio duration audio_setting prompt_extend watermark seed"),
    ("wan3.0-*", "resolution ratio duration audio prompt_extend enable_thinking watermark seed"),
    ("happyhorse-*-[tr]2v", "resolution ratio"),
    ("happyhorse-*-edit", "resolution audio_setting watermark seed"),
    ("*-vace-*", "function obj_or_bg control_condition strength mask_frame_id mask_type expand_ratio expand_mode"),
    ("*-vace-*", "top_scale bottom_scale left_scale right_scale size duration prompt_extend watermark seed"),
    ("wan2.2-s2v", "resolution"),
    ("wan2.2-animate-*", "mode watermark"),
]
FIVE = ["16:9", "9:16", "1:1", "4:3", "3:4"]
NINE = [*FIVE, "4:5", "5:4", "9:21", "21:9"]
RATIOS = [
    ("wan2.7-[tr]2v", FIVE, "16:9"),
    ("wan2.7-videoedit", FIVE, None),
    ("wan3.0-*", ["adaptive", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"], "adaptive"),
    ("happyhorse-*", NINE, "16:9"),
]
DEFAULTS = {"audio": True, "audio_setting": "auto", "shot_type": "single", "mask_type": "tracking", "expand_mode": "hull"}
DEFAULTS |= {"mask_frame_id": 1, "expand_ratio": 0.05, "strength": 1}
DEFAULTS |= dict.fromkeys(("top_scale", "bottom_scale", "left_scale", "right_scale"), 1)


def test_parameters_are_those_of_the_facts(model):
    name, parameters = model["title"], _parameters(model)
    assert set(parameters) == {one for pattern, names in PARAMETERS if fnmatchcase(name, pattern) for one in names.split()}
    if "ratio" in parameters:
        stated = [row for pattern, *row in RATIOS if fnmatchcase(name, pattern)]
        assert stated == [[parameters["ratio"]["enum"], parameters["ratio"].get("default")]]
    if "watermark" in parameters:
        assert parameters["watermark"]["default"] is name.startswith("happyhorse-")
    for parameter in DEFAULTS.keys() & parameters.keys():
        assert parameters[parameter]["default"] == DEFAULTS[parameter], parameter


@pytest.mark.parametrize("name", QUICK)
def test_a_shot_is_closed_and_says_what_it_needs(name):
    schema, needs = catalog.schema(name), set(QUICK[name].needs.split())
    parts = [schema, schema["properties"]["parameters"]]
    parts += [schema["properties"]["media"]] if "media" in schema["properties"] else []
    assert all(part["type"] == "object" and part["additionalProperties"] is False for part in parts)
    expected = {"prompt"} & needs | ({"media"} if needs - {"prompt"} else set()) | ({"parameters"} if name in ALSO else set())
    # wan3.0 takes a prompt or media, which is a rule of its own
    assert set(schema.get("required", ())) == (set() if name.startswith("wan3.0-") else expected)


def test_seeds_are_those_of_the_provider(model):
    seed = _parameters(model).get("seed")
    if seed:
        assert (seed["type"], seed["maximum"]) == ("integer", 2147483647)
        assert seed["minimum"] == (-1 if model["title"].startswith("wan3.0-") else 0)


@pytest.mark.parametrize("name", QUICK)
def test_no_text_is_empty_and_no_parameter_a_mapping(name):
    schema, shot = catalog.schema(name), least(name)
    for text in {"prompt", "negative_prompt"} & schema["properties"].keys():
        assert f"/{text}" in told(name, {**shot, text: 7})
    if "prompt" in schema["properties"]:
        assert told(name, {**shot, "prompt": ""}) == {"/prompt"}
    for parameter in _parameters(schema):
        assert f"/parameters/{parameter}" in told(name, {**shot, "parameters": {**shot["parameters"], parameter: {}}})
    assert told(name, {**shot, "parameters": {**shot["parameters"], "colour": "red"}}) == {"/parameters/colour"}
    assert told(name, {**shot, "media": {**shot.get("media", {}), "poster": ""}})
    assert told(name, {**shot, "title": "x"}) == {"/title"}


def test_what_is_sent_unasked_has_a_value(model):
    """Price or look follow it, so it is written out; only vace's size belongs to some of its functions alone."""
    for name, rule in _parameters(model).items():
        if name in wire.ALWAYS:
            assert ("default" in rule) == ((model["title"], name) != ("wanx2.1-vace-plus", "size")), name


def test_defaults_and_examples_of_a_model_are_right_themselves(model):
    for name, rule in _fields(model):
        alone = {key: value for key, value in rule.items() if not key.startswith("x-")}
        for value in [*rule.get("examples", ()), *([rule["default"]] if "default" in rule else ())]:
            assert Draft202012Validator(alone).is_valid(value), (name, value)


def test_negative_prompts_are_cut_at_500_where_there_are_any():
    without = set()
    for path in MODELS:
        rule = load(path)["properties"].get("negative_prompt")
        assert rule is None or rule["x-cut-at"] == 500, path.stem
        without |= {path.stem} if rule is None else set()
    others = ("wan2.2-s2v", "wan2.2-animate-move", "wan2.2-animate-mix")
    assert without == {name for name in QUICK if name.startswith(("wan3.0-", "happyhorse-")) or name in others}


def test_chinese_counts_twice_for_happyhorse_alone():
    twice = {path.stem for path in MODELS if load(path)["properties"].get("prompt", {}).get("x-cjk-counts") == 2}
    assert twice == {name for name in QUICK if name.startswith("happyhorse-")}


TIERS = {
    "480P": ["832*480", "480*832", "624*624"],
    "720P": ["1280*720", "720*1280", "960*960", "1088*832", "832*1088"],
    "1080P": ["1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"],
}


def test_sizes_belong_to_one_tier_each(model):
    size = _parameters(model).get("size")
    if size:
        assert [one for tier in size["x-tiers"].values() for one in tier] == size["enum"]
        assert all(sizes == TIERS[tier] for tier, sizes in size["x-tiers"].items())
        assert size.get("default", "1280*720") in size["enum"]


COMBINATIONS = [
    {"first_frame"},
    {"first_frame", "driving_audio"},
    {"first_frame", "last_frame"},
    {"first_frame", "last_frame", "driving_audio"},
    {"first_clip"},
    {"first_clip", "last_frame"},
]


def subsets(roles):
    roles = sorted(roles)
    for number in range(1 << len(roles)):
        yield {role for bit, role in enumerate(roles) if number >> bit & 1}


def test_media_go_together_in_exactly_six_ways():
    for chosen in subsets(_roles(catalog.schema("wan2.7-i2v"))):
        faults = told("wan2.7-i2v", {"media": dict.fromkeys(chosen, "")})
        assert (not faults) == (chosen in COMBINATIONS), chosen


@pytest.mark.parametrize("name", ["wan3.0-video", "wan3.0-video-prime"])
@pytest.mark.parametrize("prompt", [{}, {"prompt": "The door opens"}])
def test_media_of_wan3_shut_each_other_out(name, prompt):
    for chosen in subsets(_roles(catalog.schema(name))):
        frames, others = chosen & {"first_frame", "last_frame"}, chosen & {"references", "file", "link"}
        wrong = (frames and others) or {"file", "link"} <= chosen or frames == {"last_frame"} or not (chosen or prompt)
        media = {role: [{"image": ""}] if role == "references" else "" for role in chosen}
        assert bool(told(name, {**prompt, "media": media})) == bool(wrong), chosen


FUNCTIONS = {
    "image_reference": [{"references"}],
    "video_repainting": [{"video"}, {"video", "references"}],
    "video_edit": [{"video", mask, *more} for mask in ("mask_image", "mask_video") for more in (set(), {"references"})],
    "video_extension": [
        {*some, *more}
        for some in ({"first_frame"}, {"last_frame"}, {"first_clip"}, {"last_clip"}, {"first_clip", "last_frame"})
        for more in (set(), {"video"})
    ],
    "video_outpainting": [{"video"}],
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_of_vace_has_media_of_its_own(function):
    allowed = FUNCTIONS[function]
    for chosen in subsets(
        {"references", "video", "mask_image", "mask_video", "first_frame", "last_frame", "first_clip", "last_clip"}
    ):
        ends = chosen & {"first_frame", "last_frame", "first_clip", "last_clip"}
        right = bool(ends) and chosen - ends <= {"video"} if function == "video_extension" else chosen in allowed
        media = {role: [{"image": ""}] if role == "references" else "" for role in chosen}
        needs = {"control_condition": "depth"} if "video" in chosen and function != "video_outpainting" else {}
        shot = {"prompt": "x", "media": media, "parameters": {"function": function, **needs}}
        assert (not told("wanx2.1-vace-plus", shot)) == right, chosen


T2V = {"prompt": "A pier", "negative_prompt": "text", "media": {"driving_audio": ""}}
ONE = {"image": ""}
CLIP = {"video": ""}
TWO = {"prompt": "x", "media": {"references": [ONE, CLIP]}}


def vace(function, media, **parameters):
    return {"prompt": "x", "media": media, "parameters": {"function": function, **parameters}}


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
    ("wan2.7-i2v", {"media": {"first_frame": ""}, "parameters": {"resolution": "1080P", "duration": 2, "seed": 2147483647}}),
    ("wan2.6-t2v", {**T2V, "parameters": {"size": "1088*832", "duration": 5.0, "shot_type": "multi"}}),
    (
        "wan2.6-i2v",
        {"media": {"first_frame": "", "driving_audio": ""}, "parameters": {"resolution": "720P", "template": "flying"}},
    ),
    ("wanx2.1-t2v-turbo", {"prompt": "A pier", "parameters": {"size": "624*624", "duration": 5, "seed": 1}}),
    ("wan2.5-t2v-preview", {**T2V, "parameters": {"size": "832*480", "duration": 10}}),
    ("wan2.6-t2v-us", {**T2V, "parameters": {"duration": 10, "shot_type": "single"}}),
    ("wanx2.1-i2v-turbo", {"media": {"first_frame": ""}, "parameters": {"duration": 3, "template": "squish"}}),
    ("wan2.6-i2v-flash", {"media": {"first_frame": "", "driving_audio": ""}, "parameters": {"audio": True}}),
    ("wan2.6-i2v-us", {"media": {"first_frame": "", "driving_audio": ""}, "parameters": {"duration": 15}}),
    ("wan2.2-kf2v-flash", {"media": {"first_frame": "", "last_frame": ""}, "parameters": {"resolution": "1080P"}}),
    ("wan2.6-r2v", {"prompt": "x", "media": {"references": [ONE, ONE, CLIP, CLIP, CLIP]}, "parameters": {"shot_type": "multi"}}),
    ("wan2.6-r2v", {"prompt": "x", "media": {"references": [ONE] * 5}, "parameters": {"duration": 10}}),
    ("wan2.6-r2v-flash", {**TWO, "parameters": {"audio": False, "size": "960*960"}}),
    ("wan2.7-r2v", {"prompt": "x", "media": {"references": [ONE] * 5}, "parameters": {"duration": 15, "ratio": "1:1"}}),
    ("wan2.7-r2v", {**TWO, "parameters": {"duration": 10}}),
    ("wan2.7-r2v", {"prompt": "x", "media": {"first_frame": "", "references": [{"image": "", "voice": ""}, *[CLIP] * 3]}}),
    ("wan2.7-videoedit", {"media": {"video": ""}, "parameters": {"duration": 0, "audio_setting": "origin"}}),
    ("wan2.7-videoedit", {"prompt": "x", "media": {"video": "", "references": [ONE] * 4}, "parameters": {"duration": 2}}),
    ("wan3.0-video", {"prompt": "x", "parameters": {"duration": -1, "ratio": "21:9", "seed": -1, "audio": False}}),
    ("wan3.0-video", {"media": {"references": [*[ONE] * 10, *[CLIP] * 5, *[{"audio": ""}] * 5]}, "parameters": {"duration": 30}}),
    ("wan3.0-video", {"prompt": "x", "media": {"file": ""}}),
    ("wan3.0-video", {"media": {"link": "", "references": [ONE]}, "parameters": {"prompt_extend": True}}),
    ("wan3.0-video-prime", {"media": {"first_frame": "", "last_frame": ""}, "parameters": {"resolution": "480P"}}),
    ("happyhorse-1.1-t2v", {"prompt": "x", "parameters": {"resolution": "480P", "ratio": "9:21", "watermark": False}}),
    ("happyhorse-1.0-i2v", {"media": {"first_frame": ""}, "parameters": {"duration": 3}}),
    ("happyhorse-1.0-r2v", {"prompt": "x", "media": {"references": [ONE] * 9}, "parameters": {"ratio": "5:4"}}),
    ("happyhorse-1.0-video-edit", {"prompt": "x", "media": {"video": "", "references": [ONE] * 5}}),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE]}, size="832*1088")),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE] * 3}, obj_or_bg=["obj", "obj", "bg"])),
    ("wanx2.1-vace-plus", vace("video_repainting", {"video": "", "references": [ONE]}, control_condition="scribble", strength=0)),
    ("wanx2.1-vace-plus", vace("video_edit", {"video": "", "mask_video": ""}, control_condition="")),
    (
        "wanx2.1-vace-plus",
        vace("video_edit", {"video": "", "mask_image": ""}, mask_frame_id=81, expand_mode="bbox", mask_type="tracking"),
    ),
    ("wanx2.1-vace-plus", vace("video_extension", {"first_clip": "", "last_clip": ""})),
    ("wanx2.1-vace-plus", vace("video_extension", {"first_frame": "", "video": ""}, control_condition="posebodyface")),
    ("wanx2.1-vace-plus", vace("video_outpainting", {"video": ""}, top_scale=1, left_scale=2.0, right_scale=1.5)),
    ("wan2.2-s2v", {"media": {"image": "", "driving_audio": ""}, "parameters": {"resolution": "720P"}}),
    ("wan2.2-animate-mix", {"media": {"image": "", "video": ""}, "parameters": {"mode": "wan-pro", "watermark": True}}),
]
BAD_SHOTS = [
    ("wan2.7-t2v", {}, ""),
    ("wan2.7-t2v", {"prompt": ""}, "/prompt"),
    ("wan2.7-t2v", {"prompt": 7}, "/prompt"),
    ("wan2.7-t2v", {"prompt": "x", "media": {"first_frame": ""}}, "/media/first_frame"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"size": "1280*720"}}, "/parameters/size"),
    ("wan2.7-t2v", {"prompt": "x", "parameters": {"shot_type": "multi"}}, "/parameters/shot_type"),
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
    ("wan2.7-i2v", {"media": {"first_frame": ""}, "parameters": {"ratio": "16:9"}}, "/parameters/ratio"),
    ("wan2.6-t2v", {"prompt": "x", "parameters": {"size": "1280x720"}}, "/parameters/size"),
    ("wan2.6-t2v", {"prompt": "x", "parameters": {"size": "832*480"}}, "/parameters/size"),
    ("wan2.6-t2v", {"prompt": "x", "parameters": {"shot_type": "several"}}, "/parameters/shot_type"),
    ("wan2.6-i2v", {"media": {"driving_audio": ""}}, "/media"),
    ("wan2.6-i2v", {"media": {"first_frame": "", "last_frame": ""}}, "/media/last_frame"),
    ("wan2.6-i2v", {"media": {"first_frame": ""}, "parameters": {"audio": False}}, "/parameters/audio"),
    ("wanx2.1-t2v-plus", {"prompt": "x", "parameters": {"size": "832*480"}}, "/parameters/size"),
    ("wanx2.1-t2v-plus", {"prompt": "x", "parameters": {"duration": 10}}, "/parameters/duration"),
    ("wanx2.1-t2v-plus", {"prompt": "x", "media": {"driving_audio": ""}}, "/media"),
    ("wan2.2-t2v-plus", {"prompt": "x", "parameters": {"size": "1280*720"}}, "/parameters/size"),
    ("wan2.5-t2v-preview", {"prompt": "x", "parameters": {"shot_type": "multi"}}, "/parameters/shot_type"),
    ("wan2.6-t2v-us", {"prompt": "x", "parameters": {"duration": 7}}, "/parameters/duration"),
    ("wan2.2-i2v-plus", {"media": {"first_frame": "", "driving_audio": ""}}, "/media/driving_audio"),
    ("wan2.2-i2v-plus", {"media": {"first_frame": ""}, "parameters": {"resolution": "720P"}}, "/parameters/resolution"),
    ("wan2.6-i2v-us", {"media": {"first_frame": ""}, "parameters": {"template": "flying"}}, "/parameters/template"),
    ("wan2.2-kf2v-flash", {"media": {"first_frame": ""}}, "/media"),
    (
        "wanx2.1-kf2v-plus",
        {"media": {"first_frame": "", "last_frame": ""}, "parameters": {"resolution": "1080P"}},
        "/parameters/resolution",
    ),
    ("wan2.6-r2v", {"prompt": "x", "media": {"references": []}}, "/media/references"),
    ("wan2.6-r2v", {"prompt": "x", "media": {"references": [CLIP] * 4}}, "/media/references"),
    ("wan2.6-r2v", {"prompt": "x", "media": {"references": [ONE] * 6}}, "/media/references"),
    ("wan2.6-r2v", {"prompt": "x", "media": {"references": [{"audio": ""}]}}, "/media/references/0"),
    ("wan2.6-r2v", {"prompt": "x", "media": {"references": [{"image": "", "voice": ""}]}}, "/media/references/0"),
    ("wan2.6-r2v", {**TWO, "parameters": {"duration": 11}}, "/parameters/duration"),
    ("wan2.6-r2v", {**TWO, "parameters": {"audio": False}}, "/parameters/audio"),
    ("wan2.6-r2v", {**TWO, "parameters": {"prompt_extend": True}}, "/parameters/prompt_extend"),
    ("wan2.7-r2v", {**TWO, "parameters": {"duration": 11}}, "/parameters/duration"),
    ("wan2.7-r2v", {"prompt": "x", "media": {"first_frame": ""}}, "/media"),
    ("wan2.7-r2v", {"prompt": "x", "media": {"first_frame": "", "references": [ONE] * 5}}, "/media/references"),
    ("wan2.7-r2v", {"prompt": "x", "media": {"references": [ONE] * 6}}, "/media/references"),
    ("wan2.7-r2v", {"media": {"references": [ONE]}}, ""),
    ("wan2.7-videoedit", {"prompt": "x", "media": {"references": [ONE]}}, "/media"),
    ("wan2.7-videoedit", {"media": {"video": "", "references": [CLIP]}}, "/media/references/0"),
    ("wan2.7-videoedit", {"media": {"video": "", "references": [ONE] * 5}}, "/media/references"),
    ("wan2.7-videoedit", {"media": {"video": ""}, "parameters": {"duration": 1}}, "/parameters/duration"),
    ("wan2.7-videoedit", {"media": {"video": ""}, "parameters": {"audio_setting": "none"}}, "/parameters/audio_setting"),
    ("wan3.0-video", {}, ""),
    ("wan3.0-video", {"media": {"last_frame": ""}}, "/media/last_frame"),
    ("wan3.0-video", {"media": {"first_frame": "", "references": [ONE]}}, "/media/references"),
    ("wan3.0-video", {"media": {"first_frame": "", "file": ""}}, "/media/file"),
    ("wan3.0-video", {"media": {"first_frame": "", "last_frame": "", "link": ""}}, "/media/link"),
    ("wan3.0-video", {"media": {"file": "", "link": ""}}, "/media/link"),
    ("wan3.0-video", {"media": {"file": ""}, "parameters": {"prompt_extend": False}}, "/parameters/prompt_extend"),
    (
        "wan3.0-video",
        {"media": {"link": "", "references": [ONE]}, "parameters": {"prompt_extend": False}},
        "/parameters/prompt_extend",
    ),
    ("wan3.0-video", {"media": {"references": [ONE] * 11}}, "/media/references"),
    ("wan3.0-video", {"media": {"references": [CLIP] * 6}}, "/media/references"),
    ("wan3.0-video", {"media": {"references": [{"audio": ""}] * 6}}, "/media/references"),
    ("wan3.0-video", {"prompt": "x", "parameters": {"duration": 0}}, "/parameters/duration"),
    ("wan3.0-video", {"prompt": "x", "parameters": {"duration": 1}}, "/parameters/duration"),
    ("wan3.0-video", {"prompt": "x", "parameters": {"duration": 31}}, "/parameters/duration"),
    ("wan3.0-video", {"prompt": "x", "parameters": {"seed": -2}}, "/parameters/seed"),
    ("wan3.0-video", {"prompt": "x", "negative_prompt": "text"}, "/negative_prompt"),
    ("happyhorse-1.0-t2v", {"prompt": "x", "parameters": {"resolution": "480P"}}, "/parameters/resolution"),
    ("happyhorse-1.1-t2v", {"prompt": "x", "parameters": {"duration": 2}}, "/parameters/duration"),
    ("happyhorse-1.1-t2v", {"prompt": "x", "parameters": {"prompt_extend": True}}, "/parameters/prompt_extend"),
    ("happyhorse-1.1-i2v", {"prompt": "x"}, "/media"),
    ("happyhorse-1.1-i2v", {"media": {"first_frame": ""}, "parameters": {"ratio": "16:9"}}, "/parameters/ratio"),
    ("happyhorse-1.1-r2v", {"prompt": "x", "media": {"references": [ONE] * 10}}, "/media/references"),
    ("happyhorse-1.1-r2v", {"prompt": "x", "media": {"references": [CLIP]}}, "/media/references/0"),
    ("happyhorse-1.0-video-edit", {"media": {"video": ""}}, ""),
    ("happyhorse-1.0-video-edit", {"prompt": "x", "media": {"video": "", "references": [ONE] * 6}}, "/media/references"),
    ("happyhorse-1.0-video-edit", {"prompt": "x", "media": {"video": ""}, "parameters": {"duration": 5}}, "/parameters/duration"),
    ("wanx2.1-vace-plus", {"prompt": "x", "media": {"video": ""}}, "/parameters"),
    ("wanx2.1-vace-plus", vace("image_repainting", {"video": ""}), "/parameters/function"),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE] * 4}, obj_or_bg=["obj"] * 4), "/media/references"),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE] * 2}), "/parameters"),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE] * 2}, obj_or_bg=["obj"]), "/parameters/obj_or_bg"),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE] * 2}, obj_or_bg=["bg", "bg"]), "/parameters/obj_or_bg"),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE]}, obj_or_bg=["sky"]), "/parameters/obj_or_bg/0"),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE]}, size="1920*1080"), "/parameters/size"),
    ("wanx2.1-vace-plus", vace("image_reference", {"references": [ONE], "video": ""}), "/media/video"),
    ("wanx2.1-vace-plus", vace("video_repainting", {"video": ""}), "/parameters"),
    ("wanx2.1-vace-plus", vace("video_repainting", {"video": ""}, control_condition=""), "/parameters/control_condition"),
    (
        "wanx2.1-vace-plus",
        vace("video_repainting", {"video": ""}, control_condition="depth", strength=1.1),
        "/parameters/strength",
    ),
    (
        "wanx2.1-vace-plus",
        vace("video_repainting", {"video": "", "references": [ONE] * 2}, control_condition="depth"),
        "/media/references",
    ),
    ("wanx2.1-vace-plus", vace("video_edit", {"video": "", "mask_image": "", "mask_video": ""}), "/media/mask_video"),
    ("wanx2.1-vace-plus", vace("video_edit", {"video": ""}), "/media"),
    ("wanx2.1-vace-plus", vace("video_edit", {"video": "", "mask_image": ""}, mask_frame_id=0), "/parameters/mask_frame_id"),
    (
        "wanx2.1-vace-plus",
        vace("video_edit", {"video": "", "mask_image": ""}, control_condition="scribble"),
        "/parameters/control_condition",
    ),
    ("wanx2.1-vace-plus", vace("video_extension", {"video": ""}, control_condition="depth"), "/media"),
    ("wanx2.1-vace-plus", vace("video_extension", {"first_clip": "", "video": ""}), "/parameters"),
    (
        "wanx2.1-vace-plus",
        vace("video_extension", {"first_clip": "", "video": ""}, control_condition=""),
        "/parameters/control_condition",
    ),
    ("wanx2.1-vace-plus", vace("video_outpainting", {"video": ""}, top_scale=2.1), "/parameters/top_scale"),
    ("wanx2.1-vace-plus", vace("video_outpainting", {"video": "", "mask_image": ""}), "/media/mask_image"),
    ("wan2.2-s2v", {"media": {"image": ""}}, "/media"),
    ("wan2.2-s2v", {"prompt": "x", "media": {"image": "", "driving_audio": ""}}, "/prompt"),
    (
        "wan2.2-s2v",
        {"media": {"image": "", "driving_audio": ""}, "parameters": {"resolution": "1080P"}},
        "/parameters/resolution",
    ),
    ("wan2.2-animate-move", {"media": {"image": "", "video": ""}}, "/parameters"),
    ("wan2.2-animate-move", {"media": {"image": "", "video": ""}, "parameters": {"mode": "wan-max"}}, "/parameters/mode"),
    ("wan2.2-animate-move", {"media": {"video": ""}, "parameters": {"mode": "wan-std"}}, "/media"),
]


def warned(name, shot, region=None):
    """Where the model's own warnings point."""
    seen = {**judged(name, shot), **({"region": region} if region else {})}
    return {rule["at"] for rule in catalog.schema(name).get("x-warnings", ()) if judge.fits(rule["if"], seen)}


FRAME = {"media": {"first_frame": ""}}
BOTH = {"media": {"first_frame": "", "last_frame": ""}}
TEMPLATES = [path.stem for path in MODELS if "template" in _parameters(load(path))]
MULTI = [path.stem for path in MODELS if {"shot_type", "prompt_extend"} <= _parameters(load(path)).keys()]
# vace: which of its functions have a parameter.
VACE = {
    "obj_or_bg": (["obj"], {"image_reference"}),
    "size": ("960*960", {"image_reference", "video_edit"}),
    "control_condition": ("depth", {"video_repainting", "video_edit", "video_extension"}),
    "strength": (0.5, {"video_repainting"}),
    **{name: (value, {"video_edit"}) for name, value in (("mask_frame_id", 2), ("mask_type", "fixed"))},
    **{name: (value, {"video_edit"}) for name, value in (("expand_ratio", 0.1), ("expand_mode", "hull"))},
    **{f"{side}_scale": (1.5, {"video_outpainting"}) for side in ("top", "bottom", "left", "right")},
}
WARNED = [
    *[(name, {"prompt": "x", **FRAME, "parameters": {"shot_type": "multi", "prompt_extend": False}}, None, "/parameters/shot_type") for name in MULTI],
    *[(name, {"prompt": "x", **FRAME, "parameters": {"template": "flying"}}, "cn", "/prompt") for name in TEMPLATES if "kf2v" not in name],
    *[(name, {**FRAME, "parameters": {"template": "flying"}}, "intl", "/parameters/template") for name in TEMPLATES],
    *[(name, {**BOTH, "parameters": {"template": "flying"}}, "cn", "/parameters/template") for name in TEMPLATES if "kf2v" in name],
    *[
        ("wanx2.1-vace-plus", vace(function, {}, **{name: value}), None, f"/parameters/{name}")
        for name, (value, having) in VACE.items()
        for function in FUNCTIONS
        if function not in having
    ],
    ("wanx2.1-vace-plus", {**vace("video_outpainting", {}), "negative_prompt": "text"}, None, "/negative_prompt"),
    ("wan2.6-t2v-us", {"prompt": "x", "parameters": {"duration": 15}}, None, "/parameters/duration"),
    ("wan2.6-i2v-flash", {"media": {"first_frame": "", "driving_audio": ""}, "parameters": {"audio": False}}, None, "/media/driving_audio"),
    ("wanx2.1-kf2v-plus", {**BOTH, "parameters": {"resolution": "480P"}}, None, "/parameters/resolution"),
    ("wan2.7-r2v", {"media": {"first_frame": "", "references": [ONE]}, "parameters": {"ratio": "1:1"}}, None, "/parameters/ratio"),
    *[(f"wan3.0-video{one}", {"prompt": "x", "parameters": {"enable_thinking": True}}, None, "/parameters/enable_thinking") for one in ("", "-prime")],
]  # fmt: skip
QUIET = [
    *[(name, {"prompt": "x", **FRAME, "parameters": {"shot_type": "multi"}}, "cn") for name in MULTI],
    *[(name, {"prompt": "x", **FRAME, "parameters": {"shot_type": "single", "prompt_extend": False}}, "cn") for name in MULTI],
    *[(name, {**FRAME, "parameters": {"template": "flying"}}, "cn") for name in TEMPLATES if "kf2v" not in name],
    *[(name, {**FRAME, "parameters": {"template": "flying"}}, None) for name in TEMPLATES if "kf2v" not in name],
    *[
        ("wanx2.1-vace-plus", vace(function, {}, **{name: value}), "cn")
        for name, (value, having) in VACE.items()
        for function in having
    ],
    *[(name, {"prompt": "x", **FRAME}, "intl") for name in TEMPLATES],
    ("wan2.6-t2v-us", {"prompt": "x", "parameters": {"duration": 10}}, "us"),
    ("wan2.6-i2v-flash", {**FRAME, "parameters": {"audio": False}}, None),
    ("wanx2.1-kf2v-plus", {**BOTH, "parameters": {"resolution": "720P"}}, None),
    ("wan2.7-r2v", {"media": {"references": [ONE]}, "parameters": {"ratio": "1:1"}}, None),
]


@pytest.mark.parametrize(("name", "shot"), GOOD_SHOTS)
def test_shots_a_model_takes(name, shot):
    assert told(name, shot) == set()


@pytest.mark.parametrize(("name", "shot", "path"), BAD_SHOTS)
def test_shots_a_model_refuses(name, shot, path):
    assert path in told(name, shot)


@pytest.mark.parametrize(("name", "shot", "region", "at"), WARNED)
def test_shots_a_model_warns_of(name, shot, region, at):
    assert at in warned(name, shot, region)


@pytest.mark.parametrize(("name", "shot", "region"), QUIET)
def test_shots_that_need_no_warning(name, shot, region):
    assert warned(name, shot, region) == set()


@pytest.mark.parametrize("name", [name for name in TEMPLATES if "kf2v" in name])
def test_templates_between_two_frames_are_doubtful_everywhere_and_only_in_beijing(name):
    rules = [rule for rule in catalog.schema(name)["x-warnings"] if rule["at"] == "/parameters/template"]
    shot = judged(name, {**BOTH, "parameters": {"template": "flying"}})
    told_in = {region: sum(judge.fits(rule["if"], {**shot, "region": region}) for rule in rules) for region in ("cn", "intl")}
    assert told_in == {"cn": 1, "intl": 2}


def test_every_warning_is_tried():
    there = {(path.stem, rule["at"]) for path in MODELS for rule in load(path).get("x-warnings", ())}
    assert there == {(name, at) for name, _, _, at in WARNED}


def test_a_limit_that_holds_only_sometimes_says_when():
    faults = judge.faults(catalog.schema("wan2.7-r2v"), {**TWO, "parameters": {"duration": 11}})
    assert [(fault.message, fault.hint) for fault in faults] == [
        ("11 is too large, the most is 10", "with a reference video at most 10 seconds")
    ]
    faults = judge.faults(catalog.schema("wanx2.1-vace-plus"), vace("video_edit", {"mask_image": ""}))
    assert [(fault.message, fault.hint) for fault in faults] == [('"video" is missing', "with function video_edit")]


EXAMPLES = sorted((Path(__file__).parent / "models").glob("*.callsheet.yaml"))
EXPECTED_WARNINGS = {("first-and-last-frame", "s010-plus-intl", "W304")}


def test_every_model_has_an_example_that_is_right():
    """By every name it has, so that whoever looks for one finds how it is written."""
    read = {path.name.removesuffix(".callsheet.yaml"): runner.read(path, environ={}) for path in EXAMPLES}
    used = {shot.model_name for manifest in read.values() for shot in manifest.shots}
    assert used == set(catalog.load().models)
    assert {shot.model.id for manifest in read.values() for shot in manifest.shots} == set(QUICK)
    warnings = {(name, problem.shot, problem.code) for name, manifest in read.items() for problem in manifest.problems}
    assert warnings == EXPECTED_WARNINGS


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
