"""The studio in each of its dialects, over real HTTP with plain requests, and every trap that gateways set.

Paths and words are typed here from the services' pages, not taken from `runner.studio.dialects`.
"""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import httpx
import pytest
from click.testing import CliRunner
from PIL import Image

from runner.commands.studio import DIALECTS as OFFERED
from runner.commands.studio import command
from runner.errors import UsageError
from runner.studio import Faults, Settings, Studio
from runner.studio.card import Card
from runner.studio.dialects import DIALECTS
from runner.studio.faults import KNOWN
from tests.faults.world import tiny

KEY = "sk-test-0123456789"
ASYNC = {"X-DashScope-Async": "enable"}
NEVER = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Way:
    """What a client of one service is told to do."""

    base: str
    submit: str
    image2video: str | None = None
    query: str
    status: str = "/output/task_status"
    link: str = "/output/video_url"
    code: str | None = "/output/code"
    message: str = "/output/message"
    done: str = "SUCCEEDED"
    failed: str = "FAILED"
    error: frozenset[str] = frozenset({"code", "message", "request_id"})
    inside: str = ""
    needs_async: bool = True


VIDEO, IMAGE = (f"/services/aigc/{name}/video-synthesis" for name in ("video-generation", "image2video"))
WAYS = {
    "native": Way(base="/api/v1", submit=VIDEO, image2video=IMAGE, query="/tasks/{}"),
    "aisa": Way(
        base="/apis/v1",
        submit=VIDEO,
        query="/services/aigc/tasks/{}",
        error=frozenset({"type", "code", "message", "request_id"}),
        inside="/error",
    ),
    "apiyi": Way(
        base="",
        submit=f"/wan/api/v1{VIDEO}",
        query="/v1/tasks/{}",
        status="/status",
        link="/result_url",
        code=None,
        message="/error/message",
        done="completed",
        failed="failed",
        error=frozenset({"type", "message"}),
    ),
    "yutoai": Way(
        base="",
        submit=f"/qwen/api/v1{VIDEO}",
        image2video=f"/qwen/api/v1{IMAGE}",
        query="/qwen/api/v1/tasks/{}",
        error=frozenset({"code", "message", "data"}),
    ),
    "opeai": Way(
        base="",
        submit="/aliyun/v1/videos/generations",
        query="/aliyun/v1/tasks/{}",
        error=frozenset({"message", "type", "param", "code"}),
        inside="/error",
        needs_async=False,
    ),
}
ALL = list(WAYS)


def at(data: Any, pointer: str) -> Any:
    for part in filter(None, pointer.split("/")):
        data = data.get(part) if isinstance(data, dict) else None
    return data


class Stand:
    """One studio, one client that shows its key, and one that never does."""

    def __init__(self, settings: Settings) -> None:
        self.way = WAYS.get(settings.dialect, WAYS["native"])
        self.faults = settings.faults
        self.studio = Studio(settings)
        self.studio.start()
        self.origin = f"http://127.0.0.1:{self.studio.port}"
        # As APIYI's own script does; the trap has tests of its own.
        headers = {"Authorization": f"Bearer {KEY}", "Accept-Encoding": "identity"}
        self.http = httpx.Client(base_url=self.studio.base_url, headers=headers, trust_env=False, timeout=20)
        self.plain = httpx.Client(trust_env=False, timeout=20)

    def close(self) -> None:
        self.http.close()
        self.plain.close()
        self.studio.stop()

    def post(self, body: Any, *, path: str | None = None, headers: dict[str, str] = ASYNC) -> httpx.Response:
        return self.http.post(path or self.way.submit, json=body, headers=headers)

    def submit(self, body: Any, *, path: str | None = None) -> str:
        reply = self.post(body, path=path)
        assert reply.status_code == 200, reply.text
        assert set(reply.json()) == {"output", "request_id"}
        return str(reply.json()["output"]["task_id"])

    def ask(self, task_id: str) -> httpx.Response:
        return self.http.get(self.way.query.format(task_id))

    def wait(self, task_id: str) -> Any:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            reply = self.ask(task_id).raise_for_status().json()
            if at(reply, self.way.status) in {self.way.done, self.way.failed}:
                return reply
            time.sleep(0.01)
        raise AssertionError(f"{task_id} never ended: {reply}")

    def finish(self, body: Any, *, path: str | None = None) -> Any:
        return self.wait(self.submit(body, path=path))

    def outcome(self, reply: Any) -> tuple[str, str]:
        """How a task ended, and its message."""
        return at(reply, self.way.status), at(reply, self.way.message)

    def refused(self, reply: httpx.Response, status: int) -> dict[str, Any]:
        """The words of an error, after a look at its shape."""
        assert reply.status_code == status, reply.text
        words = at(reply.json(), self.way.inside)
        assert set(words) == self.way.error, reply.text
        return words

    def billed(self) -> list[str]:
        return [bill.task_id for bill in self.studio.bills()]


Open = Callable[..., Stand]


@pytest.fixture
def open_stand(tmp_path: Path) -> Iterator[Open]:
    opened: list[Stand] = []

    def make(dialect: str, *faults: str, **more: Any) -> Stand:
        folder = tmp_path / f"studio-{len(opened)}"
        settings = {"folder": folder, "render": tiny, "faults": Faults.parse(faults), "dialect": dialect} | more
        opened.append(Stand(Settings(**settings)))
        return opened[-1]

    yield make
    for stand in opened:
        stand.close()


@pytest.fixture(scope="module")
def stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stand]]:
    """One of each, for tests that set no fault."""
    made = {name: Stand(Settings(folder=tmp_path_factory.mktemp(name), render=tiny, dialect=name, api_key=KEY)) for name in WAYS}
    yield made
    for stand in made.values():
        stand.close()


@pytest.fixture(params=ALL)
def stand(request: pytest.FixtureRequest, stands: dict[str, Stand]) -> Stand:
    return stands[request.param]


@pytest.fixture
def nothing_sold(stand: Stand) -> Iterator[Stand]:
    before = stand.billed()
    yield stand
    assert stand.billed() == before


def t2v(prompt: str = "A lighthouse.", model: str = "wan2.7-t2v", **parameters: Any) -> dict[str, Any]:
    return {"model": model, "input": {"prompt": prompt}, "parameters": {"resolution": "720P", "duration": 2, **parameters}}


def i2v(*media: Any) -> dict[str, Any]:
    return {"model": "wan2.7-i2v", "input": {"prompt": "She turns.", "media": list(media)}, "parameters": {"resolution": "720P"}}


def first_frame(url: str) -> dict[str, str]:
    return {"type": "first_frame", "url": url}


def png(width: int = 320, height: int = 240) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(file, "PNG")
    return file.getvalue()


PICTURE = png()
INLINE = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
ELSEWHERE = "https://example.com/frames/a.png"


def collector(cards: list[Card]) -> Callable[[Card, Path], None]:
    def render(card: Card, target: Path) -> None:
        cards.append(card)
        tiny(card, target)

    return render


# --- a whole life -------------------------------------------------------------------------------------------------


def test_submit_poll_download(stand: Stand) -> None:
    before = stand.billed()
    task_id = stand.submit(t2v())
    reply = stand.wait(task_id)
    assert at(reply, stand.way.status) == stand.way.done
    film = stand.plain.get(at(reply, stand.way.link), follow_redirects=True)
    assert (film.status_code, film.headers["content-type"], film.content[4:8]) == (200, "video/mp4", b"ftyp")
    assert stand.billed() == [*before, task_id]


@pytest.mark.parametrize("dialect", ALL)
def test_the_words_on_the_way(open_stand: Open, dialect: str) -> None:
    now = time.time()
    stand = open_stand(dialect, seconds=1000.0, clock=lambda: now)
    pending, running = ("submitted", "in_progress") if dialect == "apiyi" else ("PENDING", "RUNNING")
    task_id = stand.submit(t2v())
    assert at(stand.ask(task_id).json(), stand.way.status) == pending
    now += 300
    end = time.monotonic() + 10
    while (word := at(stand.ask(task_id).json(), stand.way.status)) != running:
        assert (word, time.monotonic() < end) == (pending, True)
    now += 1000
    assert at(stand.wait(task_id), stand.way.status) == stand.way.done


def test_base_urls_are_what_a_user_writes(stand: Stand) -> None:
    assert stand.studio.base_url == f"http://127.0.0.1:{stand.studio.port}{stand.way.base}"


def test_a_bill_of_each_dialect_is_the_same(stands: dict[str, Stand]) -> None:
    bodies = []
    for stand in stands.values():
        stand.finish(t2v("The same words."))
        bodies.append(stand.studio.bills()[-1].body)
    assert all(body == t2v("The same words.") for body in bodies)


def test_missing_media_fails_late_everywhere_but_at_apiyi(stand: Stand) -> None:
    """§7: bad body accepted, fails later; missing media is a 500 at submit."""
    body = {"model": "wan2.7-i2v", "input": {"prompt": "She turns."}}
    before = stand.billed()
    if stand.way.code is None:
        words = stand.refused(stand.post(body), 500)
        assert words == {"type": "task_error", "message": "[InvalidParameter] Field required: input.media"}
        assert stand.billed() == before
    else:
        reply = stand.finish(body)
        assert (at(reply, stand.way.status), at(reply, stand.way.code)) == ("FAILED", "InvalidParameter")
        assert "input.media" in at(reply, stand.way.message)


@pytest.mark.parametrize("dialect", ALL)
def test_a_picture_in_the_request_reaches_the_card(open_stand: Open, dialect: str) -> None:
    cards: list[Card] = []
    stand = open_stand(dialect, render=collector(cards))
    media = [first_frame(INLINE)] if dialect != "aisa" else [INLINE]
    assert at(stand.finish(i2v(*media)), stand.way.status) == stand.way.done
    assert cards[0].first_frame is not None
    assert cards[0].first_frame.read_bytes() == PICTURE


# --- errors -------------------------------------------------------------------------------------------------------


def test_no_key_is_401(nothing_sold: Stand) -> None:
    stand = nothing_sold
    for headers in ({}, {"Authorization": "Bearer sk-wrong"}):
        more = {**ASYNC, **headers, "Accept-Encoding": "identity"}
        words = stand.refused(stand.plain.post(stand.studio.base_url + stand.way.submit, json=t2v(), headers=more), 401)
        stand.refused(stand.plain.get(stand.studio.base_url + stand.way.query.format("x"), headers=more), 401)
        assert words.get("code", "invalid_api_key") in {"InvalidApiKey", "invalid_api_key"}


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        ("native", {"code": "InvalidParameter"}),
        ("aisa", {"type": "invalid_request_error", "code": "invalid_request"}),
        ("apiyi", {"type": "task_error"}),
        ("yutoai", {"code": "ali_api_error", "data": None}),
        ("opeai", {"type": "invalid_request_error", "code": "InvalidParameter", "param": None}),
    ],
)
def test_a_bad_value_is_400(stands: dict[str, Stand], dialect: str, said: dict[str, Any]) -> None:
    words = stands[dialect].refused(stands[dialect].post(t2v(duration=99)), 400)
    assert words | said == words
    assert "duration must be one of 2, 3" in words["message"]


@pytest.mark.parametrize(
    ("dialect", "code"),
    [
        ("native", "BadRequest.IllegalInput"),
        ("aisa", "json_parse_error"),
        ("apiyi", "parse_request_failed"),
        ("yutoai", "unmarshal_task_request_failed"),
        ("opeai", "BadRequest.IllegalInput"),
    ],
)
def test_a_body_that_is_no_json_is_400(stands: dict[str, Stand], dialect: str, code: str) -> None:
    stand = stands[dialect]
    words = stand.refused(stand.http.post(stand.way.submit, content=b"{", headers=ASYNC), 400)
    assert code in {words.get("code"), words.get("type")}


@pytest.mark.parametrize(
    ("dialect", "status", "code"),
    [
        ("native", 404, "ModelNotFound"),
        ("aisa", 404, "unknown_model"),
        ("apiyi", 403, "task_error"),
        ("yutoai", 500, "get_channel_failed"),
        ("opeai", 404, "ModelNotFound"),
    ],
)
def test_an_unknown_model(stands: dict[str, Stand], dialect: str, status: int, code: str) -> None:
    words = stands[dialect].refused(stands[dialect].post(t2v(model="sora-2")), status)
    assert code in {words.get("code"), words.get("type")}


def test_a_submit_without_the_async_header(stand: Stand) -> None:
    """§7: text about synchronous calls, wherever the header is asked for."""
    reply = stand.post(t2v(), headers={})
    if not stand.way.needs_async:
        assert stand.billed()[-1] == reply.json()["output"]["task_id"]
        return
    words = stand.refused(reply, 400 if stand.way.inside else 403)
    assert "current user api does not support synchronous calls" in words["message"]


def test_an_id_that_never_was_is_unknown_with_200(nothing_sold: Stand) -> None:
    reply = nothing_sold.ask(NEVER)
    assert reply.status_code == 200
    assert at(reply.json(), nothing_sold.way.status) == "UNKNOWN"
    assert (reply.json().get("output") or reply.json())["task_id"] == NEVER


@pytest.mark.parametrize("dialect", ALL)
def test_after_its_life_a_task_is_unknown_and_its_link_dead(open_stand: Open, dialect: str) -> None:
    now = time.time()
    stand = open_stand(dialect, clock=lambda: now)
    task_id = stand.submit(t2v())
    link = at(stand.wait(task_id), stand.way.link)
    now += 86_401
    assert at(stand.ask(task_id).json(), stand.way.status) == "UNKNOWN"
    assert stand.plain.get(link, follow_redirects=True).status_code == 403
    if dialect == "apiyi":
        assert stand.ask(task_id).json() == {"status": "UNKNOWN", "task_id": task_id}


def test_other_paths_are_404_in_the_dialect_s_shape(nothing_sold: Stand) -> None:
    words = nothing_sold.refused(nothing_sold.http.get("/nowhere"), 404)
    assert words["message"] == f"Invalid URL (GET {nothing_sold.way.base}/nowhere)"


@pytest.mark.parametrize("dialect", [name for name in ALL if name != "native"])
def test_gateways_have_no_list_no_cancel_and_no_native_upload(stands: dict[str, Stand], dialect: str) -> None:
    stand = stands[dialect]
    task_id = stand.submit(t2v())
    query = stand.way.query.format(task_id)
    assert stand.http.post(f"{query}/cancel").status_code == 404
    assert stand.http.get(stand.way.query.format("")).status_code in {404, 307}
    for base in ("", "/api/v1", "/apis/v1", "/qwen/api/v1", "/wan/api/v1", "/aliyun/v1"):
        policy = stand.plain.get(f"{stand.origin}{base}/uploads?action=getPolicy&model=wan2.7-i2v", headers=stand.http.headers)
        listed = stand.plain.get(f"{stand.origin}{base}/tasks", headers=stand.http.headers)
        assert (policy.status_code, listed.status_code) == (404, 404)
    assert stand.http.post(f"{stand.origin}/oss-upload").status_code == 404


def test_a_key_at_a_link_is_403(stand: Stand) -> None:
    """§7: key sent to a signed URL, 403 SignatureDoesNotMatch."""
    link = at(stand.finish(t2v()), stand.way.link)
    reply = stand.plain.get(link, headers={"Authorization": f"Bearer {KEY}"}, follow_redirects=True)
    assert (reply.status_code, "<Code>SignatureDoesNotMatch</Code>" in reply.text) == (403, True)


# --- what only one of them does -----------------------------------------------------------------------------------


def test_aisa_takes_the_id_in_the_path_only(stands: dict[str, Stand]) -> None:
    """§7: wrong poll path, 500 unsupported uri."""
    stand = stands["aisa"]
    reply = stand.http.get("/services/aigc/tasks", params={"task_id": "x"})
    assert (reply.status_code, reply.text) == (500, "unsupported uri")
    words = stand.refused(stand.http.get("/services/aigc/tasks/x/y"), 404)
    assert (words["type"], words["code"]) == ("invalid_request_error", "unknown_endpoint")


def test_aisa_tells_what_is_left_of_its_requests(open_stand: Open) -> None:
    stand = open_stand("aisa", clock=lambda: 1_800_000_030.0)
    replies = [stand.ask("x"), stand.http.get("/nowhere"), stand.post(t2v())]
    left = [int(reply.headers["x-ratelimit-remaining-requests"]) for reply in replies]
    assert left == [left[0], left[0] - 1, left[0] - 2]
    for reply in replies:
        assert int(reply.headers["x-ratelimit-limit-requests"]) == left[0] + 1
        assert reply.headers["x-ratelimit-reset-requests"] == "1800000060"


def test_aisa_s_link_redirects_to_the_signed_one(stands: dict[str, Stand]) -> None:
    link = at(stands["aisa"].finish(t2v()), "/output/video_url")
    reply = stands["aisa"].plain.get(link)
    assert reply.status_code == 302
    signed = urlsplit(reply.headers["location"])
    assert signed.netloc == urlsplit(link).netloc
    assert "Signature=" in signed.query


@pytest.mark.parametrize("item", [ELSEWHERE, first_frame(ELSEWHERE)], ids=["string", "object"])
def test_aisa_takes_media_both_ways(stands: dict[str, Stand], item: Any) -> None:
    assert at(stands["aisa"].finish(i2v(item)), "/output/task_status") == "SUCCEEDED"


@pytest.mark.parametrize("dialect", [name for name in ALL if name != "aisa"])
def test_the_others_take_objects_only(stands: dict[str, Stand], dialect: str) -> None:
    word, message = stands[dialect].outcome(stands[dialect].finish(i2v(ELSEWHERE)))
    assert (word, "list of objects" in message) == (stands[dialect].way.failed, True)


def test_apiyi_tells_everything_at_the_top(stands: dict[str, Stand]) -> None:
    """§8: on success `fail_reason` repeats the link."""
    reply = stands["apiyi"].finish(t2v())
    assert set(reply) == {"status", "progress", "task_id", "result_url", "fail_reason"}
    assert reply["progress"] == 100
    assert reply["fail_reason"] == reply["result_url"]


def test_apiyi_s_failures_begin_with_a_bracket(stands: dict[str, Stand]) -> None:
    reply = stands["apiyi"].finish(i2v(first_frame(ELSEWHERE), first_frame(ELSEWHERE)))
    assert set(reply) == {"status", "progress", "task_id", "error", "fail_reason"}
    assert reply["error"]["message"] == reply["fail_reason"]
    assert reply["fail_reason"].startswith("[InvalidParameter] input.media takes")


def test_apiyi_cannot_read_a_duration_that_is_a_text(stands: dict[str, Stand]) -> None:
    words = stands["apiyi"].refused(stands["apiyi"].post(t2v(duration="5")), 400)
    assert words["type"] == "parse_request_failed"
    assert words["message"].startswith("json: cannot unmarshal string into Go struct field")


def test_apiyi_does_not_serve_the_native_query(stands: dict[str, Stand]) -> None:
    stands["apiyi"].refused(stands["apiyi"].http.get(f"/wan/api/v1/tasks/{NEVER}"), 404)


def test_apiyi_labels_every_reply_as_gzip_unless_asked_for_identity(stands: dict[str, Stand]) -> None:
    """§3: mislabelled gzip."""
    stand = stands["apiyi"]
    for path in (stand.way.query.format("x"), "/nowhere"):
        assert "content-encoding" not in stand.http.get(path).headers
        with pytest.raises(httpx.DecodingError):
            stand.http.get(path, headers={"Accept-Encoding": "gzip"})
        with stand.http.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as reply:
            assert reply.headers["content-encoding"] == "gzip"
            assert json.loads(b"".join(reply.iter_raw()))


@pytest.mark.parametrize(
    ("model", "given", "place"),
    [
        ("wan2.2-animate-move", {"image_url": ELSEWHERE, "video_url": "https://example.com/v.mp4"}, "/output/results/video_url"),
        ("video-style-transform", {"video_url": "https://example.com/v.mp4"}, "/output/output_video_url"),
        ("wan2.5-i2v-preview", {"img_url": ELSEWHERE}, "/output/video_url"),
    ],
)
def test_yutoai_has_results_in_three_places(stands: dict[str, Stand], model: str, given: Any, place: str) -> None:
    stand = stands["yutoai"]
    path = stand.way.image2video if "animate" in model else stand.way.submit
    reply = stand.finish({"model": model, "input": given}, path=path)
    places = ["/output/results/video_url", "/output/output_video_url", "/output/video_url"]
    assert [found for found in places if at(reply, found)] == [place]
    assert stand.plain.get(at(reply, place)).status_code == 200


def test_yutoai_s_path_goes_by_the_model(stands: dict[str, Stand]) -> None:
    stand = stands["yutoai"]
    frames = {"first_frame_url": ELSEWHERE, "last_frame_url": ELSEWHERE}
    body = {"model": "wan2.2-kf2v-flash", "input": frames}
    assert "image2video" in stand.refused(stand.post(body), 400)["message"]
    assert stand.outcome(stand.finish(body, path=stand.way.image2video))[0] == "SUCCEEDED"


def test_yutoai_s_uploads_are_pictures_for_renders(open_stand: Open) -> None:
    cards: list[Card] = []
    stand = open_stand("yutoai", render=collector(cards))
    reply = stand.http.post("/v1/files", files={"file": ("кадр.PNG", PICTURE)})
    assert (reply.status_code, set(reply.json())) == (200, {"url"})
    url = reply.json()["url"]
    assert url.endswith(".png")
    served = stand.plain.get(url)
    assert (served.content, served.headers["content-type"]) == (PICTURE, "image/png")
    stand.finish({"model": "wan2.5-i2v-preview", "input": {"img_url": url}})
    assert cards[0].first_frame is not None
    assert cards[0].first_frame.read_bytes() == PICTURE


def test_yutoai_s_uploads_need_a_key_a_file_and_at_most_20_mb(stands: dict[str, Stand]) -> None:
    stand = stands["yutoai"]
    stand.refused(stand.plain.post(f"{stand.origin}/v1/files", files={"file": ("a.png", PICTURE)}), 401)
    stand.refused(stand.http.post("/v1/files", files={"picture": ("a.png", PICTURE)}), 400)
    stand.refused(stand.http.post("/v1/files", files={"file": ("a.png", b"x" * (20 * 1024 * 1024 + 1))}), 413)
    for name in ("nothing", "..%2Fsecret", "0" * 32 + ".png"):
        assert stand.plain.get(f"{stand.origin}/files/{name}").status_code == 404


def content(stand: Stand, task_id: str, **more: Any) -> httpx.Response:
    return stand.http.get(f"/aliyun/v1/videos/{task_id}/content", **more)


def test_opeai_streams_the_content_to_who_shows_the_key(stands: dict[str, Stand]) -> None:
    stand = stands["opeai"]
    task_id = stand.submit(t2v())
    link = at(stand.wait(task_id), "/output/video_url")
    film = content(stand, task_id)
    assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
    assert film.content == stand.plain.get(link).content
    part = content(stand, task_id, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, film.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(film.content)}"
    stand.refused(stand.plain.get(f"{stand.origin}/aliyun/v1/videos/{task_id}/content"), 401)


def test_opeai_s_content_is_400_while_unfinished_and_404_for_strangers(open_stand: Open) -> None:
    stand = open_stand("opeai", seconds=1000.0)
    assert stand.refused(content(stand, stand.submit(t2v())), 400)["type"] == "invalid_request_error"
    stand.refused(content(stand, NEVER), 404)


def test_opeai_s_error_example(open_stand: Open) -> None:
    """§6: type and code are both invalid_request_error when the model belongs to another channel."""
    stand = open_stand("opeai", "wrong-channel")
    words = stand.refused(stand.post(t2v()), 400)
    assert (words["type"], words["code"]) == ("invalid_request_error", "invalid_request_error")
    assert stand.billed() == []
    stand.submit(t2v())


# --- refusing faults ----------------------------------------------------------------------------------------------

REFUSED = {
    # fault: native status and code, then the status and a word of each gateway's reply
    "429": {"native": (429, "Throttling.RateQuota"), "aisa": (429, "rate_limit_exceeded"), "apiyi": (429, "task_error"), "yutoai": (429, "fail_to_fetch_task"), "opeai": (429, "upstream_error")},
    "429-bare": {"native": (429, "Throttling.RateQuota"), "aisa": (429, "rate_limit_error"), "apiyi": (429, "task_error"), "yutoai": (429, "fail_to_fetch_task"), "opeai": (429, "upstream_error")},
    "busy": {"native": (429, "Throttling.Concurrency"), "aisa": (429, "rate_limit_exceeded"), "apiyi": (429, "task_error"), "yutoai": (429, "fail_to_fetch_task"), "opeai": (429, "upstream_error")},
    "balance": {"native": (429, "PrepaidBillOverdue"), "aisa": (429, "insufficient_balance"), "apiyi": (429, "task_error"), "yutoai": (429, "insufficient_user_quota"), "opeai": (429, "insufficient_user_quota")},
    "500": {"native": (500, "InternalError"), "aisa": (500, "api_error"), "apiyi": (500, "task_error"), "yutoai": (500, "do_request_failed"), "opeai": (500, "server_error")},
    "503": {"native": (503, "ModelServingError"), "aisa": (503, "upstream_error"), "apiyi": (503, "task_error"), "yutoai": (503, "ali_api_error"), "opeai": (503, "upstream_error")},
    "arrearage": {"native": (400, "Arrearage"), "aisa": (400, "upstream_error"), "apiyi": (400, "task_error"), "yutoai": (400, "ali_api_error"), "opeai": (400, "upstream_error")},
    "missing-media-500": {"native": (500, "InvalidParameter"), "aisa": (500, "invalid_request"), "apiyi": (500, "task_error"), "yutoai": (500, "ali_api_error"), "opeai": (500, "InvalidParameter")},
    "wrong-channel": {"native": (403, "Model.AccessDenied"), "aisa": (403, "model_not_allowed"), "apiyi": (403, "task_error"), "yutoai": (500, "get_channel_failed"), "opeai": (400, "invalid_request_error")},
    "echo-key": {"native": (400, "InvalidParameter"), "aisa": (400, "invalid_request"), "apiyi": (400, "task_error"), "yutoai": (400, "ali_api_error"), "opeai": (400, "InvalidParameter")},
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize("dialect", ALL)
def test_refusing_faults_speak_the_dialect_and_bill_nothing(open_stand: Open, dialect: str, fault: str) -> None:
    stand = open_stand(dialect, fault)
    status, word = REFUSED[fault][dialect]
    reply = stand.post(t2v())
    words = stand.refused(reply, status)
    assert word in {words.get("code"), words.get("type")}
    assert reply.headers.get("retry-after") == ("1" if fault in {"429", "busy"} else None)
    assert (KEY in words["message"]) == (fault == "echo-key")
    assert stand.billed() == []
    task_id = stand.submit(t2v())
    assert stand.billed() == [task_id]


@pytest.mark.parametrize("dialect", [name for name in ALL if name != "native"])
def test_a_balance_that_is_empty_says_so_in_words_only(open_stand: Open, dialect: str) -> None:
    """§7: balance exhausted, HTTP 429 where the text must decide."""
    stand = open_stand(dialect, "balance")
    empty = stand.refused(stand.post(t2v()), 429)["message"]
    stand.faults.add("429-bare")
    busy = stand.refused(stand.post(t2v()), 429)["message"]
    assert "insufficient balance" in empty or "user quota" in empty
    assert "balance" not in busy
    assert "quota" not in busy


def test_apiyi_s_two_kinds_of_500_differ_in_words_only(open_stand: Open) -> None:
    """§3: 500 is missing media or trouble upstream."""
    stand = open_stand("apiyi", "missing-media-500")
    assert stand.refused(stand.post(t2v()), 500)["message"] == "[InvalidParameter] Field required: input.media"
    stand.faults.add("500")
    assert stand.refused(stand.post(t2v()), 500)["message"].startswith("[InternalError]")


@pytest.mark.parametrize("dialect", ALL)
def test_dead_oss_is_for_requests_that_name_an_upload(open_stand: Open, dialect: str) -> None:
    stand = open_stand(dialect, "dead-oss")
    stand.submit(t2v())
    body = i2v(first_frame("oss://dashscope-instant/x/a.png"))
    assert "the resource has expired" in stand.refused(stand.post(body), 400)["message"]
    assert "the resource has expired" not in stand.refused(stand.post(body), 400)["message"]
    assert len(stand.billed()) == 1


# --- replies without an id ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_200_without_a_task_id(open_stand: Open, dialect: str) -> None:
    """§11: HTTP 200 but error."""
    stand = open_stand(dialect, "no-id", "ok-error")
    nothing = stand.post(t2v())
    assert (nothing.status_code, nothing.json()) == (200, {})
    error = stand.post(t2v())
    assert error.status_code == 200
    assert set(error.json()) == {"code", "message", "data"}
    assert error.json()["code"] == "ali_api_error"
    assert error.json()["message"].startswith("InvalidParameter: ")
    assert stand.billed() == []


@pytest.mark.parametrize("dialect", ALL)
def test_200_without_a_task_id_may_be_paid_for(open_stand: Open, dialect: str) -> None:
    stand = open_stand(dialect, "no-id-paid")
    reply = stand.post(t2v())
    assert (reply.status_code, reply.json()) == (200, {})
    (task_id,) = stand.billed()
    assert at(stand.wait(task_id), stand.way.status) == stand.way.done


@pytest.mark.parametrize("dialect", ALL)
def test_a_redirect_of_a_submit_leads_to_itself(open_stand: Open, dialect: str) -> None:
    stand = open_stand(dialect, "redirect")
    reply = stand.post(t2v())
    assert reply.status_code == 307
    assert reply.headers["location"] == stand.studio.base_url + stand.way.submit
    assert stand.billed() == []


@pytest.mark.parametrize("dialect", ALL)
def test_a_lost_reply_is_a_bill(open_stand: Open, dialect: str) -> None:
    stand = open_stand(dialect, "lost-reply", "drop-submit")
    for bills in (0, 1):
        # A connection that closes before the body was read may be reset.
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            stand.post(t2v())
        assert len(stand.billed()) == bills


# --- queries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "status"), [("poll-401", 401), ("poll-429", 429), ("poll-500", 500)])
@pytest.mark.parametrize("dialect", ALL)
def test_a_query_s_errors_end_no_task(open_stand: Open, dialect: str, fault: str, status: int) -> None:
    stand = open_stand(dialect, fault)
    task_id = stand.submit(t2v())
    reply = stand.ask(task_id)
    stand.refused(reply, status)
    assert reply.headers.get("retry-after") == ("1" if status == 429 else None)
    assert at(stand.wait(task_id), stand.way.status) == stand.way.done


@pytest.mark.parametrize("dialect", ALL)
def test_a_query_may_find_other_words(open_stand: Open, dialect: str) -> None:
    """§7: unknown id in new-api's way, AIsa's permanent 500; UNKNOWN and words that nobody knows."""
    stand = open_stand(dialect, "unknown-400", "unsupported-uri", "unknown")
    task_id = stand.submit(t2v())
    reply = stand.ask(task_id)
    assert (reply.status_code, reply.text) == (500, "unsupported uri")
    reply = stand.ask(task_id)
    assert (reply.status_code, reply.json()["code"], reply.json()["data"]) == (400, "task_not_exist", None)
    assert at(stand.ask(task_id).json(), stand.way.status) == "UNKNOWN"
    stand.wait(task_id)
    stand.faults.add("odd-word")
    word = at(stand.ask(task_id).json(), stand.way.status)
    assert word == "Suceeded"


@pytest.mark.parametrize(
    ("fault", "place"), [("result-pointer", "/output/output_video_url"), ("results-video-url", "/output/results/video_url")]
)
@pytest.mark.parametrize("dialect", [name for name in ALL if name != "apiyi"])
def test_a_link_may_stand_elsewhere(open_stand: Open, dialect: str, fault: str, place: str) -> None:
    stand = open_stand(dialect, f"{fault}:*")
    reply = stand.finish(t2v())
    assert at(reply, "/output/video_url") is None
    assert stand.plain.get(at(reply, place), follow_redirects=True).status_code == 200


@pytest.mark.parametrize("dialect", ALL)
def test_gzip_label_is_a_fault_everywhere(open_stand: Open, dialect: str) -> None:
    stand = open_stand(dialect, "gzip-label:1")
    assert "content-encoding" not in stand.ask("x").headers
    with pytest.raises(httpx.DecodingError):
        stand.http.get(stand.way.query.format("x"), headers={"Accept-Encoding": "gzip, deflate"})


# --- failed tasks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "code"), [("fail", "InternalError"), ("moderation", "DataInspectionFailed")])
@pytest.mark.parametrize("dialect", ALL)
def test_a_failed_task_is_http_200(open_stand: Open, dialect: str, fault: str, code: str) -> None:
    stand = open_stand(dialect, fault)
    reply = stand.finish(t2v())
    word, message = stand.outcome(reply)
    assert word == stand.way.failed
    assert at(reply, stand.way.link) is None
    assert at(reply, stand.way.code) == code if stand.way.code else message.startswith(f"[{code}] ")
    assert len(stand.billed()) == 1


@pytest.mark.parametrize("dialect", ALL)
def test_fail_bracket_has_its_code_in_the_message_only(open_stand: Open, dialect: str) -> None:
    stand = open_stand(dialect, "fail-bracket")
    reply = stand.finish(t2v())
    word, message = stand.outcome(reply)
    assert (word, message.startswith("[InvalidImageUrl] ")) == (stand.way.failed, True)
    assert "code" not in (reply.get("output") or reply)


@pytest.mark.parametrize("dialect", ALL)
def test_fail_url_holds_the_error_where_a_link_is_expected(open_stand: Open, dialect: str) -> None:
    """§8: the trap of `result_url`."""
    stand = open_stand(dialect, "fail-url")
    reply = stand.finish(t2v())
    word, message = stand.outcome(reply)
    assert word == stand.way.failed
    assert at(reply, stand.way.link)
    assert message.endswith(at(reply, stand.way.link))


@pytest.mark.parametrize("dialect", ALL)
def test_late_check_accepts_a_bad_value_and_fails(open_stand: Open, dialect: str) -> None:
    stand = open_stand(dialect, "late-check")
    word, message = stand.outcome(stand.finish(t2v(duration=99)))
    assert (word, "duration must be one of" in message) == (stand.way.failed, True)
    stand.refused(stand.post(t2v(duration=99)), 400)
    assert len(stand.billed()) == 1


@pytest.mark.parametrize(("fault", "wrong"), [("media-strings", first_frame(ELSEWHERE)), ("media-objects", ELSEWHERE)])
def test_media_one_way_only(open_stand: Open, fault: str, wrong: Any) -> None:
    """§2: undecided from documents, so each is a possibility."""
    stand = open_stand("aisa", f"{fault}:*")
    right = ELSEWHERE if wrong != ELSEWHERE else first_frame(ELSEWHERE)
    reply = stand.finish(i2v(wrong))
    assert (at(reply, "/output/task_status"), at(reply, "/output/code")) == ("FAILED", "InvalidParameter")
    assert at(stand.finish(i2v(right)), "/output/task_status") == "SUCCEEDED"
    assert at(stand.finish(t2v()), "/output/task_status") == "SUCCEEDED"


# --- downloads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_small_render_is_smaller_than_asked(open_stand: Open, dialect: str) -> None:
    cards: list[Card] = []
    stand = open_stand(dialect, "small-render", render=collector(cards))
    for _ in range(2):
        assert at(stand.finish(t2v()), stand.way.status) == stand.way.done
    assert [(card.width, card.height, card.audio) for card in cards] == [(640, 360, None), (1280, 720, None)]


def test_small_render_for_real(open_stand: Open) -> None:
    stand = open_stand("native", "small-render", render=None)
    link = at(stand.finish(t2v(model="wan2.6-t2v", size="1280*720")), "/output/video_url")
    with av.open(io.BytesIO(stand.plain.get(link).content)) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (640, 360)
        assert not film.streams.audio


@pytest.mark.parametrize("dialect", ALL)
def test_downloads_break_in_every_dialect(open_stand: Open, dialect: str) -> None:
    stand = open_stand(dialect, "expired-link", "short-file", "truncate")
    link = at(stand.finish(t2v()), stand.way.link)
    assert stand.plain.get(link, follow_redirects=True).status_code == 403
    short = stand.plain.get(link, follow_redirects=True).content
    with pytest.raises(httpx.RemoteProtocolError):
        stand.plain.get(link, follow_redirects=True)
    assert len(short) == len(stand.plain.get(link, follow_redirects=True).content) // 2


def test_content_400_and_content_cut(open_stand: Open) -> None:
    """§8: the content proxy is late, and a long transfer is cut short."""
    stand = open_stand("opeai", "content-400", "content-cut")
    task_id = stand.submit(t2v())
    stand.wait(task_id)
    stand.refused(content(stand, task_id), 400)
    with pytest.raises(httpx.RemoteProtocolError):
        content(stand, task_id)
    assert content(stand, task_id).status_code == 200


def test_content_redirect_leads_to_a_host_that_must_not_see_the_key(open_stand: Open) -> None:
    stand = open_stand("opeai", "content-redirect:2")
    task_id = stand.submit(t2v())
    stand.wait(task_id)
    reply = content(stand, task_id)
    assert reply.status_code == 302
    there = reply.headers["location"]
    assert urlsplit(there).hostname == "localhost"
    no = stand.plain.get(there, headers={"Authorization": f"Bearer {KEY}"})
    assert (no.status_code, "SignatureDoesNotMatch" in no.text) == (403, True)
    assert stand.plain.get(there).content[4:8] == b"ftyp"
    assert content(stand, task_id, follow_redirects=True).status_code == 200, "httpx drops the key at another host"


# --- names --------------------------------------------------------------------------------------------------------


def test_the_command_offers_every_dialect() -> None:
    assert tuple(DIALECTS) == OFFERED
    said = CliRunner().invoke(command, ["--help"]).output
    assert all(name in said for name in OFFERED)


def test_qwencloud_is_the_native_dialect(open_stand: Open) -> None:
    stand = open_stand("qwencloud")
    assert stand.studio.base_url.endswith("/api/v1")
    assert at(stand.finish(t2v()), "/output/task_status") == "SUCCEEDED"


def test_a_dialect_that_is_none_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no dialect "klingon"') as caught:
        Studio(Settings(folder=tmp_path, dialect="klingon"))
    assert "apiyi" in str(caught.value.hint)


def test_every_fault_is_tried_here_or_in_the_studio_s_own_tests() -> None:
    said = "".join(Path(__file__).with_name(name).read_text("utf-8") for name in ("test_dialects.py", "test_studio.py"))
    assert [name for name in KNOWN if not re.search(rf'"{name}(:[0-9*]+)?"', said)] == []
