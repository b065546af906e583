"""The studio's endpoints for tasks: submit, query, list, cancel; errors are raised in the native words."""

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
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from runner.studio import replies
from runner.studio.dialects import dialect_of, moved, new_api
from runner.studio.families import Family, family_of
from runner.studio.faults import DOOMS, POLL_REFUSALS, RATE, REFUSALS, SMALL, Refusal
from runner.studio.lab import Lab
from runner.studio.links import Signer
from runner.studio.listing import Unlistable, page_of
from runner.studio.rules import missing_medium, refusal
from runner.studio.settings import Settings
from runner.studio.shelf import Refused, Shelf
from runner.studio.store import Bill, Store, Task
from runner.studio.wires import Dropped

_LATE = 3.0  # seconds
_MOVED = {"result-pointer": "output_video_url", "results-video-url": "results.video_url"}
_MEDIA = {"media-strings": dict, "media-objects": str}  # the items that these faults do not take
# Go's words for a text where it wants a number.
_NO_INTEGER = "json: cannot unmarshal string into Go struct field Parameters.parameters.duration of type int"
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"


class Rejected(Exception):
    """A call that is answered with an error."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    @classmethod
    def by(cls, no: Refusal, authorization: str = "") -> Rejected:
        return cls(no.status, no.code, no.message.replace("{authorization}", authorization), no.headers)


class Desk:
    """Every method is an endpoint; what it accepts goes to the store and then to the lab."""

    def __init__(self, settings: Settings, store: Store, shelf: Shelf, lab: Lab, signer: Signer) -> None:
        self.settings = settings
        self.faults = settings.faults
        self.dialect = dialect_of(settings.dialect)
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
            raise Rejected.by(REFUSALS[name], request.headers["authorization"])
        if self.faults.take("html"):
            return HTMLResponse(_HTML, 502)
        if self.faults.take("redirect"):
            return RedirectResponse(request.url, 307)
        body = _parsed(await request.body())
        self._check(request, body)
        if reply := self._instead():
            return reply
        bill = await run_sync(self._accept, request, body, key)
        if self.faults.take("lost-reply"):
            return Dropped()
        if self.faults.take("slow-reply"):
            await anyio.sleep(_LATE)
        return JSONResponse({} if self.faults.take("no-id-paid") else replies.accepted(bill))

    def _instead(self) -> Response | None:
        """What is answered with HTTP 200 though nothing is accepted."""
        if self.faults.take("no-id"):
            return JSONResponse({})
        if self.faults.take("ok-error"):
            return JSONResponse(new_api("ali_api_error", "InvalidParameter: The parameters are invalid."))
        return None

    async def query(self, request: Request) -> Response:
        self.key_of(request)
        self._count()
        if self.faults.take("poll-drop"):
            return Dropped()
        if name := self.faults.first(POLL_REFUSALS):
            raise Rejected.by(POLL_REFUSALS[name])
        if self.faults.take("poll-html"):
            return HTMLResponse(_HTML, 502)
        if self.faults.take("unsupported-uri"):
            return unsupported()
        if self.faults.take("unknown-400"):
            return JSONResponse(new_api("task_not_exist", "task_not_exist"), 400)
        reply = self._told(request)
        return JSONResponse(self.dialect.told(reply) if self.dialect.told else reply)

    def _told(self, request: Request) -> dict[str, Any]:
        """The task in native words, its link where the model or a fault has it."""
        task_id = request.path_params["task_id"]
        task = self.alive(task_id)
        if task is None or self.faults.take("unknown"):
            return replies.unknown(task_id)
        reply = replies.queried(task, self.link(request, task), family_of(task.bill.model))
        # A dialect with replies of its own has one place for the link.
        if task.status == "SUCCEEDED" and not self.dialect.told:
            fault = self.faults.first(_MOVED)
            moved(reply["output"], _MOVED[fault] if fault else self.dialect.place(task.bill.model))
        if self.faults.take("odd-word"):
            reply["output"]["task_status"] = _misspelt(task.status)
        return reply

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

    def link(self, request: Request, task: Task) -> str:
        """Where a query says that the render is."""
        if self.dialect.landing:
            return f"{request.url.scheme}://{request.url.netloc}{self.dialect.landing.format(task_id=task.bill.task_id)}"
        return self.signed(request, task)

    def signed(self, request: Request, task: Task, netloc: str | None = None) -> str:
        """The link that object storage serves, for as long as the task lives."""
        expires = int((task.ended_at or task.bill.at) + self.settings.life)
        path = self.signer.link(f"/results/{task.bill.task_id}.mp4", expires)
        return f"{request.url.scheme}://{netloc or request.url.netloc}{path}"

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

    def _check(self, request: Request, body: Mapping[str, Any]) -> None:
        """Raises Rejected for all that the service refuses at once."""
        model = body.get("model")
        if not model or not isinstance(model, str):
            raise Rejected(400, "BadRequest.EmptyModel", 'Required parameter "model" missing from request.')
        if not body.get("input") or not isinstance(body["input"], dict):
            raise Rejected(400, "BadRequest.EmptyInput", 'Required parameter "input" missing from request.')
        if not isinstance(body.get("parameters", {}), dict):
            raise Rejected(400, "InvalidParameter", "parameters must be an object")
        if self.dialect.needs_async and request.headers.get("x-dashscope-async", "").lower() != "enable":
            raise Rejected(403, "AccessDenied", "current user api does not support synchronous calls.")
        family = family_of(model)
        if family is None:
            raise Rejected(404, "ModelNotFound", f"Model {model[:100]} does not exist.")
        if family.path != request.path_params.get("endpoint", family.path):
            raise Rejected(400, "InvalidParameter", f"url error: {model} is served by {family.path}/video-synthesis")
        self._judge(family, body["input"], body.get("parameters", {}))

    def _judge(self, family: Family, given: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """Raises Rejected for values that are noticed before a task is made."""
        if self.dialect.strict_json and isinstance(parameters.get("duration"), str):
            raise Rejected(400, "BadRequest.IllegalInput", _NO_INTEGER)
        if self.dialect.early_media and (name := missing_medium(family, given)):
            raise Rejected(500, "InvalidParameter", f"Field required: input.{name}")
        if (message := refusal(family, parameters)) and not self.faults.take("late-check"):
            raise Rejected(400, "InvalidParameter", message)

    def _accept(self, request: Request, body: Mapping[str, Any], key: str) -> Bill:
        resolves = request.headers.get("x-dashscope-ossresourceresolve", "").lower() == "enable"
        if '"oss://' in json.dumps(body["input"]) and self.faults.take("dead-oss"):
            raise Rejected(400, "InvalidURL", "the resource has expired")
        try:
            body = {**body, "input": self.shelf.put_away(body["input"], body["model"], resolves=resolves)}
        except Refused as error:
            raise Rejected(400, "InvalidURL", str(error)) from error
        take = request.headers.get("x-callsheet-take", "")
        text = json.dumps([take, body], sort_keys=True, separators=(",", ":"))
        request_hash = hashlib.sha256(text.encode()).hexdigest()
        bill = self.store.accept(body=body, take=take, request_hash=request_hash, key=key, doom=self._doom(body["input"]))
        self.lab.put(bill.task_id)
        return bill

    def _doom(self, given: Mapping[str, Any]) -> str | None:
        """The fault that an accepted task carries with it."""
        media = given.get("media")
        kinds = {type(item) for item in media} if isinstance(media, list) else set()
        unfit = {name for name, kind in _MEDIA.items() if kind not in kinds}
        return self.faults.first(name for name in (*DOOMS, SMALL) if name not in unfit)


def unsupported() -> Response:
    """How AIsa answers a query that it cannot read: permanent, though it is a 5xx."""
    return PlainTextResponse("unsupported uri", 500)


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
