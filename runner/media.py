"""A render's link → its file: fetched beside, checked, then in place under its final name."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from runner.client import Client
from runner.errors import TakeError, Unreachable
from runner.journal import sync_folder
from runner.probe import ProbeError, check_video

MOST_RENDER = 4 * 1024**3  # bytes; a 30 s 1080P render has some tens of MB


class LinkDead(TakeError):
    """The link has expired or is refused; the task may give a fresh one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A whole, decodable render that lies beside, not yet under its name."""

    part: Path
    facts: Mapping[str, Any]


async def fetch(client: Client, url: str, part: Path, *, headers: Mapping[str, str] | None = None, key: bool = False) -> Fetched:
    """Stream a render to `part`, check its length and that it decodes. Raises LinkDead, TakeError, Unreachable."""
    async with client.download(url, headers=headers, key=key) as response:
        if response.status_code in {400, 401, 403, 404, 410}:
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
