"""An error of a service → our words for it: what it means, which part of the shot it names, and whether it was billed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from runner import source
from runner.catalog import SCHEMAS, Model

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def hint(error: Mapping[str, Any], model: Model | None) -> str | None:
    """One line about a take's `{code, message, retryable, billed}`; None where nothing is known of the code."""
    found = next((row for row in _rows() if any(fnmatchcase(str(error.get("code")), one) for one in row["codes"])), None)
    field = named(str(error.get("message", "")), model) if model else None
    parts = [
        found["says"] if found else None,
        f"it names {field}" if field else None,
        found.get("do") if found else None,
        "not billed" if error.get("billed") is False and (found or field) else None,
    ]
    return "; ".join(part for part in parts if part) or None


def named(message: str, model: Model) -> str | None:
    """The field of the shot that a service's message names, in the author's words: `media.first_frame`, `parameters.size`."""
    words = set(_WORD.findall(message))
    places: dict[str, Mapping[str, Any]] = {
        **{name: rule for name, rule in model.schema["properties"].items() if name not in {"media", "parameters"}},
        **{f"parameters.{name}": rule for name, rule in model.parameters.items()},
        **{f"media.{name}": rule for name, rule in model.roles.items()},
    }
    for author, rule in sorted(places.items(), key=lambda item: -len(item[0])):  # the longest name says most
        wire = str(rule.get("x-to", "")).removesuffix("/-").rpartition("/")[2]
        own = {author.rpartition(".")[2], str(rule.get("x-type", "")), *({wire} - {"media"})}
        if own & words - {"prompt"} or (author == "prompt" and "prompt" in words):
            return author
    return "media" if "media" in words and model.roles else None


@cache
def _rows() -> tuple[Mapping[str, Any], ...]:
    return tuple(source.read(SCHEMAS / "errors.yaml").data["errors"])
