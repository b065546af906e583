"""Files up (temporary upload or inline) and renders down: beside, checked, then in place under their final name."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from runner.assets import Medium
from runner.client import Client
from runner.errors import ProviderError, TakeError, Unreachable
from runner.journal import sync_folder
from runner.probe import ProbeError, check_video
from runner.wire import Reply, Request, error_of, pick

_POLICY = {"upload_dir", "upload_host", "oss_access_key_id", "signature", "policy", "x_oss_object_acl", "x_oss_forbid_overwrite"}
MOST_RENDER = 4 * 1024**3  # bytes; a 30 s 1080P render has some tens of MB


class Uploads:
    """Makes local media readable for one provider account; each file and model is sent once a run."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._urls: dict[tuple[str, str], str] = {}
        self._one: dict[tuple[str, str], anyio.Lock] = {}

    async def url(self, medium: Medium, model: str) -> str:
        """What the request says for a medium: its URL as written, a data: URI, or an `oss://` link just made."""
        if medium.path is None:
            return medium.value
        key = (medium.identity, model)
        async with self._one.setdefault(key, anyio.Lock()):
            if key not in self._urls:
                self._urls[key] = await self._made(medium, model)
        return self._urls[key]

    async def _made(self, medium: Medium, model: str) -> str:
        spec = self.client.provider.spec["media"]
        data = await anyio.to_thread.run_sync(_read, medium)
        if spec["upload"] == "native":
            return await self._native(medium, model, data)
        if spec.get("data_uri", {}).get("images") and medium.probe and medium.probe.kind == "image":
            kind = mimetypes.types_map.get(f".{medium.probe.format}", f"image/{medium.probe.format}")
            return f"data:{kind};base64,{base64.b64encode(data).decode()}"
        name = self.client.provider.name
        raise TakeError(
            f"{name} takes no local file for {medium.role}", code="NoUpload", hint="put it on the web and give its URL"
        )

    async def _native(self, medium: Medium, model: str, data: bytes) -> str:
        """Alibaba's temporary storage: a policy, a form, an `oss://` key (48 h, this model and account only)."""
        path = self.client.provider.spec.get("upload", {}).get("path", "/uploads")
        reply = await self.client.ask(Request(method="GET", path=path, query={"action": "getPolicy", "model": model}))
        policy = pick(reply.data(), "/data")
        if reply.status != 200 or not isinstance(policy, dict) or not policy.keys() >= _POLICY:
            raise self._failed("the provider gave no upload policy", reply)
        # Two files of one name under one policy collide, so every name is new.
        name = f"{uuid.uuid4().hex[:12]}{Path(medium.value).suffix.lower()}"
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

    def _failed(self, what: str, reply: Reply) -> ProviderError:
        code, message = error_of(self.client.provider, reply)
        said = f"{code} {message}".strip() or f"HTTP {reply.status}"
        return ProviderError(f"{what}: {said}", code=code or f"HTTP{reply.status}", status=reply.status)


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


class LinkDead(TakeError):
    """The link has expired or is refused; the task may give a fresh one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A whole, decodable render that lies beside, not yet under its name."""

    part: Path
    facts: Mapping[str, Any]


async def fetch(client: Client, url: str, part: Path) -> Fetched:
    """Stream a render to `part`, check its length and that it decodes. Raises LinkDead, TakeError, Unreachable."""
    async with client.download(url) as response:
        if response.status_code in {401, 403, 404, 410}:
            raise LinkDead(f"the link answers HTTP {response.status_code}", code="LinkDead", retryable=True)
        if response.status_code != 200:
            raise Unreachable(f"the link answers HTTP {response.status_code}", sent=True)
        expected = response.headers.get("content-length")
        digest = hashlib.sha256()
        size = 0
        fd = _open(part)
        try:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > MOST_RENDER:
                    raise TakeError(f"the render is larger than {MOST_RENDER} bytes", code="TooLarge")
                digest.update(chunk)
                _write(fd, chunk, part)
            await anyio.to_thread.run_sync(os.fsync, fd)
        finally:
            os.close(fd)
    if expected is not None and expected.isdigit() and int(expected) != size:
        raise Unreachable(f"the render was cut short: {size} of {expected} bytes", sent=True)
    facts = await anyio.to_thread.run_sync(_facts, part)
    return Fetched(part=part, facts={**facts, "sha256": digest.hexdigest(), "bytes": size})


def _open(part: Path) -> int:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        # Never written into as it is: after a crash it may be another name of a finished render.
        part.unlink(missing_ok=True)
        return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
    except OSError as error:
        raise disk_fault(part, error) from error


def _write(fd: int, chunk: bytes, part: Path) -> None:
    view = memoryview(chunk)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise disk_fault(part, error) from error


def disk_fault(path: Path, error: OSError) -> TakeError:
    """A file cannot be written: the render stays with the provider and the next run fetches it."""
    hint = "free some space or mend the permissions, then run again: the render is still fetched from the provider"
    return TakeError(f"{path}: cannot be written: {error.strerror}", code="Disk", retryable=True, hint=hint)


def _facts(part: Path) -> dict[str, Any]:
    try:
        seen = check_video(part)
    except ProbeError as error:
        raise TakeError(f"the render does not decode: {error.fact}", code="Damaged", retryable=True) from error
    facts = {"width": seen.width, "height": seen.height, "fps": seen.fps, "sound": seen.sound}
    return {**facts, "seconds": None if seen.seconds is None else round(seen.seconds, 3)}


def place(part: Path, final: Path) -> None:
    """Give a checked file its final name, never over another file: a hard link cannot overwrite."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(part, final)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if final.exists():
                raise FileExistsError(17, "a file is in the way") from None
            part.rename(final)
        else:
            part.unlink()
        sync_folder(final.parent)
    except FileExistsError as error:
        raise TakeError(f"{final}: a file is in the way", code="InTheWay", hint="move it, then run again") from error
    except OSError as error:
        raise disk_fault(final, error) from error


def twin(old: Path, new: Path) -> bool:
    """Give a file a second name beside its old one; False where it is not there or the name is taken."""
    try:
        if not old.exists():
            return False
        new.parent.mkdir(parents=True, exist_ok=True)
        if new.exists():
            return new.samefile(old)
        try:
            os.link(old, new)
        except FileNotFoundError:
            return False
        except OSError:  # a file system without links
            shutil.copyfile(old, new)
        sync_folder(new.parent)
    except OSError as error:
        raise disk_fault(new, error) from error
    return True


def show(take: Path, output: Path) -> None:
    """Make `output` the picked take: a hard link, else a copy; put in place by one rename."""
    beside = output.with_name(f".{output.name}.new")
    try:
        if output.exists() and output.samefile(take):
            return
        output.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        try:
            os.link(take, beside)
        except OSError:  # a file system without links
            shutil.copyfile(take, beside)
        beside.replace(output)
        sync_folder(output.parent)
    except OSError as error:
        raise disk_fault(output, error) from error
