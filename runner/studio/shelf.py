"""Media that came with requests, as files in the folder: uploads by their key and model, `data:` pictures by their bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

_LIFE = 48 * 3600  # seconds an upload lasts (Model Studio, get-temporary-file-url)
_FILE = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d+/files/([^/?#]+)")
_FILE_NAME = re.compile(r"[0-9a-f]{32}(\.[a-z0-9]{1,8})?")
_WORDS = {"prompt", "negative_prompt"}  # texts of the author's, whatever they begin with


class Refused(Exception):
    """A URL in a request that no render can be made with."""


class Shelf:
    """`clock` gives seconds since the epoch."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._keeping = threading.Lock()
        self._uploads = folder / "uploads"
        self._inline = folder / "inline"
        self._files = folder / "files"
        for each in (self._uploads, self._inline, self._files):
            each.mkdir(exist_ok=True)

    def keep(self, key: str, model: str, data: bytes) -> bool:
        """Put an upload away; False when its key is taken."""
        about = self._about(key)
        with self._keeping:
            if about.exists():
                return False
            file = about.with_suffix(f".file{_suffix(key)}")
            file.write_bytes(data)
            beside = about.with_suffix(".new")
            beside.write_text(json.dumps({"model": model, "at": self.clock(), "file": file.name}), "ascii")
            beside.replace(about)
            return True

    def publish(self, data: bytes, called: str) -> str:
        """Keep a file under a name of its own, that of `/files/NAME`, for as long as the folder lasts."""
        name = uuid.uuid4().hex + _suffix(called)
        (self._files / name).write_bytes(data)
        return name

    def published(self, name: str) -> Path | None:
        path = self._files / name
        return path if _FILE_NAME.fullmatch(name) and path.exists() else None

    def put_away(self, given: Any, model: str, *, resolves: bool) -> Any:
        """The same input with every `data:` picture written as `data:MIME;sha256,HEX`; raises Refused for URLs of no use."""
        if isinstance(given, dict):
            return {
                name: value if name in _WORDS else self.put_away(value, model, resolves=resolves) for name, value in given.items()
            }
        if isinstance(given, list):
            return [self.put_away(item, model, resolves=resolves) for item in given]
        if isinstance(given, str) and given.startswith("oss://"):
            self._check_upload(given, model, resolves=resolves)
        return self._decoded(given) if isinstance(given, str) and given.startswith("data:") else given

    def find(self, url: str) -> Path | None:
        """The file behind a URL of a request that was put away; None for URLs elsewhere, which nobody fetches."""
        if url.startswith("oss://"):
            about = self._read(url.removeprefix("oss://"))
            return self._uploads / about["file"] if about else None
        if ours := _FILE.fullmatch(url):
            return self.published(ours[1])
        digest = re.fullmatch(r"data:[^,]*;sha256,([0-9a-f]{64})", url)
        return self._inline / digest[1] if digest else None

    def _check_upload(self, url: str, model: str, *, resolves: bool) -> None:
        if not resolves:
            raise Refused("oss:// URLs need the header X-DashScope-OssResourceResolve: enable")
        about = self._read(url.removeprefix("oss://"))
        if about is None or about["at"] + _LIFE < self.clock():
            raise Refused(f"{url[:200]} does not exist or has expired")
        if about["model"] != model:
            raise Refused(f"{url[:200]} was uploaded for the model {about['model']}, not for {model}")

    def _decoded(self, uri: str) -> str:
        head, comma, text = uri.partition(",")
        mime = head.removeprefix("data:").split(";")[0]
        if not comma or not mime.startswith("image/"):
            raise Refused("data: URLs are for images: data:image/png;base64,…")
        try:
            data = base64.b64decode(text, validate=True) if head.endswith(";base64") else unquote_to_bytes(text)
        except (binascii.Error, ValueError) as error:
            raise Refused(f"a data: URL is not valid base64: {error}") from error
        digest = hashlib.sha256(data).hexdigest()
        with self._keeping:
            if not (self._inline / digest).exists():
                beside = self._inline / f"{digest}.new"
                beside.write_bytes(data)
                beside.replace(self._inline / digest)
        return f"data:{mime};sha256,{digest}"

    def _about(self, key: str) -> Path:
        # Keys are any text, file names are not.
        return self._uploads / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _read(self, key: str) -> Mapping[str, Any] | None:
        about = self._about(key)
        return json.loads(about.read_bytes()) if about.exists() else None


def _suffix(key: str) -> str:
    found = re.search(r"\.[A-Za-z0-9]{1,8}$", key)
    return found[0].lower() if found else ""
