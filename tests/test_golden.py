"""Our requests beside those that the provider's own client sends: equal, but for the differences listed here with their reasons.

`golden/NAME.json` holds what the client (dashscope 2.0.2) put on the wire, recorded on 2026-11-21 by a server on loopback, and
`golden/NAME.callsheet.yaml` the same shots as a storyboard has them, the case being the shot's id. The one inline picture
among them was a pixel; a grey one that the model takes stands in its place in both.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import runner
from runner import wire

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
RECORDED = [case for path in GOLDEN for case in json.loads(path.read_text("utf-8"))["cases"]]
CASES = {
    "editing": 8,
    "first-and-last-frame": 5,
    "happyhorse": 9,
    "image-to-video": 25,
    "newer-client": 5,
    "portrait": 3,
    "reference-to-video": 8,
    "text-to-video": 15,
    "wan3.0": 8,
}
# What only the client adds, in every request of its older surface; vace's own `function` is none of these.
NOISE = {"extend_prompt": True, "function": "video-synthesis", "prompt": None}
ABSENT = "absent"
SIZED = "written out, because price follows it and its default differs between models"
LASTS = "written out, because price follows it"
MARKED = "written out, because sources differ on the default, and happyhorse's is true"
RENAMED = "reference_video_urls is deprecated, and reference_urls has taken its place"
# Place, what the client sent, what we send, how often, and why.
DIFFERENCES = [
    ("/parameters/size", ABSENT, "1280*720", 2, SIZED),
    ("/parameters/size", ABSENT, "1920*1080", 4, SIZED),
    ("/parameters/resolution", ABSENT, "720P", 5, SIZED),
    ("/parameters/resolution", ABSENT, "1080P", 17, SIZED),
    ("/parameters/duration", ABSENT, 5, 43, LASTS),
    ("/parameters/duration", ABSENT, 0, 1, "written out, as everywhere; 0 is the whole of the input"),
    ("/parameters/watermark", ABSENT, False, 53, MARKED),
    ("/parameters/watermark", ABSENT, True, 2, MARKED),
    ("/input/reference_urls", ABSENT, ["https://assets.example.com/ann.mp4"], 1, RENAMED),
    ("/input/reference_video_urls", ["https://assets.example.com/ann.mp4"], ABSENT, 1, RENAMED),
]


def asked(body):
    """A body of the client's as its caller meant it: less what the client adds by itself."""
    inner = {key: value for key, value in body["input"].items() if key not in NOISE or value != NOISE[key]}
    return {**body, "input": inner}


def leaves(value, path=""):
    """Every field of a request by its place; lists are one value, as their order counts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    else:
        yield path, value


def differences(theirs, ours):
    left, right = dict(leaves(theirs)), dict(leaves(ours))
    for path in sorted(left.keys() | right.keys()):
        pair = left.get(path, ABSENT), right.get(path, ABSENT)
        if json.dumps(pair[0]) != json.dumps(pair[1]):  # 1 and true, 1 and 1.0 are not the same on the wire
            yield path, *pair


@pytest.fixture(scope="module")
def requests():
    """What we would send for every shot, by its id."""
    made = {}
    for path in GOLDEN:
        manifest = runner.read(path.with_name(f"{path.stem}.callsheet.yaml"), environ={})
        for shot in manifest.shots:
            provider = manifest.provider(shot)
            body = wire.body(shot, seed=shot.seed, urls={})
            assert shot.id not in made
            made[shot.id] = (provider, wire.submit(provider, shot, body, take=f"{shot.id}@1"))
    return made


def test_no_case_is_lost(requests):
    counts = {path.stem: len(json.loads(path.read_text("utf-8"))["cases"]) for path in GOLDEN}
    assert counts == CASES
    assert len(requests) == sum(CASES.values()) == 86
    assert {case["case"] for case in RECORDED} == set(requests)


def test_the_recordings_say_where_they_are_from():
    for path in GOLDEN:
        said = json.loads(path.read_text("utf-8"))
        assert "dashscope 2.0.2" in said["source"]
        assert said["captured"] == "2026-11-21"
        assert all(case["body"]["model"] == case["model"] for case in said["cases"])


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["case"])
def test_a_request_is_the_one_that_the_official_client_sends(case, requests):
    provider, ours = requests[case["case"]]
    assert urlsplit(provider.base_url).path + ours.path == case["path"]
    assert ours.method == "POST"
    assert dict(ours.headers) == case["headers"]
    listed = [(path, theirs, mine) for path, theirs, mine, _, _ in DIFFERENCES]
    assert [one for one in differences(asked(case["body"]), ours.body) if one not in listed] == []


def test_every_listed_difference_occurs_as_often_as_it_says(requests):
    found = Counter(
        json.dumps(one) for case in RECORDED for one in differences(asked(case["body"]), requests[case["case"]][1].body)
    )
    assert found == {json.dumps([path, theirs, ours]): times for path, theirs, ours, times, _ in DIFFERENCES}
    assert all(reason for *_, reason in DIFFERENCES)


def test_only_what_nobody_asked_for_is_added():
    """Nothing is sent beyond the caller's words and the four fields whose defaults are written out."""
    added = {path.rpartition("/")[2] for path, theirs, _, _, _ in DIFFERENCES if theirs == ABSENT}
    assert added - {"reference_urls"} <= set(wire.ALWAYS)
