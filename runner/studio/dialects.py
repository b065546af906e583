"""A dialect's name → how that service is asked, and how it words what the studio has to say.

The desk and the lab know the native dialect only; what they answer is turned into a gateway's words here. Facts: the
services' own pages and the code of new-api, read 2026-11-21. Where no source shows a reply, the nearest relative's stands.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from runner.errors import UsageError
from runner.studio import replies

Data = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """How a dialect tells one of the native errors; `{code}` and `{message}` are the native ones, `status` 0 keeps it."""

    code: str = "{code}"
    type: str = ""
    message: str = "{message}"
    status: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """Paths begin at the origin; an empty one is not served.

    `base` is what a user writes behind the origin. `lists`: tasks can be listed and cancelled, and files uploaded the
    native way. `needs_async`: a submit without the header is refused. `strict_json`: a duration that is a text is no
    request at all. `early_media`: a missing medium is noticed at submit. `strings`: media may be bare URLs.
    `false_gzip`: JSON is labelled as compressed and is not. `counts`: replies tell the limit of requests.
    `landing`: where the render's link leads, which then redirects to the signed one. `stray` answers as a call that the
    service cannot read. `files` takes uploads. `places`: where results of some models lie in `output`.
    `told` turns a native reply to a query into the dialect's; `body` an error's wording into its body.
    """

    name: str
    base: str = ""
    submit: str
    query: str
    content: str = ""
    files: str = ""
    landing: str = ""
    stray: str = ""
    lists: bool = False
    needs_async: bool = True
    strict_json: bool = False
    early_media: bool = False
    strings: bool = False
    false_gzip: bool = False
    counts: bool = False
    places: Mapping[str, str] = field(default_factory=dict)
    told: Callable[[Data], Data] | None = None
    body: Callable[[str, str, str], Data]
    wordings: Mapping[str, Wording] = field(default_factory=dict)
    otherwise: Wording = Wording()

    def error(self, status: int, code: str, message: str) -> tuple[int, Data]:
        """A native error as this dialect tells it: HTTP status and body."""
        wording = self.wordings.get(code, self.otherwise)
        words = (text.format(code=code, message=message) for text in (wording.code, wording.type, wording.message))
        return wording.status or status, self.body(*words)

    def place(self, model: str) -> str:
        """Where in `output` the link to a render of `model` stands."""
        return next((place for pattern, place in self.places.items() if fnmatchcase(model, pattern)), "video_url")


def moved(output: Data, place: str) -> None:
    """Put a reply's link where `place` says, for example at `results.video_url`."""
    link = output.pop("video_url")
    *parents, last = place.split(".")
    for parent in parents:
        output = output.setdefault(parent, {})
    output[last] = link


def new_api(code: str, message: str) -> Data:
    """An error of a task as new-api words it; also what it makes of an upstream's HTTP 200 that is an error."""
    return {"code": code, "message": message, "data": None}


def _native(code: str, _: str, message: str) -> Data:
    return replies.error(code, message)


def _aisa(code: str, kind: str, message: str) -> Data:
    return {"error": {"type": kind, "code": code, "message": message, "request_id": str(uuid.uuid4())}}


def _apiyi(_: str, kind: str, message: str) -> Data:
    return {"type": kind, "message": message}


def _yutoai(code: str, _: str, message: str) -> Data:
    return new_api(code, message)


def _opeai(code: str, kind: str, message: str) -> Data:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


_APIYI_WORDS = {"PENDING": "submitted", "RUNNING": "in_progress", "SUCCEEDED": "completed", "FAILED": "failed"}
_APIYI_PROGRESS = {"PENDING": 10, "RUNNING": 30, "SUCCEEDED": 100, "FAILED": 100}


def _flat(reply: Data) -> Data:
    """APIYI's own reply: everything at the top, and `fail_reason` repeats whatever there is to say at the end."""
    output = reply["output"]
    word = output["task_status"]
    told: Data = {"status": _APIYI_WORDS.get(word, word), "task_id": output["task_id"]}
    if word == "UNKNOWN":
        return told
    told["progress"] = _APIYI_PROGRESS.get(word, 30)
    if "video_url" in output:
        told |= {"result_url": output["video_url"], "fail_reason": output["video_url"]}
    if "message" in output:
        message = f"[{output['code']}] {output['message']}" if "code" in output else output["message"]
        told |= {"error": {"message": message}, "fail_reason": message}
    return told


_SYNTHESIS = "services/aigc/video-generation/video-synthesis"
_SATURATED = "上游负载已饱和 请稍后再试"  # new-api puts such a text in the place of any upstream's 429

NATIVE = Dialect(
    name="native",
    base="/api/v1",
    submit="/api/v1/services/aigc/{endpoint}/video-synthesis",
    query="/api/v1/tasks/{task_id}",
    lists=True,
    body=_native,
)

_REQUEST, _UPSTREAM = "invalid_request_error", "upstream_error"

AISA = Dialect(
    name="aisa",
    base="/apis/v1",
    submit=f"/apis/v1/{_SYNTHESIS}",
    query="/apis/v1/services/aigc/tasks/{task_id}",
    stray="/apis/v1/services/aigc/tasks",
    landing="/videos/{task_id}.mp4",
    strings=True,
    counts=True,
    body=_aisa,
    wordings={
        "InvalidApiKey": Wording(code="invalid_api_key", type="authentication_error"),
        "AccessDenied": Wording(code="invalid_request", type=_REQUEST, status=400),
        "NotFound": Wording(code="unknown_endpoint", type=_REQUEST),
        "ModelNotFound": Wording(code="unknown_model", type=_REQUEST),
        "Model.AccessDenied": Wording(code="model_not_allowed", type=_REQUEST),
        "BadRequest": Wording(code="invalid_request", type=_REQUEST),
        "BadRequest.IllegalInput": Wording(code="json_parse_error", type=_REQUEST),
        "BadRequest.EmptyModel": Wording(code="missing_parameter", type=_REQUEST),
        "BadRequest.EmptyInput": Wording(code="missing_parameter", type=_REQUEST),
        "InvalidParameter": Wording(code="invalid_request", type=_REQUEST),
        "InvalidURL": Wording(code="invalid_request", type=_REQUEST),
        "Throttling.RateQuota": Wording(code="rate_limit_exceeded", type="rate_limit_error"),
        "Throttling.Concurrency": Wording(code="rate_limit_exceeded", type="rate_limit_error"),
        "PrepaidBillOverdue": Wording(code="insufficient_balance", type="rate_limit_error", message="insufficient balance"),
        "InternalError": Wording(code="internal_error", type="api_error"),
    },
    otherwise=Wording(type=_UPSTREAM),
)

APIYI = Dialect(
    name="apiyi",
    submit=f"/wan/api/v1/{_SYNTHESIS}",
    query="/v1/tasks/{task_id}",
    strict_json=True,
    early_media=True,
    false_gzip=True,
    told=_flat,
    body=_apiyi,
    wordings={
        "InvalidApiKey": Wording(type="task_error"),
        "AccessDenied": Wording(type="task_error", message="current user api does not support synchronous calls"),
        "NotFound": Wording(type="task_error"),
        # A key is good for the models of its group, and a model that none of them has finds no channel.
        "ModelNotFound": Wording(type="task_error", message="no available channel: {message}", status=403),
        "Model.AccessDenied": Wording(type="task_error", message="no available channel: {message}"),
        "BadRequest": Wording(type="task_error"),
        "BadRequest.IllegalInput": Wording(type="parse_request_failed"),
        "BadRequest.EmptyModel": Wording(type="build_request_failed"),
        "BadRequest.EmptyInput": Wording(type="build_request_failed"),
        "Throttling.RateQuota": Wording(type="task_error"),
        "Throttling.Concurrency": Wording(type="task_error"),
        "PrepaidBillOverdue": Wording(type="task_error", message="insufficient balance"),
    },
    otherwise=Wording(type="task_error", message="[{code}] {message}"),
)

YUTOAI = Dialect(
    name="yutoai",
    submit="/qwen/api/v1/services/aigc/{endpoint}/video-synthesis",
    query="/qwen/api/v1/tasks/{task_id}",
    files="/v1/files",
    places={"wan2.2-animate-*": "results.video_url", "video-style-transform": "output_video_url"},
    body=_yutoai,
    wordings={
        "InvalidApiKey": Wording(code="invalid_api_key"),
        "NotFound": Wording(code="invalid_request"),
        "ModelNotFound": Wording(code="get_channel_failed", status=500),
        "BadRequest": Wording(code="invalid_request"),
        "BadRequest.TooLarge": Wording(code="invalid_request"),
        "BadRequest.IllegalInput": Wording(code="unmarshal_task_request_failed"),
        "BadRequest.EmptyModel": Wording(code="invalid_request"),
        "BadRequest.EmptyInput": Wording(code="invalid_request"),
        "Throttling.RateQuota": Wording(code="fail_to_fetch_task", message=_SATURATED),
        "Throttling.Concurrency": Wording(code="fail_to_fetch_task", message=_SATURATED),
        "PrepaidBillOverdue": Wording(code="insufficient_user_quota", message="user quota is not enough"),
        "InternalError": Wording(code="do_request_failed"),
        "Model.AccessDenied": Wording(code="get_channel_failed", status=500),
    },
    otherwise=Wording(code="ali_api_error", message="{code}: {message}"),
)

OPEAI = Dialect(
    name="opeai",
    submit="/aliyun/v1/videos/generations",
    query="/aliyun/v1/tasks/{task_id}",
    content="/aliyun/v1/videos/{task_id}/content",
    needs_async=False,
    body=_opeai,
    wordings={
        "InvalidApiKey": Wording(code="invalid_api_key", type="new_api_error"),
        "Throttling.RateQuota": Wording(type=_UPSTREAM, message=_SATURATED),
        "Throttling.Concurrency": Wording(type=_UPSTREAM, message=_SATURATED),
        "PrepaidBillOverdue": Wording(code="insufficient_user_quota", type="new_api_error", message="user quota is not enough"),
        "Model.AccessDenied": Wording(code=_REQUEST, type=_REQUEST, status=400),
        "Arrearage": Wording(type=_UPSTREAM),
        "InternalError": Wording(type="server_error"),
        "ModelServingError": Wording(type=_UPSTREAM),
    },
    otherwise=Wording(type=_REQUEST),
)

DIALECTS: Mapping[str, Dialect] = {
    "native": NATIVE,
    "qwencloud": NATIVE,
    "aisa": AISA,
    "apiyi": APIYI,
    "yutoai": YUTOAI,
    "opeai": OPEAI,
}


def dialect_of(name: str) -> Dialect:
    """Raises UsageError, naming what there is."""
    if name not in DIALECTS:
        raise UsageError(f'the studio speaks no dialect "{name}"', hint="dialects are " + ", ".join(DIALECTS))
    return DIALECTS[name]
