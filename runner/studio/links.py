"""A secret of the folder's own → links that expire and policies that cannot be made up, signed as object storage does it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode
from xml.sax.saxutils import escape

ACCESS_ID = "STUDIO-TEMPORARY-ID"


class Signer:
    """Signs and checks texts; the secret is made at the first start and kept, so that links outlive a restart."""

    def __init__(self, folder: Path) -> None:
        path = folder / "secret"
        if not path.exists():
            beside = folder / "secret.new"
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
            beside.replace(path)
        self._secret = path.read_bytes()

    def sign(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self._secret, text.encode(), hashlib.sha1)).decode()

    def is_signed(self, text: str, signature: str) -> bool:
        return hmac.compare_digest(self.sign(text).encode(), signature.encode("utf-8", "replace"))

    def link(self, path: str, expires: int) -> str:
        """`path` with what proves that it was given out by us; `expires` in seconds since the epoch."""
        signature = self.sign(f"GET {path} {expires}")
        return f"{path}?{urlencode({'Expires': expires, 'OSSAccessKeyId': ACCESS_ID, 'Signature': signature})}"

    def refusal(self, path: str, query: Mapping[str, str], now: float) -> tuple[str, str] | None:
        """Why a link is not served, as object storage words it: a code and a message."""
        expires = query.get("Expires", "")
        if not self.is_signed(f"GET {path} {expires}", query.get("Signature", "")):
            return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
        return EXPIRED if int(expires) < now else None


EXPIRED = ("AccessDenied", "Request has expired.")


def xml_error(code: str, message: str) -> str:
    """An error as object storage writes it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message><HostId>127.0.0.1</HostId></Error>\n"
    )
