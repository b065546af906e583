"""Local media → what the request says for them: inline, or uploaded to where the provider can read them, once in 48 hours."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import uuid
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from runner import wire
from runner.answers import Reply, error_of, first, is_link, pick
from runner.assets import Medium
from runner.catalog import seconds
from runner.client import Client
from runner.errors import ProviderError, TakeError
from runner.judge import Fault
from runner.ways import way

_POLICY = {"upload_dir", "upload_host", "oss_access_key_id", "signature", "policy", "x_oss_object_acl", "x_oss_forbid_overwrite"}
_MARGIN = 4 * 3600.0  # seconds; a task may wait and run for hours before it reads its media


class UploadCache:
    """What one account has uploaded, by content and model, in a file that may be lost at any time."""

    def __init__(self, path: Path, account: str) -> None:
        self.path = path
        self.account = account
        self._known: dict[str, dict[str, Any]] = self._read()

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            known = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {key: one for key, one in known.items() if _is_row(one)} if isinstance(known, dict) else {}

    def get(self, identity: str, model: str, *, now: float) -> str | None:
        found = self._known.get(self._key(identity, model))
        return str(found["url"]) if found and now < found["until"] else None

    def put(self, identity: str, model: str, url: str, *, until: float, now: float) -> None:
        fresh = {
            key: one for key, one in self._read().items() if now < one["until"]
        }  # another provider's account writes here too
        self._known = {**fresh, self._key(identity, model): {"url": url, "until": until}}
        self._write()

    def drop(self, identity: str, model: str) -> None:
        self._known = {key: one for key, one in self._read().items() if key != self._key(identity, model)}
        self._write()

    def _key(self, identity: str, model: str) -> str:
        return f"{self.account} {model} {identity}"

    def _write(self) -> None:
        beside = self.path.with_suffix(".new")
        try:
            beside.write_text(json.dumps(self._known, indent=1, sort_keys=True), "utf-8")
            beside.replace(self.path)
        except OSError:
            pass  # a cache: without it the file is uploaded again


def _is_row(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("url"), str) and isinstance(one.get("until"), (int, float))


class Uploads:
    """Makes media readable for one provider account; each file is uploaded once for a model, not twice at the same time."""

    def __init__(self, client: Client, cache: UploadCache, now: Callable[[], float]) -> None:
        self.client = client
        self.cache = cache
        self.now = now
        self._one: dict[tuple[str, str], anyio.Lock] = {}

    async def url(self, medium: Medium, model: str) -> str:
        """What the request says for a medium: its URL as written, a data: URI, or a link to a copy just uploaded."""
        how = way(self.client.provider, medium)
        if isinstance(how, Fault):
            raise TakeError(how.message, code="NoUpload", hint=how.hint)
        if how == "given":
            return medium.value
        async with self._one.setdefault((medium.identity, model), anyio.Lock()):
            if how == "inline":
                return await anyio.to_thread.run_sync(_data_uri, medium)
            known = self.cache.get(medium.identity, model, now=self.now())
            if known:
                return known
            data = await anyio.to_thread.run_sync(_read, medium)
            url = await (self._native(medium, model, data) if how == "native" else self._posted(medium, data))
            lives = seconds(self.client.provider.spec["upload"].get("lives", "1h"))
            self.cache.put(medium.identity, model, url, until=self.now() + max(lives - _MARGIN, lives / 2), now=self.now())
            return url

    def forget(self, media: Iterable[Medium], model: str, code: str) -> bool:
        """Whether `code` means that an uploaded copy is dead; it is then uploaded anew when asked for again."""
        dead = self.client.provider.spec.get("upload", {}).get("dead", ())
        if not any(fnmatchcase(code, pattern) for pattern in dead):
            return False
        ours = [medium for medium in media if way(self.client.provider, medium) in {"native", "files"}]
        for medium in ours:
            self.cache.drop(medium.identity, model)
        return bool(ours)

    async def _native(self, medium: Medium, model: str, data: bytes) -> str:
        """Alibaba's temporary storage: a policy, a form, an `oss://` key (48 h, this model and account only)."""
        reply = await self.client.ask(wire.policy(self.client.provider, model))
        policy = pick(reply.data(), "/data")
        if reply.status != 200 or not isinstance(policy, dict) or not policy.keys() >= _POLICY:
            raise self._failed("the provider gave no upload policy", reply)
        # Two files of one name under one policy collide, so every name is new.
        name = _name(medium)
        key = f"{policy['upload_dir']}/{name}"
        fields = {
            "OSSAccessKeyId": policy["oss_access_key_id"],
            "Signature": policy["signature"],
            "policy": policy["policy"],
            "key": key,
            "x-oss-object-acl": policy["x_oss_object_acl"],
            "x-oss-forbid-overwrite": policy["x_oss_forbid_overwrite"],
            "success_action_status": "200",
        }
        reply = await self.client.post_form(str(policy["upload_host"]), fields, (name, data))
        if reply.status != 200:
            raise self._failed(f'"{medium.value}" could not be uploaded', reply)
        return f"oss://{key}"

    async def _posted(self, medium: Medium, data: bytes) -> str:
        """The gateway's own multipart upload: a form with the key, a link in the reply."""
        spec = self.client.provider.spec["upload"]
        url = self.client.base_url + spec["path"]
        reply = await self.client.post_form(url, {}, (_name(medium), data), name=spec.get("field", "file"), key=True)
        link = first(reply.data(), spec["url"])
        if not 200 <= reply.status < 300 or not is_link(link):
            raise self._failed(f'"{medium.value}" could not be uploaded', reply)
        return str(link)

    def _failed(self, what: str, reply: Reply) -> ProviderError:
        code, message = error_of(self.client.provider, reply)
        said = f"{code} {message}".strip() or f"HTTP {reply.status}"
        return ProviderError(f"{what}: {said}", code=code or f"HTTP{reply.status}", status=reply.status)


def _name(medium: Medium) -> str:
    return f"{uuid.uuid4().hex[:12]}{Path(medium.path or medium.value).suffix.lower()}"


def _data_uri(medium: Medium) -> str:
    form = medium.probe.format if medium.probe else ""
    kind = mimetypes.types_map.get(f".{form}", f"image/{form}")
    return f"data:{kind};base64,{base64.b64encode(_read(medium)).decode()}"


def _read(medium: Medium) -> bytes:
    """The file's bytes, if they are still those that were checked."""
    try:
        data = medium.path.read_bytes() if medium.path else b""
    except OSError as error:
        raise TakeError(f'"{medium.value}" cannot be read any more: {error.strerror}', code="MediaGone") from error
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != medium.identity:
        raise TakeError(
            f'"{medium.value}" has changed since it was checked', code="MediaChanged", retryable=True, hint="run again"
        )
    return data
