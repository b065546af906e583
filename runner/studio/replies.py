"""Tasks → the service's replies, as plain data: submit, query, list rows, errors; and times as it writes them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from runner.studio.families import Family
from runner.studio.shape import Shape
from runner.studio.store import Bill, Task

CHINA = timezone(timedelta(hours=8))
REGION = "cn-beijing"
_ACCOUNT = "1000000000000001"


def stamped(epoch: float) -> str:
    """`2026-11-21 09:02:03.456`: the service's times are UTC+8 without saying so."""
    return datetime.fromtimestamp(epoch, CHINA).isoformat(sep=" ", timespec="milliseconds")[:23]


def error(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "request_id": str(uuid.uuid4())}


def accepted(bill: Bill) -> dict[str, Any]:
    return {"output": {"task_status": "PENDING", "task_id": bill.task_id}, "request_id": bill.request_id}


def unknown(task_id: str) -> dict[str, Any]:
    return {"request_id": str(uuid.uuid4()), "output": {"task_id": task_id, "task_status": "UNKNOWN"}}


def queried(task: Task, link: str, family: Family | None) -> dict[str, Any]:
    """A task as `GET /tasks/{task_id}` tells it; `link` is where its render is, once there is one."""
    output: dict[str, Any] = {"task_id": task.bill.task_id, "task_status": task.status}
    if task.status != "CANCELED":
        output |= _times(task)
    reply: dict[str, Any] = {"request_id": str(uuid.uuid4()), "output": output}
    if task.status == "SUCCEEDED":
        output |= {"video_url": link, **_prompts(task, family)}
        reply["usage"] = task.usage
    if task.status == "FAILED":
        output |= {"code": task.code, "message": task.message} if task.code else {"message": task.message}
        if task.bill.doom == "fail-url":
            output["video_url"] = task.message
    return reply


def _times(task: Task) -> dict[str, str]:
    times = {"submit_time": task.bill.at, "scheduled_time": task.running_at, "end_time": task.ended_at}
    return {name: stamped(at) for name, at in times.items() if at is not None}


def _prompts(task: Task, family: Family | None) -> dict[str, str]:
    prompt = task.bill.body["input"].get("prompt")
    if not isinstance(prompt, str) or not prompt:
        return {}
    prompts = {"orig_prompt": prompt}
    if family and family.extends and task.bill.body.get("parameters", {}).get("prompt_extend") is not False:
        prompts["actual_prompt"] = f"{prompt.rstrip('. ')}, as the studio would put it"
    return prompts


def row(task: Task) -> dict[str, Any]:
    """A task as the list tells it: no prompt, no link, no usage; times are epoch milliseconds."""
    bill = task.bill
    facts: dict[str, Any] = {
        "task_id": bill.task_id,
        "status": task.status,
        "model_name": bill.model,
        "gmt_create": _milliseconds(bill.at),
        "start_time": _milliseconds(task.running_at),
        "end_time": _milliseconds(task.ended_at),
        "region": REGION,
        "request_id": bill.request_id,
        "api_key_id": bill.key,
        "caller_uid": _ACCOUNT,
        "caller_parent_id": _ACCOUNT,
        "user_api_unique_key": f"apikey:v1:aigc:image2video:video-synthesis:{bill.model}",
        "code": task.code or None,
        "message": task.message,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _milliseconds(epoch: float | None) -> int | None:
    return None if epoch is None else round(epoch * 1000)


def usage(family: Family, shape: Shape, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a finished task says it used; inputs are never measured here, so an input video counts 0 s."""
    names = family.usage.split()
    number = float if "float" in names else int
    known: dict[str, Any] = {
        "video_duration": number(shape.seconds),
        "duration": number(shape.seconds),
        "input_video_duration": number(0),
        "output_video_duration": number(shape.seconds),
        "SR": shape.tier,
        "size": f"{shape.width}*{shape.height}",
        "video_ratio": f"{shape.width}*{shape.height}",
        "video_ratio=standard": "standard",
        "ratio": shape.ratio,
        "fps": family.fps,
        "audio": parameters.get("audio", True),
        "video_count": 1,
    }
    return {name.partition("=")[0]: known[name] for name in names if name != "float"}
