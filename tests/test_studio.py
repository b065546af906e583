"""The studio over real HTTP on loopback: with plain requests, with raw sockets, and with the official SDK as its client."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from PIL import Image

from runner.errors import LockHeld, Refused, UsageError
from runner.studio import Faults, Settings, Studio, create_app, read_bills, wires
from runner.studio.card import Card
from runner.studio.families import family_of
from runner.studio.replies import usage
from runner.studio.rules import lack, refusal
from runner.studio.shape import shape_of

ROOT = Path(__file__).parents[1]
VIDEO = "/services/aigc/video-generation/video-synthesis"
IMAGE = "/services/aigc/image2video/video-synthesis"
ASYNC = {"X-DashScope-Async": "enable"}
RESOLVE = {"X-DashScope-OssResourceResolve": "enable"}
ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"}


def tiny(card: Card, target: Path) -> None:
    """A real MP4, as small as they get."""
    import av

    with av.open(str(target), "w") as film:
        stream = film.add_stream("libx264", rate=card.fps, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(2):
            film.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        film.mux(stream.encode())


class Bench:
    """One studio and a client for it."""

    def __init__(self, settings: Settings) -> None:
        self.studio = Studio(settings)
        self.studio.start()
        self.folder = settings.folder
        self.faults = settings.faults
        self.http = httpx.Client(
            base_url=self.studio.base_url, headers={"Authorization": "Bearer sk-test"}, trust_env=False, timeout=20
        )

    def close(self) -> None:
        self.http.close()
        self.studio.stop()

    def post(self, body: Any, *, path: str = VIDEO, headers: dict[str, str] = ASYNC) -> httpx.Response:
        return self.http.post(path, json=body, headers=headers)

    def submit(self, body: Any, **more: Any) -> str:
        reply = self.post(body, **more)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["output"]["task_id"])

    def ask(self, task_id: str) -> dict[str, Any]:
        return self.http.get(f"/tasks/{task_id}").raise_for_status().json()

    def wait(self, task_id: str, *words: str) -> dict[str, Any]:
        end = time.monotonic() + 15
        while time.monotonic() < end:
            reply = self.ask(task_id)
            if reply["output"]["task_status"] in (words or ENDED):
                return reply
            time.sleep(0.01)
        raise AssertionError(f"{task_id} never came to {words or ENDED}")

    def upload(self, data: bytes, name: str, model: str = "wan2.7-i2v", **change: str) -> httpx.Response:
        policy = self.http.get("/uploads", params={"action": "getPolicy", "model": model}).json()["data"]
        return self.send(policy, data, name, **change)

    def send(self, policy: dict[str, Any], data: bytes, name: str, /, **change: str) -> httpx.Response:
        fields = form(policy, name) | {key.replace("_", "-"): value for key, value in change.items()}
        reply = httpx.post(policy["upload_host"], data=fields, files={"file": (name, data)}, trust_env=False)
        reply.extensions["url"] = f"oss://{fields['key']}"
        return reply


def form(policy: dict[str, Any], name: str) -> dict[str, str]:
    return {
        "OSSAccessKeyId": policy["oss_access_key_id"],
        "Signature": policy["signature"],
        "policy": policy["policy"],
        "key": f"{policy['upload_dir']}/{name}",
        "x-oss-object-acl": policy["x_oss_object_acl"],
        "x-oss-forbid-overwrite": policy["x_oss_forbid_overwrite"],
        "success_action_status": "200",
    }


@pytest.fixture
def open_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    opened: list[Bench] = []

    def make(*faults: str, **more: Any) -> Bench:
        more = {"folder": tmp_path / "studio", "render": tiny, "faults": Faults.parse(faults)} | more
        opened.append(Bench(Settings(**more)))
        return opened[-1]

    yield make
    for bench in opened:
        bench.close()


@pytest.fixture
def bench(open_bench: Callable[..., Bench]) -> Bench:
    return open_bench()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """For the many tests that read replies only; `nothing_sold` says that none was a bill."""
    bench = Bench(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny))
    yield bench
    bench.close()


@pytest.fixture
def nothing_sold(shared: Bench) -> Iterator[Bench]:
    before = shared.studio.bills()
    yield shared
    assert shared.studio.bills() == before


def t2v(prompt: str = "A lighthouse.", model: str = "wan2.7-t2v", **parameters: Any) -> dict[str, Any]:
    return {"model": model, "input": {"prompt": prompt}, "parameters": parameters}


def png(width: int = 320, height: int = 240) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(file, "PNG")
    return file.getvalue()


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


# --- a task's way -------------------------------------------------------------------------------------------------


def test_a_task_goes_from_pending_to_a_file(bench: Bench) -> None:
    reply = bench.post(t2v("A lighthouse.", resolution="720P", duration=3)).json()
    assert set(reply) == {"output", "request_id"}
    assert reply["output"]["task_status"] == "PENDING"
    done = bench.wait(reply["output"]["task_id"])
    output = done["output"]
    assert output["task_status"] == "SUCCEEDED"
    assert output["orig_prompt"] == "A lighthouse."
    assert output["actual_prompt"] != output["orig_prompt"]
    assert done["usage"] == {
        "duration": 3,
        "input_video_duration": 0,
        "output_video_duration": 3,
        "SR": 720,
        "ratio": "16:9",
        "video_count": 1,
    }
    for name in ("submit_time", "scheduled_time", "end_time"):
        said = datetime.strptime(output[name], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC) - timedelta(hours=8)
        assert abs((said - datetime.now(UTC)).total_seconds()) < 10, f"{name} is not UTC+8"
    film = httpx.get(output["video_url"], trust_env=False)
    assert film.headers["content-type"] == "video/mp4"
    assert film.content[4:8] == b"ftyp"


def test_it_is_pending_then_running_for_as_long_as_asked(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(seconds=1.0)
    began = time.monotonic()
    task_id = bench.submit(t2v())
    assert bench.ask(task_id)["output"]["task_status"] == "PENDING"
    assert "scheduled_time" not in bench.ask(task_id)["output"]
    assert "scheduled_time" in bench.wait(task_id, "RUNNING")["output"]
    assert bench.wait(task_id)["output"]["task_status"] == "SUCCEEDED"
    assert 0.75 < time.monotonic() - began < 2.5


def test_the_time_differs_by_request_and_is_the_same_for_equal_ones(open_bench: Callable[..., Bench]) -> None:
    lab = open_bench(seconds=100.0).studio._desk.lab
    lasts = []
    for name in ("a", "a", "b", "c"):
        bill = lab.store.accept(body=t2v(name), take="", request_hash=name * 64, key="1", doom=None)
        lasts.append(lab._lasts(lab.store.get(bill.task_id)))
    assert lasts[0] == lasts[1]
    assert len(set(lasts)) == 3
    assert all(80 <= each <= 120 for each in lasts)


def test_only_so_many_run_at_once(open_bench: Callable[..., Bench]) -> None:
    release = threading.Event()

    def render(card: Card, target: Path) -> None:
        release.wait(10)
        tiny(card, target)

    bench = open_bench(in_flight=2, render=render)
    tasks = [bench.submit(t2v(f"shot {number}")) for number in range(5)]
    bench.wait(tasks[1], "RUNNING")
    time.sleep(0.1)
    assert [bench.ask(task_id)["output"]["task_status"] for task_id in tasks] == ["RUNNING"] * 2 + ["PENDING"] * 3
    release.set()
    assert {bench.wait(task_id)["output"]["task_status"] for task_id in tasks} == {"SUCCEEDED"}


def test_the_command_runs_as_many_at_once_as_it_is_told(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "runner", "studio", "--port", "0", "--seconds", "3", "--in-flight", "3", "--json"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env, cwd=tmp_path) as process:
        try:
            assert process.stdout
            url = json.loads(process.stdout.readline())["base_url"]
            with httpx.Client(headers={"Authorization": "Bearer k"}, trust_env=False) as client:
                for number in range(5):
                    assert client.post(url + VIDEO, json=t2v(f"shot {number}"), headers=ASYNC).status_code == 200
                end, most = time.monotonic() + 10, 0
                while most < 3 and time.monotonic() < end:
                    rows = client.get(f"{url}/tasks").json()["data"]
                    most = max(most, [row["status"] for row in rows].count("RUNNING"))
                assert (len(rows), most) == (5, 3)
        finally:
            process.kill()


def test_equal_requests_share_a_file_and_are_billed_each(open_bench: Callable[..., Bench]) -> None:
    rendered = []

    def render(card: Card, target: Path) -> None:
        rendered.append(card.take)
        tiny(card, target)

    bench = open_bench(render=render)
    takes = ["s010@1", "s010@1", "s010@2"]
    for take in takes:
        bench.wait(bench.submit(t2v(seed=7), headers=ASYNC | {"X-Callsheet-Take": take}))
    assert rendered == ["s010@1", "s010@2"]
    bills = bench.studio.bills()
    assert [bill.take for bill in bills] == takes
    assert len({bill.task_id for bill in bills}) == 3
    assert bills[0].hash == bills[1].hash != bills[2].hash


def test_a_render_that_fails_fails_its_task_only(open_bench: Callable[..., Bench]) -> None:
    def render(card: Card, target: Path) -> None:
        if "bad" in card.prompt:
            raise RuntimeError("no paint left")
        tiny(card, target)

    bench = open_bench(render=render)
    failed, fine = bench.submit(t2v("bad")), bench.submit(t2v("good"))
    reply = bench.wait(failed)
    assert (reply["output"]["task_status"], reply["output"]["code"]) == ("FAILED", "InternalError")
    assert "no paint left" in reply["output"]["message"]
    assert "usage" not in reply
    assert bench.wait(fine)["output"]["task_status"] == "SUCCEEDED"
    assert not list((bench.folder / "renders").glob("part-*"))


def test_the_card_says_what_was_asked_for(open_bench: Callable[..., Bench]) -> None:
    cards: list[Card] = []

    def render(card: Card, target: Path) -> None:
        cards.append(card)
        tiny(card, target)

    bench = open_bench(render=render)
    media = [{"type": "first_frame", "url": "https://example.com/frames/keeper.png?Signature=x"}]
    body = {"model": "wan2.7-i2v", "input": {"prompt": "She turns.", "media": media}, "parameters": {"seed": 5, "duration": 2}}
    bench.wait(bench.submit(body, headers=ASYNC | {"X-Callsheet-Take": "s020@3"}))
    bench.wait(bench.submit(t2v(model="wan2.5-t2v-preview", size="480*832", duration=10)))
    assert cards[0].take == "s020@3"
    assert cards[0].prompt == "She turns.\nfirst_frame: keeper.png"
    assert (cards[0].seed, cards[0].seconds, cards[0].fps, cards[0].first_frame) == (5, 2, 30, None)
    assert (cards[1].width, cards[1].height, cards[1].seconds, cards[1].fps, cards[1].take) == (480, 832, 10, 24, "")


def test_the_real_animatic(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(render=None)
    reply = bench.wait(bench.submit(t2v(model="wan2.6-t2v", size="1280*720", duration=2)))
    assert reply["output"]["task_status"] == "SUCCEEDED", reply


# --- what is refused ----------------------------------------------------------------------------------------------


def refused(reply: httpx.Response, status: int, code: str) -> str:
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert set(reply.json()) == {"code", "message", "request_id"}
    return str(reply.json()["message"])


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic abc"])
def test_no_key_is_401_everywhere(nothing_sold: Bench, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with httpx.Client(base_url=nothing_sold.studio.base_url, headers=headers, trust_env=False) as http:
        refused(http.post(VIDEO, json=t2v(), headers=ASYNC), 401, "InvalidApiKey")
        refused(http.get("/tasks/x"), 401, "InvalidApiKey")
        refused(http.get("/tasks"), 401, "InvalidApiKey")
        refused(http.post("/tasks/x/cancel"), 401, "InvalidApiKey")
        refused(http.get("/uploads?action=getPolicy&model=wan2.7-i2v"), 401, "InvalidApiKey")


def test_one_key_only_where_one_was_set(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(api_key="sk-right")
    refused(bench.post(t2v()), 401, "InvalidApiKey")
    assert bench.post(t2v(), headers=ASYNC | {"Authorization": "Bearer sk-right"}).status_code == 200


def test_a_synchronous_call_is_refused(nothing_sold: Bench) -> None:
    assert "synchronous calls" in refused(nothing_sold.post(t2v(), headers={}), 403, "AccessDenied")


@pytest.mark.parametrize("model", ["sora-2", "qwen-max", "wan/../x", "xwan2.7-t2v"])
def test_an_unknown_model_is_404(nothing_sold: Bench, model: str) -> None:
    refused(nothing_sold.post(t2v(model=model)), 404, "ModelNotFound")


def test_each_model_has_its_path(shared: Bench) -> None:
    frames = {"first_frame_url": "https://example.com/a.png", "last_frame_url": "https://example.com/b.png"}
    kf2v = {"model": "wan2.2-kf2v-flash", "input": frames}
    assert "image2video" in refused(shared.post(kf2v), 400, "InvalidParameter")
    assert "video-generation" in refused(shared.post(t2v(), path=IMAGE), 400, "InvalidParameter")
    for model in ("wan2.2-s2v", "wan2.2-animate-move", "wan9.1-kf2v-x"):
        refused(shared.post(t2v(model=model)), 400, "InvalidParameter")
    refused(shared.post(t2v(), path="/services/aigc/elsewhere/video-synthesis"), 400, "InvalidParameter")
    assert shared.wait(shared.submit(kf2v, path=IMAGE))["output"]["task_status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "BadRequest.IllegalInput"),
        (b"[]", "BadRequest.IllegalInput"),
        (b'{"model": "wan2.7-t2v", "input": {"prompt": NaN}}', "BadRequest.IllegalInput"),
        (b'{"model": "wan2.7-t2v", "input": {"prompt": "\\ud800"}}', "BadRequest.IllegalInput"),
        (b"[" * 100_000, "BadRequest.IllegalInput"),
        (b'{"input": {"prompt": "x"}}', "BadRequest.EmptyModel"),
        (b'{"model": 3, "input": {"prompt": "x"}}', "BadRequest.EmptyModel"),
        (b'{"model": "wan2.7-t2v"}', "BadRequest.EmptyInput"),
        (b'{"model": "wan2.7-t2v", "input": "x"}', "BadRequest.EmptyInput"),
        (b'{"model": "wan2.7-t2v", "input": {"prompt": "x"}, "parameters": []}', "InvalidParameter"),
    ],
)
def test_a_bad_body_is_400(nothing_sold: Bench, body: bytes, code: str) -> None:
    refused(nothing_sold.http.post(VIDEO, content=body, headers=ASYNC), 400, code)


@pytest.mark.parametrize(
    ("model", "parameters", "said"),
    [
        ("wan2.6-t2v", {"size": "720P"}, "1280*720"),
        ("wan2.6-t2v", {"size": "832*480"}, "1632*1248"),
        ("wan2.6-t2v", {"duration": 16}, "2, 3, 4"),
        ("wan2.5-t2v-preview", {"duration": 7}, "5, 10"),
        ("wan2.7-t2v", {"duration": "5"}, "2, 3"),
        ("wan2.7-t2v", {"duration": 5.0}, "2, 3"),
        ("wan2.7-t2v", {"resolution": "480P"}, "720P, 1080P"),
        ("wan2.7-t2v", {"ratio": "21:9"}, "16:9, 9:16"),
        ("wan2.7-t2v", {"seed": -1}, "2147483647"),
        ("wan2.7-t2v", {"seed": 2**31}, "2147483647"),
        ("wan2.7-t2v", {"watermark": "yes"}, "watermark"),
        ("wan3.0-video", {"duration": 31}, "-1, 2, 3"),
        ("wan2.7-t2v-2026-06-12", {"duration": 99}, "15"),
    ],
)
def test_a_bad_value_is_400_and_lists_what_there_is(
    nothing_sold: Bench, model: str, parameters: dict[str, Any], said: str
) -> None:
    assert said in refused(nothing_sold.post(t2v(model=model, **parameters)), 400, "InvalidParameter")


FRAME = {"type": "first_frame", "url": "https://example.com/a.png"}
LAST = {"type": "last_frame", "url": "https://example.com/b.png"}


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        ("wan2.7-t2v", {"prompt": None, "negative_prompt": "x"}, "input.prompt is required"),
        ("wan2.6-i2v", {"prompt": "x"}, "input.img_url is required"),
        ("wan2.7-i2v", {"prompt": "x"}, "input.media is required"),
        ("wan2.7-i2v", {"media": ["https://example.com/a.png"]}, "list of objects"),
        ("wan2.7-i2v", {"media": [LAST]}, "first_frame + last_frame"),
        ("wan2.7-i2v", {"media": [FRAME, FRAME]}, "at most once"),
        ("wan2.6-r2v", {"prompt": "x"}, "reference_urls"),
        ("wan3.0-video", {"media": [FRAME, {"type": "reference_image", "url": "https://example.com/r.png"}]}, "exclude"),
        ("wan3.0-video", {"negative_prompt": "x"}, "prompt or input.media"),
        ("wan3.0-video", {"media": [LAST]}, "needs a first_frame"),
        ("wan3.0-video", {"media": [{"type": "file", "url": "u"}, {"type": "link", "url": "u"}]}, "file and link"),
    ],
)
def test_what_is_missing_is_noticed_only_by_the_task(shared: Bench, model: str, given: dict[str, Any], said: str) -> None:
    reply = shared.wait(shared.submit({"model": model, "input": given}))
    assert (reply["output"]["task_status"], reply["output"]["code"]) == ("FAILED", "InvalidParameter")
    assert said in reply["output"]["message"]
    assert "usage" not in reply


def test_other_paths_answer_in_the_same_shape(nothing_sold: Bench) -> None:
    refused(nothing_sold.http.get("/nowhere"), 404, "NotFound")
    assert nothing_sold.http.get(VIDEO).status_code == 405


# --- query, list, cancel ------------------------------------------------------------------------------------------


def test_unknown_ids_are_unknown_with_200(shared: Bench) -> None:
    reply = shared.ask("no-such-task")
    assert reply["output"] == {"task_id": "no-such-task", "task_status": "UNKNOWN"}


def test_after_a_day_a_task_is_unknown_and_its_link_dead(open_bench: Callable[..., Bench]) -> None:
    watch = Watch()
    bench = open_bench(clock=watch)
    task_id = bench.submit(t2v())
    link = bench.wait(task_id)["output"]["video_url"]
    watch.now += 86_399
    assert bench.ask(task_id)["output"]["task_status"] == "SUCCEEDED"
    assert httpx.get(link, trust_env=False).status_code == 200
    watch.now += 2
    assert bench.ask(task_id)["output"] == {"task_id": task_id, "task_status": "UNKNOWN"}
    dead = httpx.get(link, trust_env=False)
    assert dead.status_code == 403
    assert "<Code>AccessDenied</Code>" in dead.text


def test_replies_carry_the_studio_s_own_time(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(clock=lambda: 1_800_000_000.0)
    assert bench.http.get("/tasks/x").headers["date"] == "Fri, 15 Jan 2027 08:00:00 GMT"


def test_cancel_works_on_pending_only(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(in_flight=1, seconds=60.0)
    task_id = bench.submit(t2v())
    reply = bench.http.post(f"/tasks/{task_id}/cancel")
    assert (reply.status_code, set(reply.json())) == (200, {"request_id"})
    assert bench.ask(task_id)["output"] == {"task_id": task_id, "task_status": "CANCELED"}
    assert "PENDING" in refused(bench.http.post(f"/tasks/{task_id}/cancel"), 400, "UnsupportedOperation")
    refused(bench.http.post("/tasks/nothing/cancel"), 400, "UnsupportedOperation")
    assert [bill.task_id for bill in bench.studio.bills()] == [task_id]


def test_cancel_comes_too_late_for_a_running_task(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(seconds=0.6)
    task_id = bench.submit(t2v())
    bench.wait(task_id, "RUNNING")
    refused(bench.http.post(f"/tasks/{task_id}/cancel"), 400, "UnsupportedOperation")
    assert bench.wait(task_id)["output"]["task_status"] == "SUCCEEDED"


def test_a_canceled_task_is_never_rendered(open_bench: Callable[..., Bench]) -> None:
    watch = Watch()
    bench = open_bench(seconds=1000.0, clock=watch)
    task_id, other = bench.submit(t2v("a")), bench.submit(t2v("b"))
    bench.http.post(f"/tasks/{task_id}/cancel").raise_for_status()
    watch.now += 300
    bench.wait(other, "RUNNING")
    watch.now += 1000
    assert bench.wait(other)["output"]["task_status"] == "SUCCEEDED"
    assert bench.ask(task_id)["output"]["task_status"] == "CANCELED"


def rows(bench: Bench, **query: Any) -> dict[str, Any]:
    return bench.http.get("/tasks", params=query).raise_for_status().json()


def test_the_list_is_flat_and_says_no_more_than_the_service(bench: Bench) -> None:
    before = time.time() * 1000
    done = bench.submit(t2v("secret words"))
    bench.wait(done)
    failed = bench.submit({"model": "wan2.7-i2v", "input": {"prompt": "x"}})
    bench.wait(failed)
    page = rows(bench)
    assert set(page) == {"request_id", "data", "total", "total_page", "page_no", "page_size"}
    assert (page["total"], page["total_page"], page["page_no"], page["page_size"]) == (2, 1, 1, 10)
    by_id = {row["task_id"]: row for row in page["data"]}
    row = by_id[done]
    assert set(row) == {
        "task_id", "status", "model_name", "gmt_create", "start_time", "end_time", "region", "request_id", "api_key_id",
        "caller_uid", "caller_parent_id", "user_api_unique_key",
    }  # fmt: skip
    assert row["status"] == "SUCCEEDED"
    assert row["user_api_unique_key"].endswith(":wan2.7-t2v")
    assert before - 1 <= row["gmt_create"] <= row["start_time"] <= row["end_time"] <= time.time() * 1000 + 1
    assert by_id[failed]["code"] == "InvalidParameter"
    assert by_id[failed]["message"]
    assert "secret words" not in json.dumps(page)
    assert "sk-test" not in json.dumps(page)


def test_the_list_has_pages(bench: Bench) -> None:
    tasks = [bench.submit(t2v(str(number))) for number in range(13)]
    first, second = rows(bench), rows(bench, page_no=2)
    assert (len(first["data"]), len(second["data"]), first["total_page"]) == (10, 3, 2)
    assert [row["task_id"] for row in first["data"] + second["data"]] == tasks[::-1]
    assert rows(bench, page_no=3)["data"] == []
    assert rows(bench, page_size=5000)["page_size"] == 100
    assert rows(bench, page_size=4, page_no=4)["data"][0]["task_id"] == tasks[0]
    for wrong in ({"page_no": 0}, {"page_size": "x"}, {"status": "DONE"}, {"start_time": "2026"}, {"end_time": "2026112100000"}):
        refused(bench.http.get("/tasks", params=wrong), 400, "InvalidParameter")


def test_the_list_filters(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(seconds=1000.0)
    first = bench.submit(t2v())
    bench.submit(t2v(model="wan2.6-t2v"))
    bench.http.post(f"/tasks/{first}/cancel").raise_for_status()
    assert [row["task_id"] for row in rows(bench, status="CANCELED")["data"]] == [first]
    assert [row["model_name"] for row in rows(bench, model_name="wan2.6-t2v")["data"]] == ["wan2.6-t2v"]
    assert [row["task_id"] for row in rows(bench, task_id=first)["data"]] == [first]
    assert rows(bench, region="cn-beijing", model_name="", status="PENDING")["total"] == 1
    assert rows(bench, region="mars")["total"] == 0
    other = bench.post(t2v(), headers=ASYNC | {"Authorization": "Bearer sk-other"}).json()["output"]["task_id"]
    keys = {row["task_id"]: row["api_key_id"] for row in rows(bench)["data"]}
    assert keys[first] != keys[other]
    assert rows(bench, api_key_id=keys[other])["total"] == 1


def test_the_list_s_times_are_utc_plus_8_and_a_day_at_most(open_bench: Callable[..., Bench]) -> None:
    watch = Watch()
    watch.now = datetime(2026, 11, 21, 1, 0, 0, tzinfo=UTC).timestamp()
    bench = open_bench(clock=watch, life=200_000)
    early = bench.submit(t2v("early"))
    watch.now += 3600
    late = bench.submit(t2v("late"))
    watch.now += 3600

    def found(**query: str) -> list[str]:
        return [row["task_id"] for row in rows(bench, **query)["data"]]

    assert found() == [late, early]
    assert found(start_time="20261121093000") == [late]
    assert found(end_time="20261121093000") == [early]
    assert found(start_time="20261121090000", end_time="20261121090000") == [early]
    assert found(start_time="20261121010000", end_time="20261121020000") == []
    wide = {"start_time": "20261120080000", "end_time": "20261121090000"}
    refused(bench.http.get("/tasks", params=wide), 400, "InvalidParameter")
    watch.now += 22.5 * 3600
    assert found() == [late]
    assert found(start_time="20261121090000", end_time="20261121110000") == [late, early]
    watch.now += 200_000 - 24.5 * 3600 + 1
    assert found(start_time="20261121090000", end_time="20261121110000") == [late], "the other is forgotten"


# --- uploads ------------------------------------------------------------------------------------------------------


def with_frame(url: str, model: str = "wan2.7-i2v") -> dict[str, Any]:
    return {"model": model, "input": {"media": [{"type": "first_frame", "url": url}]}, "parameters": {"resolution": "720P"}}


def test_an_upload_becomes_the_first_frame(open_bench: Callable[..., Bench]) -> None:
    cards: list[Card] = []

    def render(card: Card, target: Path) -> None:
        cards.append(card)
        tiny(card, target)

    bench = open_bench(render=render)
    reply = bench.upload(png(300, 400), "кадр 1.png")
    assert (reply.status_code, reply.content) == (200, b"")
    url = reply.extensions["url"]
    assert bench.wait(bench.submit(with_frame(url), headers=ASYNC | RESOLVE))["output"]["task_status"] == "SUCCEEDED"
    assert cards[0].first_frame is not None
    assert cards[0].first_frame.read_bytes() == png(300, 400)
    assert (cards[0].width, cards[0].height) == (832, 1104)
    assert cards[0].prompt == ""


def test_an_oss_url_needs_the_header_and_its_own_model(open_bench: Callable[..., Bench]) -> None:
    watch = Watch()
    bench = open_bench(clock=watch)
    url = bench.upload(png(), "a.png").extensions["url"]
    assert "OssResourceResolve" in refused(bench.post(with_frame(url)), 400, "InvalidURL")
    wrong = bench.post(with_frame(url, "happyhorse-1.1-i2v"), headers=ASYNC | RESOLVE)
    assert "wan2.7-i2v" in refused(wrong, 400, "InvalidURL")
    refused(bench.post(with_frame("oss://made/up.png"), headers=ASYNC | RESOLVE), 400, "InvalidURL")
    assert bench.studio.bills() == []
    bench.submit(with_frame(url), headers=ASYNC | RESOLVE)
    watch.now += 48 * 3600 + 1
    refused(bench.post(with_frame(url), headers=ASYNC | RESOLVE), 400, "InvalidURL")


def no(reply: httpx.Response, status: int = 403, code: str = "AccessDenied") -> None:
    assert (reply.status_code, f"<Code>{code}</Code>" in reply.text) == (status, True), reply.text


def test_an_upload_keeps_to_its_policy(open_bench: Callable[..., Bench]) -> None:
    watch = Watch()
    bench = open_bench(clock=watch)
    policy = bench.http.get("/uploads", params={"action": "getPolicy", "model": "wan2.7-i2v"}).json()["data"]
    assert set(policy) == {
        "policy", "signature", "upload_dir", "upload_host", "expire_in_seconds", "max_file_size_mb", "capacity_limit_mb",
        "oss_access_key_id", "x_oss_object_acl", "x_oss_forbid_overwrite",
    }  # fmt: skip
    assert policy["expire_in_seconds"] == 300
    no(bench.send(policy, b"x", "a.png", Signature="AAAA"), code="SignatureDoesNotMatch")
    no(bench.send(policy, b"x", "a.png", key="elsewhere/a.png"))
    no(bench.send(policy, b"x", "a.png", key=policy["upload_dir"] + "/"))
    no(bench.send(policy, b"x", "a.png", x_oss_forbid_overwrite="false"))
    no(bench.send(policy, b"x", "a.png", OSSAccessKeyId="me"), code="InvalidAccessKeyId")
    forged = base64.b64encode(json.dumps({"model": "wan2.7-i2v", "folder": "x", "until": 9e12}).encode()).decode()
    no(bench.send(policy, b"x", "a.png", policy=forged), code="SignatureDoesNotMatch")
    assert bench.send(policy, b"first", "a.png").status_code == 200
    no(bench.send(policy, b"second", "a.png"), 409, "FileAlreadyExists")
    watch.now += 301
    no(bench.send(policy, b"x", "b.png"))


def test_an_upload_s_file_comes_last_and_without_a_key(shared: Bench) -> None:
    policy = shared.http.get("/uploads", params={"action": "getPolicy", "model": "wan2.7-i2v"}).json()["data"]
    fields = form(policy, "a.png")
    parts: list[Any] = [(name, (None, value)) for name, value in fields.items()]
    file = ("file", ("a.png", b"x"))
    send = {"url": policy["upload_host"], "trust_env": False}
    no(httpx.post(files=[*parts[:2], file, *parts[2:]], **send))
    no(httpx.post(files=[*parts[1:], file], **send))
    no(httpx.post(files=parts, **send))
    no(httpx.post(content=b"x", **send))
    no(httpx.post(files=[*parts, file], headers={"Authorization": "Bearer k"}, **send), code="SignatureDoesNotMatch")
    assert httpx.post(files=[*parts, file], **send).status_code == 200


def test_an_upload_too_large_is_refused_unread(shared: Bench) -> None:
    head = "POST /oss-upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 200000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", shared.studio.port), timeout=5) as line:
        line.sendall(head.encode())
        heard = line.recv(4096)
    assert heard.startswith(b"HTTP/1.1 400")


def test_a_policy_needs_an_action_and_a_model(shared: Bench) -> None:
    refused(shared.http.get("/uploads", params={"model": "wan2.7-i2v"}), 400, "InvalidParameter")
    refused(shared.http.get("/uploads", params={"action": "getPolicy", "model": "sora-2"}), 404, "ModelNotFound")


def test_a_data_picture_is_put_away(open_bench: Callable[..., Bench]) -> None:
    cards: list[Card] = []

    def render(card: Card, target: Path) -> None:
        cards.append(card)
        tiny(card, target)

    bench = open_bench(render=render)
    picture = png(160, 90)
    uri = "data:image/png;base64," + base64.b64encode(picture).decode()
    body = {"model": "wan2.6-i2v", "input": {"img_url": uri, "prompt": "data:image/png;base64,@@@ is a prompt"}}
    assert bench.wait(bench.submit(body))["output"]["task_status"] == "SUCCEEDED"
    assert cards[0].first_frame is not None
    assert cards[0].first_frame.read_bytes() == picture
    assert (cards[0].width, cards[0].height) == (1920, 1080)
    assert len((bench.folder / "tasks.jsonl").read_bytes()) < 2000
    for wrong in ("data:image/png;base64,@@@", "data:image/png", "data:audio/wav;base64,AAAA"):
        refused(bench.post({"model": "wan2.6-i2v", "input": {"img_url": wrong}}), 400, "InvalidURL")


def test_a_picture_that_is_none_fails_the_task(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench()
    url = bench.upload(b"no picture at all", "a.png").extensions["url"]
    reply = bench.wait(bench.submit(with_frame(url), headers=ASYNC | RESOLVE))
    assert reply["output"]["code"] == "InvalidFile.Format"


# --- results ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def link(shared: Bench) -> str:
    return str(shared.wait(shared.submit(t2v()))["output"]["video_url"])


def test_a_link_is_for_nobody_who_shows_a_key_or_changes_it(link: str) -> None:
    no(httpx.get(link, headers={"Authorization": "Bearer sk-test"}, trust_env=False), code="SignatureDoesNotMatch")
    bare, _, query = link.partition("?")
    no(httpx.get(bare, trust_env=False), code="SignatureDoesNotMatch")
    no(httpx.get(link.replace("Expires=1", "Expires=2"), trust_env=False), code="SignatureDoesNotMatch")
    no(httpx.get(link.replace("Signature=", "Signature=x"), trust_env=False), code="SignatureDoesNotMatch")
    other = f"{bare.rpartition('/')[0]}/other.mp4?{query}"
    no(httpx.get(other, trust_env=False), code="SignatureDoesNotMatch")


def test_a_link_serves_ranges(link: str) -> None:
    whole = httpx.get(link, trust_env=False)
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert whole.headers["accept-ranges"] == "bytes"
    etag = whole.headers["etag"]
    rest = httpx.get(link, headers={"Range": "bytes=10-", "If-Range": etag}, trust_env=False)
    assert (rest.status_code, rest.content) == (206, whole.content[10:])
    assert rest.headers["content-range"] == f"bytes 10-{len(whole.content) - 1}/{len(whole.content)}"
    changed = httpx.get(link, headers={"Range": "bytes=10-", "If-Range": '"old"'}, trust_env=False)
    assert (changed.status_code, changed.content) == (200, whole.content)
    assert httpx.get(link, headers={"Range": "bytes=99999999-"}, trust_env=False).status_code == 416
    assert httpx.head(link, trust_env=False).headers["content-length"] == str(len(whole.content))


def test_a_link_outlives_a_restart(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench()
    link = urlsplit(bench.wait(bench.submit(t2v()))["output"]["video_url"])
    bench.close()
    again = open_bench()
    assert httpx.get(link._replace(netloc=f"127.0.0.1:{again.studio.port}").geturl(), trust_env=False).status_code == 200


# --- faults -------------------------------------------------------------------------------------------------------


def raw_post(bench: Bench, body: dict[str, Any]) -> bytes:
    """What a plain socket hears until the other side closes."""
    data = json.dumps(body).encode()
    head = (
        f"POST /api/v1{VIDEO} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer k\r\nX-DashScope-Async: enable\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", bench.studio.port), timeout=5) as line:
        line.sendall(head.encode() + data)
        heard = b""
        while chunk := line.recv(4096):
            heard += chunk
    return heard


def test_a_lost_reply_is_a_bill_and_not_a_byte(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench("lost-reply:2")
    assert raw_post(bench, t2v("one")) == b""
    with pytest.raises(httpx.RemoteProtocolError):
        bench.post(t2v("two"))
    assert [bill.body["input"]["prompt"] for bill in bench.studio.bills()] == ["one", "two"]
    assert bench.wait(bench.studio.bills()[0].task_id)["output"]["task_status"] == "SUCCEEDED"
    bench.submit(t2v("three"))


def test_a_dropped_submit_is_no_bill(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench("drop-submit")
    assert raw_post(bench, t2v()) == b""
    assert bench.studio.bills() == []
    bench.submit(t2v())


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("429", 429, "Throttling.RateQuota"),
        ("500", 500, "InternalError"),
        ("503", 503, "ModelServingError"),
        ("arrearage", 400, "Arrearage"),
    ],
)
def test_refusing_faults(open_bench: Callable[..., Bench], fault: str, status: int, code: str) -> None:
    bench = open_bench(f"{fault}:2")
    for _ in range(2):
        reply = bench.post(t2v())
        refused(reply, status, code)
        assert reply.headers.get("retry-after") == ("1" if fault == "429" else None)
    assert bench.studio.bills() == []
    bench.submit(t2v())


def test_html_faults(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench("html", "poll-html")
    for reply in (bench.post(t2v()), bench.http.get("/tasks/x")):
        assert (reply.status_code, reply.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert bench.studio.bills() == []


def test_query_faults(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench("poll-500", "poll-drop:1", "odd-word", "unknown:3")
    task_id = bench.submit(t2v())
    with pytest.raises(httpx.RemoteProtocolError):
        bench.ask(task_id)
    refused(bench.http.get(f"/tasks/{task_id}"), 500, "InternalError")
    for _ in range(3):
        assert bench.ask(task_id)["output"] == {"task_id": task_id, "task_status": "UNKNOWN"}
    assert bench.ask(task_id)["output"]["task_status"] in {"Pening", "Runing", "Suceeded"}
    assert bench.wait(task_id)["output"]["task_status"] == "SUCCEEDED"


def test_odd_word_is_none_of_the_six(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(seconds=60.0, clock=(watch := Watch()))
    task_id = bench.submit(t2v())
    watch.now += 20
    bench.wait(task_id, "RUNNING")
    bench.faults.add("odd-word")
    assert bench.ask(task_id)["output"]["task_status"] == "Runing"


@pytest.mark.parametrize(("fault", "code"), [("fail", "InternalError"), ("moderation", "DataInspectionFailed")])
def test_dooms_strike_the_next_accepted_task(open_bench: Callable[..., Bench], fault: str, code: str) -> None:
    bench = open_bench(fault)
    first, second = bench.submit(t2v("a")), bench.submit(t2v("b"))
    assert bench.wait(first)["output"]["code"] == code
    assert bench.wait(second)["output"]["task_status"] == "SUCCEEDED"


def test_downloads_break(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench("expired-link", "short-file", "truncate")
    link = bench.wait(bench.submit(t2v()))["output"]["video_url"]
    no(httpx.get(link, trust_env=False))
    short = httpx.get(link, trust_env=False)
    got = []
    with httpx.stream("GET", link, trust_env=False) as reply, pytest.raises(httpx.RemoteProtocolError):
        got.extend(reply.iter_raw())
    whole = httpx.get(link, trust_env=False).content
    assert int(reply.headers["content-length"]) == len(whole)
    assert b"".join(got) == short.content == whole[: len(whole) // 2]


def test_a_slow_reply_is_accepted_long_before(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench("slow-reply")
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        bench.http.post(VIDEO, json=t2v(), headers=ASYNC, timeout=0.5)
    assert time.monotonic() - began < 2
    assert len(bench.studio.bills()) == 1


def test_queries_are_limited_only_when_asked(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench("qps:5")
    words = [bench.http.get(path).status_code for path in ("/tasks/x", "/tasks", "/tasks/y", "/tasks/z", "/tasks", "/tasks/x")]
    assert words == [200] * 5 + [429]
    time.sleep(1.05)
    assert bench.http.get("/tasks/x").status_code == 200


def test_faults_are_words_and_counts() -> None:
    faults = Faults.parse(["429:2", "500", "html:*", "qps"])
    assert [faults.take("429") for _ in range(5)] == [True, True, False, False, False]
    assert [faults.take("500") for _ in range(2)] == [True, False]
    assert all(faults.take("html") for _ in range(50))
    assert faults.due("qps") == 20
    assert not faults.take("fail")
    with pytest.raises(UsageError, match='no fault "404"') as caught:
        Faults.parse(["404:1"])
    assert "lost-reply" in str(caught.value.hint)
    for wrong in ("429:many", "429:-1", "429:1.5"):
        with pytest.raises(UsageError, match="whole number"):
            Faults.parse([wrong])


# --- the folder ---------------------------------------------------------------------------------------------------

CHILD = """
import sys, time
from pathlib import Path
from runner.studio import Settings, serve_forever

def render(card, target):
    target.write_bytes(b"half a film")
    Path(sys.argv[1], "began").touch()
    time.sleep(60)

serve_forever(Settings(folder=Path(sys.argv[1], "studio"), render=render), lambda url: print(url, flush=True))
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_kill_in_mid_render_loses_nothing_and_bills_once(
    child: tuple[subprocess.Popen[str], str], tmp_path: Path, open_bench: Callable[..., Bench]
) -> None:
    process, url = child
    headers = {"Authorization": "Bearer k", "X-Callsheet-Take": "s010@1"} | ASYNC
    reply = httpx.post(url + VIDEO, json=t2v("A kite."), headers=headers, trust_env=False)
    task_id = reply.json()["output"]["task_id"]
    end = time.monotonic() + 10
    while not (tmp_path / "began").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert [bill.task_id for bill in read_bills(tmp_path / "studio")] == [task_id]
    with pytest.raises(LockHeld, match=f"process {process.pid}"):
        open_bench()
    process.kill()
    process.wait()
    bench = open_bench()
    done = bench.wait(task_id)
    assert done["output"]["task_status"] == "SUCCEEDED"
    assert httpx.get(done["output"]["video_url"], trust_env=False).content[4:8] == b"ftyp"
    assert [(bill.task_id, bill.take) for bill in read_bills(bench.folder)] == [(task_id, "s010@1")]
    assert not list((bench.folder / "renders").glob("part-*"))


def test_a_stopped_studio_goes_on_where_it_was(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench("moderation", seconds=1000.0, in_flight=1)
    doomed, waiting, done = (bench.submit(t2v(name)) for name in ("a", "b", "c"))
    bench.http.post(f"/tasks/{done}/cancel").raise_for_status()
    before = bench.studio.bills()
    bench.close()
    bench = open_bench()
    assert bench.studio.bills() == before == read_bills(bench.folder)
    assert bench.wait(doomed)["output"]["code"] == "DataInspectionFailed"
    assert bench.wait(waiting)["output"]["task_status"] == "SUCCEEDED"
    assert bench.ask(done)["output"]["task_status"] == "CANCELED"


def test_a_task_that_was_running_at_the_stop_has_its_time_still_to_go(open_bench: Callable[..., Bench]) -> None:
    watch = Watch()
    bench = open_bench(seconds=1000.0, clock=watch)
    task_id = bench.submit(t2v())
    watch.now += 300
    bench.wait(task_id, "RUNNING")
    bench.close()
    bench = open_bench(seconds=1000.0, clock=watch)
    time.sleep(0.3)
    assert bench.ask(task_id)["output"]["task_status"] == "RUNNING"
    watch.now += 1000
    assert bench.wait(task_id)["output"]["task_status"] == "SUCCEEDED"


def test_a_torn_last_line_is_tolerated(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench()
    first = bench.submit(t2v("one"))
    bench.wait(first)
    bench.close()
    path = bench.folder / "tasks.jsonl"
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines()[0][:-20])
    assert [bill.task_id for bill in read_bills(bench.folder)] == [first]
    bench = open_bench()
    assert bench.ask(first)["output"]["task_status"] == "SUCCEEDED"
    second = bench.submit(t2v("two"))
    bench.wait(second)
    bench.close()
    assert [bill.task_id for bill in read_bills(bench.folder)] == [first, second]
    assert open_bench().ask(second)["output"]["task_status"] == "SUCCEEDED"


def test_a_foreign_line_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"event":"moved","task_id":"x"}\n', "ascii")
    with pytest.raises(Refused, match=r"tasks\.jsonl:1"):
        Studio(Settings(folder=tmp_path)).start()
    (tmp_path / "tasks.jsonl").unlink()
    with Studio(Settings(folder=tmp_path)) as studio:
        assert studio.bills() == []


def test_a_bill_is_on_disk_before_the_reply(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    path = bench.folder / "tasks.jsonl"
    real = os.fsync

    def fsync(fd: int) -> None:
        real(fd)
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    task_id = bench.submit(t2v())
    seen = [data for data in synced if task_id.encode() in data]
    assert seen
    assert seen[0].endswith(b"\n")


def test_a_full_disk_accepts_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    real = os.write

    def write(fd: int, data: Any) -> int:
        if fd != bench.studio._desk.store._fd:
            return real(fd, data)
        if len(data) > 50:
            return real(fd, data[:50])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        reply = bench.post(t2v("one"))
    assert "No space left" in refused(reply, 500, "InternalError")
    assert reply.headers["connection"] == "close"
    assert caplog.records == []
    assert bench.studio.bills() == []
    task_id = bench.submit(t2v("two"))
    assert [bill.task_id for bill in read_bills(bench.folder)] == [task_id]


def test_a_task_waits_for_a_full_disk_to_empty(open_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    bench = open_bench(seconds=100.0, clock=watch)
    task_id = bench.submit(t2v())
    refusals = []
    real = os.write

    def write(fd: int, data: Any) -> int:
        if fd == bench.studio._desk.store._fd and len(refusals) < 3:
            refusals.append(fd)
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    watch.now += 30
    bench.wait(task_id, "RUNNING")
    refusals.clear()
    watch.now += 100
    assert bench.wait(task_id)["output"]["task_status"] == "SUCCEEDED"
    assert len(refusals) == 3


def test_one_studio_a_folder(bench: Bench) -> None:
    with pytest.raises(LockHeld) as caught:
        Studio(Settings(folder=bench.folder)).start()
    assert caught.value.holder == {"pid": str(os.getpid())}
    bench.submit(t2v())


def test_a_port_can_be_given_and_may_be_taken(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"port {bench.studio.port}"):
        Studio(Settings(folder=tmp_path / "other", port=bench.studio.port)).start()
    port = bench.studio.port
    bench.close()
    with Studio(Settings(folder=tmp_path / "other", port=port)) as studio:
        assert studio.base_url == f"http://127.0.0.1:{port}/api/v1"


def test_stopping_is_quick_and_can_be_repeated(open_bench: Callable[..., Bench]) -> None:
    release = threading.Event()

    def render(card: Card, target: Path) -> None:
        release.wait(10)
        tiny(card, target)

    bench = open_bench(render=render)
    task_id = bench.submit(t2v())
    bench.wait(task_id, "RUNNING")
    began = time.monotonic()
    bench.studio.stop()
    bench.studio.stop()
    assert time.monotonic() - began < 3
    release.set()
    again = open_bench()
    assert again.wait(task_id)["output"]["task_status"] == "SUCCEEDED"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_it_serves_whatever_loop_its_caller_runs(tmp_path: Path) -> None:
    with Studio(Settings(folder=tmp_path, render=tiny)) as studio:
        async with httpx.AsyncClient(base_url=studio.base_url, trust_env=False, headers={"Authorization": "Bearer k"}) as http:
            task_id = (await http.post(VIDEO, json=t2v(), headers=ASYNC)).json()["output"]["task_id"]
            for _ in range(500):
                reply = (await http.get(f"/tasks/{task_id}")).json()
                if reply["output"]["task_status"] in ENDED:
                    break
                await anyio.sleep(0.02)
            assert reply["output"]["task_status"] == "SUCCEEDED"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_application_alone(tmp_path: Path) -> None:
    app = create_app(Settings(folder=tmp_path, render=tiny))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://studio", headers={"Authorization": "Bearer k"}
        ) as http:
            reply = await http.post(f"/api/v1{VIDEO}", json=t2v(), headers=ASYNC)
            assert reply.json()["output"]["task_status"] == "PENDING"
    assert len(read_bills(tmp_path)) == 1
    with Studio(Settings(folder=tmp_path, render=tiny)):
        pass


def test_replies_do_not_wait_for_the_client_s_delayed_ack(bench: Bench) -> None:
    bench.ask("x")
    lines = [line.get_extra_info("socket") for line in wires._OPEN.values()]
    assert lines
    assert all(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for line in lines if line.fileno() >= 0)


def test_it_says_nothing(open_bench: Callable[..., Bench], capfd: pytest.CaptureFixture[str]) -> None:
    bench = open_bench("lost-reply", "truncate", "slow-reply")
    with pytest.raises(httpx.RemoteProtocolError):
        bench.post(t2v())
    with pytest.raises(httpx.ReadTimeout):
        bench.http.post(VIDEO, json=t2v(), headers=ASYNC, timeout=0.2)
    link = bench.wait(bench.submit(t2v()))["output"]["video_url"]
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(link, trust_env=False)
    bench.close()
    assert capfd.readouterr() == ("", "")


# --- what models take ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "parameters", "picture", "shape"),
    [
        ("wan2.7-t2v", {}, None, (1920, 1080)),
        ("wan2.7-t2v", {"resolution": "720P", "ratio": "4:3"}, None, (1104, 832)),
        ("wan2.7-t2v", {"resolution": "1080P", "ratio": "3:4"}, None, (1248, 1648)),
        ("wan2.7-t2v", {"size": "624*624"}, None, (1920, 1080)),
        ("wan2.2-t2v-plus", {"size": "624*624"}, None, (624, 624)),
        ("wanx2.1-t2v-turbo", {}, None, (1280, 720)),
        ("wan2.7-i2v", {"resolution": "720P"}, (4000, 3000), (1104, 832)),
        ("wan2.7-i2v", {"resolution": "720P"}, (1000, 700), (1152, 800)),
        ("wan2.7-i2v", {}, None, (1920, 1080)),
        ("wan2.6-i2v", {"resolution": "720P"}, (1279, 720), (1280, 720)),
        ("wan3.0-video", {"resolution": "480P", "ratio": "adaptive"}, (500, 500), (624, 624)),
        ("wan3.0-video", {"resolution": "720P", "ratio": "21:9"}, None, (1472, 624)),
        ("wan2.7-r2v", {"ratio": "1:1"}, (900, 1600), (1080, 1920)),
        ("happyhorse-1.1-t2v", {"resolution": "720P", "ratio": "9:21"}, None, (624, 1472)),
        ("wan9.9-new", {"size": "99999*100"}, None, (4096, 100)),
    ],
)
def test_shapes(model: str, parameters: dict[str, Any], picture: tuple[int, int] | None, shape: tuple[int, int]) -> None:
    family = family_of(model)
    assert family
    found = shape_of(family, parameters, picture)
    assert (found.width, found.height) == shape
    assert found.width % 2 == found.height % 2 == 0


@pytest.mark.parametrize(
    ("model", "parameters", "said"),
    [
        ("wanx2.1-t2v-turbo", {"size": "832*480"}, {"video_duration": 5, "video_ratio": "832*480", "video_count": 1}),
        ("wanx2.1-i2v-plus", {}, {"video_duration": 5, "video_ratio": "standard", "video_count": 1}),
        ("wan2.2-i2v-flash", {"resolution": "480P"}, {"duration": 5, "SR": 480, "video_count": 1}),
        ("wan2.2-kf2v-flash", {}, {"video_duration": 5, "SR": 720, "video_count": 1}),
        (
            "wan2.6-t2v",
            {"size": "1280*720", "duration": 10},
            {"duration": 10.0, "input_video_duration": 0.0, "output_video_duration": 10.0, "SR": 720, "size": "1280*720", "video_count": 1},
        ),
        (
            "wan2.6-i2v-flash",
            {"audio": False},
            {"duration": 5, "input_video_duration": 0, "output_video_duration": 5, "SR": 1080, "video_count": 1, "audio": False},
        ),
        (
            "wan3.0-video-prime",
            {"duration": -1},
            {
                "duration": 5.0, "input_video_duration": 0.0, "output_video_duration": 5.0, "fps": 30, "SR": 1080, "ratio": "16:9",
                "video_count": 1,
            },
        ),
        ("wan2.2-s2v", {}, {"video_duration": 5.0}),
    ],
)  # fmt: skip
def test_usages(model: str, parameters: dict[str, Any], said: dict[str, Any]) -> None:
    family = family_of(model)
    assert family
    found = usage(family, shape_of(family, parameters, None), parameters)
    assert found == said
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in said.items()}


REQUESTS = [
    ("wan2.7-i2v", {"media": [{"type": "first_clip", "url": "u"}, {"type": "last_frame", "url": "u"}]}, {"duration": 15}),
    ("wan3.0-video", {"media": [{"type": "reference_video", "url": "u"}]}, {"duration": -1, "ratio": "adaptive", "seed": -1}),
    ("wanx2.1-vace-plus", {"prompt": "p", "function": "video_repainting", "video_url": "u"}, {"size": "1280*720"}),
    ("wan2.2-animate-mix", {"image_url": "u", "video_url": "u"}, {"mode": "wan-std"}),
    ("wan2.6-i2v-us", {"img_url": "u"}, {"duration": 15}),
    ("wan2.7-videoedit", {"media": [{"type": "video", "url": "u"}]}, {"duration": 0}),
    ("wan9.9-t2v", {"prompt": "p"}, {"size": "123*456", "duration": 400}),
]


@pytest.mark.parametrize(("model", "given", "parameters"), REQUESTS)
def test_good_requests_are_good(model: str, given: dict[str, Any], parameters: dict[str, Any]) -> None:
    family = family_of(model)
    assert family
    assert refusal(family, parameters) is None
    assert lack(family, given) is None


def test_newer_prompts_come_back_reworded_and_2_6_ones_do_not(shared: Bench) -> None:
    assert "actual_prompt" not in shared.wait(shared.submit(t2v(model="wan2.6-t2v")))["output"]
    assert "actual_prompt" not in shared.wait(shared.submit(t2v(prompt_extend=False)))["output"]
    assert "actual_prompt" in shared.wait(shared.submit(t2v(prompt_extend=True)))["output"]


# --- the official SDK as a client ---------------------------------------------------------------------------------


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bench], Any]:
    dashscope = pytest.importorskip("dashscope")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def point(bench: Bench) -> Any:
        monkeypatch.setattr(dashscope, "base_http_api_url", bench.studio.base_url)
        monkeypatch.setattr(dashscope, "api_key", "sk-sdk")
        return dashscope.VideoSynthesis

    return point


def test_the_sdk_renders(bench: Bench, sdk: Callable[[Bench], Any]) -> None:
    video = sdk(bench)
    reply = video.async_call(model="wan2.7-t2v", prompt="A kite.", resolution="720P", duration=2)
    assert (reply.status_code, reply.output.task_status) == (200, "PENDING"), reply
    done = video.wait(reply)
    assert (done.status_code, done.output.task_status) == (200, "SUCCEEDED"), done
    assert done.usage["duration"] == 2
    fetched = video.fetch(reply.output.task_id)
    assert fetched.output.orig_prompt == "A kite."
    assert httpx.get(fetched.output.video_url, trust_env=False).status_code == 200


def test_the_sdk_lists_and_cancels(open_bench: Callable[..., Bench], sdk: Callable[[Bench], Any]) -> None:
    bench = open_bench(seconds=1000.0)
    video = sdk(bench)
    task = video.async_call(model="wan2.7-t2v", prompt="A kite.")
    listed = video.list(model_name="wan2.7-t2v", status="PENDING", page_size=50)
    assert listed.status_code == 200
    assert (listed.output["total"], [row["task_id"] for row in listed.output["data"]]) == (1, [task.output.task_id])
    assert video.cancel(task).status_code == 200
    assert video.fetch(task).output.task_status == "CANCELED"
    late = video.cancel(task)
    assert (late.status_code, late.code) == (400, "UnsupportedOperation")


def test_the_sdk_uploads(bench: Bench, sdk: Callable[[Bench], Any], tmp_path: Path) -> None:
    picture = tmp_path / "first.png"
    picture.write_bytes(png())
    video = sdk(bench)
    by_url = video.async_call(model="wan2.6-i2v", prompt="She turns.", img_url=picture.as_uri(), duration=2)
    media = [{"type": "first_frame", "url": picture.as_uri()}]
    by_media = video.async_call(model="wan2.7-i2v", prompt="She turns.", media=media, duration=2)
    frames = {"first_frame_url": picture.as_uri(), "last_frame_url": picture.as_uri()}
    between = video.async_call(model="wan2.2-kf2v-flash", prompt="She turns.", **frames)
    for task in (by_url, by_media, between):
        assert task.status_code == 200, task
        assert bench.wait(task.output.task_id)["output"]["task_status"] == "SUCCEEDED"
    inputs = [bill.body["input"] for bill in bench.studio.bills()]
    assert inputs[0]["img_url"].startswith("oss://")
    assert inputs[1]["media"][0]["url"].startswith("oss://")


def test_the_sdk_sees_errors(open_bench: Callable[..., Bench], sdk: Callable[[Bench], Any]) -> None:
    bench = open_bench("429", "fail")
    video = sdk(bench)
    slow = video.async_call(model="wan2.7-t2v", prompt="A kite.")
    assert (slow.status_code, slow.code) == (429, "Throttling.RateQuota")
    failed = video.wait(video.async_call(model="wan2.7-t2v", prompt="A kite."))
    assert (failed.output.task_status, failed.output.code) == ("FAILED", "InternalError")
    wrong = video.async_call(model="sora-2", prompt="A kite.")
    assert (wrong.status_code, wrong.code) == (404, "ModelNotFound")


def test_the_sdk_pays_twice_for_a_lost_reply(open_bench: Callable[..., Bench], sdk: Callable[[Bench], Any]) -> None:
    """Why no provider's SDK may submit for us, and that the bills would show it."""
    bench = open_bench("lost-reply")
    reply = sdk(bench).async_call(model="wan2.7-t2v", prompt="A kite.")
    assert reply.status_code == 200
    assert len(bench.studio.bills()) == 2
