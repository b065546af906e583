"""Files under their names: a checked render put in place, a second name for one, and the picked take shown."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runner.errors import TakeError
from runner.journal import sync_folder


def disk_fault(path: Path, error: OSError) -> TakeError:
    """A file cannot be written: the render stays with the provider and the next run fetches it."""
    hint = "free some space or mend the permissions, then run again: the render is still fetched from the provider"
    return TakeError(f"{path}: cannot be written: {error.strerror}", code="Disk", retryable=True, hint=hint)


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
