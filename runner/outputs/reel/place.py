"""Where a reel goes: never over what is not one of ours, written beside its name, on the disk before it gets it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from av.error import FFmpegError

from runner.errors import CallsheetError, Refused, UsageError
from runner.journal import sync_folder
from runner.outputs.reel.footage import opened
from runner.probe import ProbeError, check_video

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARK = "callsheet reel"  # the container's `comment`, by which a reel is known to be one


def check(target: Path) -> None:
    """Raises UsageError where a reel cannot go to `target`."""
    if target.suffix.lower() != ".mp4":
        raise UsageError(f'{target}: a reel is an MP4 file, so its name ends in ".mp4"')
    if not target.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}", hint="make it, or choose another one with --out")
    if (target.exists() or target.is_symlink()) and not _is_ours(target):
        raise UsageError(f"{target}: is in the way: not a reel of ours", hint="move it, or choose another name with --out")


def _is_ours(target: Path) -> bool:
    if target.is_symlink() or not target.is_file():
        return False
    try:
        with opened(target) as container:
            return str(container.metadata.get("comment", "")).startswith(MARK)
    except (FFmpegError, OSError, ValueError):
        return False


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A file to write to; when all went well it is fsynced, checked to decode, and renamed to `target`. Else it is removed."""
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            ours = os.fstat(file.fileno()).st_ino
    except OSError as error:
        raise _unwritable(part, error) from error
    try:
        yield part
        _settle(part, target, ours)
    except BaseException as error:
        with suppress(OSError):
            if part.stat().st_ino == ours:
                part.unlink()
        if isinstance(error, OSError) and not isinstance(error, (BrokenPipeError, InterruptedError)):
            raise _unwritable(target, error) from error
        raise


def _settle(part: Path, target: Path, ours: int) -> None:
    if not part.exists() or part.stat().st_ino != ours:
        raise Refused(f"{target}: another reel is being written there", hint="wait for it, or use --out")
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    try:
        check_video(part)
    except ProbeError as error:
        raise CallsheetError(f"the reel that was written does not decode: {error.fact}") from error
    check(target)  # what has come there meanwhile is not overwritten either
    part.replace(target)
    sync_folder(target.parent)


def _unwritable(path: Path, error: OSError) -> UsageError:
    why = error.strerror or str(error)
    return UsageError(f"{path}: cannot be written: {why}", hint="free some space or mend the permissions, or use --out")
