"""What a provider's profile can say, row by row of the capability table, each with a made-up profile; no network but loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

import runner
from runner import answers, catalog, providers, wire
from runner.answers import Accepted, Doubt, Refusal, Reply
from runner.client import Client
from runner.judge import faults
from runner.studio import Settings, Studio
from tests.faults.world import tiny

ROOT = Path(__file__).parent.parent
MADE_UP = {
    "provider": "made-up",
    "title": "Made up",
    "sources": ["this test"],
    "base_url": "https://made.example",
    "hosts": ["made.example", "spare.example"],
    "auth": {"scheme": "Bearer", "env": "MADE_UP_KEY"},
    "submit": {"path": "/go/{endpoint}", "task_id": ["/id", "/data/id"], "refused": [{"status": 400}]},
    "poll": {
        "path": "/ask?task_id={task_id}", "status": ["/state"], "words": {"running": ["Doing"], "succeeded": ["Done"], "failed": ["Broken"]},
        "first": 1, "every": 1, "floor": 1, "give_up": 60, "unknown_for": 60,
    },
    "result": {"url": ["/urls/0"], "lives": "24h"},
    "failure": {"code": ["/why/code"], "message": ["/why/text", "/reason"]},
    "http_error": [{"code": ["/error/code"], "message": ["/error/message"]}, {"code": ["/code"], "message": ["/message"]}],
    "limits": {"in_flight": 1, "submits_per_second": 100, "queries_per_second": 100},
    "media": {"upload": "none", "data_uri": {"images": True}},
    "models": ["*"],
    "prices": [],
}  # fmt: skip


def made_up(**parts):
    """The made-up profile with parts replaced; one that its schema takes."""
    spec = json.loads(json.dumps({**MADE_UP, **parts}))
    assert faults(catalog.schema("provider"), spec) == []
    return catalog.provider_of(spec)


def reply(status=200, data=None, headers=None, body=None):
    return Reply(status=status, headers=headers or {}, body=json.dumps(data).encode() if body is None else body)


def shot(tmp_path, line, *, provider="studio"):
    path = tmp_path / "film.callsheet.yaml"
    path.write_text(f"callsheet: 1\nprovider: {provider}\nshots:\n  - {line}\n")
    return runner.read(path, environ={}).shots[0]


T2V = "{id: one, model: wan2.7-t2v, prompt: A pier, parameters: {duration: 5}}"


def sent(tmp_path, profile, line=T2V, **words):
    one = shot(tmp_path, line)
    return wire.submit(profile, one, wire.body(one, seed=7, urls={}), take="one@1", **words)


# Requests


def test_paths_are_chosen_by_model_and_share_no_prefix(tmp_path):
    submit = {**MADE_UP["submit"], "paths": [{"models": ["wan2.2-kf2v-*"], "path": "/other/way"}]}
    profile = made_up(submit=submit, result={"content": {"path": "/c/{task_id}/bytes", "key": True}, "lives": "1h"})
    kf2v = "{id: one, model: wan2.2-kf2v-flash, media: {first_frame: 'https://x.example/a.png', last_frame: 'https://x.example/b.png'}}"
    assert sent(tmp_path, profile).path == "/go/video-generation"
    assert sent(tmp_path, profile, kf2v).path == "/other/way"
    assert wire.query(profile, "hh-1/2?x").path == "/ask?task_id=hh-1%2F2%3Fx", "in a query, and encoded"
    assert wire.content(profile, "a b").path == "/c/a%20b/bytes"


def test_headers_are_said_by_kind_of_call(tmp_path):
    submit = {**MADE_UP["submit"], "headers": {"X-Async": "yes", "X-Take": "{take}", "Idempotency-Key": "{attempt}"}}
    poll = {**MADE_UP["poll"], "headers": {"X-Poll": "1"}}
    profile = made_up(headers={"Accept-Encoding": "identity", "X-Space": "{workspace}"}, submit=submit, poll=poll)
    assert sent(tmp_path, profile, attempt="a1").headers == {
        "Accept-Encoding": "identity",
        "X-Async": "yes",
        "X-Take": "one@1",
        "Idempotency-Key": "a1",
    }
    assert wire.query(profile, "t").headers == {"Accept-Encoding": "identity", "X-Poll": "1"}
    roomy = catalog.provider_of({**profile.spec, "workspace": "ws-1"})
    assert wire.query(roomy, "t").headers["X-Space"] == "ws-1"


def test_fields_are_dropped_and_made_another_type(tmp_path):
    drop = [{"models": ["wan2.7-*"], "fields": ["/parameters/watermark"]}]
    submit = {**MADE_UP["submit"], "drop": drop, "coerce": {"/parameters/duration": "string", "/parameters/resolution": "upper"}}
    body = sent(tmp_path, made_up(submit=submit)).body
    assert "watermark" not in body["parameters"]
    assert body["parameters"]["duration"] == "5"
    assert "watermark" in sent(tmp_path, made_up()).body["parameters"]
    assert sent(tmp_path, made_up()).body["parameters"]["duration"] == 5


@pytest.mark.parametrize(
    ("form", "item"),
    [("object", {"type": "first_frame", "url": "https://x.example/a.png"}), ("string", "https://x.example/a.png")],
)
def test_media_are_encoded_by_model(tmp_path, form, item):
    media = {"upload": "none", "encoding": "object", "encoding_by_model": {"wan2.7-i2v": form}}
    line = "{id: one, model: wan2.7-i2v, media: {first_frame: 'https://x.example/a.png'}}"
    assert sent(tmp_path, made_up(media=media), line).body["input"]["media"] == [item]


# Replies


def test_a_task_id_is_found_by_fallbacks_and_never_judged_by_its_form():
    profile = made_up()
    assert answers.read_submit(profile, reply(data={"id": "hh-7"})) == Accepted(task_id="hh-7", request_id=None)
    assert answers.read_submit(profile, reply(data={"data": {"id": 12}})) == Accepted(task_id="12", request_id=None)


def test_error_shapes_are_tried_in_order_and_fine_codes_are_no_errors():
    profile = made_up(ok_codes=["200", "success"], submit={**MADE_UP["submit"], "refused": [{"status": 200, "code": "E*"}]})
    no = answers.read_submit(profile, reply(data={"code": "E7", "message": "no such thing"}))
    assert isinstance(no, Refusal)
    assert (no.code, no.message) == ("E7", "no such thing")
    assert isinstance(answers.read_submit(profile, reply(data={"code": "success", "message": "ok"})), Doubt)
    assert answers.error_of(profile, reply(500, {"error": {"code": "A", "message": "b"}, "code": "C"})) == ("A", "b")


def test_words_in_any_case_and_unlisted_ones_ask_on():
    profile = made_up()
    assert answers.read_query(profile, reply(data={"state": "DOING"})).kind == "running"
    assert answers.read_query(profile, reply(data={"state": "Pondering"})).kind is None
    done = answers.read_query(profile, reply(data={"state": "Done", "urls": ["https://r.example/x.mp4"]}))
    assert (done.kind, done.url) == ("succeeded", "https://r.example/x.mp4")


def test_a_link_is_read_only_of_a_succeeded_task_and_only_http():
    profile = made_up()
    assert answers.read_query(profile, reply(data={"state": "Broken", "urls": ["https://r.example/x.mp4"]})).url is None
    assert answers.read_query(profile, reply(data={"state": "Done", "urls": ["task failed: no"]})).url is None


def test_links_stand_elsewhere_for_some_models():
    result = {"url": ["/a"], "urls": [{"models": ["wan2.2-animate-*"], "url": ["/b/c"]}], "lives": "1h"}
    profile, models = made_up(result=result), catalog.load().models
    data = {"state": "Done", "a": "https://r.example/a", "b": {"c": "https://r.example/c"}}
    assert answers.read_query(profile, reply(data=data), models["wan2.7-t2v"]).url == "https://r.example/a"
    assert answers.read_query(profile, reply(data=data), models["wan2.2-animate-mix"]).url == "https://r.example/c"


def test_queries_have_rules_of_their_own():
    errors = [
        {"status": 400, "code": "gone", "means": "unknown"},
        {"status": 500, "message": "no such uri", "stop": True, "why": "wrong path"},
    ]
    profile = made_up(poll={**MADE_UP["poll"], "errors": errors})
    assert answers.read_query(profile, reply(400, {"code": "gone", "message": "x"})).kind == "unknown"
    assert answers.read_query(profile, reply(500, {"message": "no such uri here"})).stop == "wrong path"
    assert answers.read_query(profile, reply(500, {"message": "busy"})) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "Sat, 21 Nov 2026 00:00:09 GMT", "date": "Sat, 21 Nov 2026 00:00:01 GMT"}, 8),
        ({"x-reset": "1795219205", "date": "Sat, 21 Nov 2026 00:00:01 GMT"}, 4),
        ({"x-reset": "soon", "date": "Sat, 21 Nov 2026 00:00:01 GMT"}, None),
        ({}, None),
    ],
)
def test_when_to_come_back_is_read_in_every_form(headers, seconds):
    profile = made_up(limits={**MADE_UP["limits"], "reset_header": "X-Reset"})
    assert answers.retry_after(profile, reply(429, {}, headers)) == seconds


def test_every_built_in_profile_refuses_without_the_async_header_where_the_service_does(tmp_path):
    import httpx

    for name in ("qwencloud", "apiyi", "aisa"):
        with Studio(Settings(folder=tmp_path / name, render=tiny, dialect=name)) as studio:
            profile = replace(catalog.load().providers[name], base_url=studio.base_url)
            made = sent(tmp_path, profile)
            headers = {**made.headers, "Authorization": "Bearer k", "Accept-Encoding": "identity"}
            headers.pop("X-DashScope-Async")
            got = httpx.post(studio.base_url + made.path, json=made.body, headers=headers, trust_env=False)
            no = answers.read_submit(profile, Reply(status=got.status_code, headers=dict(got.headers), body=got.content))
            assert isinstance(no, Refusal), name
            assert "synchronous" in no.message
            assert studio.bills() == []


# Hosts, regions, workspaces


def _closed_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_where_the_first_host_cannot_be_reached_the_next_one_is_asked_and_kept(tmp_path, backend):
    async def main(studio):
        dead = f"http://127.0.0.1:{_closed_port()}"
        async with Client(made_up(), [dead, studio.base_url.removesuffix("/api/v1")], "k") as client:
            for _ in range(2):
                got = await client.submit(
                    wire.Request(method="POST", path="/api/v1/services/aigc/video-generation/video-synthesis", body={})
                )
                assert got.status in {400, 403}
            assert client.base_urls[-1] == dead
            assert len(client.hosts) == 2

    with Studio(Settings(folder=tmp_path / "studio", render=tiny)) as studio:
        anyio.run(main, studio, backend=backend)


def test_a_spare_host_gets_the_key_only_where_it_is_trusted():
    known = replace(catalog.load().providers["apiyi"])
    assert providers.trusted_urls(known, ()) == ["https://api.apiyi.com", "https://vip.apiyi.com"]
    foreign = catalog.provider_of({**known.spec, "auth": {"env": "OTHER"}})
    assert providers.trusted_urls(foreign, ("OTHER=api.apiyi.com",)) == ["https://api.apiyi.com"]


def test_an_address_of_ones_own_has_no_spare_hosts():
    said = {"apiyi": {"base_url": "https://proxy.example"}}
    assert providers.choose(catalog.load(), said, {}).providers["apiyi"].base_urls == ("https://proxy.example",)
    by_env = providers.choose(catalog.load(), {}, {"APIYI_BASE_URL": "https://proxy.example/"})
    assert by_env.providers["apiyi"].base_urls == ("https://proxy.example",)


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ({"region": "cn"}, "https://dashscope.aliyuncs.com/api/v1"),
        ({"workspace": "ws-1"}, "https://ws-1.ap-southeast-1.maas.aliyuncs.com/api/v1"),
        ({"region": "eu", "workspace": "ws-1"}, "https://ws-1.eu-central-1.maas.aliyuncs.com/api/v1"),
        ({"region": "hk", "workspace": "ws-1"}, "https://ws-1.cn-hongkong.maas.aliyuncs.com/api/v1"),
    ],
)
def test_regions_and_workspaces_make_the_address(said, url):
    chosen = providers.choose(catalog.load(), {"qwencloud": said}, {})
    assert chosen.faults == ()
    found = chosen.providers["qwencloud"]
    assert found.base_url == url
    assert providers.is_trusted(found, ())
    if "workspace" in said:
        assert wire.query(found, "t").headers == {"X-DashScope-WorkSpace": "ws-1"}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"region": "mars"}, 'qwencloud has no region "mars"'),
        ({"region": "eu"}, "region eu has workspace hosts only"),
        ({"workspace": "evil.example/x"}, '"evil.example/x" is not a workspace id'),
    ],
)
def test_a_region_that_is_none_is_said(said, message):
    assert message in [fault.message for fault in providers.choose(catalog.load(), {"qwencloud": said}, {}).faults]


def test_yutoai_has_no_address_until_the_user_gives_one(tmp_path):
    assert catalog.load().providers["yutoai"].base_url is None
    found = providers.choose(catalog.load(), {}, {"YUTOAI_BASE_URL": "https://gw.example"}).providers["yutoai"]
    assert not providers.is_trusted(found, ())
    assert providers.is_trusted(found, ("YUTOAI_API_KEY=gw.example",))


# One file each, and no code


def test_a_made_up_provider_and_a_made_up_model_take_one_file_each_and_no_code(tmp_path):
    """A copy of the package, one YAML and one JSON dropped in, and the whole job done: checked, listed, rendered."""
    for name in ("runner", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    model = json.loads((ROOT / "schemas/models/wan2.7-t2v.json").read_text())
    model["title"] = model["x-model"]["id"] = "wan9-dream"
    model["x-model"]["snapshots"] = []
    model["properties"]["parameters"]["properties"]["mood"] = {
        "title": "Mood", "description": "How it feels.", "x-to": "/parameters/mood", "enum": ["calm", "wild"], "default": "calm",
    }  # fmt: skip
    (tmp_path / "schemas/models/wan9-dream.json").write_text(json.dumps(model))
    with Studio(Settings(folder=tmp_path / "studio", render=tiny, dialect="opeai")) as studio:
        profile = {
            **MADE_UP,
            "base_url": studio.base_url,
            "submit": {"path": "/aliyun/v1/videos/generations", "task_id": ["/output/task_id"], "refused": [{"status": 400}]},
            "poll": {**MADE_UP["poll"], "path": "/aliyun/v1/tasks/{task_id}", "status": ["/output/task_status"], "words": "native", "first": 0.05, "every": 0.05},
            "result": {"url": ["/output/video_url"], "lives": "24h"},
            "models": ["wan9-*"],
            "prices": [{"models": ["wan9-*"], "currency": "EUR", "per_second": {"720P": "0.5"}, "source": "made up", "date": "2026-11-21"}],
        }  # fmt: skip
        (tmp_path / "schemas/providers/made-up.yaml").write_text(json.dumps(profile))
        film = tmp_path / "film" / "film.callsheet.yaml"
        film.parent.mkdir()
        film.write_text(
            "callsheet: 1\nprovider: made-up\nshots:\n"
            "  - {id: one, model: wan9-dream, prompt: A pier, parameters: {mood: wild, resolution: 720P, duration: 2}}\n"
        )

        def said(*args):
            done = subprocess.run(
                [sys.executable, "-m", "runner", *args],
                cwd=film.parent,
                env={"PYTHONPATH": str(tmp_path), "MADE_UP_KEY": "sk-made-up-0000", "PATH": ""},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            return done.returncode, done.stdout + done.stderr

        assert said("check")[0] == 0
        assert "1.00 EUR" in said("plan")[1]
        assert "wan9-dream" in said("models")[1]
        assert "made-up" in said("providers")[1]
        result, words = said("run", "--yes", "--trust-host", f"MADE_UP_KEY=127.0.0.1:{studio.port}")
        assert result == 0, words
        (bill,) = studio.bills()
        assert bill.body["model"] == "wan9-dream"
        assert bill.body["parameters"]["mood"] == "wild"
        assert (film.parent / "renders/film/one.mp4").stat().st_size > 0


@pytest.mark.parametrize(
    ("provider", "word", "kind"),
    [
        *[("qwencloud", word, kind) for word, kind in catalog.NATIVE_WORDS.items()],
        ("apiyi", "submitted", "queued"),
        ("apiyi", "in_progress", "running"),
        ("apiyi", "completed", "succeeded"),
        ("apiyi", "failed", "failed"),
        ("apiyi", "UNKNOWN", "unknown"),
    ],
)
def test_the_native_six_states_and_apiyis_words_are_understood(provider, word, kind):
    place = {"status": word} if provider == "apiyi" else {"output": {"task_status": word.upper()}}
    found = answers.read_query(catalog.load().providers[provider], reply(data={"task_id": "t", **place}))
    assert (found.kind, found.url) == (kind, None)


def test_apiyis_unknown_is_found_in_either_place():
    found = answers.read_query(catalog.load().providers["apiyi"], reply(data={"output": {"task_status": "UNKNOWN"}}))
    assert found.kind == "unknown"
