"""A board as a value, its posters → the HTML file: one page that needs no network, in which everything told is escaped."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.errors import UsageError
from runner.journal import disk
from runner.outputs.board.posters import Posters
from runner.outputs.board.views import Take
from runner.unseen import marked

HERE = Path(__file__).parent
MARKER = "<!-- a callsheet board -->"


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What every page needs. `target` is where it will lie, `made` when, `pick` what stands before and after the takes to pick."""

    target: Path
    made: str
    pick: tuple[str, str]
    posters: Mapping[str, Posters | None]
    is_embedded: bool = False

    def link(self, take: Take) -> str | _Inline:
        """Where a take's render is, as seen from the page; with `is_embedded` the render itself."""
        assert take.file is not None  # noqa: S101 - asked by the templates
        if self.is_embedded:
            return _Inline(take.file)
        file, folder = (os.path.abspath(path) for path in (take.file, self.target.parent))  # noqa: PTH100 - resolve() follows links
        try:
            return quote(Path(os.path.relpath(file, folder)).as_posix())
        except ValueError:  # another drive
            return Path(file).as_uri()


@dataclass(frozen=True)
class _Inline:
    """A render as a data: URI, read when the page comes to it: never are all of them in memory."""

    file: Path

    def __html__(self) -> str:
        try:
            return f"data:video/mp4;base64,{base64.b64encode(self.file.read_bytes()).decode()}"
        except OSError as error:
            raise UsageError(f"{self.file}: cannot be read: {error.strerror}") from error


def write(template: str, page: Page, **values: Any) -> int:
    """Render a template to the page's target, whole or not at all; its bytes. Raises UsageError, DiskError."""
    check(page.target)
    part = page.target.with_name(f".{page.target.name}.{os.getpid()}.part")
    with disk(page.target):
        page.target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(_rendered(template, page, values))
            size = part.stat().st_size
            part.replace(page.target)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    return size


def check(target: Path) -> None:
    """Raise UsageError where something else than a board of ours is in the way."""
    if not os.path.lexists(target):
        return
    head = b""
    with suppress(OSError), target.open("rb") as file:
        head = file.read(200)
    if MARKER.encode() not in head:
        raise UsageError(
            f"{target} is in the way: it is no board of callsheet's", hint="move it, or name another file with --out"
        )


def _rendered(template: str, page: Page, values: Mapping[str, Any]) -> Iterator[str]:
    import jinja2  # start-up time
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own two files, the only text that is not escaped; the policy knows them by their hashes.
    style, script = (Markup((HERE / name).read_text("utf-8")) for name in ("board.css", "board.js"))  # noqa: S704
    yield from environment.get_template(template).generate(
        marker=Markup(MARKER),  # noqa: S704
        policy=_policy(style, script),
        style=style,
        script=script,
        made=page.made,
        pick=page.pick,
        posters=page.posters,
        link=page.link,
        embedded=page.is_embedded,
        **values,
    )


def _seen(value: Any) -> Any:
    """What people and servers wrote turns nothing around on the page; `safe` marks what is ours."""
    return marked(value) if type(value) is str else value


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere but the page itself and the renders beside it; `self` is none of a browser's for files, so `file:`."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )
