"""An honest provider without a socket, for tests whose hours pass in virtual time.

It speaks the native dialect through `wire`'s own requests and replies, keeps its own bill, and counts what is under
way; nothing of the product is replaced but the client's connection.
"""

from __future__ import annotations

import io
import json
from contextlib import asynccontextmanager
from fractions import Fraction

import anyio
import av
from PIL import Image

from runner import catalog
from runner.answers import Reply
from runner.errors import Unreachable


def mp4() -> bytes:
    """A real MP4 of two frames."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for shade in (10, 200):
            out.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 36), (shade, 0, 0)))))
        out.mux(stream.encode())
    return target.getvalue()


FILM = mp4()


class Pace:
    """The client's token bucket, on virtual time."""

    def __init__(self, rate):
        self.gap, self.next, self.holds = 1 / rate, 0.0, []

    async def turn(self):
        at = max(anyio.current_time(), self.next)
        self.next = at + self.gap
        await anyio.sleep(max(0.0, at - anyio.current_time()))

    def hold(self, seconds):
        self.holds.append(seconds)
        self.next = max(self.next, anyio.current_time() + seconds)


class Service:
    """`seconds(take)` is how long a task takes; `submits` and `polls` may script replies before the usual ones."""

    host = "fake.example"
    ahead = 0.0
    base_url = "https://fake.example/api/v1"

    def __init__(self, *, seconds=lambda take: 60.0, provider="qwencloud", submits=(), polls=()):
        self.provider = catalog.load().providers[provider]
        self.submits, self.queries = Pace(1000), Pace(1000)
        self.seconds = seconds
        self.script, self.polls_script = list(submits), list(polls)
        self.tasks = {}
        self.bills = []
        self.asked = []
        self.queried = []
        self.list_script = []
        self.most = 0
        self.download_seconds = 0.0
        self.fetched = []

    @property
    def hosts(self):
        return frozenset({self.host})

    @classmethod
    def resumed(cls, earlier):
        """The same provider in a later run: its tasks have all ended meanwhile, virtual time begins anew."""
        later = cls()
        later.tasks = {task_id: {**task, "start": 0, "end": 0} for task_id, task in earlier.tasks.items()}
        return later

    def under_way(self):
        now = anyio.current_time()
        return sum(1 for task in self.tasks.values() if task["end"] > now)

    async def submit(self, request):
        await anyio.sleep(0.05)
        if self.script and (scripted := self.script.pop(0)):
            if scripted == "lost":
                self._accept(request)
                raise Unreachable("the connection was closed", sent=True)
            if isinstance(scripted, Exception):
                raise scripted
            return scripted
        return json_reply(200, {"output": {"task_id": self._accept(request), "task_status": "PENDING"}, "request_id": "r"})

    def _accept(self, request):
        task_id = f"t{len(self.bills)}"
        take = request.body["input"]["prompt"].split()[0]
        now = anyio.current_time()
        self.tasks[task_id] = {"take": take, "start": now, "end": now + self.seconds(take), "body": request.body}
        self.bills.append(take)
        self.most = max(self.most, self.under_way())
        return task_id

    async def ask(self, request):
        await self.queries.turn()
        await anyio.sleep(0.02)
        self.queried.append(anyio.current_time())
        if request.path == "/tasks":
            return self.listed(dict(request.query))
        task_id = request.path.rsplit("/", 1)[1]
        self.asked.append((anyio.current_time(), task_id))
        if self.polls_script and (scripted := self.polls_script.pop(0)):
            if isinstance(scripted, Exception):
                raise scripted
            return scripted
        return json_reply(200, self._status(task_id))

    def listed(self, query):
        """A page, newest first, as `page_no` and `page_size` ask for it."""
        if self.list_script and (scripted := self.list_script.pop(0)):
            if isinstance(scripted, Exception):
                raise scripted
            return scripted
        number, size = int(query.get("page_no", 1)), int(query.get("page_size", 10))
        tasks = list(reversed(self.tasks))
        rows = [self._row(task_id) for task_id in tasks[(number - 1) * size : number * size]]
        return json_reply(200, {"data": rows, "total_page": -(-len(tasks) // size), "page_no": number})

    def _row(self, task_id):
        task = self.tasks[task_id]
        return {
            "task_id": task_id,
            "model_name": task["body"]["model"],
            "status": self._status(task_id)["output"]["task_status"],
            "gmt_create": 1000 * (EPOCH + task["start"]),
        }

    def _status(self, task_id):
        task = self.tasks.get(task_id)
        if task is None or task.get("gone"):
            return {"output": {"task_id": task_id, "task_status": "UNKNOWN"}}
        if anyio.current_time() < task["end"]:
            return {"output": {"task_id": task_id, "task_status": "RUNNING"}}
        if task.get("fails"):
            return {"output": {"task_id": task_id, "task_status": "FAILED", **task["fails"]}}
        done = {"task_status": "SUCCEEDED", "video_url": f"https://result.example/{task_id}.mp4?Expires=1&Signature=s"}
        return {
            "output": {"task_id": task_id, "orig_prompt": task["body"]["input"]["prompt"], **done},
            "usage": {"duration": 2, "SR": 720},
        }

    @asynccontextmanager
    async def download(self, url, *, headers=None, key=False):
        self.fetched.append(url)
        await anyio.sleep(self.download_seconds)
        yield Link()


class Link:
    status_code = 200

    @property
    def headers(self):
        return {"content-length": str(len(FILM))}

    async def aiter_raw(self):
        yield FILM


EPOCH = 1_790_000_000.0


def json_reply(status, data, headers=None):
    return Reply(status=status, headers=headers or {}, body=json.dumps(data).encode())
