"""The studio's endpoints for tasks: submit, query, list, cancel, as the service words them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from runner.studio import replies
from runner.studio.families import Family, family_of
from runner.studio.faults import DOOMS, RATE, REFUSALS, Refusal
from runner.studio.lab import Lab
from runner.studio.links import Signer
from runner.studio.listing import Unlistable, page_of
from runner.studio.rules import refusal
from runner.studio.settings import Settings
from runner.studio.shelf import Refused, Shelf
from runner.studio.store import Bill, Store, Task
from runner.studio.wires import Dropped

_LATE = 3.0  # seconds
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"


class Rejected(Exception):
    """A call that is answered with an error."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    @classmethod
    def by(cls, no: Refusal) -> Rejected:
        return cls(no.status, no.code, no.message, no.headers)

    def reply(self) -> Response:
        return JSONResponse(replies.error(self.code, str(self)), self.status, self.headers)


class Desk:
    """Every method is an endpoint; what it accepts goes to the store and then to the lab."""

    def __init__(self, settings: Settings, store: Store, shelf: Shelf, lab: Lab, signer: Signer) -> None:
        self.settings = settings
        self.faults = settings.faults
        self.store = store
        self.shelf = shelf
        self.lab = lab
        self.signer = signer
        self._asked: deque[float] = deque()

    async def submit(self, request: Request) -> Response:
        if self.faults.take("drop-submit"):
            return Dropped()
        key = self.key_of(request)
        if name := self.faults.first(REFUSALS):
            raise Rejected.by(REFUSALS[name])
        if self.faults.take("html"):
            return HTMLResponse(_HTML, 502)
        body = _parsed(await request.body())
        self._check(request, body)
        bill = await run_sync(self._accept, request, body, key)
        if self.faults.take("lost-reply"):
            return Dropped()
        if self.faults.take("slow-reply"):
            await anyio.sleep(_LATE)
        return JSONResponse(replies.accepted(bill))

    async def query(self, request: Request) -> Response:
        self.key_of(request)
        self._count()
        if self.faults.take("poll-drop"):
            return Dropped()
        if self.faults.take("poll-500"):
            raise Rejected.by(REFUSALS["500"])
        if self.faults.take("poll-html"):
            return HTMLResponse(_HTML, 502)
        task_id = request.path_params["task_id"]
        task = self.alive(task_id)
        if task is None or self.faults.take("unknown"):
            return JSONResponse(replies.unknown(task_id))
        reply = replies.queried(task, self._link(request, task), family_of(task.bill.model))
        if self.faults.take("odd-word"):
            reply["output"]["task_status"] = _misspelt(task.status)
        return JSONResponse(reply)

    async def list(self, request: Request) -> Response:
        self.key_of(request)
        self._count()
        alive = (task for task in self.store.newest_first() if self._is_alive(task))
        try:
            return JSONResponse(page_of(alive, dict(request.query_params), self.settings.clock()))
        except Unlistable as error:
            raise Rejected(400, "InvalidParameter", str(error)) from error

    async def cancel(self, request: Request) -> Response:
        self.key_of(request)
        self._count()
        if not await run_sync(self.store.cancel, request.path_params["task_id"]):
            raise Rejected(
                400, "UnsupportedOperation", "Failed to cancel the task, please confirm if the task is in PENDING status."
            )
        return JSONResponse({"request_id": replies.error("", "")["request_id"]})

    def key_of(self, request: Request) -> str:
        """What tells this caller's key apart from others; never the key. Raises Rejected for one that is missing or wrong."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        wanted = self.settings.api_key
        key = key.strip()
        if (
            scheme.lower() != "bearer"
            or not key
            or (wanted is not None and not hmac.compare_digest(key.encode(), wanted.encode()))
        ):
            raise Rejected(401, "InvalidApiKey", "Invalid API-key provided.")
        return str(int(hashlib.sha256(key.encode()).hexdigest()[:8], 16))

    def alive(self, task_id: str) -> Task | None:
        """A task that the service would still know."""
        task = self.store.get(task_id)
        return task if task and self._is_alive(task) else None

    def _is_alive(self, task: Task) -> bool:
        return self.settings.clock() - task.bill.at <= self.settings.life

    def _link(self, request: Request, task: Task) -> str:
        expires = int((task.ended_at or task.bill.at) + self.settings.life)
        path = self.signer.link(f"/results/{task.bill.task_id}.mp4", expires)
        return f"{request.url.scheme}://{request.url.netloc}{path}"

    def _count(self) -> None:
        """One query more; raises Rejected beyond the rate of the fault `qps`."""
        rate = self.faults.due("qps")
        if rate <= 0:
            return
        now = time.monotonic()
        while self._asked and self._asked[0] <= now - 1:
            self._asked.popleft()
        if len(self._asked) >= rate:
            raise Rejected.by(RATE)
        self._asked.append(now)

    def _check(self, request: Request, body: Mapping[str, Any]) -> Family:
        """Raises Rejected for all that the service refuses at once."""
        model = body.get("model")
        if not model or not isinstance(model, str):
            raise Rejected(400, "BadRequest.EmptyModel", 'Required parameter "model" missing from request.')
        if not body.get("input") or not isinstance(body["input"], dict):
            raise Rejected(400, "BadRequest.EmptyInput", 'Required parameter "input" missing from request.')
        if not isinstance(body.get("parameters", {}), dict):
            raise Rejected(400, "InvalidParameter", "parameters must be an object")
        if request.headers.get("x-dashscope-async", "").lower() != "enable":
            raise Rejected(403, "AccessDenied", "current user api does not support synchronous calls.")
        family = family_of(model)
        if family is None:
            raise Rejected(404, "ModelNotFound", f"Model {model[:100]} does not exist.")
        if family.path != request.path_params["endpoint"]:
            raise Rejected(400, "InvalidParameter", f"url error: {model} is served by {family.path}/video-synthesis")
        if message := refusal(family, body.get("parameters", {})):
            raise Rejected(400, "InvalidParameter", message)
        return family

    def _accept(self, request: Request, body: Mapping[str, Any], key: str) -> Bill:
        resolves = request.headers.get("x-dashscope-ossresourceresolve", "").lower() == "enable"
        try:
            body = {**body, "input": self.shelf.put_away(body["input"], body["model"], resolves=resolves)}
        except Refused as error:
            raise Rejected(400, "InvalidURL", str(error)) from error
        take = request.headers.get("x-callsheet-take", "")
        text = json.dumps([take, body], sort_keys=True, separators=(",", ":"))
        request_hash = hashlib.sha256(text.encode()).hexdigest()
        bill = self.store.accept(body=body, take=take, request_hash=request_hash, key=key, doom=self.faults.first(DOOMS))
        self.lab.put(bill.task_id)
        return bill


def _parsed(data: bytes) -> dict[str, Any]:
    """A JSON object that can be written again; raises Rejected for anything else."""
    try:
        body = json.loads(data, parse_constant=_no_number)
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Rejected(400, "BadRequest.IllegalInput", f"The request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise Rejected(400, "BadRequest.IllegalInput", "The request body must be a JSON object.")
    return body


def _misspelt(word: str) -> str:
    """RUNNING → Runing."""
    return (word[:3] + word[4:]).capitalize()


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")
