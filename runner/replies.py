"""A reply as it comes → a Reply: read to its end, unpacked where it is packed, and without our keys in it."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from runner.answers import Reply
from runner.errors import Unreachable
from runner.http1 import Headers
from runner.secrecy import hide, hide_bytes


async def whole(status: int, headers: Headers, body: AsyncIterable[bytes], most: int) -> Reply:
    """Raises Unreachable for a body of more than `most` bytes, as sent or as unpacked."""
    chunks, size = [], 0
    async for chunk in body:
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
    said: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("ascii").lower(), hide(_text(value))
        said[name] = f"{said[name]}, {text}" if name in said else text
    data = b"".join(chunks)
    # Only what is really packed: some gateways name a compression that they have not done.
    if said.get("content-encoding", "").lower() in {"gzip", "x-gzip", "deflate"}:
        data = _unpacked(data, most)
    return Reply(status=status, headers=said, body=hide_bytes(data))  # some servers repeat the key


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _unpacked(data: bytes, most: int) -> bytes:
    packed = zlib.decompressobj(wbits=47)  # gzip or zlib, by its own head
    try:
        plain = packed.decompress(data, most)
    except zlib.error:
        return data
    if packed.unconsumed_tail:
        raise _too_large(most)
    return plain


def _too_large(most: int) -> Unreachable:
    return Unreachable(f"a reply of more than {most} bytes", sent=True)
