"""A git revision + a manifest's path → the manifest as it was then, read in a temporary folder; the work tree is only looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from runner import manifest as manifests
from runner.errors import ManifestError, UsageError
from runner.shots import Manifest

# Nothing is locked, asked for or smudged: a look must not write the index, wait for a password or fetch large files.
_ASIDE = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
}  # a hook's: it is the manifest's own repository that is asked
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"}
# Without the first `diff` writes what it has learned of the files' times into the index, optional locks or not.
_SETTINGS = ("-c", "diff.autoRefreshIndex=false", "-c", "core.fsmonitor=false")
_LINK = "120000"


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """A commit: its id in short, its first line, when it was made."""

    id: str
    subject: str
    date: str


@contextmanager
def manifest_at(
    path: Path,
    name: str,
    *,
    environ: Mapping[str, str],
    profile: str | None = None,
    provider: str | None = None,
    allowed: Sequence[Path] = (),
) -> Iterator[tuple[Revision, Manifest]]:
    """The manifest as it was at the revision `name`, with the files it names; its folder is gone afterwards.

    What git does not keep (large media, often) is as it lies in the work tree now. Raises UsageError, ManifestError.
    """
    folder = path.absolute().parent
    revision = _revision(folder, name)
    with tempfile.TemporaryDirectory(prefix="callsheet-") as made:
        there = Path(made).resolve()
        _lay_out(folder, revision.id, there, path.name)
        try:
            found = manifests.read(
                there / path.name, environ=environ, profile=profile, provider=provider, allowed=[folder, *allowed]
            )
        except ManifestError as error:
            first = next(problem for problem in error.problems if problem.severity == "error")
            where = replace(first.place, file=_told(first.place.file, there))
            hint = first.hint or "see it with `git show`, or name another revision"
            raise UsageError(f"the manifest at {name} has errors: {where}: {first.message}", hint=hint) from error
        yield revision, found


def _told(file: str, there: Path) -> str:
    """A file of the temporary folder by its name within the manifest's."""
    real = Path(file).resolve()
    return real.relative_to(there).as_posix() if real.is_relative_to(there) else file


def _revision(folder: Path, name: str) -> Revision:
    if _git(folder, "rev-parse", "--is-inside-work-tree") is None:
        raise UsageError(f"{folder} is in no git repository", hint="--against compares with a revision that git keeps")
    commit = _git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if commit is None:
        raise UsageError(f'there is no revision "{name}" in this repository', hint="a branch, a tag, a commit or HEAD~1")
    told = _git(folder, "log", "-1", "--no-show-signature", "--format=%h%x00%s%x00%cs", commit.decode().strip()) or b""
    short, subject, date = told.decode("utf-8", "replace").strip().split("\0")
    return Revision(id=short, subject=subject, date=date)


def _lay_out(folder: Path, commit: str, there: Path, name: str) -> None:
    """The folder as it was: what is the same today by links to today's files, the rest out of git, then what git does not keep."""
    kept = _tree(folder, commit)
    if name not in kept:
        came = _git(folder, "log", "--diff-filter=A", "--format=%h", "-1", "--", name) or b""
        hint = f"git has it since {came.decode().strip()}" if came.strip() else "git does not keep it yet"
        raise UsageError(f"{name} was not there at {commit}", hint=hint)
    differing = set(
        _names(_git(folder, "diff", "--name-only", "--no-ext-diff", "--no-renames", "--relative", "-z", commit, "--", "."))
    )
    for path, (mode, blob) in kept.items():
        if path in differing or mode == _LINK or not (folder / path).is_file():
            _write(folder, there / path, blob, is_link=mode == _LINK)
        else:
            _link(folder / path, there / path)
    for path in _names(_git(folder, "ls-files", "--others", "-z", "--", ".")):
        if path not in kept and _is_plain(path) and (folder / path).is_file():
            _link(folder / path, there / path)


def _tree(folder: Path, commit: str) -> dict[str, tuple[str, str]]:
    """Every file of the folder at that commit: its mode and its blob. Hidden ones are none of a manifest's."""
    found = {}
    for row in _names(_git(folder, "ls-tree", "-r", "-z", commit, "--", ".")):
        about, _, path = row.partition("\t")
        mode, kind, blob = about.split()
        if kind == "blob" and _is_plain(path):
            found[path] = (mode, blob)
    return found


def _is_plain(path: str) -> bool:
    """Whether a name stays inside its folder and is not hidden; what a repository says is not believed."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and "\\" not in path and not any(part.startswith(".") for part in parts)


def _write(folder: Path, target: Path, blob: str, *, is_link: bool) -> None:
    data = _git(folder, "cat-file", "blob", blob)
    if data is None or not _makes_way(target):
        return
    if is_link:
        target.symlink_to(os.fsdecode(data))  # where it leads is judged when it is read, as any other path
    else:
        target.write_bytes(_large(folder, data) or data)


def _large(folder: Path, data: bytes) -> bytes | None:
    """What a Git LFS pointer stands for, where this clone has it."""
    if not data.startswith(b"version https://git-lfs.github.com/spec/v1"):
        return None
    oid = next((line[11:].decode() for line in data.splitlines() if line.startswith(b"oid sha256:")), "")
    common = _git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir")
    if len(oid) != 64 or not oid.isalnum() or common is None:
        return None
    try:
        return (Path(os.fsdecode(common.rstrip(b"\n"))) / "lfs" / "objects" / oid[:2] / oid[2:4] / oid).read_bytes()
    except OSError:
        return None


def _link(source: Path, target: Path) -> None:
    if not _makes_way(target):
        return
    try:
        target.symlink_to(source)
    except OSError:  # Windows, without the privilege
        shutil.copyfile(source, target)


def _makes_way(target: Path) -> bool:
    """Make the folder above; not where a link of the repository's stands in its place, which could lead anywhere."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return target.parent.resolve() == target.parent and not os.path.lexists(target)


def _names(listed: bytes | None) -> list[str]:
    return [os.fsdecode(name) for name in (listed or b"").split(b"\0") if name]


def _git(folder: Path, *words: str) -> bytes | None:
    """What git says, None where it refuses. Raises UsageError where there is no git."""
    environ = {name: value for name, value in os.environ.items() if name not in _ASIDE}
    command = ["git", *_SETTINGS, "-C", os.fspath(folder), *words]
    try:
        made = subprocess.run(command, capture_output=True, check=False, env={**environ, **_QUIET})
    except FileNotFoundError as error:
        raise UsageError("--against needs git, which is not on the PATH") from error
    return made.stdout if made.returncode == 0 else None
