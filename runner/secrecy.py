"""The keys that this process holds → texts without them, wherever a server, a library or a fault of ours repeats one."""

from __future__ import annotations

_LEAST = 6  # characters; anything shorter is a word that may stand anywhere
_KNOWN: set[str] = set()


def learn(secret: str) -> None:
    """From now on no text that passes `hide` has it."""
    if len(secret) >= _LEAST:
        _KNOWN.add(secret)


def hide(text: str) -> str:
    for secret in _KNOWN:
        text = text.replace(secret, "…")
    return text


def hide_bytes(data: bytes) -> bytes:
    for secret in _KNOWN:
        data = data.replace(secret.encode(), "…".encode())
    return data
