"""Text with `${name}` in it + variables → a value; every fault as one sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\$(?:\$|\{([^{}$]*)(\}?))")


class TemplateError(Exception):
    """A template cannot be expanded; `hint` may say what was meant."""

    def __init__(self, fact: str, hint: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


def expand(text: str, variables: Mapping[str, Any]) -> Any:
    """`${name}` once, `$$` a dollar. A text that is nothing but `${name}` keeps the variable's type."""
    whole = _TOKEN.fullmatch(text) if text.startswith("$") else None
    if whole and whole[1] is not None:
        return _value(whole, variables)

    def written(found: re.Match[str]) -> str:
        value = "$" if found[1] is None else _value(found, variables)
        return value if isinstance(value, str) else _text(value)

    return _TOKEN.sub(written, text)


def expand_all(value: Any, variables: Mapping[str, Any]) -> Any:
    """Like `expand`, for every text inside mappings and lists."""
    if isinstance(value, str):
        return expand(value, variables) if "$" in value else value
    if isinstance(value, dict):
        return {key: expand_all(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [expand_all(item, variables) for item in value]
    return value


def names(text: str) -> set[str]:
    """The variables that a text asks for."""
    if "$" not in text:
        return set()
    return {found[1].strip() for found in _TOKEN.finditer(text) if found[1] is not None}


def _value(found: re.Match[str], variables: Mapping[str, Any]) -> Any:
    name = found[1].strip()
    if not found[2]:
        raise TemplateError(f'"{found[0]}" is not closed', 'write "${name}", or "$$" for a dollar sign')
    if name not in variables:
        near = difflib.get_close_matches(name, variables, 1)
        known = ", ".join(sorted(variables)) or "none"
        raise TemplateError(f'no variable "{name}"', f'did you mean "{near[0]}"?' if near else f"known here: {known}")
    return variables[name]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
