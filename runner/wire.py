"""Shot → request, reply → what it means; values in, values out, no socket.

What a provider's replies look like is in its profile; this module only follows the pointers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from runner.catalog import Kind, Provider, Rule
from runner.shots import Shot

# What decides price or look and differs between sources is always said, though the author was silent (contract §2).
ALWAYS = ("resolution", "size", "duration", "watermark")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BRACKETED = re.compile(r"\s*\[([A-Za-z][\w.]*)\]\s*(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One call: `path` is relative to the provider's base URL, `key` says whether it carries the key."""

    method: Literal["GET", "POST"]
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    key: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One whole reply; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def data(self) -> Any:
        """The body as JSON, or None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The provider has the task, and bills it."""

    task_id: str
    request_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """The provider surely has no task of it. `retry`: later the same request may be taken; `stop`: none of this account will."""

    code: str
    message: str
    retry: bool
    stop: bool
    retry_after: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """Neither: the task may exist."""

    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """What a query said of a task; `kind` is None for a word that the profile does not list."""

    word: str
    kind: Kind | None
    url: str | None = None
    code: str = ""
    message: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    actual_prompt: str | None = None


def body(shot: Shot, *, seed: int | None, urls: Mapping[str, str]) -> dict[str, Any]:
    """The native body of a submit; `urls` gives each medium, by its written value, as the provider can read it."""
    made: dict[str, Any] = {"model": shot.model_name, "input": {}}
    fields = shot.model.schema["properties"]
    for name, value in (("prompt", shot.prompt), ("negative_prompt", shot.negative_prompt)):
        if value is not None and name in fields:
            _put(made, fields[name]["x-to"], value)
    for medium in shot.media:
        rule = shot.model.roles[medium.role]
        url = urls.get(medium.value, medium.value)
        _put(made, rule["x-to"], {"type": rule["x-type"], "url": url} if rule["x-to"].endswith("/-") else url)
    for name, rule in shot.model.parameters.items():
        if name == "seed" and seed is not None:
            _put(made, rule["x-to"], seed)
        elif name in shot.wired:
            _put(made, rule["x-to"], shot.wired[name])
        elif name in ALWAYS and "default" in rule:
            _put(made, rule["x-to"], rule["default"])
    for part, extra in shot.unchecked.items():
        made.setdefault(part, {}).update(extra or {})
    return made


def submit(provider: Provider, shot: Shot, body: Mapping[str, Any], *, take: str) -> Request:
    spec = provider.spec["submit"]
    path = next(
        (
            entry["path"]
            for entry in spec.get("paths", ())
            if any(fnmatchcase(shot.model.id, pattern) for pattern in entry["models"])
        ),
        spec["path"],
    )
    headers = {name: value.replace("{take}", take) for name, value in spec.get("headers", {}).items()}
    if "oss://" in json.dumps(body):
        headers["X-DashScope-OssResourceResolve"] = "enable"
    return Request(method="POST", path=path.replace("{endpoint}", shot.model.endpoint), headers=headers, body=body)


def query(provider: Provider, task_id: str) -> Request:
    spec = provider.spec["poll"]
    return Request(method="GET", path=_with_id(spec["path"], task_id), headers=spec.get("headers", {}))


def cancel(provider: Provider, task_id: str) -> Request | None:
    spec = provider.spec.get("cancel")
    return Request(method="POST", path=_with_id(spec["path"], task_id)) if spec else None


def _with_id(path: str, task_id: str) -> str:
    return path.replace("{task_id}", quote(task_id, safe=""))


def read_submit(provider: Provider, reply: Reply) -> Accepted | Refusal | Doubt:
    """Three outcomes and no fourth: what is neither a task id nor a listed refusal is in doubt."""
    data = reply.data()
    if 200 <= reply.status < 300:
        task_id = first(data, provider.spec["submit"]["task_id"])
        if isinstance(task_id, (str, int)) and not isinstance(task_id, bool) and str(task_id):
            return Accepted(task_id=str(task_id), request_id=_text(pick(data, "/request_id")))
    code, message = error_of(provider, reply)
    rule = refusal(provider.refused, reply.status, code, message)
    if rule is None:
        said = f": {code} {message}".rstrip() if code or message else ""
        return Doubt(why=f"HTTP {reply.status} without a task id{said}")
    return Refusal(
        code=code or f"HTTP{reply.status}",
        message=message or f"HTTP {reply.status}",
        retry=rule.retry,
        stop=rule.stop,
        retry_after=retry_after(reply),
    )


def refusal(rules: Sequence[Rule], status: int, code: str, message: str) -> Rule | None:
    """The first rule that fits the whole reply."""
    for rule in rules:
        fits = (
            (rule.status is None or rule.status == status)
            and (rule.code is None or fnmatchcase(code, rule.code))
            and (rule.message is None or re.search(rule.message, message) is not None)
        )
        if fits:
            return rule
    return None


def read_query(provider: Provider, reply: Reply) -> Status | None:
    """A task's status; None where the reply is no answer about the task (a blip, an error, a web page)."""
    data = reply.data()
    word = first(data, provider.spec["poll"]["status"]) if reply.status == 200 else None
    if not isinstance(word, str):
        return None
    spec = provider.spec
    code, message = coded(first(data, spec["failure"]["code"]), first(data, spec["failure"]["message"]))
    said = spec.get("reply", {})
    usage = pick(data, said["usage"]) if "usage" in said else None
    kind = provider.words.get(word.strip().lower())
    return Status(
        word=clean(word, 40),
        kind=kind,
        url=next((url for url in _all(data, spec["result"].get("url", ())) if is_link(url)), None)
        if kind == "succeeded"
        else None,
        code=code,
        message=message,
        usage={name: value for name, value in usage.items() if isinstance(value, (int, float, str))}
        if isinstance(usage, dict)
        else {},
        prompt=_text(first(data, said.get("prompt", ()))),
        actual_prompt=_text(first(data, said.get("actual_prompt", ()))),
    )


def error_of(provider: Provider, reply: Reply) -> tuple[str, str]:
    """Code and message of a call that failed, by the first of the profile's shapes that fits; cleaned."""
    data = reply.data()
    for shape in provider.spec["http_error"]:
        code, message = coded(first(data, shape["code"]), first(data, shape["message"]))
        if code or message:
            return code, message
    return "", clean(reply.body[:200].decode("utf-8", "replace"), 160) if data is None else ""


def coded(code: Any, message: Any) -> tuple[str, str]:
    """Code and message as texts; `[Code] text` is taken apart where the code has no field of its own."""
    code, message = clean(_text(code) or "", 120), clean(_text(message) or "", 1000)
    if not code and (found := _BRACKETED.fullmatch(message)):
        return found[1], found[2]
    return code, message


def retry_after(reply: Reply) -> float | None:
    """Seconds that the server asks for, where it says them as a number."""
    try:
        return max(0.0, float(reply.headers.get("retry-after", "")))
    except ValueError:
        return None


def is_link(url: Any) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def clean(text: str, most: int) -> str:
    """A server's text, safe to print: no terminal controls, one line, bounded, links without their signatures."""
    text = re.sub(r"\s+", " ", _CONTROLS.sub("", text)).strip()
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1?…", text)
    text = re.sub(r"\b(sk|st)-[A-Za-z0-9_-]{6,}", r"\1-…", text)
    return text if len(text) <= most else text[: most - 1] + "…"


def pick(data: Any, pointer: str) -> Any:
    """The value at a JSON Pointer, None where there is none."""
    for part in pointer.split("/")[1:]:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def first(data: Any, pointers: Sequence[str]) -> Any:
    """The first value that one of the pointers finds and that says something."""
    return next((value for value in _all(data, pointers) if value not in (None, "")), None)


def _all(data: Any, pointers: Sequence[str]) -> list[Any]:
    return [pick(data, pointer) for pointer in pointers]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _put(made: dict[str, Any], pointer: str, value: Any) -> None:
    """Set a value at a JSON Pointer, making the mappings on the way; `/-` at the end appends."""
    *parents, last = pointer.split("/")[1:]
    if last == "-":
        *parents, last = parents
        value = [*_inside(made, parents).get(last, []), value]
    _inside(made, parents)[last] = value


def _inside(made: dict[str, Any], parents: Sequence[str]) -> dict[str, Any]:
    for part in parents:
        made = made.setdefault(part, {})
    return made
