"""A media value as the author wrote it → a Medium: a file inside the folder, a URL or inline data, with its fingerprint."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from runner import fit
from runner.catalog import hostname, split
from runner.judge import Fault, shown, suggestion
from runner.probe import Probe, ProbeError, probe

Form = Literal["file", "http", "oss", "data", "render"]
# Arguments that sign a link, let it expire or are somebody's key: the same picture behind a fresh link is the same picture.
_PASSING = re.compile(
    r"^(x-(amz|oss|goog)-.*|expires?|signature|ossaccesskeyid|awsaccesskeyid|security-token|token|sig|se|sp|sv|sr|st|policy|key-pair-id"
    r"|(x-)?api[_-]?key|apikey|(access|auth|id)[_-]?token|auth|authorization|passw(or)?d|secret|client[_-]?secret)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """Another shot's render: one `frame` of it (`first`, `last`, or the one shown at that second), or all of it (None).

    `take` is the number of the take where one is fixed.
    """

    shot: str
    frame: Literal["first", "last"] | float | None = None
    take: int | None = None

    def __str__(self) -> str:
        """As its author wrote it."""
        frame = "" if self.frame is None else f", frame: {self.selector}"
        return f"{{shot: {self.shot}{frame}{f', take: {self.take}' if self.take else ''}}}"

    @property
    def selector(self) -> str:
        """The frame in words that are the same for equal frames: 1 and 1.0 are one second."""
        return str(int(self.frame)) if isinstance(self.frame, float) and self.frame.is_integer() else str(self.frame)

    def identity(self, sha256: str) -> str:
        """What the fingerprint sees: the render it names and the selector, never pixels."""
        return f"sha256:{sha256}" if self.frame is None else f"sha256:{sha256}#{self.selector}"

    def named(self, take: str | None = None) -> str:
        """What it brings, in words: of the shot, or of the take that it is by now."""
        return str(take or self.shot) if self.frame is None else f"the frame of {take or self.shot}"

    def beyond(self, seconds: float | None) -> Fault | None:
        """Why a render of so many seconds has no such frame; None where it has, or that is not known."""
        if not isinstance(self.frame, float) or seconds is None or self.frame < seconds:
            return None
        message = f"there is no frame at {self.selector} s: {self.shot} lasts {seconds:g} s"
        return Fault(code="E415", path=(), message=message, hint="frame: last is the last one")


@dataclass(frozen=True, kw_only=True, slots=True)
class Medium:
    """One thing that goes into a shot. `identity` is what the fingerprint sees of it, `rule` the model's `x-media`.

    A reference has the role `references/NUMBER` and a `kind` (image, video, audio); its voice `references/NUMBER/voice`.
    A `link` is as its author wrote it until a plan knows the render's `take`; `probe` says what it will be.
    """

    role: str
    form: Form
    value: str
    identity: str
    path: Path | None = None
    probe: Probe | None = None
    bytes: int | None = None
    kind: str | None = None
    link: Link | None = None
    take: str | None = None
    rule: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def is_open(self) -> bool:
        """A link whose render is not there yet."""
        return self.link is not None and self.identity == self.value

    @property
    def seconds(self) -> float | None:
        """How long it lasts, at most; None where that is not known, since no link to the web is ever fetched."""
        if self.probe is None or self.probe.seconds is None:
            return None
        return self.probe.seconds + _ROUNDING if self.is_open else self.probe.seconds


# Our own table: the machine's would make one manifest mean different things on different machines.
_ENDINGS = {
    "image": {"jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"},
    "video": {"mp4", "mov", "avi", "m4v", "webm", "mkv"},
    "audio": {"wav", "mp3", "m4a", "aac", "flac", "ogg"},
}
_ROUNDING = 0.5  # seconds that a render may last longer than was asked for: services make whole frames and sound packets
_Opened = tuple[Path, str, Probe | None, int]  # the file, its sha256, what it is, its bytes


class Shelf:
    """Reads each file once, however many shots use it. `folder` and `allowed` are where files may lie."""

    def __init__(self, folder: Path, allowed: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.roots = tuple(root.resolve() for root in (folder, *allowed))
        self._files: dict[tuple[str, bool], _Opened | Fault] = {}

    def medium(self, role: str, value: str, rule: Mapping[str, Any]) -> tuple[Medium | None, list[Fault]]:
        """The medium, or None with what is wrong; limits that a readable file breaks come beside it."""
        form = form_of(value)
        accepts, unsure = rule.get("accepts", ("http", "oss", "data")), rule.get("unsure", ())
        doubts = [_unsure(role, form)] if form in unsure else []
        kind = rule.get("kind")
        if form == "file":
            return self._file(role, value, rule)
        if form not in (*accepts, *unsure):
            return None, [_refuses(role, form, accepts)]
        if form == "data":
            medium, wrong = _inline(role, value, rule)
            return medium, wrong + doubts
        if form == "http" and not hostname(value):
            return None, [Fault(code="E402", path=(), message=f"{shown(value)} is no URL that can be read")]
        return Medium(role=role, form=form, value=value, identity=unsigned(value), kind=kind, rule=rule), doubts

    def _file(self, role: str, value: str, rule: Mapping[str, Any]) -> tuple[Medium | None, list[Fault]]:
        kind = rule.get("kind")
        if kind == "page":
            return None, [_refuses(role, "file", rule.get("accepts", ()))]
        found = self._opened(value, is_document=kind == "document")
        if isinstance(found, Fault):
            return None, [found]
        path, sha256, seen, size = found
        faults = fit.misfits(rule, seen) if seen else fit.document_misfits(rule, path.suffix, size)
        wrong = [replace(fault, message=f'"{value}" {fault.message}') for fault in faults]
        medium = Medium(
            role=role,
            form="file",
            value=value,
            identity=f"sha256:{sha256}",
            path=path,
            probe=seen,
            bytes=size,
            kind=kind or (seen.kind if seen else None),
            rule=rule,
        )
        return medium, wrong

    def kind(self, value: str) -> str | Fault | None:
        """What a bare reference is: by a file's content, a data: URI's type, a link's ending; None where nothing tells."""
        form = form_of(value)
        if form == "file":
            found = self._opened(value, is_document=False)
            return found if isinstance(found, Fault) else found[2].kind if found[2] else None
        if form == "data":
            kind = value[5:].partition("/")[0]
            return kind if kind in {"image", "video", "audio"} else None
        ending = split(value).path.rpartition(".")[2].lower()
        return next((kind for kind, endings in _ENDINGS.items() if ending in endings), None)

    def locate(self, value: str) -> Path | Fault:
        """A path that a manifest names → the file, or why it may not be read."""
        path = self.folder / value
        try:
            real = path.resolve()
            is_there, is_file = path.exists(), path.is_file()
        except (OSError, RuntimeError, ValueError):  # a NUL, a ring of links, a name too long for any disk
            return Fault(code="E402", path=(), message=f"{shown(value)} cannot be the name of a file")
        if not any(real.is_relative_to(root) for root in self.roots):
            return Fault(
                code="E410",
                path=(),
                message=f'"{value}" lies outside the manifest\'s folder',
                hint="move it inside, or allow its folder with --allow-dir",
            )
        inside = next(real.relative_to(root).parts for root in self.roots if real.is_relative_to(root))
        if any(part.startswith(".") and part not in {".", ".."} for part in (*Path(value).parts, *inside)):
            return Fault(
                code="E410",
                path=(),
                message=f'"{value}" is a hidden file or lies in a hidden folder',
                hint="rename it without the leading dot",
            )
        if is_there and not is_file:
            return Fault(code="E402", path=(), message=f'"{value}" is no file, but a folder or a device')
        return real if is_there else self._missing(value, path)

    def _missing(self, value: str, path: Path) -> Fault:
        folder = next(parent for parent in path.parents if parent.is_dir())
        here = (
            [entry.relative_to(self.folder).as_posix() for entry in folder.iterdir() if folder.is_relative_to(self.folder)]
            if folder
            else []
        )
        near = suggestion(value, sorted(here)[:500])
        return Fault(
            code="E401",
            path=(),
            message=f'there is no file "{value}"',
            hint=near if near and near.startswith("did") else "paths count from the manifest's folder",
        )

    def _opened(self, value: str, *, is_document: bool) -> _Opened | Fault:
        key = (value, is_document)
        return self._files.get(key) or self._files.setdefault(key, self._open(value, is_document=is_document))

    def _open(self, value: str, *, is_document: bool) -> _Opened | Fault:
        path = self.locate(value)
        if isinstance(path, Fault):
            return path
        try:
            seen = None if is_document else probe(path)
            with path.open("rb") as file:
                return path, hashlib.file_digest(file, "sha256").hexdigest(), seen, path.stat().st_size
        except ProbeError as error:
            return Fault(code="E402", path=(), message=f'"{value}": {error.fact}', hint=error.hint)
        except OSError as error:
            return Fault(code="E402", path=(), message=f'"{value}" cannot be read: {error.strerror}')


def unsigned(url: str) -> str:
    """A URL less the arguments that sign it or let it expire, and less a name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address that anybody could fetch; what it hides is not guessed
        return f"sha256:{hashlib.sha256(url.encode()).hexdigest()}"
    if not parts.query and "@" not in parts.netloc:
        return url
    kept = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if not _PASSING.match(key)]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query=urlencode(kept), fragment="" if parts.query else parts.fragment))


def form_of(value: str) -> Form:
    """How a medium is given, by how it is written."""
    scheme = value.split(":", 1)[0].lower() if ":" in value else ""
    if scheme in {"http", "https"}:
        return "http"
    return "oss" if scheme == "oss" else "data" if scheme == "data" else "file"


_FORMS = {"http": "http(s) URLs", "oss": "oss:// URLs", "data": "data: URIs", "file": "files"}


def _refuses(role: str, form: str, accepts: Sequence[str]) -> Fault:
    hint = "it takes " + ", ".join(_FORMS[name] for name in accepts)
    return Fault(code="E409", path=(), message=f"{role} takes no {_FORMS[form]} with this model", hint=hint)


def _unsure(role: str, form: str) -> Fault:
    message = f"no source says whether {role} takes {_FORMS[form]} with this model"
    return Fault(code="W409", path=(), message=message, hint="try one shot before many")


def _inline(role: str, value: str, rule: Mapping[str, Any]) -> tuple[Medium | None, list[Fault]]:
    head, _, body = value.partition(",")
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None, [
            Fault(
                code="E402",
                path=(),
                message=f"{role} is not a well-formed data: URI",
                hint="it looks like data:image/png;base64,…",
            )
        ]
    if not head.endswith(";base64") or not data:
        return None, [
            Fault(code="E402", path=(), message=f"{role} is not a base64 data: URI", hint="it looks like data:image/png;base64,…")
        ]
    identity = f"sha256:{hashlib.sha256(data).hexdigest()}"
    try:
        seen = _probed(data)
    except ProbeError as error:
        return None, [Fault(code="E402", path=(), message=f"the data: URI of {role} is {error.fact}", hint=error.hint)]
    wrong = [replace(fault, message=f"the data: URI of {role} {fault.message}") for fault in fit.misfits(rule, seen)]
    return Medium(
        role=role, form="data", value=value, identity=identity, kind=rule.get("kind"), probe=seen, bytes=len(value), rule=rule
    ), wrong


def _probed(data: bytes) -> Probe:
    """What inline bytes are, read as a file's are."""
    with tempfile.TemporaryDirectory(prefix="callsheet-") as folder:
        path = Path(folder) / "inline"
        path.write_bytes(data)
        return probe(path)
