"""Replies → what they mean: accepted, surely refused, in doubt; a task's status; an error's code and message. Values only.

Where things stand in a provider's replies is in its profile; this module only follows the pointers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from runner.catalog import Kind, Model, Provider, Rule

# Terminal controls, marks that turn the direction of a line, and halves of characters, which no file can hold.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNFIT = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")  # in an id, in a link
_LONGEST_ID = 500
_MOST_USAGE = 40  # fields
_MOST_NUMBER = 1e12
_BRACKETED = re.compile(r"\s*\[([A-Za-z][\w.]*)\]\s*(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One whole reply; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def data(self) -> Any:
        """The body as JSON, or None where it is none (or nested so deeply that nobody means it)."""
        try:
            return json.loads(self.body, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
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
    stop: str | None = None  # why asking on is useless; the task itself goes on
    usage: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    actual_prompt: str | None = None


def read_submit(provider: Provider, reply: Reply) -> Accepted | Refusal | Doubt:
    """Three outcomes and no fourth: what is neither a task id nor a listed refusal is in doubt."""
    data, what = reply.data(), "without a task id"
    if 200 <= reply.status < 300:
        task_id = first(data, provider.spec["submit"]["task_id"])
        if is_id(task_id):
            request_id = pick(data, "/request_id")
            return Accepted(task_id=str(task_id), request_id=str(request_id) if is_id(request_id) else None)
        if task_id is not None:
            what = f'with what cannot be a task id, "{_cleaned(task_id, 80)}"'
    code, message = error_of(provider, reply)
    rule = matching(provider.refused, reply.status, code, message)
    if rule is None:
        said = f": {code} {message}".rstrip() if code or message else ""
        return Doubt(why=f"HTTP {reply.status} {what}{said}")
    return Refusal(
        code=code or f"HTTP{reply.status}",
        message=message or f"HTTP {reply.status}",
        retry=rule.retry,
        stop=rule.stop,
        retry_after=retry_after(provider, reply),
    )


def matching(rules: Sequence[Rule], status: int, code: str, message: str) -> Rule | None:
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


def read_query(provider: Provider, reply: Reply, model: Model | None = None) -> Status | None:
    """A task's status; None where the reply is no answer about the task (a blip, an error, a web page)."""
    data = reply.data()
    spec = provider.spec
    word = first(data, spec["poll"]["status"]) if reply.status == 200 else None
    if not isinstance(word, str):
        return _no_word(provider, reply)
    code, message = coded(first(data, spec["failure"]["code"]), first(data, spec["failure"]["message"]))
    said = spec.get("reply", {})
    usage = pick(data, said["usage"]) if "usage" in said else None
    kind = provider.words.get(word.strip().lower())
    links = _links(provider, model) if kind == "succeeded" else ()  # a failed task may hold anything where its link would be
    return Status(
        word=clean(word, 40),
        kind=kind,
        url=next((url for url in _all(data, links) if is_link(url)), None),
        code=code,
        message=message,
        usage=_usage(usage) if isinstance(usage, dict) else {},
        prompt=_text(first(data, said.get("prompt", ()))),
        actual_prompt=_cleaned(first(data, said.get("actual_prompt", ())), 20_000),
    )


def _usage(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a task used, as plain words and numbers; costs are reckoned from it, so nothing below zero or without end."""
    kept: dict[str, Any] = {}
    for name, value in list(said.items())[:_MOST_USAGE]:
        if isinstance(value, str):
            kept[clean(name, 60)] = clean(value, 200)
        elif isinstance(value, (int, float)) and 0 <= value < _MOST_NUMBER:
            kept[clean(name, 60)] = value
    return kept


def _no_word(provider: Provider, reply: Reply) -> Status | None:
    """A reply without a status: the profile may know it as "unknown task", or as one that no asking mends."""
    code, message = error_of(provider, reply)
    rule = matching(provider.poll_errors, reply.status, code, message)
    if rule is None:
        return None
    word = clean(f"HTTP {reply.status} {code}".strip(), 60)
    if rule.means == "unknown":
        return Status(word=word, kind="unknown", code=code, message=message)
    return Status(word=word, kind=None, code=code, message=message, stop=rule.why or message or word) if rule.stop else None


def _links(provider: Provider, model: Model | None) -> Sequence[str]:
    """Where a model's result link stands."""
    spec = provider.spec["result"]
    for entry in spec.get("urls", ()):
        if model and any(fnmatchcase(name, pattern) for pattern in entry["models"] for name in model.names):
            pointers: Sequence[str] = entry["url"]
            return pointers
    return list(spec.get("url", ()))


def error_of(provider: Provider, reply: Reply) -> tuple[str, str]:
    """Code and message of a call that failed, by the first of the profile's shapes that fits; cleaned."""
    data = reply.data()
    fine = {"", *provider.spec.get("ok_codes", ())}
    for shape in provider.spec["http_error"]:
        code, message = coded(first(data, shape["code"]), first(data, shape["message"]))
        if (code or message) and not (code in fine and reply.status == 200 and code):
            return code, message
    return "", clean(reply.body[:200].decode("utf-8", "replace"), 160) if data is None else ""


def coded(code: Any, message: Any) -> tuple[str, str]:
    """Code and message as texts; `[Code] text` is taken apart where the code has no field of its own."""
    code, message = _cleaned(code, 120) or "", _cleaned(message, 1000) or ""
    if not code and (found := _BRACKETED.fullmatch(message)):
        return found[1], found[2]
    return code, message


def retry_after(provider: Provider, reply: Reply) -> float | None:
    """Seconds that the server asks for: Retry-After as a number or a date, else the reset header that the profile names."""
    said = reply.headers.get("retry-after", "")
    if _is_number(said):
        return max(0.0, float(said))
    now = moment(reply.headers.get("date", ""))
    if now is None:
        return None
    reset = reply.headers.get(str(provider.spec["limits"].get("reset_header", "")).lower(), "") if reply.status == 429 else ""
    until = moment(said) if said else float(reset) if _is_number(reset) else None
    return None if until is None else max(0.0, until - now)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) is not None


def moment(date: str) -> float | None:
    """Seconds since the epoch of an HTTP date; None for what is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def is_id(value: Any) -> bool:
    """Whether a value can be a task's id: short, in one word, and possible to write down and to ask with."""
    text = str(value) if isinstance(value, str) or type(value) is int else ""
    return 0 < len(text) <= _LONGEST_ID and not (_UNFIT.search(text) or _CONTROLS.search(text)) and text.strip(".") != ""


def is_link(url: Any) -> bool:
    if not isinstance(url, str) or _UNFIT.search(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def clean(text: str, most: int) -> str:
    """A server's text, safe to print: no terminal controls, one line, bounded, links without their signatures and logins."""
    text = text[: 4 * most + 4000]  # megabytes need not be gone through for a line
    text = re.sub(r"\s+", " ", _CONTROLS.sub("", text)).strip()
    text = re.sub(r"(\b\w{1,20}://[^\s?]{1,2000})\?\S+", r"\1?…", text)
    text = re.sub(r"(\b\w{1,20}://)[^\s/?#]{1,2000}@", r"\1…@", text)
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
    """A value as text; None for what is nested so deeply that nobody means it."""
    try:
        return None if value is None else str(value)
    except RecursionError:
        return None


def _cleaned(value: Any, most: int) -> str | None:
    text = _text(value)
    return None if text is None else clean(text, most)
