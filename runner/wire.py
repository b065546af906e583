"""Shot → request, by the model's places and the provider's paths; values in, values out, no socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import quote

from runner.assets import Medium
from runner.catalog import Model, Provider
from runner.shots import Shot

# What decides price or look and differs between sources is always said, though the author was silent (contract §2).
ALWAYS = ("resolution", "size", "duration", "watermark")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One call: `path` is relative to the provider's base URL, `key` says whether it carries the key."""

    method: Literal["GET", "POST"]
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    key: bool = True


def body(shot: Shot, *, seed: int | None, urls: Mapping[str, str]) -> dict[str, Any]:
    """The native body of a submit; `urls` gives each medium, by its written value, as the provider can read it."""
    made: dict[str, Any] = {"model": shot.model_name, "input": {}}
    fields = shot.model.schema["properties"]
    for name, value in (("prompt", shot.prompt), ("negative_prompt", shot.negative_prompt)):
        if value is not None and name in fields:
            _put(made, fields[name]["x-to"], value)
    for medium in shot.media:
        _cast(made, shot.model, medium, urls.get(medium.value, medium.value))
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


def _cast(made: dict[str, Any], model: Model, medium: Medium, url: str) -> None:
    """Put one medium where its model wants it; a voice goes into the reference before it."""
    role, _, rest = medium.role.partition("/")
    rule = model.roles[role]
    if rest.endswith("/voice"):
        _put(_inside(made, rule["x-to"].split("/")[1:-1])[-1], rule["x-voice"]["x-to"], url)
        return
    item = rule["x-items"][medium.kind] if rest else rule
    _put(made, rule["x-to"], {"type": item["x-type"], "url": url} if "x-type" in item else url)


def submit(provider: Provider, shot: Shot, body: Mapping[str, Any], *, take: str, attempt: str = "") -> Request:
    """The paid request, in the provider's own manner: its path for the model, its headers, its way with fields."""
    spec = provider.spec["submit"]
    path = next((entry["path"] for entry in spec.get("paths", ()) if _is_named(shot.model, entry["models"])), spec["path"])
    fitted = _fitted(provider, shot.model, body)
    headers = {**_headers(provider, "submit"), **_filled(spec.get("headers", {}), take=take, attempt=attempt)}
    if "oss://" in json.dumps(fitted):
        headers |= provider.spec.get("upload", {}).get("headers", {})
    return Request(method="POST", path=path.replace("{endpoint}", shot.model.endpoint), headers=headers, body=fitted)


def query(provider: Provider, task_id: str) -> Request:
    return Request(method="GET", path=_with_id(provider.spec["poll"]["path"], task_id), headers=_headers(provider, "poll"))


def cancel(provider: Provider, task_id: str) -> Request | None:
    spec = provider.spec.get("cancel")
    return Request(method="POST", path=_with_id(spec["path"], task_id), headers=_headers(provider, "cancel")) if spec else None


def listing(provider: Provider, query: Mapping[str, str]) -> Request:
    """A page of the provider's task list, which its profile must have."""
    return Request(method="GET", path=provider.spec["list"]["path"], headers=_headers(provider, "list"), query=query)


def content(provider: Provider, task_id: str) -> Request | None:
    """The endpoint that streams a render itself, where the provider has one."""
    spec = provider.spec["result"].get("content")
    if spec is None:
        return None
    return Request(method="GET", path=_with_id(spec["path"], task_id), headers=_headers(provider, "result"), key=spec["key"])


def policy(provider: Provider, model: str) -> Request:
    """What the native upload begins with."""
    query = {"action": "getPolicy", "model": model}
    return Request(method="GET", path=provider.spec["upload"]["path"], headers=_headers(provider, "upload"), query=query)


def _is_named(model: Model, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in model.names)


def _headers(provider: Provider, kind: str) -> dict[str, str]:
    """The static headers of a kind of call: those of every call and its own; one whose word is not said is left out."""
    own = provider.spec.get(kind, {}).get("headers", {}) if kind not in {"submit", "upload"} else {}
    return _filled({**provider.spec.get("headers", {}), **own}, workspace=str(provider.spec.get("workspace", "")))


def _filled(headers: Mapping[str, str], **words: str) -> dict[str, str]:
    made = {}
    for name, value in headers.items():
        lacking = [word for word, said in words.items() if not said and f"{{{word}}}" in value]
        for word, said in words.items():
            value = value.replace(f"{{{word}}}", said)  # noqa: PLW2901 - one word after the other
        if not lacking:
            made[name] = value
    return made


def _fitted(provider: Provider, model: Model, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body as this provider wants it: media as bare URLs, fields left out, values in another type."""
    spec = provider.spec["submit"]
    made: dict[str, Any] = json.loads(json.dumps(body))
    media = made["input"].get("media")
    if media and provider.media_encoding(model) == "string":
        made["input"]["media"] = [
            item["url"] if isinstance(item, dict) and item.keys() == {"type", "url"} else item for item in media
        ]
    for rule in spec.get("drop", ()):
        if _is_named(model, rule["models"]):
            for pointer in rule["fields"]:
                _change(made, pointer, None)
    for pointer, kind in spec.get("coerce", {}).items():
        _change(made, pointer, _COERCE[kind])
    return made


_COERCE: Mapping[str, Callable[[Any], Any]] = {"integer": int, "string": str, "upper": lambda value: str(value).upper()}


def _change(made: dict[str, Any], pointer: str, how: Callable[[Any], Any] | None) -> None:
    """Make the value at a pointer another, or take it away; nothing where there is none."""
    *parents, last = pointer.split("/")[1:]
    inner: Any = made
    for part in parents:
        inner = inner.get(part, {})
    if last in inner:
        if how is None:
            del inner[last]
        else:
            inner[last] = how(inner[last])


def _with_id(path: str, task_id: str) -> str:
    return path.replace("{task_id}", quote(task_id, safe=""))


def _put(made: dict[str, Any], pointer: str, value: Any) -> None:
    """Set a value at a JSON Pointer, making the mappings on the way; `/-` at the end appends."""
    *parents, last = pointer.split("/")[1:]
    if last == "-":
        *parents, last = parents
        value = [*_inside(made, parents).get(last, []), value]
    _inside(made, parents)[last] = value


def _inside(made: dict[str, Any], parents: Sequence[str]) -> Any:
    for part in parents:
        made = made.setdefault(part, {})
    return made
