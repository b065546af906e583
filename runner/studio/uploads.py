"""The temporary upload: a signed policy for one model, then a form whose last field is the file."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runner.studio.links import ACCESS_ID, EXPIRED, Signer
from runner.studio.replies import stamped

LASTS = 300  # seconds a policy lasts (Model Studio, get-temporary-file-url)
MOST = 100 * 1024 * 1024  # bytes; the service's largest medium

_NEEDED = ("OSSAccessKeyId", "Signature", "policy", "key")


class UploadRefused(Exception):
    """An upload that is not taken: an HTTP status, a code and a message as object storage words them."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One field of a multipart form."""

    name: str
    data: bytes
    file: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A form that was found in order."""

    key: str
    model: str
    data: bytes
    status: int


class Policies:
    """Gives policies out and checks what comes back with them; nothing needs to be remembered in between."""

    def __init__(self, signer: Signer, clock: Callable[[], float]) -> None:
        self.signer = signer
        self.clock = clock

    def make(self, model: str, host: str) -> dict[str, Any]:
        """The `data` of a getPolicy reply; `host` is where the form goes."""
        now = self.clock()
        folder = f"dashscope-instant/studio/{stamped(now)[:10]}/{uuid.uuid4()}"
        terms = json.dumps({"model": model, "folder": folder, "until": now + LASTS})
        policy = base64.b64encode(terms.encode()).decode()
        return {
            "policy": policy,
            "signature": self.signer.sign(policy),
            "oss_access_key_id": ACCESS_ID,
            "upload_dir": folder,
            "upload_host": host,
            "expire_in_seconds": LASTS,
            "max_file_size_mb": MOST // 1024**2,
            "capacity_limit_mb": 999_999_999,
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }

    def check(self, parts: Sequence[Part]) -> Upload:
        """Raises UploadRefused."""
        if [part.name for part in parts].count("file") != 1 or parts[-1].name != "file":
            raise UploadRefused(403, "AccessDenied", "The form needs one field named file, and it must be the last.")
        fields = {part.name: part.data.decode("utf-8", "replace") for part in parts[:-1]}
        missing = [name for name in _NEEDED if not fields.get(name)]
        if missing:
            raise UploadRefused(403, "AccessDenied", f"The form lacks {', '.join(missing)} before the file.")
        terms = self._terms(fields)
        folder = f"{terms['folder']}/"
        if not fields["key"].startswith(folder) or fields["key"] == folder:
            raise UploadRefused(403, "AccessDenied", "Invalid according to Policy: the key must lie in upload_dir.")
        if fields.get("x-oss-object-acl") != "private" or fields.get("x-oss-forbid-overwrite") != "true":
            raise UploadRefused(403, "AccessDenied", "Invalid according to Policy: x-oss-object-acl, x-oss-forbid-overwrite.")
        if len(parts[-1].data) > MOST:
            raise UploadRefused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
        status = 200 if fields.get("success_action_status") == "200" else 204
        return Upload(key=fields["key"], model=terms["model"], data=parts[-1].data, status=status)

    def _terms(self, fields: dict[str, str]) -> Any:
        if fields["OSSAccessKeyId"] != ACCESS_ID:
            raise UploadRefused(403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.")
        if not self.signer.is_signed(fields["policy"], fields["Signature"]):
            raise UploadRefused(403, "SignatureDoesNotMatch", "The signature does not belong to the policy.")
        terms = json.loads(base64.b64decode(fields["policy"]))
        if terms["until"] < self.clock():
            raise UploadRefused(403, *EXPIRED)
        return terms


def parts_of(content_type: str, body: bytes) -> list[Part]:
    """A multipart body → its fields in order; an empty list for what is none."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if not content_type.startswith("multipart/form-data") or not boundary:
        return []
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())
    found = []
    for piece in pieces[1:]:
        head, gap, data = piece.partition(b"\r\n\r\n")
        name = re.search(rb'[;\s]name="([^"]*)"', head)
        file = re.search(rb'[;\s]filename="([^"]*)"', head)
        if gap and name:
            called = file[1].decode("utf-8", "replace") if file else ""
            found.append(Part(name=name[1].decode("utf-8", "replace"), data=data, file=called))
    return found
