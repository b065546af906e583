"""A medium and a provider → how it gets there: as written, inline in the request, or uploaded first; or why it cannot."""

from __future__ import annotations

from typing import Literal

from runner.assets import Medium
from runner.catalog import Provider
from runner.fit import mega
from runner.judge import Fault

Way = Literal["given", "inline", "native", "files"]
_INLINE = 4 / 3  # base64 makes three bytes four


def way(provider: Provider, medium: Medium) -> Way | Fault:
    """`inline` is a data: URI made of a file, `native` Alibaba's temporary storage, `files` a multipart upload.

    A small picture goes inline; what is larger than the profile's `below` is uploaded where there is an upload.
    """
    takes = {*medium.rule.get("accepts", ("http", "oss", "data")), *medium.rule.get("unsure", ())}
    spec = provider.spec["media"]
    upload = spec.get("upload", "none")
    inline = spec.get("data_uri", {}).get("images") and "data" in takes and medium.kind == "image"
    match medium.form:
        case "http":
            return "given"
        case "oss":
            return "given" if upload == "native" else _no(f"{provider.name} cannot read oss:// URLs")
        case "data":
            return "given" if inline else _no(f"{provider.name} takes no data: URI for {medium.role}")
    size = medium.bytes or 0
    below = spec.get("data_uri", {}).get("below")
    can_upload = (upload == "native" and "oss" in takes) or (upload == "files" and "http" in takes)
    if inline and (not can_upload or below is None or size * _INLINE <= below):
        return "inline"
    if not can_upload:
        return _no(f"{provider.name} takes no local file for {medium.role.partition('/')[0]}")
    most = provider.spec.get("upload", {}).get("most")
    if most and size > most:
        return _no(f'"{medium.value}" is {mega(size)}, {provider.name} takes uploads of at most {mega(most)}')
    return "native" if upload == "native" else "files"


def _no(message: str) -> Fault:
    return Fault(code="E411", path=(), message=message, hint="put it on the web and give its https:// URL")
